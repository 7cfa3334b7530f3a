/* tensor: a typed view into device memory. Row-major and dense; at most four dimensions. A view
 * owns nothing and is passed by value; the buffer must outlive every operation enqueued on it. */
#ifndef PS_GPU_TENSOR_H
#define PS_GPU_TENSOR_H

#include "common/base/dtype.h"

#include <stdbool.h>
#include <stdint.h>

#define PS_TENSOR_RANK_MAX 4

/* Device memory. `memory` is a device address: only where the backend says `host_addressable` may
 * the host follow it. Made by ps_buffer_new, freed by ps_buffer_free. */
typedef struct ps_buffer {
    void *memory;
    size_t bytes;
} ps_buffer;

typedef struct ps_tensor {
    ps_buffer *buffer;
    size_t offset; /* bytes from the buffer's start, a multiple of the element's size */
    ps_dtype dtype;
    int rank;                          /* 0: a scalar */
    int64_t shape[PS_TENSOR_RANK_MAX]; /* slowest dimension first */
} ps_tensor;

static inline ps_tensor ps_tensor_1d(ps_buffer *buffer, size_t offset, ps_dtype dtype, int64_t n)
{
    return (ps_tensor){.buffer = buffer, .offset = offset, .dtype = dtype, .rank = 1, .shape = {n}};
}

static inline ps_tensor ps_tensor_2d(ps_buffer *buffer, size_t offset, ps_dtype dtype, int64_t rows,
                                     int64_t columns)
{
    return (ps_tensor){
        .buffer = buffer, .offset = offset, .dtype = dtype, .rank = 2, .shape = {rows, columns}};
}

static inline int64_t ps_tensor_count(ps_tensor t)
{
    int64_t n = 1;
    for (int i = 0; i < t.rank; i++)
        n *= t.shape[i];
    return n;
}

static inline size_t ps_tensor_bytes(ps_tensor t)
{
    return (size_t)ps_tensor_count(t) * ps_dtype_bytes(t.dtype);
}

/* The device address of the first element. */
static inline void *ps_tensor_address(ps_tensor t)
{
    return (char *)t.buffer->memory + t.offset;
}

/* Is it there at all? */
static inline bool ps_tensor_present(ps_tensor t)
{
    return t.buffer != NULL;
}

/* The first n of the slowest dimension: how a small last batch uses buffers made for a full one. */
static inline ps_tensor ps_tensor_head(ps_tensor t, int64_t n)
{
    t.shape[0] = n;
    return t;
}

#endif
