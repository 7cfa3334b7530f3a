/* What operations do in both of their types: sums and products of elements in F32 and BF16 against
 * float64, and the older operations in BF16. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"

#include <math.h>

static ps_test_device device;

static const int64_t sizes[] = {1, 3, 16, 17, 100, 257, 1025, 20000};
#define SIZES (int)(sizeof sizes / sizeof *sizes)

static const char *const names[] = {"relu", "gelu", "tanh", "gelu_tanh", "silu"};

START_TEST(sums_agree_with_float64)
{
    if (ps_test_leave_out(sizes[_i]))
        return;
    ps_test_device_open(&device, ps_test_backend());
    for (int t = 0; t < PS_TEST_TYPES; t++) {
        ps_dtype type = ps_test_types[t];
        int64_t n = sizes[_i];
        ps_tensor a = ps_test_real(&device, type, 0, n, NULL);
        ps_tensor b = ps_test_real(&device, type, 0, n, NULL);
        ps_tensor y = ps_test_real(&device, type, 0, n, NULL);
        double *want = ps_test_read64(&device, a), *b64 = ps_test_read64(&device, b);
        for (int64_t i = 0; i < n; i++)
            want[i] += b64[i];
        ps_op_add(device.stream, y, a, b);
        ck_assert_double_lt(ps_test_error(&device, y, want), ps_test_tolerance(type, 1e-7));
        ps_op_add(device.stream, b, a, b); /* in place */
        ck_assert_double_lt(ps_test_error(&device, b, want), ps_test_tolerance(type, 1e-7));
        ps_free(&want);
        ps_free(&b64);
    }
    ps_test_device_close(&device);
}
END_TEST

static void check_gated(ps_dtype type, int kind, int64_t n)
{
    /* Φ of gelu is within 1e-7, which is more of a small one */
    double tolerance = ps_test_tolerance(type, kind == PS_ACTIVATION_GELU ? 4e-6 : 1e-6);
    ps_tensor gate = ps_test_real(&device, type, 0, n, NULL);
    ps_tensor up = ps_test_real(&device, type, 0, n, NULL);
    ps_tensor y = ps_test_real(&device, type, 0, n, NULL);
    ps_tensor dy = ps_test_real(&device, type, 0, n, NULL);
    double *g = ps_test_read64(&device, gate), *u = ps_test_read64(&device, up);
    double *d = ps_test_read64(&device, dy), *want = ps_test_read64(&device, y);
    for (int64_t i = 0; i < n; i++) {
        want[i] = ps_ref64_activation(names[kind], g[i]) * u[i];
        double dgate = d[i] * u[i] * ps_ref64_activation_slope(names[kind], g[i]);
        u[i] = d[i] * ps_ref64_activation(names[kind], g[i]);
        g[i] = dgate;
    }
    ps_op_gated(device.stream, (ps_activation)kind, y, gate, up);
    ck_assert_double_lt(ps_test_error(&device, y, want), tolerance);
    /* over its inputs */
    ps_op_gated_backward(device.stream, (ps_activation)kind, gate, up, dy, gate, up);
    ck_assert_double_lt(ps_test_error(&device, gate, g), tolerance);
    ck_assert_double_lt(ps_test_error(&device, up, u), tolerance);
    ps_free(&g);
    ps_free(&u);
    ps_free(&d);
    ps_free(&want);
}

START_TEST(gated_activations_and_their_gradients_agree_with_float64)
{
    if (ps_test_leave_out(sizes[_i]))
        return;
    ps_test_device_open(&device, ps_test_backend());
    for (int kind = 0; kind < PS_ACTIVATION_COUNT; kind++) {
        for (int t = 0; t < PS_TEST_TYPES && kind != PS_ACTIVATION_TANH; t++)
            check_gated(ps_test_types[t], kind, sizes[_i]);
    }
    ps_test_device_close(&device);
}
END_TEST

static void check_softcap(ps_dtype type, ps_dtype wide, int64_t n, double cap)
{
    ps_tensor x = ps_test_real(&device, type, 0, n, NULL);
    ps_tensor y = ps_test_real(&device, type, 0, n, NULL);
    ps_tensor dy = ps_test_real(&device, type, 0, n, NULL);
    double *x64 = ps_test_read64(&device, x), *want = ps_test_read64(&device, y);
    for (int64_t i = 0; i < n; i++)
        want[i] = cap * tanh(x64[i] / cap);
    ps_op_softcap(device.stream, y, x, (float)cap);
    ck_assert_double_lt(ps_test_error(&device, y, want), ps_test_tolerance(type, 1e-6));
    ps_tensor kept = ps_test_real(&device, wide, 0, n, NULL);
    ps_op_cast(device.stream, kept, y);
    double *y64 = ps_test_read64(&device, kept), *d64 = ps_test_read64(&device, dy);
    for (int64_t i = 0; i < n; i++)
        want[i] = d64[i] * (1 - y64[i] / cap * y64[i] / cap);
    ps_op_softcap_backward(device.stream, dy, dy, kept, (float)cap);
    ck_assert_double_lt(ps_test_error(&device, dy, want), ps_test_tolerance(type, 3e-6));
    ps_op_softcap(device.stream, x, x, (float)cap); /* in place */
    ck_assert_double_eq(ps_test_error(&device, x, y64), 0);
    ps_free(&x64);
    ps_free(&want);
    ps_free(&y64);
    ps_free(&d64);
}

