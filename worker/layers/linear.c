/* Each pass is one product; transposes say how the weight is stored. */
#include "worker/layers/linear.h"

#include "common/base/require.h"

static int64_t ld_of(ps_tensor t, int64_t ld)
{
    return ld ? ld : t.shape[1];
}

static bool dense(ps_tensor t, int64_t ld)
{
    return ld_of(t, ld) == t.shape[1];
}

/* y[rows,out] += b[out]; in columns of wider rows as 1[rows,1] · b[1,out], whose products are exact
 */
static void add_bias(ps_stream *s, const ps_linear *l, ps_tensor y, int64_t ld_y)
{
    PS_REQUIRE(dense(y, ld_y) || ps_tensor_present(l->ones));
    if (dense(y, ld_y))
        ps_op_bias_add(s, y, l->bias);
    else
        ps_op_gemm(s, &(ps_gemm){.m = y.shape[0],
                                 .n = y.shape[1],
                                 .k = 1,
                                 .alpha = 1,
                                 .beta = 1,
                                 .a = l->ones,
                                 .b = l->bias,
                                 .c = y,
                                 .ld_a = 1,
                                 .ld_b = y.shape[1],
                                 .ld_c = ld_y,
                                 .batch = 1});
}

static void multiply_form(ps_stream *s, const ps_linear *l, ps_tensor y, int64_t ld_y, ps_tensor x)
{
    PS_REQUIRE(l->form.bytes.shape[0] == y.shape[1] && l->form.columns == x.shape[1]);
    ps_op_form_product(s, &(ps_form_product){.y = y,
                                             .x = x,
                                             .w = &l->form,
                                             .rows = y.shape[0],
                                             .ld_y = ld_of(y, ld_y),
                                             .ld_x = x.shape[1],
                                             .exact = l->exact});
}

static void multiply(ps_stream *s, const ps_linear *l, ps_tensor y, int64_t ld_y, ps_tensor x)
{
    ps_op_gemm(s, &(ps_gemm){.transpose_b = !l->input_major,
                             .m = y.shape[0],
                             .n = y.shape[1],
                             .k = x.shape[1],
                             .alpha = 1,
                             .a = x,
                             .b = l->weight,
                             .c = y,
                             .ld_a = x.shape[1],
                             .ld_b = l->weight.shape[1],
                             .ld_c = ld_of(y, ld_y),
                             .batch = 1});
}

/* z[rows,rank] = x[rows,in] · Rᵀ[in,rank], y[rows,out] = z · L[out,rank]ᵀ */
static void multiply_factors(ps_stream *s, const ps_linear *l, ps_tensor y, int64_t ld_y,
                             ps_tensor x)
{
    int64_t out = y.shape[1], in = x.shape[1];
    ps_tensor w = l->weight, z = l->between;
    PS_REQUIRE(w.shape[0] == out + in && w.shape[1] == l->rank);
    size_t of_left = (size_t)(out * l->rank) * ps_dtype_bytes(w.dtype);
    ps_tensor left = ps_tensor_2d(w.buffer, w.offset, w.dtype, out, l->rank);
    ps_tensor right = ps_tensor_2d(w.buffer, w.offset + of_left, w.dtype, in, l->rank);
    z = ps_tensor_2d(z.buffer, z.offset, x.dtype, x.shape[0], l->rank);
    ps_op_matmul(s, z, x, false, right, false, 0);
    ps_op_gemm(s, &(ps_gemm){.transpose_b = true,
                             .m = y.shape[0],
                             .n = out,
                             .k = l->rank,
                             .alpha = 1,
                             .a = z,
                             .b = left,
                             .c = y,
                             .ld_a = l->rank,
                             .ld_b = l->rank,
                             .ld_c = ld_of(y, ld_y),
                             .batch = 1});
}

/* y[rows,out] = x[rows,in] · W[out,in]ᵀ + b[out] */
void ps_linear_forward(ps_stream *s, const ps_linear *l, ps_tensor y, int64_t ld_y, ps_tensor x)
{
    if (l->form.form.row)
        multiply_form(s, l, y, ld_y, x);
    else if (l->rank)
        multiply_factors(s, l, y, ld_y, x);
    else
        multiply(s, l, y, ld_y, x);
    if (ps_tensor_present(l->bias))
        add_bias(s, l, y, ld_y);
}

/* db[out] = sum over rows of dy[rows,out]: 1[rows,1]ᵀ · dy where rows are wider */
void ps_linear_backward_bias(ps_stream *s, const ps_linear *l, ps_tensor dy, int64_t ld_dy,
                             float beta)
{
    PS_REQUIRE(dense(dy, ld_dy) || ps_tensor_present(l->ones));
    if (dense(dy, ld_dy)) {
        ps_op_bias_backward(s, l->bias_gradient, dy, beta);
        return;
    }
    ps_op_gemm(s, &(ps_gemm){.transpose_a = true,
                             .m = 1,
                             .n = dy.shape[1],
                             .k = dy.shape[0],
                             .alpha = 1,
                             .beta = beta,
                             .a = l->ones,
                             .b = dy,
                             .c = l->bias_gradient,
                             .ld_a = 1,
                             .ld_b = ld_dy,
                             .ld_c = dy.shape[1],
                             .batch = 1});
}

/* dW[out,in] = dy[rows,out]ᵀ · x[rows,in]; stored [in,out]: xᵀ · dy */
void ps_linear_backward_weight(ps_stream *s, const ps_linear *l, ps_tensor dy, int64_t ld_dy,
                               ps_tensor x, float beta)
{
    ps_gemm g = {.transpose_a = true,
                 .m = l->weight_gradient.shape[0],
                 .n = l->weight_gradient.shape[1],
                 .k = x.shape[0],
                 .alpha = 1,
                 .beta = beta,
                 .a = dy,
                 .b = x,
                 .c = l->weight_gradient,
                 .ld_a = ld_of(dy, ld_dy),
                 .ld_b = x.shape[1],
                 .ld_c = l->weight_gradient.shape[1],
                 .batch = 1};
    if (l->input_major) {
        g.a = x, g.b = dy;
        g.ld_a = x.shape[1], g.ld_b = ld_of(dy, ld_dy);
    }
    ps_op_gemm(s, &g);
}

/* dx[rows,in] = dy[rows,out] · W[out,in] */
void ps_linear_backward_input(ps_stream *s, const ps_linear *l, ps_tensor dx, ps_tensor dy,
                              int64_t ld_dy, float beta)
{
    ps_op_gemm(s, &(ps_gemm){.transpose_b = l->input_major,
                             .m = dx.shape[0],
                             .n = dx.shape[1],
                             .k = dy.shape[1],
                             .alpha = 1,
                             .beta = beta,
                             .a = dy,
                             .b = l->weight,
                             .c = dx,
                             .ld_a = ld_of(dy, ld_dy),
                             .ld_b = l->weight.shape[1],
                             .ld_c = dx.shape[1],
                             .batch = 1});
}
