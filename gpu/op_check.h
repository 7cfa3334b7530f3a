/* op_check: what the checked calls of gpu/op.h have in common. Assertions: what is checked here is
 * our own doing, never a peer's. */
#ifndef PS_GPU_OP_CHECK_H
#define PS_GPU_OP_CHECK_H

#include "gpu/ops.h"

/* Of this type, with elements, within its buffer. */
void ps_op_check(ps_tensor t, ps_dtype dtype);
/* The same, and of F32 or BF16. */
void ps_op_check_real(ps_tensor t);
void ps_op_check_shape(ps_tensor t, ps_dtype dtype, int rank);
/* As many elements of the same type as `like`, which has been checked. */
void ps_op_check_same(ps_tensor t, ps_tensor like);
void ps_op_check_count(ps_tensor t, ps_dtype dtype, int64_t count);

/* Rows of `columns` elements, `ld` apart, `batch` times `stride` apart: within its buffer? */
typedef struct ps_op_span {
    int64_t rows, columns, ld;
    int64_t batch, stride;
} ps_op_span;
void ps_op_check_rows(ps_tensor t, ps_op_span span);
/* The same, and of F32 or BF16. */
void ps_op_check_span(ps_tensor t, ps_op_span span);

/* Do two dense tensors share an element? */
bool ps_op_overlap(ps_tensor a, ps_tensor b);

/* A stream that has failed takes nothing more. */
bool ps_op_skip(const ps_stream *s);

#endif
