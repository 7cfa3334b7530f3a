/* Checks, then one call through the table: what networks for images are made of. */
#include "common/base/require.h"
#include "gpu/op.h"
#include "gpu/op_check.h"

static int64_t places(int64_t side, int64_t window, int64_t stride)
{
    PS_REQUIRE(window >= 1 && window <= side && stride >= 1);
    return (side - window) / stride + 1;
}

static void check_conv(const ps_conv *c)
{
    ps_op_check_shape(c->x, PS_DTYPE_F32, 4);
    ps_op_check_shape(c->weight, PS_DTYPE_F32, 4);
    ps_op_check_shape(c->y, PS_DTYPE_F32, 4);
    const int64_t *x = c->x.shape, *w = c->weight.shape, *y = c->y.shape;
    PS_REQUIRE(y[0] == x[0] && y[1] == w[0] && x[1] == w[1]);
    PS_REQUIRE(c->padding >= 0 && c->padding < w[2] && c->padding < w[3]);
    PS_REQUIRE(y[2] == places(x[2] + 2 * c->padding, w[2], c->stride));
    PS_REQUIRE(y[3] == places(x[3] + 2 * c->padding, w[3], c->stride));
    PS_REQUIRE(!ps_op_overlap(c->x, c->y));
    if (ps_tensor_present(c->bias))
        ps_op_check_count(c->bias, PS_DTYPE_F32, w[0]);
}

void ps_op_conv(ps_stream *s, const ps_conv *c)
{
    check_conv(c);
    if (!ps_op_skip(s))
        s->backend->ops->conv(s, c);
}

void ps_op_conv_backward_input(ps_stream *s, const ps_conv *c)
{
    check_conv(c);
    if (!ps_op_skip(s))
        s->backend->ops->conv_backward_input(s, c);
}

void ps_op_conv_backward_weight(ps_stream *s, const ps_conv *c)
{
    check_conv(c);
    if (!ps_op_skip(s))
        s->backend->ops->conv_backward_weight(s, c);
}

static void check_pool(const ps_pool *p)
{
    ps_op_check_shape(p->x, PS_DTYPE_F32, 4);
    ps_op_check_shape(p->y, PS_DTYPE_F32, 4);
    const int64_t *x = p->x.shape, *y = p->y.shape;
    PS_REQUIRE(y[0] == x[0] && y[1] == x[1]);
    PS_REQUIRE(y[2] == places(x[2], p->window_h, p->stride));
    PS_REQUIRE(y[3] == places(x[3], p->window_w, p->stride));
    PS_REQUIRE(!ps_op_overlap(p->x, p->y));
    PS_REQUIRE(p->kind != PS_POOL_MAX || p->window_h * p->window_w <= 256);
    if (ps_tensor_present(p->index))
        ps_op_check_count(p->index, PS_DTYPE_U8, ps_tensor_count(p->y));
}

void ps_op_pool(ps_stream *s, const ps_pool *p)
{
    check_pool(p);
    if (!ps_op_skip(s))
        s->backend->ops->pool(s, p);
}

void ps_op_pool_backward(ps_stream *s, const ps_pool *p)
{
    check_pool(p);
    PS_REQUIRE(p->kind != PS_POOL_MAX || ps_tensor_present(p->index));
    if (!ps_op_skip(s))
        s->backend->ops->pool_backward(s, p);
}

static void check_groups(ps_tensor x, ps_tensor gain, ps_tensor mean, ps_tensor rstd,
                         int64_t groups)
{
    ps_op_check(x, PS_DTYPE_F32);
    PS_REQUIRE(x.rank >= 2 && groups >= 1 && x.shape[1] % groups == 0);
    ps_op_check_count(gain, PS_DTYPE_F32, x.shape[1]);
    ps_op_check_count(mean, PS_DTYPE_F32, x.shape[0] * groups);
    ps_op_check_count(rstd, PS_DTYPE_F32, x.shape[0] * groups);
}

void ps_op_group_norm(ps_stream *s, const ps_group_norm *n)
{
    check_groups(n->x, n->gain, n->mean, n->rstd, n->groups);
    ps_op_check_same(n->y, n->x);
    ps_op_check_count(n->bias, PS_DTYPE_F32, n->x.shape[1]);
    PS_REQUIRE(!ps_op_overlap(n->x, n->y) && n->epsilon >= 0);
    if (!ps_op_skip(s))
        s->backend->ops->group_norm(s, n);
}

void ps_op_group_norm_backward(ps_stream *s, const ps_group_norm_backward *n)
{
    check_groups(n->x, n->gain, n->mean, n->rstd, n->groups);
    ps_op_check_same(n->dy, n->x);
    ps_op_check_same(n->dx, n->x);
    PS_REQUIRE(!ps_op_overlap(n->dx, n->x));
    PS_REQUIRE(ps_tensor_present(n->dgain) == ps_tensor_present(n->dbias));
    if (ps_tensor_present(n->dgain)) {
        ps_op_check_count(n->dgain, PS_DTYPE_F32, n->x.shape[1]);
        ps_op_check_count(n->dbias, PS_DTYPE_F32, n->x.shape[1]);
    }
    if (!ps_op_skip(s))
        s->backend->ops->group_norm_backward(s, n);
}
