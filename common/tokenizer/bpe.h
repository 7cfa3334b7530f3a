/* bpe: the merges of byte-pair encoding (Sennrich, Haddow, Birch 2016), on ids; private to
 * common/tokenizer.
 *
 * A piece begins as one id a byte; as long as two neighbours have a merge, the one that comes first
 * in the list of merges is done, the leftmost of it first. */
#ifndef PS_TOKENIZER_BPE_H
#define PS_TOKENIZER_BPE_H

#include "common/tokenizer/tokenizer.h"

typedef struct ps_bpe ps_bpe;
/* Memory between pieces; of one thread (not asserted: an encoder's alone). */
typedef struct ps_bpe_scratch ps_bpe_scratch;

/* first: the id of each byte; NULL: pieces begin as other ids. */
ps_bpe *ps_bpe_new(const uint32_t *first);
void ps_bpe_free(ps_bpe **bpe);
/* The next merge: left and right become id. When the pair was there, this one counts. */
PS_MUST_CHECK ps_status ps_bpe_add(ps_bpe *bpe, uint32_t left, uint32_t right, uint32_t id);
size_t ps_bpe_merges(const ps_bpe *bpe);
void ps_bpe_merge(const ps_bpe *bpe, size_t i, uint32_t *left, uint32_t *right);
uint32_t ps_bpe_result(const ps_bpe *bpe, size_t i); /* what the merge makes */
uint32_t ps_bpe_first(const ps_bpe *bpe, uint8_t byte);

ps_bpe_scratch *ps_bpe_scratch_new(void);
void ps_bpe_scratch_free(ps_bpe_scratch **scratch);
/* Appends the ids of the piece, of 1 byte or more; with steps before it, up to
 * PS_TOKENIZER_MAX_GROWTH. */
void ps_bpe_encode(const ps_bpe *bpe, ps_bpe_scratch *scratch, ps_slice piece, ps_ids *out);
/* The same for a piece that begins as other ids than those of its bytes: whether it came before,
 * then they are appended; and, when not, what they become (n of them, which may be 0). */
bool ps_bpe_known(const ps_bpe *bpe, ps_bpe_scratch *scratch, ps_slice piece, ps_ids *out);
void ps_bpe_encode_ids(const ps_bpe *bpe, ps_bpe_scratch *scratch, ps_slice piece,
                       const uint32_t *ids, size_t n, ps_ids *out);

#endif
