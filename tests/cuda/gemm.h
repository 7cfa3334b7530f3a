/* gemm: C = alpha · op(A) · op(B) + beta · C as cuBLAS has it: column by column, ld elements from
 * one column to the next. */
#ifndef PS_TEST_CUDA_GEMM_H
#define PS_TEST_CUDA_GEMM_H

#include "tests/cuda/stream.h"

typedef struct ps_matrix {
    char *start;
    cudaDataType type; /* CUDA_R_32F, CUDA_R_16F or CUDA_R_16BF */
    int ld;
    long long stride; /* elements from one of the batch to the next */
} ps_matrix;

typedef struct ps_gemm_call {
    const char *name; /* the function's, for findings */
    cublasOperation_t transpose_a, transpose_b;
    int m, n, k, batch;
    float alpha, beta;
    ps_matrix a, b, c;
} ps_gemm_call;

/* What cuBLAS refuses is refused; what it would read or write out of bounds is a finding. */
cublasStatus_t ps_gemm_check(const ps_gemm_call *g);
void ps_gemm_run(const ps_gemm_call *g);

#endif
