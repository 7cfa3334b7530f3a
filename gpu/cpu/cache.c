/* Rows of keys or values into a cache, in the type that it keeps them in. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/quantise.h"
#include "gpu/cpu/run.h"

#include <string.h>

static void to_bytes(const ps_cache_rows *c, int64_t row, const float *x)
{
    int64_t blocks = c->columns / c->block;
    int8_t *y = (int8_t *)ps_tensor_address(c->y) + row * c->columns;
    float *scales = (float *)ps_tensor_address(c->scales) + row * blocks;
    for (int64_t b = 0; b < blocks; b++)
        scales[b] = ps_cpu_block_to_bytes(y + b * c->block, x + b * c->block, c->block);
}

static void row_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const ps_cache_rows *c = context;
    size_t size = ps_dtype_bytes(c->x.dtype);
    for (int64_t r = begin; r < end; r++) {
        const char *x = (const char *)ps_tensor_address(c->x) + (size_t)(r * c->ld_x) * size;
        char *y = (char *)ps_tensor_address(c->y) + (size_t)(r * c->columns) * size;
        if (c->y.dtype == c->x.dtype)
            memcpy(y, x, (size_t)c->columns * size);
        else if (c->y.dtype == PS_DTYPE_BF16)
            ps_cpu_store(c->y, r * c->columns, c->columns, (const float *)(const void *)x);
        else
            to_bytes(c, r, (const float *)(const void *)x);
    }
}

void ps_cpu_cache_rows(ps_stream *s, const ps_cache_rows *c)
{
    ps_cache_rows copy = *c;
    ps_cpu_for(s, c->rows, ps_cpu_grain(c->columns), row_cb, &copy);
}
