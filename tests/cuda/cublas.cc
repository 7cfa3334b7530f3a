/* cuBLAS: handles and what the product multiplies with, enqueued on the handle's stream. Only what
 * psd uses is here; another function is another few lines. */
#include "tests/cuda/gemm.h"
#include "tests/cuda/memory.h"
#include "tests/cuda/report.h"
#include "tests/cuda/runtime.h"

struct cublasContext {
    cudaStream_t stream;
    cublasMath_t math;
    cublasPointerMode_t pointers;
};

static cublasStatus_t begin(cublasHandle_t handle, cublasStatus_t injected)
{
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (ps_sticky_error != cudaSuccess)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    return ps_inject() ? injected : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasCreate_v2(cublasHandle_t *out)
{
    PS_RUNTIME_LOCK;
    if (ps_runtime_begin(cudaErrorMemoryAllocation) != cudaSuccess)
        return CUBLAS_STATUS_ALLOC_FAILED;
    *out = new cublasContext();
    ps_runtime_count(1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    PS_RUNTIME_LOCK;
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    ps_stream_finish_all();
    delete handle;
    ps_runtime_count(-1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version)
{
    (void)handle;
    *version = CUBLAS_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    PS_RUNTIME_LOCK;
    cublasStatus_t st = begin(handle, CUBLAS_STATUS_EXECUTION_FAILED);
    if (st == CUBLAS_STATUS_SUCCESS)
        handle->stream = stream;
    return st;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t *stream)
{
    PS_RUNTIME_LOCK;
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *stream = handle->stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    PS_RUNTIME_LOCK;
    cublasStatus_t st = begin(handle, CUBLAS_STATUS_EXECUTION_FAILED);
    if (st == CUBLAS_STATUS_SUCCESS)
        handle->math = mode;
    return st;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t *mode)
{
    PS_RUNTIME_LOCK;
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *mode = handle->math;
    return CUBLAS_STATUS_SUCCESS;
}

/* alpha and beta in device memory are not done here. */
cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode)
{
    PS_RUNTIME_LOCK;
    cublasStatus_t st = begin(handle, CUBLAS_STATUS_EXECUTION_FAILED);
    if (st == CUBLAS_STATUS_SUCCESS && mode != CUBLAS_POINTER_MODE_HOST)
        st = CUBLAS_STATUS_NOT_SUPPORTED;
    return st;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes)
{
    PS_RUNTIME_LOCK;
    cublasStatus_t st = begin(handle, CUBLAS_STATUS_EXECUTION_FAILED);
    if (st == CUBLAS_STATUS_SUCCESS && !ps_memory_check(workspace, bytes, "cublasSetWorkspace"))
        st = CUBLAS_STATUS_INVALID_VALUE;
    return st;
}

static cublasStatus_t enqueue(cublasHandle_t handle, const ps_gemm_call *call, const float *alpha,
                              const float *beta)
{
    PS_RUNTIME_LOCK;
    cublasStatus_t st = begin(handle, CUBLAS_STATUS_EXECUTION_FAILED);
    if (st != CUBLAS_STATUS_SUCCESS)
        return st;
    CUstream_st *s = ps_stream_find(handle->stream);
    if (!alpha || !beta || !s)
        return CUBLAS_STATUS_INVALID_VALUE;
    ps_gemm_call g = *call;
    g.alpha = *alpha;
    g.beta = *beta;
    st = ps_gemm_check(&g);
    if (st == CUBLAS_STATUS_SUCCESS)
        ps_stream_enqueue(s, [g] { ps_gemm_run(&g); });
    return st;
}

static ps_matrix matrix(const void *start, cudaDataType type, int ld, long long stride)
{
    return {(char *)start, type, ld, stride};
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb,
                              int m, int n, int k, const float *alpha, const float *a, int ld_a,
                              const float *b, int ld_b, const float *beta, float *c, int ld_c)
{
    ps_gemm_call g = {"cublasSgemm",
                      ta,
                      tb,
                      m,
                      n,
                      k,
                      1,
                      0,
                      0,
                      matrix(a, CUDA_R_32F, ld_a, 0),
                      matrix(b, CUDA_R_32F, ld_b, 0),
                      matrix(c, CUDA_R_32F, ld_c, 0)};
    return enqueue(handle, &g, alpha, beta);
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t ta,
                                         cublasOperation_t tb, int m, int n, int k,
                                         const float *alpha, const float *a, int ld_a,
                                         long long stride_a, const float *b, int ld_b,
                                         long long stride_b, const float *beta, float *c, int ld_c,
                                         long long stride_c, int batch)
{
    ps_gemm_call g = {"cublasSgemmStridedBatched",
                      ta,
                      tb,
                      m,
                      n,
                      k,
                      batch,
                      0,
                      0,
                      matrix(a, CUDA_R_32F, ld_a, stride_a),
                      matrix(b, CUDA_R_32F, ld_b, stride_b),
                      matrix(c, CUDA_R_32F, ld_c, stride_c)};
    return enqueue(handle, &g, alpha, beta);
}

/* float is what is computed in, and what alpha and beta point at. */
static bool in_float(cublasComputeType_t type)
{
    return type == CUBLAS_COMPUTE_32F || type == CUBLAS_COMPUTE_32F_PEDANTIC ||
           type == CUBLAS_COMPUTE_32F_FAST_TF32 || type == CUBLAS_COMPUTE_32F_FAST_16BF ||
           type == CUBLAS_COMPUTE_32F_FAST_16F;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t ta,
                                          cublasOperation_t tb, int m, int n, int k,
                                          const void *alpha, const void *a, cudaDataType type_a,
                                          int ld_a, long long stride_a, const void *b,
                                          cudaDataType type_b, int ld_b, long long stride_b,
                                          const void *beta, void *c, cudaDataType type_c, int ld_c,
                                          long long stride_c, int batch,
                                          cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
    (void)algorithm;
    ps_gemm_call g = {"cublasGemmStridedBatchedEx",
                      ta,
                      tb,
                      m,
                      n,
                      k,
                      batch,
                      0,
                      0,
                      matrix(a, type_a, ld_a, stride_a),
                      matrix(b, type_b, ld_b, stride_b),
                      matrix(c, type_c, ld_c, stride_c)};
    if (!in_float(compute))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    return enqueue(handle, &g, (const float *)alpha, (const float *)beta);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb,
                            int m, int n, int k, const void *alpha, const void *a,
                            cudaDataType type_a, int ld_a, const void *b, cudaDataType type_b,
                            int ld_b, const void *beta, void *c, cudaDataType type_c, int ld_c,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
    (void)algorithm;
    ps_gemm_call g = {"cublasGemmEx",
                      ta,
                      tb,
                      m,
                      n,
                      k,
                      1,
                      0,
                      0,
                      matrix(a, type_a, ld_a, 0),
                      matrix(b, type_b, ld_b, 0),
                      matrix(c, type_c, ld_c, 0)};
    if (!in_float(compute))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    return enqueue(handle, &g, (const float *)alpha, (const float *)beta);
}

#define STATUSES(row)                                                                       \
    row(CUBLAS_STATUS_SUCCESS, "the operation completed successfully")                      \
        row(CUBLAS_STATUS_NOT_INITIALIZED, "the library was not initialized") row(          \
            CUBLAS_STATUS_ALLOC_FAILED, "the resource allocation failed")                   \
            row(CUBLAS_STATUS_INVALID_VALUE, "an invalid value was given") row(             \
                CUBLAS_STATUS_EXECUTION_FAILED, "the function failed to launch on the GPU") \
                row(CUBLAS_STATUS_NOT_SUPPORTED, "the requested functionality is not supported")

const char *cublasGetStatusName(cublasStatus_t status)
{
    switch (status) {
#define NAME(value, text) \
    case value:           \
        return #value;
        STATUSES(NAME)
    default:
        return "unknown status";
    }
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    switch (status) {
#define TEXT(value, text) \
    case value:           \
        return text;
        STATUSES(TEXT)
    default:
        return "unknown status";
    }
}
