/* Checks, then one call through the table: what is done element by element. */
#include "common/base/require.h"
#include "gpu/op.h"
#include "gpu/op_check.h"

void ps_op_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x)
{
    PS_REQUIRE(kind < PS_ACTIVATION_COUNT);
    ps_op_check_real(x);
    ps_op_check_same(y, x);
    if (!ps_op_skip(s))
        s->backend->ops->activation(s, kind, y, x);
}

void ps_op_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                               ps_tensor x, ps_tensor y)
{
    PS_REQUIRE(kind < PS_ACTIVATION_COUNT);
    ps_op_check_real(dx);
    ps_op_check_same(dy, dx);
    ps_op_check_same(x, dx);
    ps_op_check_same(y, dx);
    if (!ps_op_skip(s))
        s->backend->ops->activation_backward(s, kind, dx, dy, x, y);
}

void ps_op_gated(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor gate, ps_tensor up)
{
    PS_REQUIRE(kind < PS_ACTIVATION_COUNT && kind != PS_ACTIVATION_TANH);
    ps_op_check_real(y);
    ps_op_check_same(gate, y);
    ps_op_check_same(up, y);
    if (!ps_op_skip(s))
        s->backend->ops->gated(s, kind, y, gate, up);
}

void ps_op_gated_backward(ps_stream *s, ps_activation kind, ps_tensor dgate, ps_tensor dup,
                          ps_tensor dy, ps_tensor gate, ps_tensor up)
{
    PS_REQUIRE(kind < PS_ACTIVATION_COUNT && kind != PS_ACTIVATION_TANH);
    ps_op_check_real(dy);
    ps_op_check_same(dgate, dy);
    ps_op_check_same(dup, dy);
    ps_op_check_same(gate, dy);
    ps_op_check_same(up, dy);
    if (!ps_op_skip(s))
        s->backend->ops->gated_backward(s, kind, dgate, dup, dy, gate, up);
}

void ps_op_softcap(ps_stream *s, ps_tensor y, ps_tensor x, float cap)
{
    PS_REQUIRE(cap > 0);
    ps_op_check_real(x);
    ps_op_check_same(y, x);
    if (!ps_op_skip(s))
        s->backend->ops->softcap(s, y, x, cap);
}

void ps_op_softcap_backward(ps_stream *s, ps_tensor dx, ps_tensor dy, ps_tensor y, float cap)
{
    PS_REQUIRE(cap > 0);
    ps_op_check_real(dx);
    ps_op_check_same(dy, dx);
    ps_op_check_count(y, y.dtype == PS_DTYPE_F32 ? y.dtype : dx.dtype, ps_tensor_count(dx));
    if (!ps_op_skip(s))
        s->backend->ops->softcap_backward(s, dx, dy, y, cap);
}

void ps_op_add(ps_stream *s, ps_tensor y, ps_tensor a, ps_tensor b)
{
    ps_op_check_real(y);
    ps_op_check_same(a, y);
    ps_op_check_same(b, y);
    if (!ps_op_skip(s))
        s->backend->ops->add(s, y, a, b);
}

void ps_op_dropout(ps_stream *s, const ps_dropout *d)
{
    ps_op_check_real(d->y);
    ps_op_check_same(d->x, d->y);
    PS_REQUIRE(d->rate >= 0 && d->rate < 1);
    if (!ps_op_skip(s))
        s->backend->ops->dropout(s, d);
}

void ps_op_cast(ps_stream *s, ps_tensor y, ps_tensor x)
{
    ps_op_check_real(x);
    ps_op_check_real(y);
    PS_REQUIRE(ps_tensor_count(x) == ps_tensor_count(y) && !ps_op_overlap(x, y));
    if (!ps_op_skip(s))
        s->backend->ops->cast(s, y, x);
}

void ps_op_fill(ps_stream *s, ps_tensor x, float value)
{
    ps_op_check(x, PS_DTYPE_F32);
    if (!ps_op_skip(s))
        s->backend->ops->fill(s, x, value);
}

void ps_op_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x)
{
    ps_op_check(x, PS_DTYPE_F32);
    ps_op_check_same(y, x);
    if (!ps_op_skip(s))
        s->backend->ops->axpy(s, y, a, x);
}

void ps_op_scale(ps_stream *s, ps_tensor x, float a)
{
    ps_op_check_real(x);
    if (!ps_op_skip(s))
        s->backend->ops->scale(s, x, a);
}

static void check_blocks(ps_tensor x, ps_tensor q, ps_tensor scales, int64_t block)
{
    ps_op_check(x, PS_DTYPE_F32);
    int64_t n = ps_tensor_count(x);
    PS_REQUIRE(block > 0);
    ps_op_check_count(q, PS_DTYPE_I8, n);
    ps_op_check_count(scales, PS_DTYPE_F32, (n + block - 1) / block);
}

void ps_op_quantise(ps_stream *s, ps_tensor q, ps_tensor scales, ps_tensor x, int64_t block)
{
    check_blocks(x, q, scales, block);
    if (!ps_op_skip(s))
        s->backend->ops->quantise(s, q, scales, x, block);
}

void ps_op_dequantise(ps_stream *s, ps_tensor x, ps_tensor q, ps_tensor scales, int64_t block)
{
    check_blocks(x, q, scales, block);
    if (!ps_op_skip(s))
        s->backend->ops->dequantise(s, x, q, scales, block);
}
