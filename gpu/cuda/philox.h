/* philox: the random words of dropout, Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011). */
#ifndef PS_CUDA_PHILOX_H
#define PS_CUDA_PHILOX_H

#include "gpu/cuda/launch.h"

#include <stdint.h>

/* An element is dropped where its word is smaller; the others are scaled. */
static inline uint32_t ps_dropout_limit(float rate)
{
    return (uint32_t)((double)rate * 4294967296.0);
}

static inline float ps_dropout_scale(float rate)
{
    return 1.0f / (1.0f - rate);
}

static __device__ __forceinline__ uint4 ps_philox(uint64_t counter, uint64_t seed)
{
    uint32_t a = (uint32_t)counter, b = (uint32_t)(counter >> 32), c = 0, d = 0;
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t x = (uint64_t)0xD2511F53u * a, y = (uint64_t)0xCD9E8D57u * c;
        a = (uint32_t)(y >> 32) ^ b ^ key0;
        b = (uint32_t)y;
        c = (uint32_t)(x >> 32) ^ d ^ key1;
        d = (uint32_t)x;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return make_uint4(a, b, c, d);
}

#endif
