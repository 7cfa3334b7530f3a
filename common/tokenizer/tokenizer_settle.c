/* The end of making a tokenizer: what follows from its parts: which row it is, where its added
 * tokens are looked for, and its hash. */
#include "common/base/mem.h"
#include "common/tokenizer/hash.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- the hash: of a gpt2 tokenizer as it has been since there are token files ---- */

static uint64_t hash_u32(uint64_t h, uint32_t v)
{
    uint8_t bytes[4];
    ps_put_u32le(bytes, v);
    return ps_hash(h, bytes, sizeof bytes);
}

static uint64_t hash_u64(uint64_t h, uint64_t v)
{
    return hash_u32(hash_u32(h, (uint32_t)v), (uint32_t)(v >> 32));
}

static uint64_t hash_added(uint64_t h, const ps_tokenizer *t)
{
    for (size_t i = 0; i < t->n_added; i++) {
        const ps_added_token *a = &t->added[i];
        uint32_t rules =
            (uint32_t)a->lstrip | (uint32_t)a->rstrip << 1 | (uint32_t)a->single_word << 2;
        h = hash_u32(h, a->id);
        if (rules)
            h = hash_u32(h, rules);
    }
    return h;
}

/* The keys and steps, which a gpt2 tokenizer has not. */
static uint64_t hash_steps(uint64_t h, const ps_tokenizer *t)
{
    const ps_model_keys *k = &t->keys;
    uint32_t flags = (uint32_t)k->fuse_unk | (uint32_t)k->byte_fallback << 1 |
                     (uint32_t)k->ignore_merges << 2 | (uint32_t)k->has_unk << 3;
    h = hash_u64(hash_u64(h, t->normalizer.hash), t->pre_tokenizer.hash);
    h = hash_u64(hash_u32(hash_u64(h, t->post.hash), flags), k->has_unk ? k->unk_id : 0);
    if (k->prefix.len)
        h = ps_hash(h, k->prefix.data, k->prefix.len);
    if (k->suffix.len)
        h = ps_hash(h, k->suffix.data, k->suffix.len);
    if (t->scores)
        h = ps_hash(h, t->scores, t->vocab_size * sizeof *t->scores);
    for (size_t i = 0; i < t->n_added; i++)
        h = hash_u32(h, t->added[i].normalized);
    return hash_u64(h, k->max_chars);
}

static uint64_t hash_of(const ps_tokenizer *t)
{
    uint64_t h = ps_hash(PS_HASH_START, t->name, strlen(t->name));
    h = hash_u32(h, t->prefix_space);
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        ps_slice text = ps_vocab_at(t->vocab, id);
        h = ps_hash(hash_u32(h, (uint32_t)text.len), text.data, text.len);
    }
    for (size_t i = 0; t->bpe && i < ps_bpe_merges(t->bpe); i++) {
        uint32_t left, right;
        ps_bpe_merge(t->bpe, i, &left, &right);
        h = hash_u32(hash_u32(h, left), right);
    }
    h = hash_added(h, t);
    return t->row == &ps_tokenizer_row_gpt2 ? h : hash_steps(h, t);
}

/* ---- added tokens ---- */

typedef struct place {
    uint32_t id, at;
} place;

static int by_id(const void *a, const void *b)
{
    uint32_t x = ((const place *)a)->id, y = ((const place *)b)->id;
    return (x > y) - (x < y);
}

static void order_added(ps_tokenizer *t)
{
    place *places = ps_alloc_array(t->n_added + 1, sizeof *places);
    for (uint32_t i = 0; i < t->n_added; i++)
        places[i] = (place){.id = t->added[i].id, .at = i};
    qsort(places, t->n_added, sizeof *places, by_id);
    uint32_t *order = ps_alloc_array(t->n_added + 1, sizeof *order);
    for (size_t i = 0; i < t->n_added; i++)
        order[i] = places[i].at;
    t->by_id = order;
    ps_free(&places);
}

/* The text that a token is looked for as. */
static ps_status text_of(ps_tokenizer *t, ps_added_token *token, ps_spans *spans, ps_slice *out)
{
    ps_buf spare = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    *out = ps_vocab_at(t->vocab, token->id);
    if (token->normalized && t->normalizer.n) {
        st = ps_tokenizer_normalize(t, (ps_edges){true, true}, *out, &spare, spans, NULL,
                                    &token->changed);
        if (!st && token->changed.len > PS_TOKENIZER_MAX_TOKEN)
            st =
                ps_fail(PS_INVALID_ARGUMENT,
                        "the added token %" PRIu32 " grows to more than %d bytes in the normalizer",
                        token->id, PS_TOKENIZER_MAX_TOKEN);
        *out = ps_buf_slice(&token->changed);
    }
    ps_buf_free(&spare);
    return st;
}

static ps_status find_places(ps_tokenizer *t)
{
    bool steps = t->row == &ps_tokenizer_row_steps;
    ps_prefix *raw = ps_alloc_array(t->n_added + 1, sizeof *raw);
    ps_prefix *normalized = ps_alloc_array(t->n_added + 1, sizeof *normalized);
    size_t n_raw = 0, n_normalized = 0;
    ps_spans spans = {0}; /* of all of them */
    ps_status st = PS_OK;
    for (uint32_t i = 0; !st && i < t->n_added; i++) {
        ps_added_token *token = &t->added[i];
        bool later = steps && token->normalized;
        ps_slice text = {0};
        st = text_of(t, token, &spans, &text);
        if (st || !text.len)
            continue;
        if (later) { /* of two that are the same once they are normalized the later one counts */
            normalized[n_normalized++] = (ps_prefix){.text = text, .value = i};
            continue;
        }
        raw[n_raw++] = (ps_prefix){.text = text, .value = i};
        t->longest_added = text.len > t->longest_added ? text.len : t->longest_added;
        t->single_word |= token->single_word;
    }
    ps_spans_free(&spans);
    ps_prefixes_make(&t->raw, raw, n_raw);
    ps_prefixes_make(&t->normalized, normalized, n_normalized);
    return st;
}

/* ---- the row ---- */

static bool is_gpt2(const ps_tokenizer *t)
{
    return t->byte_level && !t->normalizer.n && t->pre_tokenizer.n == 1 &&
           t->pre_tokenizer.at[0].is[1] && !t->keys.ignore_merges;
}

static ps_status settle(ps_tokenizer *t)
{
    bool gpt2 = is_gpt2(t);
    t->row = gpt2 ? &ps_tokenizer_row_gpt2 : &ps_tokenizer_row_steps;
    t->name = gpt2 ? "gpt2" : t->model->name;
    t->prefix_space = gpt2 && t->pre_tokenizer.at[0].is[0];
    t->vocab_size = ps_vocab_end(t->vocab);
    order_added(t);
    ps_status st = find_places(t);
    if (!st && t->model->settle)
        st = t->model->settle(t);
    if (!st)
        t->hash = hash_of(t);
    return st;
}

ps_status ps_tokenizer_made(ps_tokenizer *t, ps_status st, ps_tokenizer **out)
{
    if (!st)
        st = settle(t);
    if (st)
        ps_tokenizer_free(&t);
    else
        *out = t;
    return st;
}
