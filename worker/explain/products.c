#include "worker/explain/products.h"

#include "common/base/require.h"
#include "gpu/op.h"

static ps_status room(ps_products *p, size_t which, size_t floats, ps_tensor *out)
{
    ps_backend *backend = ps_model_stream(p->model)->backend;
    size_t bytes = floats * sizeof(float);
    ps_status st = PS_OK;
    if (!p->memory[which] || p->memory[which]->bytes < bytes) {
        ps_buffer_free(backend, &p->memory[which]);
        st = ps_buffer_new(backend, bytes, &p->memory[which]);
    }
    if (!st)
        *out = ps_tensor_1d(p->memory[which], 0, PS_DTYPE_F32, (int64_t)floats);
    return st;
}

/* b NULL: g->b is there. */
static ps_status multiply(ps_products *p, const float *a, const float *b, ps_gemm *g, float *c)
{
    ps_stream *s = ps_model_stream(p->model);
    size_t m = (size_t)g->m, n = (size_t)g->n, k = (size_t)g->k;
    PS_REQUIRE(m && n && k);
    ps_status st = room(p, 0, m * k, &g->a);
    if (!st && b)
        st = room(p, 1, n * k, &g->b);
    if (!st)
        st = room(p, 2, m * n, &g->c);
    if (st)
        return st;
    g->alpha = 1;
    g->ld_c = g->n;
    g->batch = 1;
    ps_copy_to_device(s, g->a, a, m * k * sizeof *a);
    if (b)
        ps_copy_to_device(s, g->b, b, n * k * sizeof *b);
    ps_op_gemm(s, g);
    return ps_copy_to_host(s, c, g->c, m * n * sizeof *c);
}

ps_status ps_products_rows(ps_products *p, const float *a, size_t m, const float *b, size_t n,
                           size_t k, float *c)
{
    ps_gemm g = {.transpose_b = true,
                 .m = (int64_t)m,
                 .n = (int64_t)n,
                 .k = (int64_t)k,
                 .ld_a = (int64_t)k,
                 .ld_b = (int64_t)k};
    return multiply(p, a, b, &g, c);
}

ps_status ps_products_columns(ps_products *p, const float *a, size_t m, const float *b, size_t n,
                              size_t k, float *c)
{
    ps_gemm g = {.transpose_a = true,
                 .m = (int64_t)m,
                 .n = (int64_t)n,
                 .k = (int64_t)k,
                 .ld_a = (int64_t)m,
                 .ld_b = (int64_t)n};
    return multiply(p, a, b, &g, c);
}

ps_status ps_products_keep(const ps_products *p, const float *b, size_t n, size_t k,
                           ps_buffer **out)
{
    ps_stream *s = ps_model_stream(p->model);
    size_t bytes = n * k * sizeof *b;
    ps_status st = ps_buffer_new(s->backend, bytes, out);
    if (st)
        return st;
    ps_copy_to_device(s, ps_tensor_1d(*out, 0, PS_DTYPE_F32, (int64_t)(n * k)), b, bytes);
    return ps_stream_sync(s);
}

void ps_products_drop(const ps_products *p, ps_buffer **kept)
{
    if (*kept)
        ps_buffer_free(ps_model_stream(p->model)->backend, kept);
}

ps_status ps_products_rows_kept(ps_products *p, const float *a, size_t m, ps_buffer *b, size_t n,
                                size_t k, float *c)
{
    ps_gemm g = {.transpose_b = true,
                 .m = (int64_t)m,
                 .n = (int64_t)n,
                 .k = (int64_t)k,
                 .b = ps_tensor_1d(b, 0, PS_DTYPE_F32, (int64_t)(n * k)),
                 .ld_a = (int64_t)k,
                 .ld_b = (int64_t)k};
    return multiply(p, a, NULL, &g, c);
}

void ps_products_free(ps_products *p)
{
    for (int i = 0; p->model && i < 3; i++)
        ps_buffer_free(ps_model_stream(p->model)->backend, &p->memory[i]);
}
