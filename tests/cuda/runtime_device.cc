/* Which devices there are, and what they say of themselves: compute capability 8.6. */
#include "tests/cuda/memory.h"
#include "tests/cuda/runtime.h"
#include "tests/cuda/shim.h"

#include <stdio.h>
#include <stdlib.h>

static int devices = 1;
static thread_local int device;

__attribute__((constructor)) static void from_environment(void)
{
    const char *n = getenv("PS_SHIM_DEVICES");
    if (n)
        devices = atoi(n);
}

void ps_shim_set_devices(int n)
{
    devices = n;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorUnknown);
    if (code == cudaSuccess) {
        *count = devices;
        code = devices > 0 ? cudaSuccess : cudaErrorNoDevice;
    }
    return ps_runtime_end(code);
}

cudaError_t cudaSetDevice(int number)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorUnknown);
    if (code == cudaSuccess && (number < 0 || number >= devices))
        code = devices > 0 ? cudaErrorInvalidDevice : cudaErrorNoDevice;
    if (code == cudaSuccess)
        device = number;
    return ps_runtime_end(code);
}

cudaError_t cudaGetDevice(int *number)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorUnknown);
    if (code == cudaSuccess)
        *number = device;
    return ps_runtime_end(code);
}

cudaError_t cudaSetDeviceFlags(unsigned flags)
{
    PS_RUNTIME_LOCK;
    (void)flags;
    return ps_runtime_end(ps_runtime_begin(cudaErrorUnknown));
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int number)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorUnknown);
    if (code == cudaSuccess && (number < 0 || number >= devices))
        code = cudaErrorInvalidDevice;
    if (code != cudaSuccess)
        return ps_runtime_end(code);
    size_t left = 0;
    *p = {};
    (void)snprintf(p->name, sizeof p->name, "psd test device %d", number);
    ps_memory_use(&left, &p->totalGlobalMem);
    p->sharedMemPerBlock = 48u << 10;
    p->sharedMemPerBlockOptin = 99u << 10;
    p->sharedMemPerMultiprocessor = 100u << 10;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->warpSize = 32;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 1536;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 0x7fffffff;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->major = 8;
    p->minor = 6;
    p->multiProcessorCount = 4;
    p->concurrentKernels = p->unifiedAddressing = p->canMapHostMemory = 1;
    p->asyncEngineCount = 2;
    p->l2CacheSize = 4 << 20;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int number)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorUnknown);
    if (code == cudaSuccess && (number < 0 || number >= devices))
        code = cudaErrorInvalidDevice;
    if (code != cudaSuccess)
        return ps_runtime_end(code);
    static const int values[][2] = {
        {cudaDevAttrMaxThreadsPerBlock, 1024},
        {cudaDevAttrWarpSize, 32},
        {cudaDevAttrMultiProcessorCount, 4},
        {cudaDevAttrMaxThreadsPerMultiProcessor, 1536},
        {cudaDevAttrMaxSharedMemoryPerBlock, 48 << 10},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, 99 << 10},
        {cudaDevAttrComputeCapabilityMajor, 8},
        {cudaDevAttrComputeCapabilityMinor, 6},
    };
    for (const auto &row : values)
        if (row[0] == (int)attribute) {
            *value = row[1];
            return cudaSuccess;
        }
    return ps_runtime_end(cudaErrorInvalidValue);
}

/* Nothing of the device is left, as after the context is gone; objects of before are not counted.
 */
cudaError_t cudaDeviceReset(void)
{
    return cudaDeviceSynchronize();
}
