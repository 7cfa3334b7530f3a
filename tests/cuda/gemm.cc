/* Each matrix is made float, multiplied by OpenBLAS and made its own type again. beta 0 does not
 * read C, which may hold NaN. */
#include "tests/cuda/gemm.h"

#include "tests/cuda/checker.h"
#include "tests/cuda/memory.h"
#include "tests/cuda/report.h"

#include <cblas.h>
#include <stdio.h>

static size_t size_of(cudaDataType type)
{
    return type == CUDA_R_32F ? 4 : 2;
}

static cublasStatus_t check_matrix(const ps_gemm_call *g, const char *name, const ps_matrix *x,
                                   int rows, int columns)
{
    char what[80];
    (void)snprintf(what, sizeof what, "%s: %s", g->name, name);
    if (x->type != CUDA_R_32F && x->type != CUDA_R_16F && x->type != CUDA_R_16BF)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (x->ld < (rows > 1 ? rows : 1)) {
        ps_report(NULL, "%s is stored with %d rows, its ld is %d: at least as many", what, rows,
                  x->ld);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (rows == 0 || columns == 0 || g->batch == 0)
        return CUBLAS_STATUS_SUCCESS;
    size_t last = (size_t)(g->batch - 1) * (size_t)x->stride +
                  (size_t)(columns - 1) * (size_t)x->ld + (size_t)rows;
    if (!ps_memory_check(x->start, last * size_of(x->type), what))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    return CUBLAS_STATUS_SUCCESS;
}

static bool known(cublasOperation_t o)
{
    return o == CUBLAS_OP_N || o == CUBLAS_OP_T || o == CUBLAS_OP_C;
}

cublasStatus_t ps_gemm_check(const ps_gemm_call *g)
{
    if (g->m < 0 || g->n < 0 || g->k < 0 || g->batch < 0 || !known(g->transpose_a) ||
        !known(g->transpose_b))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (g->a.type != g->b.type || (g->c.type != g->a.type && g->c.type != CUDA_R_32F))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    bool a_as_is = g->transpose_a == CUBLAS_OP_N, b_as_is = g->transpose_b == CUBLAS_OP_N;
    cublasStatus_t st = check_matrix(g, "A", &g->a, a_as_is ? g->m : g->k, a_as_is ? g->k : g->m);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = check_matrix(g, "B", &g->b, b_as_is ? g->k : g->n, b_as_is ? g->n : g->k);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = check_matrix(g, "C", &g->c, g->m, g->n);
    return st;
}

static float load(const char *at, cudaDataType type)
{
    if (type == CUDA_R_16F)
        return __half2float(*(const __half *)at);
    return type == CUDA_R_16BF ? __bfloat162float(*(const __nv_bfloat16 *)at) : *(const float *)at;
}

static void store(char *at, cudaDataType type, float value)
{
    if (type == CUDA_R_16F)
        *(__half *)at = __float2half(value);
    else if (type == CUDA_R_16BF)
        *(__nv_bfloat16 *)at = __float2bfloat16(value);
    else
        *(float *)at = value;
}

/* The elements themselves, or a copy as floats without gaps; *ld is theirs. */
static float *as_floats(const ps_matrix *x, const char *start, int rows, int columns,
                        std::vector<float> *copy, int *ld)
{
    *ld = x->ld;
    if (x->type == CUDA_R_32F)
        return (float *)start;
    *ld = rows > 1 ? rows : 1;
    copy->resize((size_t)rows * (size_t)columns);
    for (size_t j = 0, o = 0; j < (size_t)columns; j++)
        for (size_t i = 0; i < (size_t)rows; i++)
            (*copy)[o++] = load(start + (j * (size_t)x->ld + i) * 2, x->type);
    return copy->data();
}

static void multiply(const ps_gemm_call *g, const char *a, const char *b, char *c)
{
    std::vector<float> a_copy, b_copy, c_copy;
    int ld_a = 0, ld_b = 0, ld_c = 0;
    bool a_as_is = g->transpose_a == CUBLAS_OP_N, b_as_is = g->transpose_b == CUBLAS_OP_N;
    const float *fa =
        as_floats(&g->a, a, a_as_is ? g->m : g->k, a_as_is ? g->k : g->m, &a_copy, &ld_a);
    const float *fb =
        as_floats(&g->b, b, b_as_is ? g->k : g->n, b_as_is ? g->n : g->k, &b_copy, &ld_b);
    float *fc = as_floats(&g->c, c, g->m, g->n, &c_copy, &ld_c);
    cblas_sgemm(CblasColMajor, a_as_is ? CblasNoTrans : CblasTrans,
                b_as_is ? CblasNoTrans : CblasTrans, g->m, g->n, g->k, g->alpha, fa, ld_a, fb, ld_b,
                g->beta, fc, ld_c);
    size_t size = size_of(g->c.type);
    for (size_t j = 0; j < (size_t)g->n; j++) {
        char *column = c + j * (size_t)g->c.ld * size;
        for (size_t i = 0; g->c.type != CUDA_R_32F && i < (size_t)g->m; i++)
            store(column + i * size, g->c.type, fc[j * (size_t)ld_c + i]);
        ps_checker_written(column, (size_t)g->m * size);
    }
}

void ps_gemm_run(const ps_gemm_call *g)
{
    if (g->m == 0 || g->n == 0 || g->batch == 0)
        return;
    const ps_matrix *all[] = {&g->a, &g->b, &g->c};
    for (const ps_matrix *x : all) {
        ps_allocation *of = ps_memory_find(x->start); /* OpenBLAS's threads may touch it */
        if (of && of->live)
            ps_memory_open(of);
    }
    for (long long i = 0; i < g->batch; i++)
        multiply(g, g->a.start + i * g->a.stride * (long long)size_of(g->a.type),
                 g->b.start + i * g->b.stride * (long long)size_of(g->b.type),
                 g->c.start + i * g->c.stride * (long long)size_of(g->c.type));
}
