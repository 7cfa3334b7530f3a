/* The row WordPiece (unk_token, continuing_subword_prefix, max_input_chars_per_word): of a word the
 * longest token is taken, of the rest the longest with the prefix before it, and so on; when there
 * is none, the whole word is unknown. */
#include "common/tokenizer/tokenizer_internal.h"

static ps_status make(ps_tokenizer *t)
{
    return t->keys.has_unk ? PS_OK
                           : ps_fail(PS_INVALID_ARGUMENT, "unk_token is not in the vocabulary");
}

/* Bytes of the longest token that the rest of a word begins with; 0: there is none. */
static size_t longest(const ps_tokenizer *t, const ps_scratch *s, ps_slice rest, bool goes_on,
                      uint32_t *id)
{
    ps_prefix_walk w = PS_PREFIX_WALK;
    const ps_buf *prefix = &t->keys.prefix;
    size_t n = 0;
    for (size_t i = 0; goes_on && i < prefix->len; i++)
        if (!ps_prefixes_next(&t->tokens, &w, prefix->data[i]))
            return 0;
    for (size_t i = 0; i < rest.len && ps_prefixes_next(&t->tokens, &w, rest.data[i]); i++) {
        bool inside = i + 1 < rest.len && (rest.data[i + 1] & 0xc0) == 0x80; /* a character */
        if (!w.found || inside || (w.found->control && !s->added))
            continue;
        *id = w.found->value;
        n = i + 1;
    }
    return n;
}

static size_t characters(ps_slice text)
{
    size_t count = 0, n = 0;
    for (size_t at = 0; at < text.len; at += n, count++)
        (void)ps_step_char(ps_slice_of(text.data + at, text.len - at), &n);
    return count;
}

static ps_status encode(const ps_tokenizer *t, ps_scratch *s, ps_slice piece, ps_ids *out)
{
    size_t before = out->n, n = 0;
    bool known = characters(piece) <= t->keys.max_chars;
    for (size_t at = 0; known && at < piece.len; at += n) {
        uint32_t id = 0;
        n = longest(t, s, ps_slice_of(piece.data + at, piece.len - at), at > 0, &id);
        known = n > 0;
        ps_ids_add(out, id);
    }
    if (known)
        return PS_OK;
    out->n = before;
    ps_ids_add(out, (uint32_t)t->keys.unk_id);
    return PS_OK;
}

const ps_token_model ps_model_wordpiece = {.type = "WordPiece",
                                           .name = "wordpiece",
                                           .prefixed = true,
                                           .make = make,
                                           .settle = ps_tokenizer_make_prefixes,
                                           .encode = encode};
