/* bytes: a block of numbers as bytes with one scale, by a warp, as ps_quantise_fn has it. */
#ifndef PS_CUDA_BYTES_H
#define PS_CUDA_BYTES_H

#include "gpu/cuda/reduce.h"

struct ps_more_bits {
    __device__ unsigned operator()(unsigned a, unsigned b) const
    {
        return max(a, b);
    }
};

/* q[n] = x[n] / *scale */
static __device__ __forceinline__ void ps_block_to_bytes(int8_t *q, float *scale, const float *x,
                                                         int64_t n)
{
    unsigned lane = threadIdx.x % PS_CUDA_WARP;
    /* bits of |x| rise with it; those of an infinity and of NaNs are above all others */
    unsigned most = 0;
    for (int64_t i = lane; i < n; i += PS_CUDA_WARP)
        most = max(most, __float_as_uint(fabsf(x[i])));
    float step = __uint_as_float(ps_lanes(most, ps_more_bits())) / 127.0f;
    if (lane == 0)
        *scale = step;
    /* a scale among the smallest numbers is imprecise: the quotient may be past 127 */
    for (int64_t i = lane; i < n; i += PS_CUDA_WARP)
        q[i] = step == 0 ? 0 : (int8_t)__float2int_rn(fminf(fmaxf(x[i] / step, -127.0f), 127.0f));
}

#endif
