/* The row `gpt2`: GPT-2's pattern cuts, the merges join. A tokenizer is made of a vocabulary, its
 * merges and added tokens by tokenizer_file.c, and settled here: each byte must have a token. */
#include "common/base/mem.h"
#include "common/tokenizer/byte_text.h"
#include "common/tokenizer/hash.h"
#include "common/tokenizer/split.h"
#include "common/tokenizer/tokenizer_internal.h"

static void encode(const ps_tokenizer *t, ps_bpe_scratch *scratch, ps_slice piece, ps_ids *out)
{
    ps_bpe_encode(t->bpe, scratch, piece, out);
}

const ps_tokenizer_row ps_tokenizer_row_gpt2 = {
    .name = "gpt2", .split = ps_gpt2_split, .encode = encode};

static uint64_t hash_u32(uint64_t h, uint32_t v)
{
    uint8_t bytes[4];
    ps_put_u32le(bytes, v);
    return ps_hash(h, bytes, sizeof bytes);
}

static uint64_t hash_of(const ps_tokenizer *t)
{
    uint64_t h = ps_hash(PS_HASH_START, t->row->name, strlen(t->row->name));
    h = hash_u32(h, t->prefix_space);
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        ps_slice text = ps_vocab_at(t->vocab, id);
        h = ps_hash(hash_u32(h, (uint32_t)text.len), text.data, text.len);
    }
    for (size_t i = 0; i < ps_bpe_merges(t->bpe); i++) {
        uint32_t left, right;
        ps_bpe_merge(t->bpe, i, &left, &right);
        h = hash_u32(hash_u32(h, left), right);
    }
    for (size_t i = 0; i < t->n_added; i++)
        h = hash_u32(h, t->added[i].id);
    return h;
}

ps_status ps_tokenizer_settle(ps_tokenizer *t)
{
    t->row = &ps_tokenizer_row_gpt2;
    t->vocab_size = ps_vocab_end(t->vocab);
    for (size_t i = 0; i < t->n_added; i++) {
        size_t len = ps_vocab_at(t->vocab, t->added[i].id).len;
        t->longest_added = len > t->longest_added ? len : t->longest_added;
    }
    t->hash = hash_of(t);
    return PS_OK;
}
