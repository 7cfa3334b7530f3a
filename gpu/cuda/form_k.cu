/* Blocks of 256, ggml's: what common/form/q2_k.c to q6_k.c decode; where each field lies is said
 * there. */
#include "gpu/cuda/form.h"
#include "gpu/cuda/forms.h"

namespace
{
__device__ unsigned bits(unsigned byte, unsigned from, unsigned mask)
{
    return byte >> from & mask;
}

struct q2_k {
    static __device__ unsigned bytes(unsigned)
    {
        return 84;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        unsigned scale = block[i / 16],
                 q = bits(block[16 + i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3);
        return ps_form_half(block + 80) * (float)(scale & 15) * (float)q -
               ps_form_half(block + 82) * (float)(scale >> 4);
    }
};

struct q3_k {
    static __device__ unsigned bytes(unsigned)
    {
        return 110;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        unsigned q = bits(block[32 + i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3) |
                     bits(block[i % 32], i / 32, 1) << 2;
        const uint8_t *scales = block + 96;
        unsigned p = i / 16;
        unsigned scale = bits(scales[p % 8], p / 8 * 4, 15) | bits(scales[8 + p % 4], p / 4 * 2, 3)
                                                                  << 4;
        return ps_form_half(block + 108) * (float)((int)scale - 32) * (float)((int)q - 4);
    }
};

/* q4_k, q5_k */
template <int Bits> struct parts_of_32 {
    enum { HIGH = Bits == 5 ? 32 : 0 };
    static __device__ unsigned bytes(unsigned)
    {
        return 16 + HIGH + 128;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        const uint8_t *b = block + 4;
        unsigned p = i / 32;
        unsigned scale = p < 4 ? b[p] & 63u : (b[p + 4] & 15u) | (b[p - 4] & 0xc0u) >> 2;
        unsigned least = p < 4 ? b[p + 4] & 63u : b[p + 4] >> 4u | (b[p] & 0xc0u) >> 2;
        unsigned q = bits(block[16 + HIGH + i / 64 * 32 + i % 32], i % 64 / 32 * 4, 15);
        if (HIGH != 0)
            q |= bits(block[16 + i % 32], p, 1) << 4;
        return ps_form_half(block) * (float)scale * (float)q -
               ps_form_half(block + 2) * (float)least;
    }
};

struct q6_k {
    static __device__ unsigned bytes(unsigned)
    {
        return 210;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        unsigned half = i / 128, l = i % 128;
        unsigned q = bits(block[64 * half + l % 64], l / 64 * 4, 15) |
                     bits(block[128 + 32 * half + l % 32], l / 32 * 2, 3) << 4;
        return ps_form_half(block + 208) * (float)(int8_t)block[192 + i / 16] *
               (float)((int)q - 32);
    }
};
} // namespace

const ps_cuda_form ps_cuda_forms_k[] = {
    ps_cuda_form_row<q2_k>("q2_k"),           ps_cuda_form_row<q3_k>("q3_k"),
    ps_cuda_form_row<parts_of_32<4>>("q4_k"), ps_cuda_form_row<parts_of_32<5>>("q5_k"),
    ps_cuda_form_row<q6_k>("q6_k"),           {}};
