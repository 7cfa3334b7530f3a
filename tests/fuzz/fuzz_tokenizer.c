/* A tokenizer.json out of any bytes: refused, or a tokenizer that gives the bytes of any text back,
 * whose own file reads back as the same. */
#include "common/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check(const ps_tokenizer *t, ps_slice text, bool added)
{
    ps_ids whole = PS_IDS_EMPTY, pieces = PS_IDS_EMPTY;
    ps_status st = ps_tokenizer_encode(t, text, added, &whole), again = PS_OK;
    ps_encoder *e = ps_encoder_new(t, added);
    for (size_t at = 0; !again && at < text.len; at += 5)
        again = ps_encoder_feed(
            e, ps_slice_of(text.data + at, text.len - at < 5 ? text.len - at : 5), &pieces);
    if (!again)
        again = ps_encoder_finish(e, &pieces);
    ps_encoder_free(&e);
    require(st == again && (!st || st == PS_RESOURCE_EXHAUSTED || st == PS_NO_MEMORY));
    require(st || pieces.n == whole.n);
    require(st || !whole.n || !memcmp(pieces.at, whole.at, whole.n * sizeof *whole.at));
    ps_ids_free(&whole);
    ps_ids_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_slice bytes = ps_slice_of(data, size);
    ps_tokenizer *t = NULL, *again = NULL;
    if (ps_tokenizer_from_json(bytes, &t) != PS_OK)
        return 0;
    check(t, ps_slice_of(data, size < 256 ? size : 256), false);
    check(t, ps_slice_of(data, size < 256 ? size : 256), true);
    ps_buf json = PS_BUF_EMPTY;
    if (!strcmp(ps_tokenizer_name(t), "gpt2")) {
        ps_tokenizer_to_json(t, &json);
        require(ps_tokenizer_from_json(ps_buf_slice(&json), &again) == PS_OK);
        require(ps_tokenizer_hash(again) == ps_tokenizer_hash(t));
        ps_tokenizer_free(&again);
    }
    ps_tokenizer_free(&t);
    ps_buf_free(&json);
    return 0;
}
