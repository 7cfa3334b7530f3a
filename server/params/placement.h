/* placement: how tensors are cut into column blocks (shards) and which server holds each.
 *
 * A tensor is a matrix N×M: a vector is 1×M, a scalar 1×1, and of more dimensions the last is M
 * and the product of the others N. It is cut into min(column_blocks, M) shards N×Mi of nearly equal
 * width; shard i holds columns [i·M/k, (i+1)·M/k) of every row, row by row. A shard is cut into
 * blocks of block_elements consecutive elements. A matrix may be trained in a form (common/form):
 * then each row of a shard, and each block, is whole groups of it; and since rows of a form run
 * along the input of a product, what a model has as [in, out] lies here transposed. Read-only after
 * creation; any thread.
 */
#ifndef PS_PARAMS_PLACEMENT_H
#define PS_PARAMS_PLACEMENT_H

#include "common/base/status.h"
#include "common/form/form.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_PARAM_DIMS_MAX = 8,
    PS_PARAM_NAME_MAX = 512,
    PS_PARAM_TENSORS_MAX = 1 << 20,
    PS_PARAM_COLUMN_BLOCKS_MAX = 1 << 16,
    PS_PARAM_BLOCK_MAX = 262144, /* floats: 1 MiB */
};
/* Elements of one tensor: byte counts and sums of them stay far from 64 bits. */
#define PS_PARAM_ELEMENTS_MAX (UINT64_C(1) << 48)

typedef struct ps_param_shard {
    uint64_t column_begin, column_end;
    uint64_t elements;    /* rows × (column_end − column_begin) */
    uint64_t first_block; /* of this shard, among all blocks of the job */
    uint32_t blocks;
    uint32_t server; /* who holds it; 0 is this one while there is only one */
} ps_param_shard;

typedef struct ps_param_tensor {
    const char *name;
    unsigned rank;
    uint64_t shape[PS_PARAM_DIMS_MAX];
    uint64_t rows, columns;
    ps_form form; /* that it is trained in: what its numbers are to who computes, and what is stored
                     of it in the end; row NULL: as they are */
    bool transposed; /* a matrix in a form: the model's is [columns, rows] */
    uint32_t n_shards;
    const ps_param_shard *shards;
} ps_param_tensor;

/* A tensor to be placed; borrowed for the call. */
typedef struct ps_placement_request {
    const char *name;
    unsigned rank;
    const uint64_t *shape;
    ps_form form; /* row NULL: none */
    bool transposed;
} ps_placement_request;

typedef struct ps_placement {
    size_t n_tensors;
    ps_param_tensor *tensors; /* by tensor id */
    uint64_t elements;        /* of all */
    uint64_t blocks;          /* of all */
    uint32_t block_elements;
} ps_placement;

/* servers: shards go to them in turn. PS_INVALID_ARGUMENT names the tensor (a name that is empty,
 * too long, no UTF-8 or there twice; a side of 0; too many elements; a form that does not divide
 * it; one that is transposed and has none). PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_placement_create(const ps_placement_request *tensors, size_t n,
                                            uint32_t column_blocks, uint32_t block_elements,
                                            uint32_t servers, ps_placement **out);
void ps_placement_free(ps_placement **placement);
/* PS_NOT_FOUND with the name. */
PS_MUST_CHECK ps_status ps_placement_find(const ps_placement *placement, const char *name,
                                          uint32_t *id);

/* The shape of the model's tensor, of which this may be the transpose. */
void ps_placement_model_shape(const ps_param_tensor *tensor, uint64_t out[PS_PARAM_DIMS_MAX]);

/* Element `index` (row-major) of a tensor: which shard has it, where, and how many elements from
 * there on lie side by side in the tensor and in the shard alike. */
typedef struct ps_param_run {
    uint32_t shard;
    uint64_t offset;
    uint64_t count;
} ps_param_run;
ps_param_run ps_placement_locate(const ps_param_tensor *tensor, uint64_t index);

#endif
