/* piece: what of a tensor goes in one push. A tensor of at most `limit` bytes is one piece; a
 * larger one (GPT-2's embedding is 150 MB) is cut into pieces of about the same size, at borders of
 * psd's blocks, so that no block is changed by two pushes of a step. Pure; any thread. */
#ifndef PS_EXCHANGE_PIECE_H
#define PS_EXCHANGE_PIECE_H

#include "worker/exchange/tensor_map.h"

/* Two of psworker's pushes fit in what psd buffers for a call by default (limits.call_bytes). */
enum { PS_PIECE_BYTES = 8 << 20 };

/* Elements [begin, end) of the tensor in wire order. */
typedef struct ps_tensor_piece {
    size_t tensor;
    uint64_t begin, end;
} ps_tensor_piece;

typedef struct ps_pieces {
    ps_tensor_piece *list; /* tensor by tensor, each from its first element to its last */
    size_t count;
} ps_pieces;

/* A piece has at most `limit` bytes and one block more. */
void ps_pieces_make(const ps_tensor_maps *maps, size_t element_bytes, uint64_t limit,
                    ps_pieces *out);
void ps_pieces_free(ps_pieces *pieces);

#endif
