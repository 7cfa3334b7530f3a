/* What makes a tokenizer, whichever file its parts come from: a vocabulary is filled, the model is
 * made of it, merges and added tokens follow, and the whole is settled (tokenizer_settle.c). It
 * fails with PS_INVALID_ARGUMENT when a part does not fit those before it. */
#include "common/base/mem.h"
#include "common/tokenizer/cuts.h"
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

ps_tokenizer *ps_tokenizer_begin(void)
{
    ps_tokenizer *t = ps_new(ps_tokenizer);
    t->vocab = ps_vocab_new();
    t->keys.max_chars = PS_WORDPIECE_MAX_CHARS;
    return t;
}

static ps_status read_byte_level(ps_tokenizer *t, const ps_buf *json)
{
    ps_part root = {0};
    ps_part part = ps_part_below(&root, "pre_tokenizer", -1, ps_buf_slice(json));
    ps_status st = ps_steps_read(ps_pre_tokenizer_rows, "pretokenizers", &part, &t->pre_tokenizer);
    if (!st)
        st = ps_steps_read(ps_decoder_rows, "decoders", &part, &t->decoder);
    return st ? st : ps_post_read(&part, &t->post);
}

ps_status ps_tokenizer_make_gpt2(ps_tokenizer *t)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_cuts_byte_level(false, true, &json);
    ps_status st = read_byte_level(t, &json);
    ps_buf_free(&json);
    t->model = &ps_model_bpe;
    if (!st)
        st = t->model->make(t);
    return st || t->byte_level
               ? st
               : ps_fail(PS_INVALID_ARGUMENT,
                         "the vocabulary has no token for some byte; one of GPT-2 has all 256");
}
