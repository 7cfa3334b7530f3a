#include "tests/fuzz/tokenizer_check.h"

#include "common/base/utf8.h"
#include "common/tokenizer/token_lists.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

ps_status ps_fuzz_read_beside(ps_beside_kind kind, ps_slice bytes, ps_beside *out)
{
    ps_slice none = {0};
    ps_status st = ps_beside_read(kind, bytes, none, none, out);
    if (!st)
        return PS_OK;
    ps_beside_clear(out);
    return ps_beside_read(kind, none, bytes, bytes, out);
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

/* Decodes the ids, and one that no token has; what comes out is UTF-8, whatever the tokens are. */
static void decode(const ps_tokenizer *t, const ps_ids *ids, bool begins)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_decoder d;
    ps_decoder_init(&d, t, begins);
    for (size_t i = 0; i < ids->n; i++)
        ps_decoder_put(&d, ids->at[i], &out);
    ps_decoder_put(&d, UINT32_MAX, &out);
    ps_decoder_finish(&d, &out);
    for (size_t at = 0, n; at < out.len; at += n)
        require((n = ps_utf8_length(ps_slice_of(out.data + at, out.len - at))) > 0);
    ps_buf_free(&out);
}

/* What the post-processor makes of one text, or two: as many types as ids. */
static void join(const ps_tokenizer *t, const ps_ids *ids, const ps_ids *second)
{
    ps_ids out = PS_IDS_EMPTY, types = PS_IDS_EMPTY;
    ps_tokenizer_join(t, ids, second, &out, &types);
    require(out.n == types.n);
    decode(t, &out, true);
    ps_ids_free(&out);
    ps_ids_free(&types);
}

void ps_fuzz_check_text(const ps_tokenizer *t, ps_slice text)
{
    enum { MOST = 4096 }; /* tokens of the vocabulary */
    ps_ids ids = PS_IDS_EMPTY, all = PS_IDS_EMPTY;
    uint32_t n = ps_tokenizer_vocab_size(t);
    if (!ps_tokenizer_encode(t, text, true, &ids)) {
        decode(t, &ids, true);
        decode(t, &ids, false);
        join(t, &ids, NULL);
        join(t, &ids, &ids);
    }
    for (uint32_t id = 0; id < n && id < MOST; id++)
        ps_ids_add(&all, id);
    decode(t, &all, true);
    ps_ids_free(&ids);
    ps_ids_free(&all);
}

void ps_fuzz_check_listed(const ps_tokenizer *t, ps_slice text)
{
    ps_tokenizer *again = NULL;
    ps_buf json = PS_BUF_EMPTY;
    ps_token_listing listing;
    ps_fuzz_check_encoding(t, text, false);
    ps_fuzz_check_encoding(t, text, true);
    ps_fuzz_check_text(t, text);
    ps_tokenizer_to_json(t, &json);
    require(ps_tokenizer_from_json(ps_buf_slice(&json), &again) == PS_OK);
    require(ps_tokenizer_hash(again) == ps_tokenizer_hash(t));
    ps_tokenizer_free(&again);
    ps_buf_free(&json);
    ps_status st = ps_tokenizer_list(t, ps_tokenizer_vocab_size(t), &listing);
    require(!st || st == PS_INVALID_ARGUMENT || st == PS_NO_MEMORY);
    ps_token_listing_free(&listing);
}
