/* Checks, then one call through the table: latents of which few are active. */
#include "common/base/require.h"
#include "gpu/op.h"
#include "gpu/op_check.h"

void ps_op_topk(ps_stream *s, const ps_topk *t)
{
    ps_op_check_shape(t->z, PS_DTYPE_F32, 2);
    ps_op_check_same(t->y, t->z);
    PS_REQUIRE(!ps_op_overlap(t->y, t->z) && t->k > 0);
    if (ps_tensor_present(t->left_out))
        ps_op_check_count(t->left_out, PS_DTYPE_F32, t->z.shape[1]);
    if (!ps_op_skip(s))
        s->backend->ops->topk(s, t);
}

void ps_op_row_norms(ps_stream *s, ps_tensor norms, ps_tensor x)
{
    ps_op_check_shape(x, PS_DTYPE_F32, 2);
    ps_op_check_count(norms, PS_DTYPE_F32, x.shape[0]);
    if (!ps_op_skip(s))
        s->backend->ops->row_norms(s, norms, x);
}

void ps_op_row_norms_backward(ps_stream *s, ps_tensor dx, ps_tensor dnorms, ps_tensor norms,
                              ps_tensor x)
{
    ps_op_check_shape(x, PS_DTYPE_F32, 2);
    ps_op_check_same(dx, x);
    ps_op_check_count(norms, PS_DTYPE_F32, x.shape[0]);
    ps_op_check_count(dnorms, PS_DTYPE_F32, x.shape[0]);
    PS_REQUIRE(!ps_op_overlap(dx, x));
    if (!ps_op_skip(s))
        s->backend->ops->row_norms_backward(s, dx, dnorms, norms, x);
}

void ps_op_count_positive(ps_stream *s, ps_tensor out, ps_tensor x)
{
    ps_op_check(x, PS_DTYPE_F32);
    ps_op_check_count(out, PS_DTYPE_I32, 1);
    if (!ps_op_skip(s))
        s->backend->ops->count_positive(s, out, x);
}
