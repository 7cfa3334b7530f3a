/* The writer of json.h: commas and quotes. It cannot fail; what it is called out of order for is an
 * assertion. */
#include "common/base/require.h"
#include "common/json/json.h"

#include "common/base/base64.h"
#include "common/base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

ps_json_writer ps_json_writer_to(ps_buf *out)
{
    return (ps_json_writer){.out = out};
}

static bool in_object(const ps_json_writer *w)
{
    return w->depth > 0 && (w->objects >> (w->depth - 1) & 1u);
}

static void before_value(ps_json_writer *w)
{
    PS_REQUIRE(!in_object(w) || w->after_key);
    if (w->need_comma && !w->after_key)
        ps_buf_putc(w->out, ',');
    w->need_comma = true;
    w->after_key = false;
}

static void open_level(ps_json_writer *w, bool object)
{
    before_value(w);
    PS_REQUIRE(w->depth < PS_JSON_MAX_DEPTH);
    w->objects = (w->objects & ~(1u << w->depth)) | (uint32_t)object << w->depth;
    w->depth++;
    w->need_comma = false;
    ps_buf_putc(w->out, object ? '{' : '[');
}

static void close_level(ps_json_writer *w, bool object)
{
    PS_REQUIRE(w->depth > 0 && in_object(w) == object && !w->after_key);
    w->depth--;
    w->need_comma = true;
    ps_buf_putc(w->out, object ? '}' : ']');
}

void ps_json_object(ps_json_writer *w)
{
    open_level(w, true);
}

void ps_json_object_end(ps_json_writer *w)
{
    close_level(w, true);
}

void ps_json_array(ps_json_writer *w)
{
    open_level(w, false);
}

void ps_json_array_end(ps_json_writer *w)
{
    close_level(w, false);
}

static void put_ascii(ps_buf *out, uint8_t c)
{
    switch (c) {
    case '"':
        ps_buf_puts(out, "\\\"");
        break;
    case '\\':
        ps_buf_puts(out, "\\\\");
        break;
    case '\n':
        ps_buf_puts(out, "\\n");
        break;
    case '\t':
        ps_buf_puts(out, "\\t");
        break;
    default:
        if (c < 0x20 || c == 0x7f)
            ps_buf_printf(out, "\\u%04x", c);
        else
            ps_buf_putc(out, (char)c);
    }
}

static void put_quoted(ps_buf *out, ps_slice text)
{
    ps_buf_putc(out, '"');
    for (size_t i = 0; i < text.len;) {
        if (text.data[i] < 0x80) {
            put_ascii(out, text.data[i++]);
            continue;
        }
        size_t n = ps_utf8_length(ps_slice_of(text.data + i, text.len - i));
        if (n)
            ps_buf_append(out, text.data + i, n);
        else
            ps_buf_puts(out, "\xef\xbf\xbd"); /* U+FFFD */
        i += n ? n : 1;
    }
    ps_buf_putc(out, '"');
}

void ps_json_key(ps_json_writer *w, const char *key)
{
    PS_REQUIRE(in_object(w) && !w->after_key);
    if (w->need_comma)
        ps_buf_putc(w->out, ',');
    put_quoted(w->out, ps_slice_str(key));
    ps_buf_putc(w->out, ':');
    w->after_key = true;
}

void ps_json_string_n(ps_json_writer *w, ps_slice text)
{
    before_value(w);
    put_quoted(w->out, text);
}

void ps_json_string(ps_json_writer *w, const char *text)
{
    if (text)
        ps_json_string_n(w, ps_slice_str(text));
    else
        ps_json_null(w);
}

void ps_json_int(ps_json_writer *w, int64_t v)
{
    before_value(w);
    ps_buf_printf(w->out, "%" PRId64, v);
}

void ps_json_uint(ps_json_writer *w, uint64_t v)
{
    before_value(w);
    ps_buf_printf(w->out, "%" PRIu64, v);
}

void ps_json_double(ps_json_writer *w, double v)
{
    char text[40];
    if (!isfinite(v)) {
        ps_json_null(w);
        return;
    }
    before_value(w);
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back */
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    ps_buf_puts(w->out, text);
}

void ps_json_float(ps_json_writer *w, float v)
{
    char text[40];
    if (!isfinite(v)) {
        ps_json_null(w);
        return;
    }
    before_value(w);
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    ps_buf_puts(w->out, text);
}

