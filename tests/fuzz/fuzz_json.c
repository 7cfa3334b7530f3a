/* JSON out of any bytes: what is accepted can be written, and what was written reads back the same
 * and is written the same once more. */
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
        if (!st && token.kind != PS_JSON_END)
            ps_json_token_write(&w, &token);
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
