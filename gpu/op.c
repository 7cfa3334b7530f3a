/* Checks, then one call through the backend's table. Nothing here computes. */
#include "gpu/op.h"

#include <assert.h>

static void check(ps_tensor t, ps_dtype dtype)
{
    assert(t.buffer && t.dtype == dtype);
    assert(t.rank >= 0 && t.rank <= PS_TENSOR_RANK_MAX);
    assert(t.offset % ps_dtype_bytes(dtype) == 0);
    assert(ps_tensor_count(t) > 0);
    assert(t.offset <= t.buffer->bytes && ps_tensor_bytes(t) <= t.buffer->bytes - t.offset);
}

static void check_shape(ps_tensor t, ps_dtype dtype, int rank)
{
    check(t, dtype);
    assert(t.rank == rank);
}

static void check_same(ps_tensor t, ps_tensor like)
{
    check(t, PS_DTYPE_F32);
    assert(ps_tensor_count(t) == ps_tensor_count(like));
}

static void check_single(ps_tensor t, ps_dtype dtype)
{
    check(t, dtype);
    assert(ps_tensor_count(t) == 1);
}

static bool skip(const ps_stream *s)
{
    return s->error.code != PS_OK;
}

/* A matrix of rows × columns, ld apart, `batch` times: does it stay within its buffer? */
static void check_matrix(ps_tensor t, int64_t rows, int64_t columns, int64_t ld, int64_t batch,
                         int64_t stride)
{
    assert(t.buffer && t.dtype == PS_DTYPE_F32 && t.offset % sizeof(float) == 0);
    assert(ld >= columns && ld <= INT32_MAX && stride >= 0);
    int64_t last = (batch - 1) * stride + (rows - 1) * ld + columns;
    assert(t.offset + (size_t)last * sizeof(float) <= t.buffer->bytes);
}

void ps_op_gemm(ps_stream *s, const ps_gemm *g)
{
    assert(g->m > 0 && g->n > 0 && g->k > 0 && g->batch > 0);
    assert(g->m <= INT32_MAX && g->n <= INT32_MAX && g->k <= INT32_MAX);
    check_matrix(g->a, g->transpose_a ? g->k : g->m, g->transpose_a ? g->m : g->k, g->ld_a,
                 g->batch, g->stride_a);
    check_matrix(g->b, g->transpose_b ? g->n : g->k, g->transpose_b ? g->k : g->n, g->ld_b,
                 g->batch, g->stride_b);
    check_matrix(g->c, g->m, g->n, g->ld_c, g->batch, g->stride_c);
    if (!skip(s))
        s->backend->ops->gemm(s, g);
}

void ps_op_matmul(ps_stream *s, ps_tensor c, ps_tensor a, bool transpose_a, ps_tensor b,
                  bool transpose_b, float beta)
{
    assert(a.rank == 2 && b.rank == 2 && c.rank == 2);
    int64_t k = a.shape[transpose_a ? 0 : 1];
    assert(b.shape[transpose_b ? 1 : 0] == k);
    assert(c.shape[0] == a.shape[transpose_a ? 1 : 0]);
    assert(c.shape[1] == b.shape[transpose_b ? 0 : 1]);
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
    check_shape(y, PS_DTYPE_F32, 2);
    check_shape(bias, PS_DTYPE_F32, 1);
    assert(bias.shape[0] == y.shape[1]);
    if (!skip(s))
        s->backend->ops->bias_add(s, y, bias);
}

void ps_op_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta)
{
    check_shape(dy, PS_DTYPE_F32, 2);
    check_shape(dbias, PS_DTYPE_F32, 1);
    assert(dbias.shape[0] == dy.shape[1]);
    if (!skip(s))
        s->backend->ops->bias_backward(s, dbias, dy, beta);
}

void ps_op_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x)
{
    assert(kind < PS_ACTIVATION_COUNT);
    check(x, PS_DTYPE_F32);
    check_same(y, x);
    if (!skip(s))
        s->backend->ops->activation(s, kind, y, x);
}

void ps_op_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                               ps_tensor x, ps_tensor y)
{
    assert(kind < PS_ACTIVATION_COUNT);
    check(dx, PS_DTYPE_F32);
    check_same(dy, dx);
    check_same(x, dx);
    check_same(y, dx);
    if (!skip(s))
        s->backend->ops->activation_backward(s, kind, dx, dy, x, y);
}

void ps_op_cross_entropy(ps_stream *s, ps_tensor loss, ps_tensor correct, const ps_tensor *dlogits,
                         ps_tensor logits, ps_tensor labels)
{
    check_shape(logits, PS_DTYPE_F32, 2);
    check_shape(labels, PS_DTYPE_I32, 1);
    assert(labels.shape[0] == logits.shape[0]);
    check_single(loss, PS_DTYPE_F32);
    check_single(correct, PS_DTYPE_I32);
    if (dlogits)
        check_same(*dlogits, logits);
    if (!skip(s))
        s->backend->ops->cross_entropy(s, loss, correct, dlogits ? *dlogits : (ps_tensor){0},
                                       logits, labels);
}

void ps_op_squared_error(ps_stream *s, ps_tensor loss, const ps_tensor *dy, ps_tensor y,
                         ps_tensor target)
{
    check(y, PS_DTYPE_F32);
    check_same(target, y);
    check_single(loss, PS_DTYPE_F32);
    if (dy)
        check_same(*dy, y);
    if (!skip(s))
        s->backend->ops->squared_error(s, loss, dy ? *dy : (ps_tensor){0}, y, target);
}

void ps_op_softmax(ps_stream *s, ps_tensor y, ps_tensor x)
{
    check_shape(x, PS_DTYPE_F32, 2);
    check_same(y, x);
    if (!skip(s))
        s->backend->ops->softmax(s, y, x);
}

void ps_op_argmax(ps_stream *s, ps_tensor index, ps_tensor x)
{
    check_shape(x, PS_DTYPE_F32, 2);
    check_shape(index, PS_DTYPE_I32, 1);
    assert(index.shape[0] == x.shape[0]);
    if (!skip(s))
        s->backend->ops->argmax(s, index, x);
}

void ps_op_fill(ps_stream *s, ps_tensor x, float value)
{
    check(x, PS_DTYPE_F32);
    if (!skip(s))
        s->backend->ops->fill(s, x, value);
}

void ps_op_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x)
{
    check(x, PS_DTYPE_F32);
    check_same(y, x);
    if (!skip(s))
        s->backend->ops->axpy(s, y, a, x);
}

void ps_op_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x)
{
    check(x, PS_DTYPE_F32);
    check_single(out, PS_DTYPE_F32);
    if (!skip(s))
        s->backend->ops->squared_norm(s, out, x);
}

void ps_op_all_finite(ps_stream *s, ps_tensor out, ps_tensor x)
{
    check(x, PS_DTYPE_F32);
    check_single(out, PS_DTYPE_I32);
    if (!skip(s))
        s->backend->ops->all_finite(s, out, x);
}
