/* What makes a tokenizer, whichever file its parts come from: a vocabulary is filled, the model is
 * made of it, merges and added tokens follow, and the whole is settled (tokenizer_settle.c). It
 * fails with PS_INVALID_ARGUMENT when a part does not fit those before it. */
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <inttypes.h>

ps_status ps_tokenizer_add_added(ps_tokenizer *t, ps_slice text, uint64_t id,
                                 const ps_added_token *like)
{
    if (t->n_added == PS_TOKENIZER_MAX_ADDED)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d added tokens", PS_TOKENIZER_MAX_ADDED);
    uint32_t have = 0;
    bool outside = !ps_vocab_find(t->vocab, text, &have);
    if (outside) {
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
    ps_added_token *added = &t->added[t->n_added++];
    *added = *like;
    added->id = have;
    added->outside = outside;
    added->changed = PS_BUF_EMPTY;
    return PS_OK;
}

/* What a merge makes: the right part without the prefix that says that it goes on. */
static void join(const ps_tokenizer *t, ps_slice left, ps_slice right, ps_buf *out)
{
    const ps_buf *prefix = &t->keys.prefix;
    size_t skip =
        prefix->len && right.len > prefix->len && !memcmp(right.data, prefix->data, prefix->len)
            ? prefix->len
            : 0;
    ps_buf_append(out, left.data, left.len);
    ps_buf_append(out, right.data + skip, right.len - skip);
}

ps_status ps_tokenizer_add_merge(ps_tokenizer *t, ps_slice left, ps_slice right)
{
    uint32_t ids[3];
    ps_buf both = PS_BUF_EMPTY;
    join(t, left, right, &both);
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
    bool special = kind == PS_TOKEN_SPECIAL;
    if (!st && kind != PS_TOKEN_NORMAL)
        st = ps_tokenizer_add_added(t, lists->texts[id], id,
                                    &(ps_added_token){.special = special, .normalized = !special});
    return st ? ps_wrap(st, "token %" PRIu32, id) : PS_OK;
}

ps_status ps_tokenizer_make_gpt2(ps_tokenizer *t, bool prefix_space)
{
    static const char json[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s}";
    char *text = ps_asprintf(json, prefix_space ? "true" : "false");
    ps_part part = {.json = ps_slice_str(text), .path = "pre_tokenizer"};
    t->model = &ps_model_bpe;
    ps_status st = ps_steps_read(ps_pre_tokenizer_rows, "pretokenizers", &part, &t->pre_tokenizer);
    ps_free(&text);
    if (!st)
        st = t->model->make(t);
    return st || t->byte_level
               ? st
               : ps_fail(PS_INVALID_ARGUMENT,
                         "the vocabulary has no token for some byte; one of GPT-2 has all 256");
}

ps_status ps_tokenizer_from_lists(const ps_token_lists *lists, ps_tokenizer **out)
{
    ps_tokenizer *t = ps_new(ps_tokenizer);
    ps_status st = PS_OK;
    t->vocab = ps_vocab_new();
    for (uint32_t id = 0; !st && id < lists->n_tokens; id++)
        st = add_listed(t, lists, id);
    if (!st)
        st = ps_tokenizer_make_gpt2(t, lists->prefix_space);
    for (size_t i = 0; !st && i < lists->n_merges; i++)
        st = ps_tokenizer_add_merge_line(t, lists->merges[i]);
    return ps_tokenizer_made(t, st, out);
}
