/* Products, by cuBLAS. It sees matrices column by column, so that our row-major C = op(A)·op(B) is
 * its Cᵀ = op(B)ᵀ·op(A)ᵀ: the same memory with A and B, and m and n, changed over. */
#include "gpu/cuda/run.h"

static cudaDataType_t type_of(ps_tensor t)
{
    return t.dtype == PS_DTYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasStatus_t one(cublasHandle_t blas, const ps_gemm *g, cublasOperation_t a,
                          cublasOperation_t b)
{
    return cublasGemmEx(blas, b, a, (int)g->n, (int)g->m, (int)g->k, &g->alpha,
                        ps_tensor_address(g->b), type_of(g->b), (int)g->ld_b,
                        ps_tensor_address(g->a), type_of(g->a), (int)g->ld_a, &g->beta,
                        ps_tensor_address(g->c), type_of(g->c), (int)g->ld_c, CUBLAS_COMPUTE_32F,
                        CUBLAS_GEMM_DEFAULT);
}

static cublasStatus_t several(cublasHandle_t blas, const ps_gemm *g, cublasOperation_t a,
                              cublasOperation_t b)
{
    return cublasGemmStridedBatchedEx(
        blas, b, a, (int)g->n, (int)g->m, (int)g->k, &g->alpha, ps_tensor_address(g->b),
        type_of(g->b), (int)g->ld_b, g->stride_b, ps_tensor_address(g->a), type_of(g->a),
        (int)g->ld_a, g->stride_a, &g->beta, ps_tensor_address(g->c), type_of(g->c), (int)g->ld_c,
        g->stride_c, (int)g->batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

void ps_cuda_gemm(ps_stream *s, const ps_gemm *g)
{
    int64_t widest = g->ld_a > g->ld_b ? g->ld_a : g->ld_b;
    widest = g->ld_c > widest ? g->ld_c : widest;
    if (widest > INT32_MAX || g->batch > INT32_MAX) {
        ps_cuda_stream_fail(
            s, ps_cuda_fail(PS_UNIMPLEMENTED, "product: rows of %lld elements", (long long)widest));
        return;
    }
    if (!ps_cuda_begin(s))
        return;
    cublasHandle_t blas = ((const ps_cuda_stream *)s)->blas;
    cublasOperation_t a = g->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasOperation_t b = g->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    ps_cuda_stream_fail(
        s, ps_cuda_blas_status(g->batch == 1 ? one(blas, g, a, b) : several(blas, g, a, b),
                               "product"));
}
