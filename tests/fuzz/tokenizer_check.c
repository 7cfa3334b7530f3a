#include "tests/fuzz/tokenizer_check.h"

#include "common/tokenizer/token_lists.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

void ps_fuzz_check_encoding(const ps_tokenizer *t, ps_slice text, bool added)
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

void ps_fuzz_check_listed(const ps_tokenizer *t, ps_slice text)
{
    ps_tokenizer *again = NULL;
    ps_buf json = PS_BUF_EMPTY;
    ps_token_listing listing;
    ps_fuzz_check_encoding(t, text, false);
    ps_fuzz_check_encoding(t, text, true);
    ps_tokenizer_to_json(t, &json);
    require(ps_tokenizer_from_json(ps_buf_slice(&json), &again) == PS_OK);
    require(ps_tokenizer_hash(again) == ps_tokenizer_hash(t));
    ps_tokenizer_free(&again);
    ps_buf_free(&json);
    ps_status st = ps_tokenizer_list(t, ps_tokenizer_vocab_size(t), &listing);
    require(!st || st == PS_INVALID_ARGUMENT || st == PS_NO_MEMORY);
    ps_token_listing_free(&listing);
}
