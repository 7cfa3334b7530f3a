/* One call of the kind that the parameters say. */
#include "worker/layers/norm.h"

#include "common/base/require.h"

static bool centred(const ps_norm_layer *l)
{
    return ps_tensor_present(l->bias);
}

/* y = (x - mean)·rstd·gain + bias, or x·rstd·gain */
void ps_norm_layer_forward(ps_stream *s, const ps_norm_layer *l, ps_norm_state state, ps_tensor y,
                           ps_tensor x)
{
    PS_REQUIRE(x.shape[0] <= state.rstd.shape[0]);
    ps_norm n = {.y = y,
                 .x = x,
                 .gain = l->gain,
                 .bias = l->bias,
                 .rstd = ps_tensor_head(state.rstd, x.shape[0]),
                 .epsilon = l->epsilon,
                 .gain_offset = l->gain_offset};
    if (centred(l)) {
        n.mean = ps_tensor_head(state.mean, x.shape[0]);
        ps_op_layernorm(s, &n);
    } else {
        ps_op_rmsnorm(s, &n);
    }
}

static void backward(ps_stream *s, const ps_norm_layer *l, ps_norm_state state, ps_norm_backward n)
{
    n.rstd = ps_tensor_head(state.rstd, n.x.shape[0]);
    n.gain = l->gain;
    n.dgain = l->gain_gradient;
    n.dbias = l->bias_gradient;
    n.constant_rstd = l->constant_rstd;
    n.gain_offset = l->gain_offset;
    if (centred(l)) {
        n.mean = ps_tensor_head(state.mean, n.x.shape[0]);
        ps_op_layernorm_backward(s, &n);
    } else {
        ps_op_rmsnorm_backward(s, &n);
    }
}

void ps_norm_layer_backward(ps_stream *s, const ps_norm_layer *l, ps_norm_state state, ps_tensor dx,
                            ps_tensor dy, ps_tensor x, float beta)
{
    backward(s, l, state,
             (ps_norm_backward){.dx = dx, .add_dx = true, .dy = dy, .x = x, .beta = beta});
}

void ps_norm_layer_backward_to(ps_stream *s, const ps_norm_layer *l, ps_norm_state state,
                               ps_tensor dx, ps_tensor dy, ps_tensor x, float beta)
{
    backward(s, l, state, (ps_norm_backward){.dx = dx, .dy = dy, .x = x, .beta = beta});
}

void ps_norm_layer_backward_in_place(ps_stream *s, const ps_norm_layer *l, ps_norm_state state,
                                     ps_tensor dy, ps_tensor x, float beta)
{
    backward(s, l, state, (ps_norm_backward){.dx = dy, .dy = dy, .x = x, .beta = beta});
}

/* One row a head. */
static ps_tensor by_head(ps_tensor t, int64_t heads)
{
    return ps_tensor_2d(t.buffer, t.offset, t.dtype, t.shape[0] * heads, t.shape[1] / heads);
}

void ps_norm_layer_heads(ps_stream *s, const ps_norm_layer *l, ps_norm_state state,
                         const ps_norm_heads *h)
{
    PS_REQUIRE(!centred(l) && h->heads > 0 && h->x.shape[0] * h->heads <= state.rstd.shape[0]);
    ps_op_rmsnorm(s, &(ps_norm){.y = by_head(h->y, h->heads),
                                .x = by_head(h->x, h->heads),
                                .gain = l->gain,
                                .rstd = ps_tensor_head(state.rstd, h->x.shape[0] * h->heads),
                                .epsilon = l->epsilon,
                                .gain_offset = l->gain_offset,
                                .each = h->heads,
                                .ld_x = h->ld_x,
                                .ld_y = h->ld_y});
}

void ps_norm_layer_heads_backward(ps_stream *s, const ps_norm_layer *l, ps_norm_state state,
                                  const ps_norm_heads *h, float beta)
{
    PS_REQUIRE(!centred(l) && h->heads > 0);
    ps_tensor dy = by_head(h->y, h->heads);
    backward(s, l, state,
             (ps_norm_backward){.dx = dy,
                                .dy = dy,
                                .x = by_head(h->x, h->heads),
                                .beta = beta,
                                .each = h->heads,
                                .ld_x = h->ld_x,
                                .ld_dy = h->ld_y});
}
