/* chunk: the pieces in which tensors cross the wire, each within one of psd's blocks, and where
 * each one's payload lies when it is encoded. Pure; any thread. */
#ifndef PS_EXCHANGE_CHUNK_H
#define PS_EXCHANGE_CHUNK_H

#include "common/codec/codec.h"
#include "worker/exchange/tensor_map.h"

typedef struct ps_chunk {
    uint32_t shard, count; /* elements */
    uint64_t offset;       /* of the first one in the shard, */
    uint64_t at;           /* and in the tensor's wire order */
    uint64_t room;         /* where its encoded_max bytes begin, in one buffer for all */
} ps_chunk;

typedef struct ps_chunks {
    ps_chunk *list; /* tensor by tensor, each in wire order */
    size_t *first;  /* [tensors + 1]: of each tensor */
    uint64_t bytes; /* of that buffer */
} ps_chunks;

void ps_chunks_make(const ps_tensor_maps *maps, const ps_codec *codec, ps_chunks *out);
void ps_chunks_free(ps_chunks *chunks);
/* The chunk of the tensor that begins at this element of wire order, which is a block's first, or
 * the end of all its chunks. */
size_t ps_chunks_find(const ps_chunks *chunks, size_t tensor, uint64_t at);

#endif
