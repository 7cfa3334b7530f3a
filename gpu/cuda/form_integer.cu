/* The integer forms: what common/form/integer.c decodes. */
#include "gpu/cuda/form_dot.h"
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
    static __device__ float scale(const uint8_t *block)
    {
        return ps_form_half(block);
    }
};

/* 128 is added to codes in files. */
struct bytes_8 : symmetric<8> {
    static __device__ int four(const uint8_t *block, unsigned i)
    {
        unsigned codes = ps_form_two(block + 2 + i) | ps_form_two(block + 4 + i) << 16;
        return (int)(codes ^ 0x80808080u);
    }
};

struct bytes_4 : symmetric<4> {
    static __device__ int four(const uint8_t *block, unsigned i)
    {
        unsigned codes = ps_form_two(block + 2 + i / 2);
        return ps_form_less_8((codes & 0xFu) | (codes & 0xF0u) << 4 | (codes & 0xF00u) << 8 |
                              (codes & 0xF000u) << 12);
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

const ps_cuda_form ps_cuda_forms_integer[] = {ps_cuda_form_dot_row<bytes_8>("int8"),
                                              ps_cuda_form_dot_row<bytes_4>("int4"),
                                              ps_cuda_form_row<symmetric<3>>("int3"),
                                              ps_cuda_form_row<symmetric<2>>("int2"),
                                              ps_cuda_form_row<affine<8>>("uint8"),
                                              ps_cuda_form_row<affine<4>>("uint4"),
                                              ps_cuda_form_row<affine<3>>("uint3"),
                                              ps_cuda_form_row<affine<2>>("uint2"),
                                              {}};
