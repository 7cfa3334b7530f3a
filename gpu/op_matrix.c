/* Checks, then one call through the table: products and biases. */
#include "common/base/require.h"
#include "gpu/op.h"
#include "gpu/op_check.h"

void ps_op_gemm(ps_stream *s, const ps_gemm *g)
{
    PS_REQUIRE(g->m > 0 && g->n > 0 && g->k > 0 && g->batch > 0);
    PS_REQUIRE(g->m <= INT32_MAX && g->n <= INT32_MAX && g->k <= INT32_MAX);
    PS_REQUIRE(g->a.dtype == g->b.dtype);
    PS_REQUIRE(g->c.dtype == g->a.dtype || g->c.dtype == PS_DTYPE_F32);
    ps_op_check_span(g->a, (ps_op_span){.rows = g->transpose_a ? g->k : g->m,
                                        .columns = g->transpose_a ? g->m : g->k,
                                        .ld = g->ld_a,
                                        .batch = g->batch,
                                        .stride = g->stride_a});
    ps_op_check_span(g->b, (ps_op_span){.rows = g->transpose_b ? g->n : g->k,
                                        .columns = g->transpose_b ? g->k : g->n,
                                        .ld = g->ld_b,
                                        .batch = g->batch,
                                        .stride = g->stride_b});
    ps_op_check_span(g->c, (ps_op_span){.rows = g->m,
                                        .columns = g->n,
                                        .ld = g->ld_c,
                                        .batch = g->batch,
                                        .stride = g->stride_c});
    if (!ps_op_skip(s))
        s->backend->ops->gemm(s, g);
}

void ps_op_matmul(ps_stream *s, ps_tensor c, ps_tensor a, bool transpose_a, ps_tensor b,
                  bool transpose_b, float beta)
{
    PS_REQUIRE(a.rank == 2 && b.rank == 2 && c.rank == 2);
    int64_t k = a.shape[transpose_a ? 0 : 1];
    PS_REQUIRE(b.shape[transpose_b ? 1 : 0] == k);
    PS_REQUIRE(c.shape[0] == a.shape[transpose_a ? 1 : 0]);
    PS_REQUIRE(c.shape[1] == b.shape[transpose_b ? 0 : 1]);
    ps_op_gemm(s, &(ps_gemm){
                      .transpose_a = transpose_a,
                      .transpose_b = transpose_b,
                      .m = c.shape[0],
                      .n = c.shape[1],
                      .k = k,
                      .alpha = 1,
                      .beta = beta,
                      .a = a,
                      .b = b,
                      .c = c,
                      .ld_a = a.shape[1],
                      .ld_b = b.shape[1],
                      .ld_c = c.shape[1],
                      .batch = 1,
                  });
}

void ps_op_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias)
{
    ps_op_check_real(y);
    PS_REQUIRE(y.rank == 2);
    ps_op_check_count(bias, y.dtype, y.shape[1]);
    if (!ps_op_skip(s))
        s->backend->ops->bias_add(s, y, bias);
}

void ps_op_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta)
{
    ps_op_check_real(dy);
    PS_REQUIRE(dy.rank == 2);
    ps_op_check_count(dbias, PS_DTYPE_F32, dy.shape[1]);
    if (!ps_op_skip(s))
        s->backend->ops->bias_backward(s, dbias, dy, beta);
}
