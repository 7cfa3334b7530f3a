/* push_chunks: what of a push has come: chunks are checked as they come and kept where they were
 * received; before it is applied they are put in order, and then gone over block by block. What a
 * peer can get wrong is found by add and arrange; after them nothing fails. For this folder; one
 * thread at a time (not asserted: a push's own, whose call asks). */
#ifndef PS_PARAMS_PUSH_CHUNKS_H
#define PS_PARAMS_PUSH_CHUNKS_H

#include "server/params/block.h"
#include "server/params/push.h"

typedef struct ps_push_part ps_push_part;

/* All zeros but for the store: nothing has come. */
typedef struct ps_push_chunks {
    ps_param_store *store;
    ps_push_part *list;
    size_t n, capacity;
    bool shuffled;    /* they did not come in order */
    uint64_t bytes;   /* of payload */
    double sum_sq;    /* of the gradient, where the store clips */
    float *scratch;   /* one block, for codecs that have to be decoded */
    uint64_t *blocks; /* it touches, ascending; from arrange on, as what follows */
    bool *left_out;   /* those that have its rows already: the ledger's */
    size_t n_blocks;
    ps_block_piece *pieces; /* room for the pieces of one block */
} ps_push_chunks;

/* As ps_push_chunk; after a failure the payload stays the caller's. */
PS_MUST_CHECK ps_status ps_push_chunks_add(ps_push_chunks *chunks,
                                           const ps_push_chunk_header *header, ps_slice payload,
                                           ps_push_owner owner);
/* PS_INVALID_ARGUMENT: none, or some that overlap; PS_RESOURCE_EXHAUSTED. */
PS_MUST_CHECK ps_status ps_push_chunks_arrange(ps_push_chunks *chunks);
/* Elements of the blocks that are not left out. */
uint64_t ps_push_chunks_elements(const ps_push_chunks *chunks);
/* Each block that is not left out, with its pieces, which are gone when `each` returns. */
typedef void (*ps_push_chunks_fn)(void *user, uint64_t block, const ps_block_piece *pieces,
                                  size_t n);
void ps_push_chunks_each(const ps_push_chunks *chunks, ps_push_chunks_fn each, void *user);
/* Payloads are released. */
void ps_push_chunks_clear(ps_push_chunks *chunks);

#endif
