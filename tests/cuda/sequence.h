/* sequence: every operation of a backend once or more, on small tensors that all lie in one buffer:
 * for what is to be seen of all of them, failures and agreement of two backends. */
#ifndef PS_TEST_CUDA_SEQUENCE_H
#define PS_TEST_CUDA_SEQUENCE_H

#include "common/base/rng.h"
#include "gpu/op.h"

#define SEQUENCE_BYTES   ((size_t)1 << 20)
#define SEQUENCE_TENSORS 400

/* One run. The tensors are made in the same order with the same numbers in every run. */
typedef struct sequence {
    ps_stream *stream;
    ps_buffer *buffer; /* of SEQUENCE_BYTES */
    ps_rng rng;
    size_t used, count;
    ps_tensor tensors[SEQUENCE_TENSORS];
} sequence;

/* Enqueues all of it, in F32 and then, of 2 types, in BF16. The stream may fail on the way. */
void sequence_run(sequence *q, ps_stream *s, ps_buffer *buffer, int types);

#endif
