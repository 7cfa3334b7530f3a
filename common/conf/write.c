#include "common/conf/write.h"

#include "common/base/require.h"
#include "common/json/json.h"

#include <inttypes.h>

size_t ps_conf_count(const ps_conf_key *key, const void *data)
{
    return *(const size_t *)(const void *)((const char *)data + key->count_offset);
}

static void write_ints(const int64_t *values, size_t n, ps_buf *out)
{
    for (size_t i = 0; i < n; i++)
        ps_buf_printf(out, "%s%" PRId64, i ? ", " : "[", values[i]);
    ps_buf_puts(out, n ? "]" : "[]");
}

static void write_reals(const double *values, size_t n, ps_buf *out)
{
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_array(&json);
    for (size_t i = 0; i < n; i++)
        ps_json_double(&json, values[i]);
    ps_json_array_end(&json);
}

static void write_texts(char *const *texts, size_t n, ps_buf *out)
{
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_array(&json);
    for (size_t i = 0; i < n; i++)
        ps_json_string(&json, texts[i]);
    ps_json_array_end(&json);
}

static void write_map(const ps_conf_key *keys, const void *data, ps_buf *out)
{
    ps_buf_putc(out, '{');
    for (const ps_conf_key *key = keys; key->name; key++) {
        ps_buf_printf(out, "%s%s: ", key == keys ? "" : ", ", key->name);
        ps_conf_write(key, data, out);
    }
    ps_buf_putc(out, '}');
}

static void write_maps(const ps_conf_key *key, const char *data, size_t n, ps_buf *out)
{
    ps_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        ps_buf_puts(out, i ? ", " : "");
        write_map(key->keys, data + i * key->size, out);
    }
    ps_buf_putc(out, ']');
}

void ps_conf_write(const ps_conf_key *key, const void *data, ps_buf *out)
{
    const void *at = (const char *)data + key->offset;
    ps_json_writer json = ps_json_writer_to(out);
    switch (key->type) {
    case PS_CONF_TYPE_BOOL:
        ps_buf_puts(out, *(const bool *)at ? "true" : "false");
        break;
    case PS_CONF_TYPE_INT:
        ps_buf_printf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case PS_CONF_TYPE_REAL:
        ps_json_double(&json, *(const double *)at);
        break;
    case PS_CONF_TYPE_TEXT:
        ps_json_string(&json, *(char *const *)at);
        break;
    case PS_CONF_TYPE_WORD:
        ps_buf_puts(out, key->words[*(const unsigned *)at]);
        break;
    case PS_CONF_TYPE_BYTES:
        ps_buf_printf(out, "%" PRIu64, *(const uint64_t *)at);
        break;
    case PS_CONF_TYPE_DURATION:
        ps_buf_printf(out, "%" PRIu64 "ms", *(const uint64_t *)at);
        break;
    case PS_CONF_TYPE_INTS:
        write_ints(*(int64_t *const *)at, ps_conf_count(key, data), out);
        break;
    case PS_CONF_TYPE_REALS:
        write_reals(*(double *const *)at, ps_conf_count(key, data), out);
        break;
    case PS_CONF_TYPE_TEXTS:
        write_texts(*(char *const *const *)at, ps_conf_count(key, data), out);
        break;
    case PS_CONF_TYPE_MAP:
        write_map(key->keys, at, out);
        break;
    case PS_CONF_TYPE_MAPS:
        write_maps(key, *(const char *const *)at, ps_conf_count(key, data), out);
        break;
    case PS_CONF_TYPE_MAP_OPT:
    case PS_CONF_TYPE_NAMED:
        PS_REQUIRE(false);
    }
}
