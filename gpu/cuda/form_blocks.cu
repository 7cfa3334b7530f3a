/* Blocks of 32, ggml's, and fp8: what common/form/nibbles.c, tables.c and fp8.c decode. */
#include "gpu/cuda/form_dot.h"
#include "gpu/cuda/forms.h"

#include <math.h>
#include <string.h>

namespace
{
__device__ unsigned nibble(const uint8_t *qs, unsigned i)
{
    return (unsigned)qs[i % 16] >> i / 16 * 4 & 15u;
}

/* q4_0, q4_1, q5_0, q5_1 */
template <int Bits, bool Under> struct nibbles {
    enum { HEAD = Under ? 4 : 2, HIGH = Bits == 5 ? 4 : 0 };
    static __device__ unsigned bytes(unsigned)
    {
        return HEAD + HIGH + 16;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        unsigned q = nibble(block + HEAD + HIGH, i);
        if (HIGH != 0)
            q |= (block[HEAD + i / 8] >> i % 8 & 1u) << 4;
        float d = ps_form_half(block);
        return Under ? d * (float)q + ps_form_half(block + 2)
                     : d * (float)((int)q - (1 << (Bits - 1)));
    }
};

struct q4_0 : nibbles<4, false> {
    static __device__ int four(const uint8_t *block, unsigned i)
    {
        const uint8_t *at = block + HEAD + i % 16;
        unsigned codes = ps_form_two(at) | ps_form_two(at + 2) << 16;
        return ps_form_less_8(codes >> i / 16 * 4 & 0x0F0F0F0Fu);
    }
    static __device__ float scale(const uint8_t *block)
    {
        return ps_form_half(block);
    }
};

struct iq4_nl {
    static __device__ unsigned bytes(unsigned)
    {
        return 18;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        /* common/form/tables.c's, a byte each: an array would lie in the thread's own memory */
        constexpr uint64_t low = 0xF6EADDCFBFAD9881u, high = 0x7159453526190D01u;
        unsigned q = nibble(block + 2, i);
        return ps_form_half(block) * (float)(int8_t)((q < 8 ? low : high) >> q % 8 * 8 & 0xFF);
    }
};

struct mxfp4 {
    static __device__ unsigned bytes(unsigned)
    {
        return 17;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        constexpr uint64_t table = 0x0C08060403020100u; /* likewise */
        unsigned q = nibble(block + 1, i);
        float v = ldexpf((float)(table >> q % 8 * 8 & 0xFF), (int)block[0] - 128);
        return q & 8 ? -v : v;
    }
};

struct fp8 {
    static __device__ unsigned bytes(unsigned group)
    {
        return 4 + group;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        unsigned code = block[4 + i], exponent = code >> 3 & 15, mantissa = code & 7;
        float scale, v = exponent ? ldexpf((float)(8 + mantissa), (int)exponent - 10)
                                  : ldexpf((float)mantissa, -9);
        memcpy(&scale, block, sizeof scale);
        v = (code & 0x7f) == 0x7f ? NAN : v;
        return scale * (code & 0x80 ? -v : v);
    }
};
} // namespace

const ps_cuda_form ps_cuda_forms_blocks[] = {ps_cuda_form_dot_row<q4_0>("q4_0"),
                                             ps_cuda_form_row<nibbles<4, true>>("q4_1"),
                                             ps_cuda_form_row<nibbles<5, false>>("q5_0"),
                                             ps_cuda_form_row<nibbles<5, true>>("q5_1"),
                                             ps_cuda_form_row<iq4_nl>("iq4_nl"),
                                             ps_cuda_form_row<mxfp4>("mxfp4"),
                                             ps_cuda_form_row<fp8>("fp8"),
                                             {}};
