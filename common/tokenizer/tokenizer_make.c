/* What makes a gpt2 tokenizer, whichever file its parts come from: a vocabulary is filled, the
 * bytes are found in it, merges and added tokens follow, and the whole is settled. It fails with
 * PS_INVALID_ARGUMENT when a part does not fit those before it. */
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/tokenizer/byte_text.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <inttypes.h>

ps_status ps_tokenizer_add_added(ps_tokenizer *t, ps_slice text, uint64_t id, bool special)
{
    if (t->n_added == PS_TOKENIZER_MAX_ADDED)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d added tokens", PS_TOKENIZER_MAX_ADDED);
    uint32_t have = 0;
    if (!ps_vocab_find(t->vocab, text, &have)) {
        ps_status st = ps_vocab_add(t->vocab, text, id);
        if (st)
            return st;
        have = (uint32_t)id;
    }
    if (have != id || ps_tokenizer_find_added(t, have))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its text has another id, %" PRIu32 ", or is there "
                       "twice",
                       have);
    if (!t->added)
        t->added = ps_alloc_array(PS_TOKENIZER_MAX_ADDED, sizeof *t->added);
    t->added[t->n_added++] = (ps_added_token){.id = have, .special = special};
    return PS_OK;
}

ps_status ps_tokenizer_add_merge(ps_tokenizer *t, ps_slice left, ps_slice right)
{
    uint32_t ids[3];
    ps_buf both = PS_BUF_EMPTY;
    ps_buf_append(&both, left.data, left.len);
    ps_buf_append(&both, right.data, right.len);
    bool known = ps_vocab_find(t->vocab, left, &ids[0]) &&
                 ps_vocab_find(t->vocab, right, &ids[1]) &&
                 ps_vocab_find(t->vocab, ps_buf_slice(&both), &ids[2]);
    ps_buf_free(&both);
    size_t n = ps_bpe_merges(t->bpe);
    if (!known)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "merges[%zu]: its parts or what they make are not in "
                       "the vocabulary",
                       n);
    return ps_bpe_add(t->bpe, ids[0], ids[1], ids[2]);
}

ps_status ps_tokenizer_add_merge_line(ps_tokenizer *t, ps_slice line)
{
    static const char version[] = "#version"; /* no merge, wherever it stands, as in `tokenizers` */
    if (line.len >= sizeof version - 1 && !memcmp(line.data, version, sizeof version - 1))
        return PS_OK;
    const uint8_t *space = line.len ? memchr(line.data, ' ', line.len) : NULL;
    size_t n = space ? (size_t)(space - line.data) : 0;
    ps_slice left = ps_slice_of(line.data, n);
    if (!n || n + 1 == line.len || memchr(space + 1, ' ', line.len - n - 1))
        return ps_fail(PS_INVALID_ARGUMENT, "merges[%zu]: two texts and a space between are wanted",
                       ps_bpe_merges(t->bpe));
    return ps_tokenizer_add_merge(t, left, ps_slice_of(space + 1, line.len - n - 1));
}

ps_status ps_tokenizer_make_bpe(ps_tokenizer *t)
{
    uint32_t first[256];
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t text[4];
        size_t n = ps_byte_text((uint8_t)byte, text);
        if (!ps_vocab_find(t->vocab, ps_slice_of(text, n), &first[byte]))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "the vocabulary has no token for byte 0x%02x; a byte-level one has all "
                           "256",
                           byte);
    }
    t->bpe = ps_bpe_new(first);
    return PS_OK;
}

ps_status ps_tokenizer_made(ps_tokenizer *t, ps_status st, ps_tokenizer **out)
{
    if (!st)
        st = ps_tokenizer_settle(t);
    if (st)
        ps_tokenizer_free(&t);
    else
        *out = t;
    return st;
}

/* ---- from lists ---- */

static ps_status check_text(ps_slice text)
{
    return ps_utf8_is(text) ? PS_OK : ps_fail(PS_INVALID_ARGUMENT, "its text is not UTF-8");
}

static ps_status add_listed(ps_tokenizer *t, const ps_token_lists *lists, uint32_t id)
{
    ps_token_kind kind = lists->kinds[id];
    if (kind == PS_TOKEN_UNUSED)
        return PS_OK;
    ps_status st = check_text(lists->texts[id]);
    if (!st)
        st = ps_vocab_add(t->vocab, lists->texts[id], id);
    if (!st && kind != PS_TOKEN_NORMAL)
        st = ps_tokenizer_add_added(t, lists->texts[id], id, kind == PS_TOKEN_SPECIAL);
    return st ? ps_wrap(st, "token %" PRIu32, id) : PS_OK;
}

ps_status ps_tokenizer_from_lists(const ps_token_lists *lists, ps_tokenizer **out)
{
    ps_tokenizer *t = ps_new(ps_tokenizer);
    ps_status st = PS_OK;
    t->vocab = ps_vocab_new();
    t->prefix_space = lists->prefix_space;
    for (uint32_t id = 0; !st && id < lists->n_tokens; id++)
        st = add_listed(t, lists, id);
    if (!st)
        st = ps_tokenizer_make_bpe(t);
    for (size_t i = 0; !st && i < lists->n_merges; i++)
        st = ps_tokenizer_add_merge_line(t, lists->merges[i]);
    return ps_tokenizer_made(t, st, out);
}
