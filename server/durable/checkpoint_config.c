/* Happy path: the first line is read as a part of a job file is, each line behind it as a tensor. A
 * decoded configuration is checked again by ps_param_store_create; here only what is needed to read
 * it safely is. Fails on damage, and on words that a newer psd has written. */
#include "server/durable/checkpoint_config.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/json/json.h"
#include "server/params/block_kinds.h"
#include "server/params/store_settings.h"

#include <inttypes.h>
#include <string.h>

enum {
    VERSION_BYTES = 8,
    LINE_MIN = 13, /* bytes of a tensor's: {"name":"w"} and its end */
};

static ps_status newer(ps_status st)
{
    return st == PS_INVALID_ARGUMENT
               ? ps_wrap(PS_FAILED_PRECONDITION, "a newer psd wrote it; start that one")
               : st;
}

ps_status ps_checkpoint_config_damaged(void)
{
    return ps_fail(PS_CORRUPT, "the configuration of the job is damaged");
}

static ps_status no_memory(void)
{
    return ps_fail(PS_NO_MEMORY, "out of memory for the configuration of a checkpoint");
}

ps_status ps_checkpoint_config_texts(ps_checkpoint_config *out, size_t n_bytes)
{
    out->texts = ps_try_alloc(n_bytes);
    return out->texts ? PS_OK : no_memory();
}

ps_status ps_checkpoint_config_plans(ps_checkpoint_config *out, size_t n)
{
    if (n == 0 || n > PS_PARAM_TENSORS_MAX)
        return ps_checkpoint_config_damaged();
    out->plans = ps_try_alloc(n * sizeof *out->plans);
    out->config.plans = out->plans;
    out->config.n_plans = n;
    return out->plans ? PS_OK : no_memory();
}

bool ps_checkpoint_config_count(ps_checkpoint_config *out, const ps_param_plan *plan)
{
    uint64_t n = 1;
    for (unsigned i = 0; i < plan->rank; i++) {
        if (plan->shape[i] == 0 || plan->shape[i] > PS_PARAM_ELEMENTS_MAX / n)
            return false;
        n *= plan->shape[i];
    }
    out->elements += n;
    return out->elements <= PS_PARAM_ELEMENTS_MAX;
}

/* ---- a tensor ---- */

static void write_tensor(const ps_param_plan *plan, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "name", plan->name);
    ps_json_key(&w, "shape");
    ps_json_array(&w);
    for (unsigned i = 0; i < plan->rank; i++)
        ps_json_uint(&w, plan->shape[i]);
    ps_json_array_end(&w);
    ps_json_put_bool(&w, "decays", !plan->undecayed);
    char form[PS_FORM_TEXT];
    if (plan->form.row)
        ps_json_put_string(&w, "form", ps_form_text(plan->form, form));
    if (plan->transposed)
        ps_json_put_bool(&w, "transposed", true);
    if (plan->kind)
        ps_json_put_string(&w, "blocks", ps_block_kind_name(plan->kind));
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}

/* *room: for the name, and after it. */
static ps_status read_name(ps_json_reader *r, ps_param_plan *plan, char **room)
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &t);
    if (st)
        return st;
    if (plan->name || t.text.len > PS_PARAM_NAME_MAX || memchr(t.text.data, 0, t.text.len))
        return ps_checkpoint_config_damaged();
    plan->name = memcpy(*room, t.text.data, t.text.len + 1);
    *room += t.text.len + 1;
    return PS_OK;
}

static ps_status read_shape(ps_json_reader *r, ps_param_plan *plan)
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &t);
    while (!st && !(st = ps_json_next(r, &t)) && t.kind == PS_JSON_NUMBER) {
        if (!t.is_u64 || plan->rank == PS_PARAM_DIMS_MAX)
            return ps_checkpoint_config_damaged();
        plan->shape[plan->rank++] = t.u64;
    }
    return st || t.kind == PS_JSON_ARRAY_END ? st : ps_checkpoint_config_damaged();
}

static ps_status read_bool(ps_json_reader *r, bool *out)
{
    ps_json_token t;
    ps_status st = ps_json_next(r, &t);
    if (st)
        return st;
    *out = t.kind == PS_JSON_TRUE;
    return *out || t.kind == PS_JSON_FALSE ? PS_OK : ps_checkpoint_config_damaged();
}

static ps_status read_decays(ps_json_reader *r, ps_param_plan *plan)
{
    bool decays = true;
    ps_status st = read_bool(r, &decays);
    plan->undecayed = !decays;
    return st;
}

static ps_status read_kind(ps_json_reader *r, ps_param_plan *plan)
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &t);
    if (st)
        return st;
    const char *name = (const char *)t.text.data;
    plan->kind = ps_block_kind_find(name);
    return plan->kind ? PS_OK : newer(ps_fail(PS_INVALID_ARGUMENT, "blocks of kind %.64s", name));
}

