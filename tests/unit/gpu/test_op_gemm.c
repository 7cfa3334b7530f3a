/* Matrix products of every backend against float64: odd sizes, transposes, leading dimensions. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"

#include <math.h>

static ps_test_device device;

typedef struct gemm_case {
    int m, n, k;
    int pad_a, pad_b, pad_c; /* elements behind each row */
    float alpha, beta;
} gemm_case;

static const gemm_case cases[] = {
    {1, 1, 1, 0, 0, 0, 1, 0},
    {1, 17, 5, 0, 0, 0, 1, 0},
    {7, 1, 33, 3, 0, 2, 1, 0},
    {13, 11, 1, 0, 5, 0, 2, 0},
    {31, 29, 37, 1, 2, 3, 1, 1},
    {64, 64, 64, 0, 0, 0, -0.5f, 0},
    {65, 63, 130, 7, 0, 9, 1.5f, -2},
    {5, 200, 3, 0, 1, 0, 1, 0.25f},
    {128, 10, 256, 0, 0, 0, 0, 3.0f},
    {3, 1001, 70, 1, 2, 3, -0.5f, 0},
    /* few rows, in several pieces, the last of them shorter */
    {1, 600, 700, 0, 1, 0, 1, 0},
    {8, 531, 1203, 1, 2, 3, 0.5f, 0},
};
#define CASES (int)(sizeof cases / sizeof *cases)

static void check_gemm(const gemm_case *c, bool ta, bool tb)
{
    int rows_a = ta ? c->k : c->m, ld_a = (ta ? c->m : c->k) + c->pad_a;
    int rows_b = tb ? c->n : c->k, ld_b = (tb ? c->k : c->n) + c->pad_b;
    int ld_c = c->n + c->pad_c;
    ps_tensor a = ps_test_f32(&device, rows_a, ld_a, NULL);
    ps_tensor b = ps_test_f32(&device, rows_b, ld_b, NULL);
    ps_tensor out = ps_test_f32(&device, c->m, ld_c, NULL);
    double *a64 = ps_test_read64(&device, a), *b64 = ps_test_read64(&device, b);
    double *want = ps_test_read64(&device, out);
    ps_ref64_gemm(ta, tb, c->m, c->n, c->k, (double)c->alpha, a64, ld_a, b64, ld_b, (double)c->beta,
                  want, ld_c);
    ps_op_gemm(device.stream, &(ps_gemm){.transpose_a = ta,
                                         .transpose_b = tb,
                                         .m = c->m,
                                         .n = c->n,
                                         .k = c->k,
                                         .alpha = c->alpha,
                                         .beta = c->beta,
                                         .a = a,
                                         .b = b,
                                         .c = out,
                                         .ld_a = ld_a,
                                         .ld_b = ld_b,
                                         .ld_c = ld_c,
                                         .batch = 1});
    /* want holds what was between the rows, too: it must not have changed */
    double e = ps_test_error(&device, out, want);
    ck_assert_msg(e < 2e-6, "m %d n %d k %d transposed %d %d: error %g", c->m, c->n, c->k, ta, tb,
                  e);
    ps_free(&a64);
    ps_free(&b64);
    ps_free(&want);
}

START_TEST(products_agree_with_float64_for_all_transposes_and_strides)
{
    ps_test_device_open(&device, ps_test_backend());
    for (int t = 0; t < 4; t++)
        check_gemm(&cases[_i], t & 1, t & 2);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(a_beta_of_zero_does_not_read_the_result)
{
    ps_test_device_open(&device, ps_test_backend());
    float nan[35 * 9];
    for (int i = 0; i < 35 * 9; i++)
        nan[i] = NAN;
    for (int k = 1; k <= 65; k += 16) {
        ps_tensor a = ps_test_f32(&device, 35, k, NULL), b = ps_test_f32(&device, k, 9, NULL);
        ps_tensor c = ps_test_f32(&device, 35, 9, nan);
        double *a64 = ps_test_read64(&device, a), *b64 = ps_test_read64(&device, b);
        double want[35 * 9];
        ps_ref64_gemm(false, false, 35, 9, k, 1, a64, k, b64, 9, 0, want, 9);
        ps_op_matmul(device.stream, c, a, false, b, false, 0);
        ck_assert_double_lt(ps_test_error(&device, c, want), 2e-6);
        ps_free(&a64);
        ps_free(&b64);
    }
    ps_test_device_close(&device);
}
END_TEST

/* Four products whose A's lie apart, whose B is the same one, and whose C's have room between. */
START_TEST(a_batch_of_products_uses_its_strides)
{
    enum { M = 5, N = 7, K = 6, BATCH = 4, STEP_A = M * K + 3, STEP_C = M * N + 8 };
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor a = ps_test_f32(&device, 0, BATCH * STEP_A, NULL);
    ps_tensor b = ps_test_f32(&device, K, N, NULL);
    ps_tensor c = ps_test_f32(&device, 0, BATCH * STEP_C, NULL);
    double *a64 = ps_test_read64(&device, a), *b64 = ps_test_read64(&device, b);
    double *want = ps_test_read64(&device, c);
    for (int i = 0; i < BATCH; i++)
        ps_ref64_gemm(false, false, M, N, K, 1, a64 + i * STEP_A, K, b64, N, 1, want + i * STEP_C,
                      N);
    ps_op_gemm(device.stream, &(ps_gemm){.m = M,
                                         .n = N,
                                         .k = K,
                                         .alpha = 1,
                                         .beta = 1,
                                         .a = a,
                                         .b = b,
                                         .c = c,
                                         .ld_a = K,
                                         .ld_b = N,
                                         .ld_c = N,
                                         .batch = BATCH,
                                         .stride_a = STEP_A,
                                         .stride_c = STEP_C});
    ck_assert_double_lt(ps_test_error(&device, c, want), 2e-6);
    ps_free(&a64);
    ps_free(&b64);
    ps_free(&want);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(a_view_into_the_middle_of_a_buffer_is_used_from_there)
{
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor whole = ps_test_f32(&device, 10, 4, NULL);
    ps_tensor a = ps_tensor_2d(whole.buffer, 8 * sizeof(float), PS_DTYPE_F32, 3, 4);
    ps_tensor b = ps_test_f32(&device, 4, 5, NULL), c = ps_test_f32(&device, 3, 5, NULL);
    double *whole64 = ps_test_read64(&device, whole), *b64 = ps_test_read64(&device, b);
    double want[15];
    ps_ref64_gemm(false, false, 3, 5, 4, 1, whole64 + 8, 4, b64, 5, 0, want, 5);
    ps_op_matmul(device.stream, c, a, false, b, false, 0);
    ck_assert_double_lt(ps_test_error(&device, c, want), 2e-6);
    ps_free(&whole64);
    ps_free(&b64);
    ps_test_device_close(&device);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &products_agree_with_float64_for_all_transposes_and_strides, .repeat = CASES},
    {.test = &a_beta_of_zero_does_not_read_the_result},
    {.test = &a_batch_of_products_uses_its_strides},
    {.test = &a_view_into_the_middle_of_a_buffer_is_used_from_there},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_gemm", tests);
}
