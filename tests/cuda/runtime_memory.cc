/* cudaMalloc and its kin. */
#include "tests/cuda/memory.h"
#include "tests/cuda/runtime.h"
#include "tests/cuda/stream.h"

static cudaError_t make(void **out, size_t bytes, bool pinned)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorMemoryAllocation);
    if (code == cudaSuccess && !out)
        code = cudaErrorInvalidValue;
    if (code == cudaSuccess) {
        *out = bytes ? ps_memory_new(bytes, pinned) : NULL;
        code = *out || bytes == 0 ? cudaSuccess : cudaErrorMemoryAllocation;
    }
    return ps_runtime_end(code);
}

/* Both wait for the device first, as hardware does. */
static cudaError_t release(void *start, bool pinned)
{
    PS_RUNTIME_LOCK;
    if (!start)
        return cudaSuccess;
    ps_stream_finish_all();
    return ps_runtime_end(ps_memory_free(start, pinned) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    return make(out, bytes, false);
}

cudaError_t cudaFree(void *start)
{
    return release(start, false);
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
    return make(out, bytes, true);
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
    (void)flags;
    return make(out, bytes, true);
}

cudaError_t cudaFreeHost(void *start)
{
    return release(start, true);
}

cudaError_t cudaHostRegister(void *start, size_t bytes, unsigned flags)
{
    PS_RUNTIME_LOCK;
    (void)flags;
    cudaError_t code = ps_runtime_begin(cudaErrorMemoryAllocation);
    if (code == cudaSuccess && (!start || bytes == 0))
        code = cudaErrorInvalidValue;
    if (code == cudaSuccess && !ps_memory_register(start, bytes))
        code = cudaErrorHostMemoryAlreadyRegistered;
    return ps_runtime_end(code);
}

cudaError_t cudaHostUnregister(void *start)
{
    PS_RUNTIME_LOCK;
    ps_stream_finish_all();
    return ps_runtime_end(ps_memory_unregister(start) ? cudaSuccess
                                                      : cudaErrorHostMemoryNotRegistered);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code == cudaSuccess)
        ps_memory_use(free_bytes, total);
    return ps_runtime_end(code);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *out, const void *address)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code != cudaSuccess)
        return ps_runtime_end(code);
    *out = {};
    bool pinned = ps_memory_is_pinned(address), device = ps_memory_in_arena(address) && !pinned;
    out->type = pinned   ? cudaMemoryTypeHost
                : device ? cudaMemoryTypeDevice
                         : cudaMemoryTypeUnregistered;
    if (pinned || device)
        out->devicePointer = (void *)address;
    if (!device)
        out->hostPointer = (void *)address;
    return cudaSuccess;
}
