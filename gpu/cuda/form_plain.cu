/* Forms without codes, and q8_0: what common/form/plain.c and q8_0.c decode. */
#include "gpu/cuda/form.h"
#include "gpu/cuda/forms.h"

namespace
{
struct float32 {
    static __device__ unsigned bytes(unsigned group)
    {
        return 4 * group;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return reinterpret_cast<const float *>(block)[i];
    }
};

struct bfloat16 {
    static __device__ unsigned bytes(unsigned group)
    {
        return 2 * group;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return __bfloat162float(reinterpret_cast<const __nv_bfloat16 *>(block)[i]);
    }
};

struct float16 {
    static __device__ unsigned bytes(unsigned group)
    {
        return 2 * group;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return ps_form_half(block + 2 * i);
    }
};

struct q8_0 {
    static __device__ unsigned bytes(unsigned)
    {
        return 34;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return ps_form_half(block) * (float)(int8_t)block[2 + i];
    }
};
} // namespace

const ps_cuda_form ps_cuda_forms_plain[] = {ps_cuda_form_row<float32>("float32"),
                                            ps_cuda_form_row<bfloat16>("bfloat16"),
                                            ps_cuda_form_row<float16>("float16"),
                                            ps_cuda_form_row<q8_0>("q8_0"),
                                            {}};
