/* device_warp: barriers, shuffles and votes, as the CUDA C++ guide has them. Each notes the line it
 * was called from, so that a barrier that not all reach can be named. */
#ifndef PS_TEST_CUDA_DEVICE_WARP_H
#define PS_TEST_CUDA_DEVICE_WARP_H

#include <stdint.h>
#include <string.h>

/* Where a barrier stands in the source. */
#define PS_SHIM_WHERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

typedef enum ps_shim_count { PS_SHIM_COUNT, PS_SHIM_AND, PS_SHIM_OR } ps_shim_count;
int ps_shim_block_barrier(bool predicate, ps_shim_count kind, const char *file, int line);

/* All lanes of mask give value and take the value of lane source. */
uint64_t ps_shim_warp_exchange(unsigned mask, uint64_t value, unsigned source, const char *file,
                               int line);
/* The lanes of mask whose predicate holds. */
unsigned ps_shim_warp_vote(unsigned mask, bool predicate, const char *file, int line);
unsigned ps_shim_lane(void);

static inline void __syncthreads(PS_SHIM_WHERE)
{
    (void)ps_shim_block_barrier(true, PS_SHIM_COUNT, file, line);
}

static inline int __syncthreads_count(int predicate, PS_SHIM_WHERE)
{
    return ps_shim_block_barrier(predicate != 0, PS_SHIM_COUNT, file, line);
}

static inline int __syncthreads_and(int predicate, PS_SHIM_WHERE)
{
    return ps_shim_block_barrier(predicate != 0, PS_SHIM_AND, file, line);
}

static inline int __syncthreads_or(int predicate, PS_SHIM_WHERE)
{
    return ps_shim_block_barrier(predicate != 0, PS_SHIM_OR, file, line);
}

static inline void __syncwarp(unsigned mask = 0xffffffffu, PS_SHIM_WHERE)
{
    (void)ps_shim_warp_vote(mask, true, file, line);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate, PS_SHIM_WHERE)
{
    return ps_shim_warp_vote(mask, predicate != 0, file, line);
}

static inline int __any_sync(unsigned mask, int predicate, PS_SHIM_WHERE)
{
    return ps_shim_warp_vote(mask, predicate != 0, file, line) != 0;
}

static inline int __all_sync(unsigned mask, int predicate, PS_SHIM_WHERE)
{
    return ps_shim_warp_vote(mask, predicate == 0, file, line) == 0;
}

template <typename T>
static inline T ps_shim_exchange(unsigned mask, T value, unsigned source, const char *file,
                                 int line)
{
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle takes at most eight bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = ps_shim_warp_exchange(mask, bits, source, file, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Sources: within the lane's own segment of width lanes; past its border a lane keeps its own. */
template <typename T>
static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, PS_SHIM_WHERE)
{
    unsigned start = ps_shim_lane() & ~(unsigned)(width - 1);
    return ps_shim_exchange(mask, value, start + ((unsigned)source & (unsigned)(width - 1)), file,
                            line);
}

template <typename T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                               PS_SHIM_WHERE)
{
    unsigned lane = ps_shim_lane(), within = lane & (unsigned)(width - 1);
    return ps_shim_exchange(mask, value, within >= delta ? lane - delta : lane, file, line);
}

template <typename T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                 PS_SHIM_WHERE)
{
    unsigned lane = ps_shim_lane(), within = lane & (unsigned)(width - 1);
    return ps_shim_exchange(mask, value, within + delta < (unsigned)width ? lane + delta : lane,
                            file, line);
}

template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, PS_SHIM_WHERE)
{
    unsigned lane = ps_shim_lane(), source = lane ^ (unsigned)bits;
    unsigned end = (lane & ~(unsigned)(width - 1)) + (unsigned)width;
    return ps_shim_exchange(mask, value, source < end ? source : lane, file, line);
}

#endif
