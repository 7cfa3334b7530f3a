/* Checks, then one call through the table: norms, clipping, optimizers. */
#include "common/base/require.h"
#include "gpu/op.h"
#include "gpu/op_check.h"

void ps_op_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x, bool add)
{
    ps_op_check(x, PS_DTYPE_F32);
    ps_op_check_count(out, PS_DTYPE_F32, 1);
    if (!ps_op_skip(s))
        s->backend->ops->squared_norm(s, out, x, add);
}

void ps_op_clip_norm(ps_stream *s, ps_tensor x, ps_tensor squared_norm, float limit)
{
    ps_op_check(x, PS_DTYPE_F32);
    ps_op_check_count(squared_norm, PS_DTYPE_F32, 1);
    PS_REQUIRE(limit > 0);
    if (!ps_op_skip(s))
        s->backend->ops->clip_norm(s, x, squared_norm, limit);
}

void ps_op_all_finite(ps_stream *s, ps_tensor out, ps_tensor x)
{
    ps_op_check(x, PS_DTYPE_F32);
    ps_op_check_count(out, PS_DTYPE_I32, 1);
    if (!ps_op_skip(s))
        s->backend->ops->all_finite(s, out, x);
}

void ps_op_adamw(ps_stream *s, const ps_adamw *a)
{
    ps_op_check(a->parameter, PS_DTYPE_F32);
    ps_op_check_same(a->m, a->parameter);
    ps_op_check_same(a->v, a->parameter);
    ps_op_check_same(a->gradient, a->parameter);
    PS_REQUIRE(a->step > 0);
    if (!ps_op_skip(s))
        s->backend->ops->adamw(s, a);
}
