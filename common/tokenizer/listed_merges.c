/* SentencePiece's BPE has scores in place of merges: of all neighbours that make a token together,
 * those of the token with the best score are joined. Happy path: each token is cut in two at each
 * of its characters; where both halves are tokens, that is a merge, and all are sorted by score. */
#include "common/base/mem.h"
#include "common/tokenizer/listed.h"

#include <stdlib.h>

enum { MOST_LOOKED = 1 << 30 }; /* bytes that are looked for, of all tokens */

typedef struct merge {
    float score;
    uint32_t left, right, id;
    uint32_t at; /* bytes of left */
} merge;

typedef struct merges {
    merge *at;
    size_t n, capacity;
    size_t looked;
} merges;

static ps_status add(merges *m, merge one)
{
    if (m->n == PS_TOKENIZER_MAX_MERGES)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its tokens are made of one another in more than %d "
                       "ways",
                       PS_TOKENIZER_MAX_MERGES);
    if (m->n == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 4096;
        m->at = ps_realloc(m->at, m->capacity * sizeof *m->at);
    }
    m->at[m->n++] = one;
    return PS_OK;
}

static bool find(const ps_tokenizer *t, const ps_token_lists *l, ps_slice text, uint32_t *id)
{
    return ps_vocab_find(t->vocab, text, id) && ps_listed_is_text(l, *id);
}

static ps_status cut(const ps_tokenizer *t, const ps_token_lists *l, uint32_t id, merges *m)
{
    ps_slice text = ps_vocab_at(t->vocab, id);
    merge one = {.score = l->scores[id], .id = id};
    ps_status st = PS_OK;
    m->looked += text.len * text.len;
    if (m->looked > MOST_LOOKED)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its tokens are too long to be cut at each of their characters");
    for (size_t at = 1; !st && at < text.len; at++) {
        if ((text.data[at] & 0xc0) == 0x80 || !find(t, l, ps_slice_of(text.data, at), &one.left) ||
            !find(t, l, ps_slice_of(text.data + at, text.len - at), &one.right))
            continue;
        one.at = (uint32_t)at;
        st = add(m, one);
    }
    return st;
}

static int by_score(const void *a, const void *b)
{
    const merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

ps_status ps_listed_merges(ps_tokenizer *t, const ps_token_lists *l)
{
    merges m = {0};
    ps_status st = l->scores ? PS_OK : ps_fail(PS_INVALID_ARGUMENT, "its tokens have no scores");
    for (uint32_t id = 0; !st && id < l->n_tokens; id++) {
        if (l->scores[id] != l->scores[id])
            st = ps_fail(PS_INVALID_ARGUMENT, "token %u: its score is no number", id);
        else if (ps_listed_is_text(l, id))
            st = cut(t, l, id, &m);
    }
    if (m.n)
        qsort(m.at, m.n, sizeof *m.at, by_score);
    for (size_t i = 0; !st && i < m.n; i++)
        st = ps_bpe_add(t->bpe, m.at[i].left, m.at[i].right, m.at[i].id);
    ps_free(&m.at);
    return st;
}
