/* Each is a few thin products. Cannot fail but as the device does. */
#include "worker/layers/lora.h"

#include "common/base/require.h"

static int64_t ld_of(ps_tensor t, int64_t ld)
{
    return ld ? ld : t.shape[1];
}

static bool drops(const ps_lora *l)
{
    return ps_tensor_present(l->dropped);
}

/* The same bits for x and for its gradient. */
static void drop(ps_stream *s, const ps_lora *l, ps_tensor y, ps_tensor x)
{
    ps_op_dropout(
        s, &(ps_dropout){.y = y, .x = x, .rate = l->rate, .seed = l->seed, .offset = l->offset});
}

/* As many rows and columns of some room. */
static ps_tensor room_of(ps_tensor room, int64_t rows, int64_t columns)
{
    PS_REQUIRE(ps_tensor_count(room) >= rows * columns);
    return ps_tensor_2d(room.buffer, room.offset, room.dtype, rows, columns);
}

static ps_tensor input_of(ps_stream *s, const ps_lora *l, ps_tensor x)
{
    if (!drops(l))
        return x;
    ps_tensor dropped = room_of(l->dropped, x.shape[0], x.shape[1]);
    drop(s, l, dropped, x);
    return dropped;
}

/* z[rows,rank] = x[rows,in] · A[rank,in]ᵀ */
static ps_tensor narrow(ps_stream *s, const ps_lora *l, ps_tensor x)
{
    PS_REQUIRE(l->a.shape[1] == x.shape[1]);
    ps_tensor z = room_of(l->between, x.shape[0], l->a.shape[0]);
    ps_op_matmul(s, z, x, false, l->a, true, 0);
    return z;
}

/* dz[rows,rank] = scale · dy[rows,out] · B[out,rank] */
static ps_tensor narrow_gradient(ps_stream *s, const ps_lora *l, ps_tensor dy, int64_t ld_dy)
{
    int64_t rank = l->a.shape[0];
    ps_tensor dz = room_of(l->dbetween, dy.shape[0], rank);
    ps_op_gemm(s, &(ps_gemm){.m = dy.shape[0],
                             .n = rank,
                             .k = dy.shape[1],
                             .alpha = l->scale,
                             .a = dy,
                             .b = l->b,
                             .c = dz,
                             .ld_a = ld_of(dy, ld_dy),
                             .ld_b = rank,
                             .ld_c = rank,
                             .batch = 1});
    return dz;
}

void ps_lora_forward(ps_stream *s, const ps_lora *l, ps_tensor y, int64_t ld_y, ps_tensor x)
{
    int64_t rank = l->a.shape[0];
    PS_REQUIRE(l->b.shape[0] == y.shape[1] && l->b.shape[1] == rank);
    ps_tensor z = narrow(s, l, input_of(s, l, x));
    ps_op_gemm(s, &(ps_gemm){.transpose_b = true,
                             .m = y.shape[0],
                             .n = y.shape[1],
                             .k = rank,
                             .alpha = l->scale,
                             .beta = 1,
                             .a = z,
                             .b = l->b,
                             .c = y,
                             .ld_a = rank,
                             .ld_b = rank,
                             .ld_c = ld_of(y, ld_y),
                             .batch = 1});
}

/* dB[out,rank] = scale · dyᵀ · z; dA[rank,in] = dzᵀ · x */
void ps_lora_backward_weights(ps_stream *s, const ps_lora *l, ps_tensor dy, int64_t ld_dy,
                              ps_tensor x, float beta)
{
    int64_t rank = l->a.shape[0];
    x = input_of(s, l, x);
    ps_tensor z = narrow(s, l, x);
    ps_op_gemm(s, &(ps_gemm){.transpose_a = true,
                             .m = dy.shape[1],
                             .n = rank,
                             .k = dy.shape[0],
                             .alpha = l->scale,
                             .beta = beta,
                             .a = dy,
                             .b = z,
                             .c = l->b_gradient,
                             .ld_a = ld_of(dy, ld_dy),
                             .ld_b = rank,
                             .ld_c = rank,
                             .batch = 1});
    ps_tensor dz = narrow_gradient(s, l, dy, ld_dy);
    ps_op_matmul(s, l->a_gradient, dz, true, x, false, beta);
}

void ps_lora_backward_input(ps_stream *s, const ps_lora *l, ps_tensor dx, ps_tensor dy,
                            int64_t ld_dy)
{
    ps_tensor dz = narrow_gradient(s, l, dy, ld_dy);
    if (!drops(l)) {
        ps_op_matmul(s, dx, dz, false, l->a, false, 1);
        return;
    }
    ps_tensor part = room_of(l->dropped, dx.shape[0], dx.shape[1]);
    ps_op_matmul(s, part, dz, false, l->a, false, 0);
    drop(s, l, part, part);
    ps_op_add(s, dx, dx, part);
}
