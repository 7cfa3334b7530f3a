/* device_atomic: atomics. Blocks and threads take turns, so each is a plain read and write done in
 * the shim's own code, where the checker is told that it is atomic. */
#ifndef PS_TEST_CUDA_DEVICE_ATOMIC_H
#define PS_TEST_CUDA_DEVICE_ATOMIC_H

#include <stddef.h>

/* Before the word is touched. */
void ps_shim_atomic_access(void *address, size_t size, void *pc);

#define PS_SHIM_NO_CHECK __attribute__((no_sanitize("thread"), noinline))

#define PS_SHIM_ATOMIC(name, type, result)                                            \
    PS_SHIM_NO_CHECK static inline type name(type *address, type value)               \
    {                                                                                 \
        ps_shim_atomic_access(address, sizeof *address, __builtin_return_address(0)); \
        type old = *address;                                                          \
        *address = (type)(result);                                                    \
        return old;                                                                   \
    }
#define PS_SHIM_ATOMIC_INTEGERS(name, result) \
    PS_SHIM_ATOMIC(name, int, result)         \
    PS_SHIM_ATOMIC(name, unsigned, result)    \
    PS_SHIM_ATOMIC(name, unsigned long long, result)

PS_SHIM_ATOMIC_INTEGERS(atomicAdd, old + value)
PS_SHIM_ATOMIC(atomicAdd, float, old + value)
PS_SHIM_ATOMIC(atomicAdd, double, old + value)
PS_SHIM_ATOMIC(atomicAdd, __nv_bfloat16,
               __float2bfloat16(__bfloat162float(old) + __bfloat162float(value)))
PS_SHIM_ATOMIC(atomicAdd, __half, __float2half(__half2float(old) + __half2float(value)))
PS_SHIM_ATOMIC(atomicSub, int, old - value)
PS_SHIM_ATOMIC(atomicSub, unsigned, old - value)
PS_SHIM_ATOMIC_INTEGERS(atomicMax, old > value ? old : value)
PS_SHIM_ATOMIC(atomicMax, long long, old > value ? old : value)
PS_SHIM_ATOMIC_INTEGERS(atomicMin, old < value ? old : value)
PS_SHIM_ATOMIC(atomicMin, long long, old < value ? old : value)
PS_SHIM_ATOMIC_INTEGERS(atomicAnd, old &value)
PS_SHIM_ATOMIC_INTEGERS(atomicOr, old | value)
PS_SHIM_ATOMIC_INTEGERS(atomicXor, old ^ value)
PS_SHIM_ATOMIC_INTEGERS(atomicExch, value)
PS_SHIM_ATOMIC(atomicExch, float, value)
/* Counts up to value, then starts at 0 again: the last block of a grid finds itself by it. */
PS_SHIM_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)

#define PS_SHIM_COMPARE_AND_SWAP(type)                                                      \
    PS_SHIM_NO_CHECK static inline type atomicCAS(type *address, type expected, type value) \
    {                                                                                       \
        ps_shim_atomic_access(address, sizeof *address, __builtin_return_address(0));       \
        type old = *address;                                                                \
        if (old == expected)                                                                \
            *address = value;                                                               \
        return old;                                                                         \
    }
PS_SHIM_COMPARE_AND_SWAP(int)
PS_SHIM_COMPARE_AND_SWAP(unsigned)
PS_SHIM_COMPARE_AND_SWAP(unsigned short)
PS_SHIM_COMPARE_AND_SWAP(unsigned long long)

/* Threads take turns, so every write is seen at once; the checker is told. */
void ps_shim_fence(void);

static inline void __threadfence(void)
{
    ps_shim_fence();
}

static inline void __threadfence_block(void)
{
}

#endif
