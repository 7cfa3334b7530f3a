/* The row WordLevel (unk_token): a piece is a token as it is, or unknown. */
#include "common/tokenizer/tokenizer_internal.h"

static ps_status make(ps_tokenizer *t)
{
    return t->keys.has_unk ? PS_OK
                           : ps_fail(PS_INVALID_ARGUMENT, "unk_token is not in the vocabulary");
}

static ps_status encode(const ps_tokenizer *t, ps_scratch *s, ps_slice piece, ps_ids *out)
{
    uint32_t id = (uint32_t)t->keys.unk_id;
    (void)ps_tokenizer_find_in(t, s, piece, &id);
    ps_ids_add(out, id);
    return PS_OK;
}

const ps_token_model ps_model_wordlevel = {
    .type = "WordLevel", .name = "wordlevel", .make = make, .encode = encode};
