/* form_dot: products of few rows of x with forms whose codes are signed bytes or fit into them, by
 * the instruction that adds four products of bytes to a sum. Rows of x are rounded once a call, in
 * chunks of 32 numbers: x = d·q; a chunk of w has one scale s: Σ w·x = s·d·Σ codes·q. F has,
 * besides what form.h wants of it,
 *
 *     static __device__ int four(const uint8_t *block, unsigned i);   // codes i to i + 3, i % 4 =
 * 0 static __device__ float scale(const uint8_t *block);
 *
 * and ps_cuda_form_dot_row<F>("name") is its row. */
#ifndef PS_CUDA_FORM_DOT_H
#define PS_CUDA_FORM_DOT_H

#include "gpu/cuda/form.h"

enum { PS_FORM_CHUNK = 32 };

/* Rows of x as the scratch memory has them. */
struct ps_form_dots {
    int8_t *q;     /* [rows, chunks, 32] */
    float *scales; /* [rows, chunks] */
    int64_t rows, chunks;
};

/* Whether a product may be rounded, and rows of x have their place in the stream's scratch. */
bool ps_cuda_form_may_round(const ps_form_product *p);
/* x of the product, rounded. False: the stream has failed. */
bool ps_cuda_form_round(ps_stream *s, const ps_form_product *p, ps_form_dots *out);

/* Two codes of 16 bits that lie at an even address. */
static __device__ __forceinline__ unsigned ps_form_two(const uint8_t *at)
{
    return *reinterpret_cast<const uint16_t *>(at);
}

/* Of each byte from 0 to 15, less 8. */
static __device__ __forceinline__ int ps_form_less_8(unsigned bytes)
{
    return (int)(((bytes | 0x80808080u) - 0x08080808u) ^ 0x80808080u);
}

namespace
{
/* A warp makes one column of y, a lane a chunk at a time. */
template <typename F, typename Y>
__global__ void __launch_bounds__(PS_FORM_THREADS)
    ps_form_multiply_dots(ps_form_bytes m, ps_form_dots x, Y *y, int64_t ld_y, float beta)
{
    unsigned lane = threadIdx.x % PS_CUDA_WARP;
    int64_t first = (int64_t)blockIdx.x * PS_FORM_WARPS + threadIdx.x / PS_CUDA_WARP;
    for (int64_t o = first; o < m.rows; o += (int64_t)gridDim.x * PS_FORM_WARPS) {
        float sums[PS_FORM_FEW] = {};
        for (int64_t k = lane; k < x.chunks; k += PS_CUDA_WARP) {
            unsigned at = (unsigned)k * PS_FORM_CHUNK, number = at / m.group;
            const uint8_t *block = m.bytes + o * m.row_bytes + (int64_t)number * F::bytes(m.group);
            at -= number * m.group;
            int totals[PS_FORM_FEW] = {};
#pragma unroll 2
            for (unsigned j = 0; j < PS_FORM_CHUNK; j += 4) {
                int w = F::four(block, at + j);
#pragma unroll
                for (int i = 0; i < PS_FORM_FEW; i++)
                    if (i < x.rows)
                        totals[i] = __dp4a(w,
                                           *reinterpret_cast<const int *>(
                                               x.q + (i * x.chunks + k) * PS_FORM_CHUNK + j),
                                           totals[i]);
            }
            float scale = F::scale(block);
#pragma unroll
            for (int i = 0; i < PS_FORM_FEW; i++)
                if (i < x.rows)
                    sums[i] += scale * x.scales[i * x.chunks + k] * (float)totals[i];
        }
#pragma unroll
        for (int i = 0; i < PS_FORM_FEW; i++) {
            float sum = ps_lanes(sums[i], ps_plus());
            if (lane == 0 && i < x.rows)
                ps_store(y + i * ld_y + o,
                         beta == 0 ? sum : sum + beta * ps_float(y[i * ld_y + o]));
        }
    }
}

template <typename F, typename Y>
void ps_form_run_dots(ps_stream *s, const ps_form_product *p, ps_form_dots x)
{
    ps_form_bytes m = ps_form_matrix_of(p->w);
    ps_cuda_end(s, "form_product",
                GPU_LAUNCH((ps_form_multiply_dots<F, Y>),
                           ps_blocks(m.rows, PS_FORM_WARPS, PS_FORM_BLOCKS), PS_FORM_THREADS, 0,
                           ps_cuda_queue(s), m, x, ps_at<Y>(p->y), p->ld_y, p->beta));
}

template <typename F> void ps_form_call_rounded(ps_stream *s, const ps_form_product *p)
{
    ps_form_dots x;
    if (!ps_cuda_form_round(s, p, &x))
        return;
    if (p->y.dtype == PS_DTYPE_F32)
        ps_form_run_dots<F, float>(s, p, x);
    else
        ps_form_run_dots<F, __nv_bfloat16>(s, p, x);
}

template <typename F> constexpr ps_cuda_form ps_cuda_form_dot_row(const char *name)
{
    return {name, ps_form_call_product<F>, ps_form_call_embedding<F>, ps_form_call_rounded<F>};
}
} // namespace

#endif
