/* JSON out of any bytes: what is accepted can be written, and what was written reads back the same
 * and is written the same once more. */
#include "common/format/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_token(ps_json_writer *w, const ps_json_token *t)
{
    switch (t->kind) {
    case PS_JSON_END:
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
    case PS_JSON_KEY: /* a writer's keys are C strings: up to a zero byte */
        ps_json_key(w, (const char *)t->text.data);
        break;
    case PS_JSON_STRING:
        ps_json_string_n(w, t->text);
        break;
    case PS_JSON_NUMBER:
        if (t->is_u64)
            ps_json_uint(w, t->u64);
        else
            ps_json_double(w, t->number);
        break;
    case PS_JSON_TRUE:
    case PS_JSON_FALSE:
        ps_json_bool(w, t->kind == PS_JSON_TRUE);
        break;
    case PS_JSON_NULL:
        ps_json_null(w);
        break;
    }
}

/* Reads bytes to their end, writing each token to out; false when they are refused. */
static bool rewrite(ps_slice bytes, ps_buf *out)
{
    ps_json_reader reader;
    ps_json_reader_init(&reader, bytes);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_token token;
    ps_status st;
    do {
        st = ps_json_next(&reader, &token);
        if (!st)
            write_token(&w, &token);
    } while (!st && token.kind != PS_JSON_END);
    ps_json_reader_free(&reader);
    return st == PS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_buf once = PS_BUF_EMPTY, twice = PS_BUF_EMPTY;
    if (rewrite(ps_slice_of(data, size), &once)) {
        if (!rewrite(ps_buf_slice(&once), &twice))
            abort();
        if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
            abort();
    }
    ps_buf_free(&once);
    ps_buf_free(&twice);
    return 0;
}