static ps_status read_form(ps_json_reader *r, ps_param_plan *plan)
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &t);
    if (st)
        return st;
    const char *text = (const char *)t.text.data;
    return ps_form_parse(text, &plan->form)
               ? PS_OK
               : newer(ps_fail(PS_INVALID_ARGUMENT, "form %.64s", text));
}

/* The value of one key. */
static ps_status read_member(ps_json_reader *r, const ps_json_token *key, ps_param_plan *plan,
                             char **room)
{
    const char *name = (const char *)key->text.data;
    if (strcmp(name, "name") == 0)
        return read_name(r, plan, room);
    if (strcmp(name, "shape") == 0 && plan->rank == 0)
        return read_shape(r, plan);
    if (strcmp(name, "decays") == 0)
        return read_decays(r, plan);
    if (strcmp(name, "blocks") == 0)
        return read_kind(r, plan);
    if (strcmp(name, "form") == 0)
        return read_form(r, plan);
    if (strcmp(name, "transposed") == 0)
        return read_bool(r, &plan->transposed);
    return newer(ps_fail(PS_INVALID_ARGUMENT,
                         "%.64s: unknown key; allowed: name, shape, decays, form, transposed, "
                         "blocks",
                         name));
}

static ps_status read_tensor(ps_slice line, ps_param_plan *plan, char **room)
{
    ps_json_reader r;
    ps_json_token t;
    ps_json_reader_init(&r, line);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &t);
    while (!st && !(st = ps_json_next(&r, &t)) && t.kind == PS_JSON_KEY)
        st = read_member(&r, &t, plan, room);
    if (!st)
        st = ps_json_expect(&r, PS_JSON_END, &t);
    ps_json_reader_free(&r);
    return st || plan->name ? st : ps_checkpoint_config_damaged();
}

/* ---- all of it ---- */

void ps_checkpoint_config_encode(const ps_param_config *config, ps_buf *out)
{
    ps_store_spec settings;
    ps_store_settings_give(config, &settings);
    ps_buf_put_u64le(out, PS_CHECKPOINT_CONFIG_VERSION);
    ps_store_spec_format(&settings, out);
    ps_buf_putc(out, '\n');
    for (size_t i = 0; i < config->n_plans; i++)
        write_tensor(&config->plans[i], out);
}

/* Up to the next end of line, which *rest begins behind; empty: there is none. */
static ps_slice next_line(ps_slice *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : 0, taken = end ? len + 1 : 0;
    ps_slice line = ps_slice_of(rest->data, len);
    *rest = ps_slice_of(rest->data + taken, rest->len - taken);
    return line;
}

static size_t count_lines(ps_slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == '\n';
    return n;
}

static ps_status read_tensors(ps_slice lines, ps_checkpoint_config *out)
{
    size_t n = count_lines(lines);
    if (n > lines.len / LINE_MIN)
        return ps_checkpoint_config_damaged();
    ps_status st = ps_checkpoint_config_plans(out, n);
    if (!st)
        st = ps_checkpoint_config_texts(out, lines.len);
    char *room = out->texts;
    for (size_t i = 0; !st && i < n; i++) {
        st = read_tensor(next_line(&lines), &out->plans[i], &room);
        if (!st && !ps_checkpoint_config_count(out, &out->plans[i]))
            st = ps_checkpoint_config_damaged();
        if (st)
            st = ps_wrap(st, "tensor %zu", i);
    }
    return st || lines.len == 0 ? st : ps_checkpoint_config_damaged();
}

static ps_status decode(ps_slice text, ps_checkpoint_config *out)
{
    ps_status st = newer(ps_store_spec_parse(next_line(&text), "settings", &out->settings));
    if (!st)
        st = read_tensors(text, out);
    if (st)
        return st;
    ps_store_settings_take(out->settings, &out->config);
    out->consistency = out->settings->consistency.mode;
    return PS_OK;
}

ps_status ps_checkpoint_config_decode(ps_slice bytes, ps_checkpoint_config *out)
{
    ps_checkpoint_config made = {0};
    ps_cursor c = ps_cursor_of(bytes);
    uint64_t version = ps_read_u64le(&c);
    ps_status st;
    if (c.failed)
        st = ps_checkpoint_config_damaged();
    else if (version < PS_CHECKPOINT_CONFIG_VERSION)
        st = ps_checkpoint_config_decode_old(bytes, &made);
    else if (version > PS_CHECKPOINT_CONFIG_VERSION)
        st = newer(ps_fail(PS_INVALID_ARGUMENT, "version %" PRIu64 ", it knows up to %d", version,
                           PS_CHECKPOINT_CONFIG_VERSION));
    else
        st = decode(ps_slice_of(bytes.data + VERSION_BYTES, bytes.len - VERSION_BYTES), &made);
    if (st)
        ps_checkpoint_config_free(&made);
    else
        *out = made;
    return st;
}

void ps_checkpoint_config_free(ps_checkpoint_config *config)
{
    if (config->settings)
        ps_store_spec_free(&config->settings);
    ps_free(&config->plans);
    ps_free(&config->texts);
}
