/* Products against float64, column by column, and what cuBLAS or the device refuses. */
#include "tests/cuda/rig.h"
#include "tests/lib/check_main.h"

#include <cublas_v2.h>
#include <math.h>
#include <string.h>

enum { M = 5, COLUMNS = 4, K = 3, LD_A = 6, LD_B = 7, LD_C = 8, BATCH = 2, ROOM = 8 * 8 };

static cublasHandle_t handle;
static float a[BATCH * ROOM], b[BATCH * ROOM], c[BATCH * ROOM], got[BATCH * ROOM];
static float *da, *db, *dc;

static void begin(void)
{
    for (int i = 0; i < BATCH * ROOM; i++) {
        a[i] = (float)(i % 13) - 6;
        b[i] = (float)(i % 7) / 4 - 1;
        c[i] = (float)(i % 5);
    }
    da = rig_device(a, sizeof a);
    db = rig_device(b, sizeof b);
    dc = rig_device(c, sizeof c);
    ck_assert_int_eq(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
    ps_shim_keep_findings();
}

static double expected(int i, int j, int at, bool ta, bool tb, double alpha, double beta)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += (double)a[at + (ta ? i * LD_A + k : k * LD_A + i)] *
               b[at + (tb ? k * LD_B + j : j * LD_B + k)];
    return alpha * sum + (beta != 0 ? beta * c[at + j * LD_C + i] : 0);
}

static void check_product(bool ta, bool tb, double alpha, double beta, int batch)
{
    rig_to_host(got, dc, sizeof got);
    for (int n = 0; n < batch; n++)
        for (int j = 0; j < LD_C; j++)
            for (int i = 0; i < LD_C; i++) {
                int at = n * ROOM + j * LD_C + i;
                double want = i < M && j < COLUMNS
                                  ? expected(i, j, n * ROOM, ta, tb, alpha, beta)
                                  : c[at]; /* between the columns nothing changes */
                ck_assert_double_eq_tol(got[at], want, 1e-4);
            }
    ck_assert_str_eq(ps_shim_finding(), "");
}

START_TEST(products_of_all_transposes)
{
    begin();
    bool ta = _i & 1, tb = _i & 2;
    float alpha = 2, beta = _i & 4 ? 0.5f : 0;
    ck_assert_int_eq(cublasSgemm(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N,
                                 tb ? CUBLAS_OP_T : CUBLAS_OP_N, M, COLUMNS, K, &alpha, da, LD_A,
                                 db, LD_B, &beta, dc, LD_C),
                     CUBLAS_STATUS_SUCCESS);
    alpha = beta = 99; /* taken at the call */
    check_product(ta, tb, 2, _i & 4 ? 0.5 : 0, 1);
}
END_TEST

START_TEST(a_batch)
{
    begin();
    float alpha = 1, beta = 1;
    ck_assert_int_eq(cublasSgemmStridedBatched(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, COLUMNS, K,
                                               &alpha, da, LD_A, ROOM, db, LD_B, ROOM, &beta, dc,
                                               LD_C, ROOM, BATCH),
                     CUBLAS_STATUS_SUCCESS);
    check_product(false, false, 1, 1, BATCH);
}
END_TEST

/* The upper half of a float's bits: the values here have no more than that. */
static void as_bf16(unsigned short *out, const float *x)
{
    for (int i = 0; i < BATCH * ROOM; i++) {
        unsigned bits;
        memcpy(&bits, &x[i], sizeof bits);
        out[i] = (unsigned short)(bits >> 16);
    }
}

