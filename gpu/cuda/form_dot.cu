/* Rows of x to 8 bits for form_dot.h: a warp takes a chunk of 32 numbers, a lane each. */
#include "gpu/cuda/form_dot.h"

namespace
{
/* The bits of |x| rise with it, and those of an infinity and of NaNs are above all others. */
struct larger_bits {
    __device__ unsigned operator()(unsigned a, unsigned b) const
    {
        return a > b ? a : b;
    }
};

template <typename X>
__global__ void __launch_bounds__(PS_FORM_THREADS)
    round_rows(ps_form_dots to, const X *x, int64_t ld)
{
    unsigned lane = threadIdx.x % PS_CUDA_WARP;
    int64_t first = (int64_t)blockIdx.x * PS_FORM_WARPS + threadIdx.x / PS_CUDA_WARP;
    for (int64_t i = first; i < to.rows * to.chunks; i += (int64_t)gridDim.x * PS_FORM_WARPS) {
        int64_t row = i / to.chunks, chunk = i - row * to.chunks;
        float v = ps_float(x[row * ld + chunk * PS_FORM_CHUNK + lane]);
        unsigned most = ps_lanes(__float_as_uint(fabsf(v)), larger_bits());
        float scale = __uint_as_float(most) / 127.0f;
        /* a scale among the smallest numbers is imprecise: the quotient may be past 127 */
        float q = scale == 0 ? 0 : fminf(fmaxf(v / scale, -127.0f), 127.0f);
        to.q[i * PS_FORM_CHUNK + lane] = (int8_t)__float2int_rn(q);
        if (lane == 0)
            to.scales[i] = scale;
    }
}

template <typename X> bool round_as(ps_stream *s, const ps_form_product *p, ps_form_dots to)
{
    return ps_cuda_end(
        s, "form_product",
        GPU_LAUNCH((round_rows<X>), ps_blocks(to.rows * to.chunks, PS_FORM_WARPS, PS_FORM_BLOCKS),
                   PS_FORM_THREADS, 0, ps_cuda_queue(s), to, ps_at<X>(p->x), p->ld_x));
}
} // namespace

bool ps_cuda_form_may_round(const ps_form_product *p)
{
    const ps_form_matrix *w = p->w;
    int64_t block = w->form.group ? (int64_t)w->form.group : w->columns;
    size_t chunks = (size_t)(p->rows * w->columns / PS_FORM_CHUNK);
    return !p->exact && p->rows <= PS_FORM_FEW && block % PS_FORM_CHUNK == 0 &&
           (uintptr_t)ps_at<uint8_t>(w->bytes) % 2 == 0 &&
           chunks * (PS_FORM_CHUNK + sizeof(float)) <= PS_CUDA_SCRATCH;
}

bool ps_cuda_form_round(ps_stream *s, const ps_form_product *p, ps_form_dots *out)
{
    int64_t chunks = p->w->columns / PS_FORM_CHUNK;
    int8_t *q = static_cast<int8_t *>(ps_cuda_scratch(s));
    *out = {q, reinterpret_cast<float *>(q + p->rows * chunks * PS_FORM_CHUNK), p->rows, chunks};
    return p->x.dtype == PS_DTYPE_F32 ? round_as<float>(s, p, *out)
                                      : round_as<__nv_bfloat16>(s, p, *out);
}
