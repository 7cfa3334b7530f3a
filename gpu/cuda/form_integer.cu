/* The integer forms: what common/form/integer.c decodes. */
#include "gpu/cuda/form.h"
#include "gpu/cuda/forms.h"

namespace
{
/* Code i of a stream of Bits each, lowest first. */
template <int Bits> __device__ int code(const uint8_t *codes, unsigned i)
{
    unsigned at = i * Bits, value = codes[at / 8];
    if (8 % Bits && at % 8 + Bits > 8)
        value |= (unsigned)codes[at / 8 + 1] << 8;
    return (int)(value >> at % 8 & ((1u << Bits) - 1));
}

template <int Bits> struct symmetric {
    static __device__ unsigned bytes(unsigned group)
    {
        return 2 + group * Bits / 8;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return ps_form_half(block) * (float)(code<Bits>(block + 2, i) - (1 << (Bits - 1)));
    }
};

template <int Bits> struct affine {
    static __device__ unsigned bytes(unsigned group)
    {
        return 4 + group * Bits / 8;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return ps_form_half(block) *
               ((float)(code<Bits>(block + 4, i) - block[2]) - (float)block[3] * (1.0f / 256));
    }
};
} // namespace

const ps_cuda_form ps_cuda_forms_integer[] = {ps_cuda_form_row<symmetric<8>>("int8"),
                                              ps_cuda_form_row<symmetric<4>>("int4"),
                                              ps_cuda_form_row<symmetric<3>>("int3"),
                                              ps_cuda_form_row<symmetric<2>>("int2"),
                                              ps_cuda_form_row<affine<8>>("uint8"),
                                              ps_cuda_form_row<affine<4>>("uint4"),
                                              ps_cuda_form_row<affine<3>>("uint3"),
                                              ps_cuda_form_row<affine<2>>("uint2"),
                                              {}};