START_TEST(bf16_in_and_float_out)
{
    begin();
    static unsigned short ha[BATCH * ROOM], hb[BATCH * ROOM];
    as_bf16(ha, a);
    as_bf16(hb, b);
    void *bf_a = rig_device(ha, sizeof ha), *bf_b = rig_device(hb, sizeof hb);
    float alpha = 1, beta = 0;
    ck_assert_int_eq(cublasGemmEx(handle, CUBLAS_OP_T, CUBLAS_OP_N, M, COLUMNS, K, &alpha, bf_a,
                                  CUDA_R_16BF, LD_A, bf_b, CUDA_R_16BF, LD_B, &beta, dc, CUDA_R_32F,
                                  LD_C, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                     CUBLAS_STATUS_SUCCESS);
    check_product(true, false, 1, 0, 1);
    ck_assert_int_eq(cublasGemmEx(handle, CUBLAS_OP_T, CUBLAS_OP_N, M, COLUMNS, K, &alpha, bf_a,
                                  CUDA_R_16BF, LD_A, db, CUDA_R_32F, LD_B, &beta, dc, CUDA_R_32F,
                                  LD_C, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                     CUBLAS_STATUS_NOT_SUPPORTED);
}
END_TEST

START_TEST(garbage_in_c_is_not_read_when_beta_is_0)
{
    begin();
    float alpha = 1, beta = 0;
    dc = rig_device(NULL, sizeof c);
    ck_assert_int_eq(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, COLUMNS, K, &alpha, da, LD_A,
                                 db, LD_B, &beta, dc, LD_C),
                     CUBLAS_STATUS_SUCCESS);
    rig_to_host(got, dc, sizeof got);
    ck_assert_double_eq_tol(got[1], expected(1, 0, 0, false, false, 1, 0), 1e-4);
    ck_assert(isnan(got[M]));
}
END_TEST

START_TEST(a_leading_dimension_that_is_the_other_ones)
{
    begin();
    float alpha = 1, beta = 0;
    ck_assert_int_eq(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, COLUMNS, K, &alpha, da, K, db,
                                 LD_B, &beta, dc, LD_C),
                     CUBLAS_STATUS_INVALID_VALUE);
    rig_found("cublasSgemm: A is stored with 5 rows, its ld is 3: at least as many");
}
END_TEST

START_TEST(a_matrix_that_goes_past_its_memory)
{
    begin();
    float alpha = 1, beta = 0;
    float *exact = rig_device(NULL, ((COLUMNS - 1) * LD_C + M) * sizeof *exact);
    cublasStatus_t st = cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, COLUMNS, K, &alpha, da,
                                    LD_A, db, LD_B, &beta, exact, LD_C);
    ck_assert_int_eq(st, CUBLAS_STATUS_SUCCESS);
    ck_assert_str_eq(ps_shim_finding(), "");
    st = cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, COLUMNS, K, &alpha, da, LD_A, db, LD_B,
                     &beta, exact, LD_C + 1);
    ck_assert_int_eq(st, CUBLAS_STATUS_EXECUTION_FAILED);
    rig_found("cublasSgemm: C: 128 bytes from ");
    rig_found("of 116 bytes, 0 past its end");
}
END_TEST

START_TEST(a_product_waits_for_its_stream)
{
    begin();
    cudaStream_t s = NULL;
    void *host = NULL;
    float alpha = 1, beta = 0;
    ck_assert_int_eq(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), cudaSuccess);
    ck_assert_int_eq(cublasSetStream(handle, s), CUBLAS_STATUS_SUCCESS);
    ck_assert_int_eq(cudaMallocHost(&host, sizeof c), cudaSuccess);
    ck_assert_int_eq(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, COLUMNS, K, &alpha, da, LD_A,
                                 db, LD_B, &beta, dc, LD_C),
                     CUBLAS_STATUS_SUCCESS);
    rig_to_host(got, dc, sizeof got); /* the default stream's */
    ck_assert_mem_eq(got, c, sizeof c);
    ck_assert_int_eq(cudaStreamSynchronize(s), cudaSuccess);
    check_product(false, false, 1, 0, 1);
}
END_TEST

START_TEST(handles_are_counted_and_can_fail)
{
    begin();
    int before = ps_shim_live();
    cublasHandle_t other = NULL;
    ps_shim_fail_call(1);
    ck_assert_int_eq(cublasCreate(&other), CUBLAS_STATUS_ALLOC_FAILED);
    ck_assert(ps_shim_call_failed());
    ps_shim_fail_call(0);
    ck_assert_int_eq(cublasCreate(&other), CUBLAS_STATUS_SUCCESS);
    ck_assert_int_eq(ps_shim_live(), before + 1);
    ck_assert_int_eq(cublasDestroy(other), CUBLAS_STATUS_SUCCESS);
    ck_assert_int_eq(ps_shim_live(), before);
    ck_assert_int_eq(cublasSetStream(NULL, NULL), CUBLAS_STATUS_NOT_INITIALIZED);
    ck_assert_str_eq(cublasGetStatusName(CUBLAS_STATUS_ALLOC_FAILED), "CUBLAS_STATUS_ALLOC_FAILED");
}
END_TEST

static const ps_check_case cases[] = {
    {&products_of_all_transposes, .repeat = 8},
    {&a_batch},
    {&bf16_in_and_float_out},
    {&garbage_in_c_is_not_read_when_beta_is_0},
    {&a_leading_dimension_that_is_the_other_ones},
    {&a_matrix_that_goes_past_its_memory},
    {&a_product_waits_for_its_stream},
    {&handles_are_counted_and_can_fail},
    {NULL},
};

int main(void)
{
    return ps_check_main("cuda/cublas", cases);
}
