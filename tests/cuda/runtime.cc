/* Errors and their words, faults on demand, and the count of what lives. */
#include "tests/cuda/runtime.h"

#include "tests/cuda/fault.h"
#include "tests/cuda/memory.h"
#include "tests/cuda/report.h"
#include "tests/cuda/shim.h"
#include "tests/cuda/stream.h"

std::recursive_mutex ps_runtime_mutex;
static thread_local cudaError_t last_error;
static unsigned until_failure;
static bool failed;
static bool forbid;
static int objects;

void ps_shim_fail_call(unsigned k)
{
    PS_RUNTIME_LOCK;
    until_failure = k;
    failed = false;
}

bool ps_shim_call_failed(void)
{
    PS_RUNTIME_LOCK;
    return failed;
}

bool ps_inject(void)
{
    if (until_failure == 0 || --until_failure > 0)
        return false;
    failed = true;
    return true;
}

void ps_runtime_forbid(bool forbidden)
{
    forbid = forbidden;
}

void ps_runtime_count(int change)
{
    objects += change;
}

int ps_shim_live(void)
{
    PS_RUNTIME_LOCK;
    return objects + ps_memory_live();
}

void ps_shim_reset(void)
{
    PS_RUNTIME_LOCK;
    ps_report_reset();
    ps_stream_forget();
    until_failure = 0;
    failed = false;
    last_error = cudaSuccess;
}

cudaError_t ps_runtime_begin(cudaError_t injected)
{
    ps_fault_watch();
    if (ps_sticky_error != cudaSuccess)
        return ps_sticky_error;
    if (forbid)
        return cudaErrorNotPermitted;
    return ps_inject() ? injected : cudaSuccess;
}

cudaError_t ps_runtime_end(cudaError_t code)
{
    if (code != cudaSuccess && code != cudaErrorNotReady)
        last_error = code;
    return code;
}

cudaError_t cudaGetLastError(void)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_sticky_error != cudaSuccess ? ps_sticky_error : last_error;
    last_error = cudaSuccess;
    return code;
}

cudaError_t cudaPeekAtLastError(void)
{
    PS_RUNTIME_LOCK;
    return ps_sticky_error != cudaSuccess ? ps_sticky_error : last_error;
}

#define ERRORS(row)                                                                                \
    row(cudaSuccess, "no error") row(cudaErrorInvalidValue, "invalid argument")                    \
        row(cudaErrorMemoryAllocation, "out of memory")                                            \
            row(cudaErrorInvalidConfiguration, "invalid configuration argument")                   \
                row(cudaErrorInvalidDevice, "invalid device ordinal")                              \
                    row(cudaErrorNoDevice, "no CUDA-capable device is detected")                   \
                        row(cudaErrorInvalidResourceHandle, "invalid resource handle")             \
                            row(cudaErrorNotReady, "device not ready")                             \
                                row(cudaErrorIllegalAddress,                                       \
                                    "an illegal memory access was encountered")                    \
                                    row(cudaErrorLaunchFailure, "unspecified launch failure")      \
                                        row(cudaErrorNotPermitted, "operation not permitted")      \
                                            row(cudaErrorHostMemoryAlreadyRegistered,              \
                                                "part or all of the memory is already registered") \
                                                row(cudaErrorHostMemoryNotRegistered,              \
                                                    "the memory is not registered")                \
                                                    row(cudaErrorUnknown, "unknown error")

const char *cudaGetErrorName(cudaError_t code)
{
    switch (code) {
#define NAME(error, text) \
    case error:           \
        return #error;
        ERRORS(NAME)
    default:
        return "unrecognized error code";
    }
}

const char *cudaGetErrorString(cudaError_t code)
{
    switch (code) {
#define TEXT(error, text) \
    case error:           \
        return text;
        ERRORS(TEXT)
    default:
        return "unrecognized error code";
    }
}