void ps_json_base64(ps_json_writer *w, ps_slice bytes)
{
    before_value(w);
    ps_buf_putc(w->out, '"');
    ps_base64_write(w->out, bytes); /* nothing in it is to be escaped */
    ps_buf_putc(w->out, '"');
}

void ps_json_bool(ps_json_writer *w, bool v)
{
    before_value(w);
    ps_buf_puts(w->out, v ? "true" : "false");
}

void ps_json_null(ps_json_writer *w)
{
    before_value(w);
    ps_buf_puts(w->out, "null");
}

void ps_json_token_write(ps_json_writer *w, const ps_json_token *token)
{
    switch (token->kind) {
    case PS_JSON_END:
        PS_REQUIRE(!"the end is not written");
        break;
    case PS_JSON_OBJECT:
        ps_json_object(w);
        break;
    case PS_JSON_OBJECT_END:
        ps_json_object_end(w);
        break;
    case PS_JSON_ARRAY:
        ps_json_array(w);
        break;
    case PS_JSON_ARRAY_END:
        ps_json_array_end(w);
        break;
    case PS_JSON_KEY:
        ps_json_key(w, (const char *)token->text.data);
        break;
    case PS_JSON_STRING:
        ps_json_string_n(w, token->text);
        break;
    case PS_JSON_NUMBER:
        if (token->is_u64)
            ps_json_uint(w, token->u64);
        else
            ps_json_double(w, token->number);
        break;
    case PS_JSON_TRUE:
    case PS_JSON_FALSE:
        ps_json_bool(w, token->kind == PS_JSON_TRUE);
        break;
    case PS_JSON_NULL:
        ps_json_null(w);
        break;
    }
}

void ps_json_put_string(ps_json_writer *w, const char *key, const char *text)
{
    ps_json_key(w, key);
    ps_json_string(w, text);
}

void ps_json_put_int(ps_json_writer *w, const char *key, int64_t v)
{
    ps_json_key(w, key);
    ps_json_int(w, v);
}

void ps_json_put_uint(ps_json_writer *w, const char *key, uint64_t v)
{
    ps_json_key(w, key);
    ps_json_uint(w, v);
}

void ps_json_put_double(ps_json_writer *w, const char *key, double v)
{
    ps_json_key(w, key);
    ps_json_double(w, v);
}

void ps_json_put_raw(ps_json_writer *w, const char *key, const char *json)
{
    ps_json_key(w, key);
    before_value(w);
    ps_buf_puts(w->out, json);
}
void ps_json_put_bool(ps_json_writer *w, const char *key, bool v)
{
    ps_json_key(w, key);
    ps_json_bool(w, v);
}

/* How deep the document goes; -1 when it is no JSON. */
static int json_depth(ps_slice text)
{
    ps_json_reader reader;
    ps_json_reader_init(&reader, text);
    ps_json_token token = {.kind = PS_JSON_NULL};
    int depth = 0, deepest = 0;
    ps_status st = PS_OK;
    while ((st = ps_json_next(&reader, &token)) == PS_OK && token.kind != PS_JSON_END) {
        depth += token.kind == PS_JSON_OBJECT || token.kind == PS_JSON_ARRAY;
        depth -= token.kind == PS_JSON_OBJECT_END || token.kind == PS_JSON_ARRAY_END;
        deepest = depth > deepest ? depth : deepest;
    }
    ps_json_reader_free(&reader);
    return st ? -1 : deepest;
}

void ps_json_embed(ps_json_writer *w, const char *json)
{
    ps_json_embed_n(w, json ? ps_slice_str(json) : (ps_slice){0});
}

void ps_json_embed_n(ps_json_writer *w, ps_slice json)
{
    if (!json.len) {
        ps_json_null(w);
        return;
    }
    int depth = json_depth(json);
    if (depth < 0 || w->depth + (unsigned)depth > PS_JSON_MAX_DEPTH) {
        ps_json_string_n(w, json);
        return;
    }
    ps_json_reader reader;
    ps_json_reader_init(&reader, json);
    ps_json_token token = {0};
    while (ps_json_next(&reader, &token) == PS_OK && token.kind != PS_JSON_END)
        ps_json_token_write(w, &token);
    ps_json_reader_free(&reader);
}
