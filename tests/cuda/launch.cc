/* A launch: refused at once when no device could take it, else enqueued; later block by block. */
#include "tests/cuda/block.h"
#include "tests/cuda/checker.h"
#include "tests/cuda/fault.h"
#include "tests/cuda/memory.h"
#include "tests/cuda/order.h"
#include "tests/cuda/report.h"
#include "tests/cuda/runtime.h"
#include "tests/cuda/shared.h"
#include "tests/cuda/shim.h"
#include "tests/cuda/stream.h"

#include <map>
#include <stdlib.h>

#define SHARED_DEFAULT (48u << 10) /* without cudaFuncSetAttribute */
#define SHARED_MOST    (99u << 10) /* as compute capability 8.6 */

static std::map<const void *, size_t> shared_limits;
static uint32_t launches;
static bool idle;

void ps_shim_idle(bool is_idle)
{
    PS_RUNTIME_LOCK;
    idle = is_idle;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code == cudaSuccess && attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || (size_t)value > SHARED_MOST)
            code = cudaErrorInvalidValue;
        else
            shared_limits[kernel] = (size_t)value;
    }
    return ps_runtime_end(code);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *out, const void *kernel)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code == cudaSuccess) {
        auto found = shared_limits.find(kernel);
        *out = {};
        out->maxThreadsPerBlock = (int)PS_BLOCK_MAX;
        out->maxDynamicSharedSizeBytes =
            found != shared_limits.end() ? (int)found->second : (int)SHARED_DEFAULT;
    }
    return ps_runtime_end(code);
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *kernel,
                                                          int threads, size_t shared)
{
    PS_RUNTIME_LOCK;
    (void)kernel;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code == cudaSuccess && (threads < 1 || threads > (int)PS_BLOCK_MAX))
        code = cudaErrorInvalidValue;
    if (code == cudaSuccess) {
        *blocks = 1536 / threads;
        if (shared > 0 && (size_t)*blocks > SHARED_MOST / shared)
            *blocks = (int)(SHARED_MOST / shared);
    }
    return ps_runtime_end(code);
}

static cudaError_t check(const ps_shim_launch *l)
{
    dim3 g = l->grid, b = l->block;
    if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535 ||
        b.x == 0 || b.y == 0 || b.z == 0 || b.x > PS_BLOCK_MAX || b.y > PS_BLOCK_MAX || b.z > 64 ||
        b.x * b.y * b.z > PS_BLOCK_MAX)
        return cudaErrorInvalidConfiguration;
    auto found = shared_limits.find(l->kernel);
    if (l->shared > (found != shared_limits.end() ? found->second : SHARED_DEFAULT))
        return cudaErrorInvalidValue;
    return cudaSuccess;
}

/* As when a GPU falls off its bus: PS_SHIM_LOSE_AT, a number of a kernel from 1. */
static bool device_is_lost(uint32_t number)
{
    static const char *const at = getenv("PS_SHIM_LOSE_AT");
    if (at && number == strtoul(at, nullptr, 10))
        ps_sticky_error = cudaErrorLaunchFailure;
    return ps_sticky_error != cudaSuccess;
}

static void run_grid(const ps_shim_launch *l)
{
    if (device_is_lost(launches + 1))
        return;
    uint32_t number = ++launches, blocks = idle ? 0 : l->grid.x * l->grid.y * l->grid.z;
    ps_checker_launch();
    ps_fault_stack_begin();
    ps_shared_grid_begin();
    for (uint32_t i = 0; i < blocks; i++)
        if (!ps_block_run(l, number, ps_order_block(i, blocks, number))) {
            if (ps_sticky_error == cudaSuccess)
                ps_sticky_error = cudaErrorLaunchFailure;
            break;
        }
    ps_shared_grid_end();
    ps_fault_stack_end();
}

cudaError_t ps_shim_launch_enqueue(const ps_shim_launch *launch, cudaStream_t stream)
{
    PS_RUNTIME_LOCK;
    ps_shim_launch l = *launch;
    std::shared_ptr<void> owned(l.arguments, l.destroy);
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    CUstream_st *s = ps_stream_find(stream);
    if (code == cudaSuccess)
        code = s ? check(&l) : cudaErrorInvalidResourceHandle;
    if (code == cudaSuccess)
        ps_stream_enqueue(s, [l, owned] { run_grid(&l); });
    return ps_runtime_end(code);
}
