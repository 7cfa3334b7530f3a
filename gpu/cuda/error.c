/* What CUDA and cuBLAS answer, as a status with one clear line. */
#include "gpu/cuda/run.h"

#include <stdarg.h>
#include <stdio.h>

static const ps_plugin_host *host;

void ps_cuda_error_open(const ps_plugin_host *h)
{
    host = h;
}

ps_status ps_cuda_fail(ps_status code, const char *format, ...)
{
    char text[PS_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return host->fail(code, "cuda: %s", text);
}

static ps_status kind(cudaError_t code)
{
    switch (code) {
    case cudaErrorMemoryAllocation:
        return PS_NO_MEMORY;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorCallRequiresNewerDriver:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorSystemNotReady:
    case cudaErrorInitializationError:
    case cudaErrorDevicesUnavailable:
        return PS_UNAVAILABLE;
    default:
        return PS_INTERNAL;
    }
}

ps_status ps_cuda_status(cudaError_t code, const char *what)
{
    if (code == cudaSuccess)
        return PS_OK;
    (void)cudaGetLastError();
    return ps_cuda_fail(kind(code), "%s: %s: %s", what, cudaGetErrorName(code),
                        cudaGetErrorString(code));
}

ps_status ps_cuda_blas_status(cublasStatus_t code, const char *what)
{
    if (code == CUBLAS_STATUS_SUCCESS)
        return PS_OK;
    (void)cudaGetLastError();
    return ps_cuda_fail(code == CUBLAS_STATUS_ALLOC_FAILED ? PS_NO_MEMORY : PS_INTERNAL,
                        "%s: %s: %s", what, cublasGetStatusName(code), cublasGetStatusString(code));
}

void ps_cuda_stream_fail(ps_stream *s, ps_status code)
{
    if (code)
        host->stream_fail(s, code);
}
