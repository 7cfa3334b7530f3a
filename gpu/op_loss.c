/* Checks, then one call through the table: losses, and what becomes of outputs. */
#include "common/base/require.h"
#include "gpu/op.h"
#include "gpu/op_check.h"

static void check_cross_entropy(const ps_cross_entropy *c)
{
    ps_op_check_shape(c->logits, PS_DTYPE_F32, 2);
    ps_op_check_count(c->labels, PS_DTYPE_I32, c->logits.shape[0]);
    ps_op_check_count(c->loss, PS_DTYPE_F32, 1);
    ps_op_check_count(c->correct, PS_DTYPE_I32, 1);
    if (ps_tensor_present(c->dlogits)) {
        ps_op_check_real(c->dlogits);
        PS_REQUIRE(ps_tensor_count(c->dlogits) == ps_tensor_count(c->logits));
        PS_REQUIRE(c->dlogits.dtype == PS_DTYPE_F32 || !ps_op_overlap(c->dlogits, c->logits));
    }
}

void ps_op_cross_entropy(ps_stream *s, const ps_cross_entropy *c)
{
    check_cross_entropy(c);
    if (!ps_op_skip(s))
        s->backend->ops->cross_entropy(s, c);
}

void ps_op_distil(ps_stream *s, const ps_distil *d)
{
    check_cross_entropy(&d->task);
    ps_op_check_shape(d->teacher, PS_DTYPE_F32, 2);
    ps_op_check_count(d->divergence, PS_DTYPE_F32, 1);
    PS_REQUIRE(d->teacher.shape[0] == d->task.logits.shape[0]);
    PS_REQUIRE(!ps_op_overlap(d->teacher, d->task.logits));
    PS_REQUIRE(!ps_tensor_present(d->task.dlogits) || !ps_op_overlap(d->teacher, d->task.dlogits));
    PS_REQUIRE(d->kind < PS_DIVERGENCE_COUNT && d->top_k >= 0);
    PS_REQUIRE(d->temperature > 0 && d->alpha >= 0 && d->alpha <= 1);
    if (!ps_op_skip(s))
        s->backend->ops->distil(s, d);
}

void ps_op_squared_error(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y, ps_tensor target)
{
    ps_op_check(y, PS_DTYPE_F32);
    ps_op_check_same(target, y);
    ps_op_check_count(loss, PS_DTYPE_F32, 1);
    if (ps_tensor_present(dy))
        ps_op_check_same(dy, y);
    if (!ps_op_skip(s))
        s->backend->ops->squared_error(s, loss, dy, y, target);
}

void ps_op_softmax(ps_stream *s, ps_tensor y, ps_tensor x)
{
    ps_op_check_shape(x, PS_DTYPE_F32, 2);
    ps_op_check_same(y, x);
    if (!ps_op_skip(s))
        s->backend->ops->softmax(s, y, x);
}

void ps_op_argmax(ps_stream *s, ps_tensor index, ps_tensor x)
{
    ps_op_check_shape(x, PS_DTYPE_F32, 2);
    ps_op_check_count(index, PS_DTYPE_I32, x.shape[0]);
    if (!ps_op_skip(s))
        s->backend->ops->argmax(s, index, x);
}