START_TEST(softcaps_and_their_gradients_agree_with_float64)
{
    if (ps_test_leave_out(sizes[_i]))
        return;
    ps_test_device_open(&device, ps_test_backend());
    check_softcap(PS_DTYPE_F32, PS_DTYPE_F32, sizes[_i], 0.75);
    check_softcap(PS_DTYPE_BF16, PS_DTYPE_BF16, sizes[_i], 30);
    check_softcap(PS_DTYPE_BF16, PS_DTYPE_F32, sizes[_i], 0.75);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(scaled_numbers_of_both_types_agree_with_float64)
{
    if (ps_test_leave_out(sizes[_i]))
        return;
    ps_test_device_open(&device, ps_test_backend());
    for (int t = 0; t < PS_TEST_TYPES; t++) {
        ps_tensor x = ps_test_real(&device, ps_test_types[t], 0, sizes[_i], NULL);
        double *want = ps_test_read64(&device, x);
        for (int64_t i = 0; i < sizes[_i]; i++)
            want[i] *= (double)-27.7f;
        ps_op_scale(device.stream, x, -27.7f);
        ck_assert_double_lt(ps_test_error(&device, x, want),
                            ps_test_tolerance(ps_test_types[t], 1e-7));
        ps_free(&want);
    }
    ps_test_device_close(&device);
}
END_TEST

START_TEST(activations_of_bf16_agree_with_float64)
{
    ps_test_device_open(&device, ps_test_backend());
    enum { N = 3001 };
    double tolerance = ps_test_tolerance(PS_DTYPE_BF16, 1e-6);
    for (int kind = 0; kind < PS_ACTIVATION_COUNT; kind++) {
        ps_tensor x = ps_test_real(&device, PS_DTYPE_BF16, 0, N, NULL);
        ps_tensor y = ps_test_real(&device, PS_DTYPE_BF16, 0, N, NULL);
        ps_tensor dy = ps_test_real(&device, PS_DTYPE_BF16, 0, N, NULL);
        double *x64 = ps_test_read64(&device, x), *want = ps_test_read64(&device, dy);
        ps_op_activation(device.stream, (ps_activation)kind, y, x);
        ps_op_activation_backward(device.stream, (ps_activation)kind, dy, dy, x, y);
        double *y64 = ps_test_read64(&device, y);
        for (int i = 0; i < N; i++) {
            /* tanh's gradient is that of the y that was kept, in 8 bits */
            want[i] *= kind == PS_ACTIVATION_TANH ? 1 - y64[i] * y64[i]
                                                  : ps_ref64_activation_slope(names[kind], x64[i]);
            x64[i] = ps_ref64_activation(names[kind], x64[i]);
        }
        ck_assert_double_lt(ps_test_error(&device, y, x64), tolerance);
        ck_assert_double_lt(ps_test_error(&device, dy, want), tolerance);
        ps_free(&x64);
        ps_free(&want);
        ps_free(&y64);
    }
    ps_test_device_close(&device);
}
END_TEST

START_TEST(biases_of_bf16_agree_with_float64)
{
    if (ps_test_leave_out(11 * sizes[_i]))
        return;
    ps_test_device_open(&device, ps_test_backend());
    int64_t n = sizes[_i];
    int rows = 11;
    ps_tensor y = ps_test_real(&device, PS_DTYPE_BF16, rows, n, NULL);
    ps_tensor bias = ps_test_real(&device, PS_DTYPE_BF16, 0, n, NULL);
    ps_tensor dbias = ps_test_f32(&device, 0, n, NULL);
    double *want = ps_test_read64(&device, y), *b = ps_test_read64(&device, bias);
    double *sums = ps_test_read64(&device, dbias);
    for (int64_t i = 0; i < rows * n; i++) {
        sums[i % n] += want[i];
        want[i] += b[i % n];
    }
    ps_op_bias_backward(device.stream, dbias, y, 1);
    ck_assert_double_lt(ps_test_error(&device, dbias, sums), 1e-6);
    ps_op_bias_add(device.stream, y, bias);
    ck_assert_double_lt(ps_test_error(&device, y, want), ps_test_tolerance(PS_DTYPE_BF16, 1e-7));
    ps_free(&want);
    ps_free(&b);
    ps_free(&sums);
    ps_test_device_close(&device);
}
END_TEST

typedef struct product {
    int m, n, k, pad;
    float alpha, beta;
} product;
/* The last ones have several tiles each way, and several steps along k. */
static const product products[] = {{1, 1, 1, 0, 1, 0},           {7, 9, 33, 2, 1, 1},
                                   {65, 63, 130, 7, -0.5f, 2},   {1, 300, 600, 0, 1, 0},
                                   {270, 530, 1030, 3, 1, 0.5f}, {300, 20, 513, 0, 1, 0},
                                   {8, 531, 1203, 2, 0.5f, 0}};
#define PRODUCTS (int)(sizeof products / sizeof *products)

static void check_product(const product *p, bool ta, bool tb, ps_dtype type)
{
    ps_test_device_open(&device, ps_test_backend());
    int ld_a = (ta ? p->m : p->k) + p->pad, ld_b = (tb ? p->k : p->n) + p->pad,
        ld_c = p->n + p->pad;
    ps_tensor a = ps_test_real(&device, PS_DTYPE_BF16, ta ? p->k : p->m, ld_a, NULL);
    ps_tensor b = ps_test_real(&device, PS_DTYPE_BF16, tb ? p->n : p->k, ld_b, NULL);
    ps_tensor c = ps_test_real(&device, type, p->m, ld_c, NULL);
    double *a64 = ps_test_read64(&device, a), *b64 = ps_test_read64(&device, b);
    double *want = ps_test_read64(&device, c);
    ps_ref64_gemm(ta, tb, p->m, p->n, p->k, (double)p->alpha, a64, ld_a, b64, ld_b, (double)p->beta,
                  want, ld_c);
    ps_op_gemm(device.stream, &(ps_gemm){.transpose_a = ta,
                                         .transpose_b = tb,
                                         .m = p->m,
                                         .n = p->n,
                                         .k = p->k,
                                         .alpha = p->alpha,
                                         .beta = p->beta,
                                         .a = a,
                                         .b = b,
                                         .c = c,
                                         .ld_a = ld_a,
                                         .ld_b = ld_b,
                                         .ld_c = ld_c,
                                         .batch = 1});
    double e = ps_test_error(&device, c, want);
    ck_assert_msg(e < ps_test_tolerance(type, 2e-6), "m %d n %d k %d transposed %d %d: error %g",
                  p->m, p->n, p->k, ta, tb, e);
    ps_free(&a64);
    ps_free(&b64);
    ps_free(&want);
    ps_test_device_close(&device);
}

START_TEST(products_of_bf16_agree_with_float64)
{
    if (ps_test_leave_out((int64_t)products[_i].m * products[_i].n))
        return;
    for (int i = 0; i < 8; i++)
        check_product(&products[_i], i & 1, i & 2, ps_test_types[i >> 2]);
}
END_TEST

/* As large as to be cut for several threads, and a batch. */
START_TEST(a_large_product_is_cut_and_complete)
{
    enum { M = 150, N = 130, K = 100, BATCH = 2 };
    for (int wide = 0; wide < 2; wide++) {
        ps_test_device_open_threads(&device, ps_test_backend(), 5);
        int m = wide ? M : N, n = wide ? N : M;
        ps_tensor a = ps_test_f32(&device, BATCH * m, K, NULL),
                  b = ps_test_f32(&device, K, n, NULL);
        ps_tensor c = ps_test_f32(&device, BATCH * m, n, NULL);
        double *a64 = ps_test_read64(&device, a), *b64 = ps_test_read64(&device, b);
        double *want = ps_alloc_array((size_t)(BATCH * m * n), sizeof *want);
        ps_ref64_gemm(false, false, BATCH * m, n, K, 1, a64, K, b64, n, 0, want, n);
        ps_op_fill(device.stream, c, NAN);
        ps_op_gemm(device.stream, &(ps_gemm){.m = m,
                                             .n = n,
                                             .k = K,
                                             .alpha = 1,
                                             .a = a,
                                             .b = b,
                                             .c = c,
                                             .ld_a = K,
                                             .ld_b = n,
                                             .ld_c = n,
                                             .batch = BATCH,
                                             .stride_a = m * K,
                                             .stride_c = m * n});
        ck_assert_double_lt(ps_test_error(&device, c, want), 2e-6);
        ps_free(&a64);
        ps_free(&b64);
        ps_free(&want);
        ps_test_device_close(&device);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &sums_agree_with_float64, .repeat = SIZES},
    {.test = &gated_activations_and_their_gradients_agree_with_float64, .repeat = SIZES},
    {.test = &softcaps_and_their_gradients_agree_with_float64, .repeat = SIZES},
    {.test = &scaled_numbers_of_both_types_agree_with_float64, .repeat = SIZES},
    {.test = &activations_of_bf16_agree_with_float64},
    {.test = &biases_of_bf16_agree_with_float64, .repeat = SIZES},
    {.test = &products_of_bf16_agree_with_float64, .timeout_s = 60, .repeat = PRODUCTS},
    {.test = &a_large_product_is_cut_and_complete},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_real", tests);
}
