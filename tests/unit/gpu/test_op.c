/* The operations of every backend against float64, but for the products (test_op_gemm.c). */
#include "common/base/mem.h"
#include "gpu/op.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"

#include <math.h>
#include <string.h>

static ps_test_device device;
/* in the order of ps_activation */
static const char *const names[] = {"relu", "gelu", "tanh", "gelu_tanh", "silu"};

/* Around the places where vector code changes over: one, a few, a full vector and one more. */
static const int64_t sizes[] = {1, 3, 8, 15, 16, 17, 33, 64, 100, 257};
#define SIZES (int)(sizeof sizes / sizeof *sizes)

static void open_device(void)
{
    ps_test_device_open(&device, ps_test_backend());
}

static void close_device(void)
{
    ps_test_device_close(&device);
}

START_TEST(a_bias_is_added_to_every_row)
{
    open_device();
    int64_t n = sizes[_i];
    ps_tensor y = ps_test_f32(&device, 7, n, NULL), bias = ps_test_f32(&device, 0, n, NULL);
    double *want = ps_test_read64(&device, y), *b = ps_test_read64(&device, bias);
    for (int64_t i = 0; i < 7 * n; i++)
        want[i] += b[i % n];
    ps_op_bias_add(device.stream, y, bias);
    ck_assert_double_lt(ps_test_error(&device, y, want), 1e-6);
    ps_free(&want);
    ps_free(&b);
    close_device();
}
END_TEST

static void check_bias_backward(int64_t rows, int64_t n, float beta)
{
    ps_tensor dy = ps_test_f32(&device, rows, n, NULL), db = ps_test_f32(&device, 0, n, NULL);
    double *d = ps_test_read64(&device, dy), *want = ps_test_read64(&device, db);
    for (int64_t i = 0; i < n; i++)
        want[i] *= (double)beta;
    for (int64_t i = 0; i < rows * n; i++)
        want[i % n] += d[i];
    if (beta == 0)
        ps_op_fill(device.stream, db, NAN);
    ps_op_bias_backward(device.stream, db, dy, beta);
    ck_assert_double_lt(ps_test_error(&device, db, want), 2e-6);
    ps_free(&d);
    ps_free(&want);
}

START_TEST(a_bias_gradient_is_the_sum_of_the_rows)
{
    open_device();
    for (int64_t rows = 1; rows <= 9; rows++) {
        check_bias_backward(rows, sizes[_i], 0);
        check_bias_backward(rows, sizes[_i], 1);
    }
    close_device();
}
END_TEST

/* From -12 to 12, finely enough to see every piece of an approximation. */
enum { POINTS = 4801 };
static float point(int i)
{
    return ((float)i - 2400) / 200;
}

START_TEST(activations_agree_with_float64)
{
    open_device();
    float x[POINTS];
    for (int i = 0; i < POINTS; i++)
        x[i] = point(i);
    ps_tensor in = ps_test_f32(&device, 0, POINTS, x), out = ps_test_f32(&device, 0, POINTS, NULL);
    ps_op_activation(device.stream, (ps_activation)_i, out, in);
    ps_op_activation(device.stream, (ps_activation)_i, in, in);
    float *y = ps_test_read(&device, out), *in_place = ps_test_read(&device, in);
    for (int i = 0; i < POINTS; i++) {
        double want = ps_ref64_activation(names[_i], (double)x[i]);
        /* relative to the result, or for a gelu's tail to the input */
        bool tail = _i == PS_ACTIVATION_GELU || _i == PS_ACTIVATION_GELU_TANH;
        double scale = tail ? fabs((double)x[i]) : fabs(want);
        ck_assert_msg(fabs((double)y[i] - want) <= 4e-7 * scale, "%s(%g) = %.9g, not %.9g",
                      names[_i], (double)x[i], (double)y[i], want);
        ck_assert_float_eq(in_place[i], y[i]);
    }
    ps_free(&y);
    ps_free(&in_place);
    close_device();
}
END_TEST

START_TEST(activation_gradients_agree_with_float64)
{
    open_device();
    float x[POINTS];
    for (int i = 0; i < POINTS; i++)
        x[i] = point(i);
    ps_tensor in = ps_test_f32(&device, 0, POINTS, x), out = ps_test_f32(&device, 0, POINTS, NULL);
    ps_tensor dy = ps_test_f32(&device, 0, POINTS, NULL);
    double *d = ps_test_read64(&device, dy);
    ps_op_activation(device.stream, (ps_activation)_i, out, in);
    ps_op_activation_backward(device.stream, (ps_activation)_i, dy, dy, in, out);
    float *dx = ps_test_read(&device, dy);
    for (int i = 0; i < POINTS; i++) {
        double slope = ps_ref64_activation_slope(names[_i], (double)x[i]);
        ck_assert_msg(fabs((double)dx[i] - d[i] * slope) <= 1e-6 * fabs(d[i]),
                      "%s'(%g)·%g = %.9g, not %.9g", names[_i], (double)x[i], d[i], (double)dx[i],
                      d[i] * slope);
    }
    ps_free(&d);
    ps_free(&dx);
    close_device();
}
END_TEST

START_TEST(activations_keep_nan_and_limits)
{
    open_device();
    const float x[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0, -0.0f, 1e-20f};
    static const float want[PS_ACTIVATION_COUNT][8] = {
        {NAN, INFINITY, 0, 1e30f, 0, 0, 0, 1e-20f},
        {NAN, INFINITY, 0, 1e30f, 0, 0, 0, 0.5e-20f},
        {NAN, 1, -1, 1, -1, 0, 0, 1e-20f},
        {NAN, INFINITY, 0, 1e30f, 0, 0, 0, 0.5e-20f},
        {NAN, INFINITY, 0, 1e30f, 0, 0, 0, 0.5e-20f},
    };
    ps_tensor t = ps_test_f32(&device, 0, 8, x);
    ps_op_activation(device.stream, (ps_activation)_i, t, t);
    float *y = ps_test_read(&device, t);
    ck_assert(isnan(y[0]));
    for (int i = 1; i < 8; i++) {
        if (_i != PS_ACTIVATION_RELU && _i != PS_ACTIVATION_TANH && isinf(x[i]) && x[i] < 0)
            continue; /* -infinity·0 is NaN, as everywhere */
        ck_assert_msg(fabsf(y[i] - want[_i][i]) <= 1e-6f * fabsf(want[_i][i]) ||
                          y[i] == want[_i][i],
                      "%s(%g) = %g", names[_i], (double)x[i], (double)y[i]);
    }
    ps_free(&y);
    close_device();
}
END_TEST

/* The mean over the rows; gradient NULL: not wanted. */
static void mean_cross_entropy(ps_tensor loss, ps_tensor correct, const ps_tensor *gradient,
                               ps_tensor logits, ps_tensor labels)
{
    ps_op_cross_entropy(device.stream, &(ps_cross_entropy){
                                           .loss = loss,
                                           .correct = correct,
                                           .dlogits = gradient ? *gradient : (ps_tensor){0},
                                           .logits = logits,
                                           .labels = labels,
                                           .scale = 1.0f / (float)logits.shape[0],
                                       });
}

typedef struct cross_entropy_case {
    ps_tensor logits, labels, loss, correct, gradient;
    double *logits64, *gradient64;
    int32_t *labels_host;
    double loss64;
} cross_entropy_case;

static void open_cross_entropy(cross_entropy_case *c, int64_t rows, int64_t n, float scale)
{
    c->logits = ps_test_f32(&device, rows, n, NULL);
    ps_op_axpy(device.stream, c->logits, scale - 1, c->logits);
    c->gradient = ps_test_f32(&device, rows, n, NULL);
    c->logits64 = ps_test_read64(&device, c->logits);
    c->gradient64 = ps_alloc_array((size_t)(rows * n), sizeof(double));
    c->labels_host = ps_alloc_array((size_t)rows, sizeof(int32_t));
    for (int64_t r = 0; r < rows; r++)
        c->labels_host[r] = (int32_t)ps_rng_below(&device.rng, (uint64_t)n);
    c->labels = ps_test_i32(&device, rows, c->labels_host);
    c->loss = ps_test_f32(&device, 0, 1, NULL);
    c->correct = ps_test_i32(&device, 1, NULL);
    c->loss64 =
        ps_ref64_cross_entropy(c->gradient64, c->logits64, c->labels_host, (int)rows, (int)n);
}

static void close_cross_entropy(cross_entropy_case *c)
{
    ps_free(&c->logits64);
    ps_free(&c->gradient64);
    ps_free(&c->labels_host);
}

START_TEST(cross_entropy_and_its_gradient_agree_with_float64)
{
    open_device();
    cross_entropy_case c;
    open_cross_entropy(&c, 13, sizes[_i], 3);
    mean_cross_entropy(c.loss, c.correct, &c.gradient, c.logits, c.labels);
    ck_assert_double_lt(ps_test_error(&device, c.gradient, c.gradient64), 1e-5);
    float *loss = ps_test_read(&device, c.loss);
    ck_assert_double_eq_tol((double)*loss, c.loss64, 1e-6 * (1 + c.loss64));

    /* without a gradient, and with it over the logits */
    ps_op_fill(device.stream, c.loss, -1);
    mean_cross_entropy(c.loss, c.correct, NULL, c.logits, c.labels);
    float *again = ps_test_read(&device, c.loss);
    ck_assert_double_eq_tol((double)*again, c.loss64, 1e-6 * (1 + c.loss64));
    mean_cross_entropy(c.loss, c.correct, &c.logits, c.logits, c.labels);
    ck_assert_double_lt(ps_test_error(&device, c.logits, c.gradient64), 1e-5);
    ps_free(&loss);
    ps_free(&again);
    close_cross_entropy(&c);
    close_device();
}
END_TEST

START_TEST(cross_entropy_does_not_overflow)
{
    open_device();
    const float logits[] = {1e4f, -1e4f, 0, -3e38f, 0, 0, 2e38f, 2e38f, 0};
    ps_tensor x = ps_test_f32(&device, 3, 3, logits), loss = ps_test_f32(&device, 0, 1, NULL);
    ps_tensor labels = ps_test_i32(&device, 3, (const int32_t[]){0, 1, 1});
    ps_tensor correct = ps_test_i32(&device, 1, NULL);
    mean_cross_entropy(loss, correct, &x, x, labels);
    float *value = ps_test_read(&device, loss);
    ck_assert_double_eq_tol((double)*value, (0 + log(2) + log(2)) / 3, 1e-6);
    const double want[] = {0, 0, 0, 0, -1.0 / 6, 1.0 / 6, 1.0 / 6, -1.0 / 6, 0};
    ck_assert_double_lt(ps_test_error(&device, x, want), 1e-6);
    ps_free(&value);
    close_device();
}
END_TEST

START_TEST(cross_entropy_counts_rows_whose_first_largest_is_the_label)
{
    open_device();
    const float logits[] = {1, 2, 0, 5, 5, 1, 5, 5, 1, -1, -2, -3};
    ps_tensor x = ps_test_f32(&device, 4, 3, logits), loss = ps_test_f32(&device, 0, 1, NULL);
    ps_tensor labels = ps_test_i32(&device, 4, (const int32_t[]){1, 0, 1, 0});
    ps_tensor correct = ps_test_i32(&device, 1, NULL);
    mean_cross_entropy(loss, correct, NULL, x, labels);
    int32_t *n = ps_test_read(&device, correct);
    ck_assert_int_eq(*n, 3);
    ps_free(&n);
    close_device();
}
END_TEST

START_TEST(a_nan_among_the_logits_shows_in_the_loss)
{
    open_device();
    const float logits[] = {1, NAN, 0, 1, 2, 3};
    ps_tensor x = ps_test_f32(&device, 2, 3, logits), loss = ps_test_f32(&device, 0, 1, NULL);
    ps_tensor labels = ps_test_i32(&device, 2, (const int32_t[]){0, 0});
    ps_tensor correct = ps_test_i32(&device, 1, NULL);
    mean_cross_entropy(loss, correct, NULL, x, labels);
    float *value = ps_test_read(&device, loss);
    ck_assert(isnan(*value));
    ps_free(&value);
    close_device();
}
END_TEST

START_TEST(squared_error_and_its_gradient_agree_with_float64)
{
    open_device();
    int64_t n = 5 * sizes[_i];
    ps_tensor y = ps_test_f32(&device, 5, sizes[_i], NULL);
    ps_tensor target = ps_test_f32(&device, 5, sizes[_i], NULL);
    ps_tensor loss = ps_test_f32(&device, 0, 1, NULL);
    double *a = ps_test_read64(&device, y), *b = ps_test_read64(&device, target);
    double *want = ps_alloc_array((size_t)n, sizeof *want);
    double loss64 = ps_ref64_squared_error(want, a, b, (int)n);
    ps_op_squared_error(device.stream, loss, (ps_tensor){0}, y, target);
    float *value = ps_test_read(&device, loss);
    ck_assert_double_eq_tol((double)*value, loss64, 1e-6 * loss64);
    ps_op_squared_error(device.stream, loss, y, y, target);
    ck_assert_double_lt(ps_test_error(&device, y, want), 1e-6);
    ps_free(&value);
    ps_free(&a);
    ps_free(&b);
    ps_free(&want);
    close_device();
}
END_TEST

START_TEST(softmax_agrees_with_float64)
{
    open_device();
    int64_t n = sizes[_i];
    ps_tensor x = ps_test_f32(&device, 6, n, NULL), y = ps_test_f32(&device, 6, n, NULL);
    ps_op_axpy(device.stream, x, 9, x);
    double *a = ps_test_read64(&device, x);
    double *want = ps_alloc_array((size_t)(6 * n), sizeof *want);
    ps_ref64_softmax(want, a, 6, (int)n);
    ps_op_softmax(device.stream, y, x);
    ck_assert_double_lt(ps_test_error(&device, y, want), 1e-6);
    ps_op_softmax(device.stream, x, x);
    ck_assert_double_lt(ps_test_error(&device, x, want), 1e-6);
    ps_free(&a);
    ps_free(&want);
    close_device();
}
END_TEST

/* Of (-x, 0) the first probability is e^-x/(1 + e^-x): small, and relatively as good as others. */
START_TEST(small_probabilities_are_relatively_precise)
{
    enum { ROWS = 8000 };
    if (ps_test_leave_out(10 * ROWS))
        return;
    open_device();
    float x[2 * ROWS];
    for (int i = 0; i < ROWS; i++) {
        x[2 * i] = -(float)i / 100;
        x[2 * i + 1] = 0;
    }
    ps_tensor t = ps_test_f32(&device, ROWS, 2, x);
    ps_op_softmax(device.stream, t, t);
    float *y = ps_test_read(&device, t);
    for (int i = 0; i < ROWS; i++) {
        double e = exp((double)x[2 * i]), want = e / (1 + e);
        ck_assert_msg(fabs((double)y[2 * i] - want) <= 2.5e-7 * want, "softmax(%g, 0) = %.9g",
                      (double)x[2 * i], (double)y[2 * i]);
    }
    ps_free(&y);
    close_device();
}
END_TEST

START_TEST(argmax_finds_the_first_of_the_largest)
{
    open_device();
    int64_t n = sizes[_i];
    float x[3 * 257];
    for (int64_t i = 0; i < 3 * n; i++)
        x[i] = -1;
    int32_t want[3] = {(int32_t)n - 1, (int32_t)n / 2, 0};
    for (int r = 0; r < 3; r++)
        x[r * n + want[r]] = 2;
    x[3 * n - 1] = 2; /* a second one in the last row */
    ps_tensor index = ps_test_i32(&device, 3, NULL);
    ps_op_argmax(device.stream, index, ps_test_f32(&device, 3, n, x));
    int32_t *got = ps_test_read(&device, index);
    ck_assert_mem_eq(got, want, sizeof want);
    ps_free(&got);
    close_device();
}
END_TEST

START_TEST(fill_axpy_and_norm_agree_with_float64)
{
    open_device();
    int64_t n = sizes[_i];
    ps_tensor x = ps_test_f32(&device, 0, n, NULL), y = ps_test_f32(&device, 0, n, NULL);
    ps_tensor norm = ps_test_f32(&device, 0, 1, NULL);
    double *a = ps_test_read64(&device, x), *want = ps_test_read64(&device, y), sum = 0;
    for (int64_t i = 0; i < n; i++) {
        want[i] += -1.25 * a[i];
        sum += a[i] * a[i];
    }
    ps_op_axpy(device.stream, y, -1.25f, x);
    ck_assert_double_lt(ps_test_error(&device, y, want), 1e-6);
    ps_op_squared_norm(device.stream, norm, x, false);
    ck_assert_double_lt(ps_test_error(&device, norm, &sum), 1e-6);
    ps_op_fill(device.stream, y, 2.5f);
    for (int64_t i = 0; i < n; i++)
        want[i] = 2.5;
    ck_assert(ps_test_error(&device, y, want) == 0);
    ps_free(&a);
    ps_free(&want);
    close_device();
}
END_TEST

START_TEST(a_norm_loses_nothing_over_many_elements)
{
    enum { N = 3000000 };
    if (ps_test_leave_out(N))
        return;
    open_device();
    ps_tensor x = ps_test_f32(&device, 0, N, NULL), norm = ps_test_f32(&device, 0, 1, NULL);
    ps_op_fill(device.stream, x, 0.1f);
    ps_op_squared_norm(device.stream, norm, x, false);
    double want = N * (double)0.1f * (double)0.1f;
    ck_assert_double_lt(ps_test_error(&device, norm, &want), 1e-7);
    close_device();
}
END_TEST

START_TEST(one_nan_or_infinity_anywhere_is_found)
{
    open_device();
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    int64_t n = sizes[_i];
    float x[257];
    for (int64_t i = 0; i < n; i++)
        x[i] = i % 2 ? 3.4e38f : -1e-45f;
    ps_tensor t = ps_test_f32(&device, 0, n, x), out = ps_test_i32(&device, 1, NULL);
    for (int64_t i = -1; i < n; i++) {
        float kept = i < 0 ? 0 : x[i];
        if (i >= 0)
            x[i] = bad[i % 4];
        ps_copy_to_device(device.stream, t, x, (size_t)n * sizeof *x);
        ps_op_all_finite(device.stream, out, t);
        int32_t *ok = ps_test_read(&device, out);
        ck_assert_int_eq(*ok, i < 0);
        ps_free(&ok);
        if (i >= 0)
            x[i] = kept;
    }
    close_device();
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &a_bias_is_added_to_every_row, .repeat = SIZES},
    {.test = &a_bias_gradient_is_the_sum_of_the_rows, .repeat = SIZES},
    {.test = &activations_agree_with_float64, .repeat = PS_ACTIVATION_COUNT},
    {.test = &activation_gradients_agree_with_float64, .repeat = PS_ACTIVATION_COUNT},
    {.test = &activations_keep_nan_and_limits, .repeat = PS_ACTIVATION_COUNT},
    {.test = &cross_entropy_and_its_gradient_agree_with_float64, .repeat = SIZES},
    {.test = &cross_entropy_does_not_overflow},
    {.test = &cross_entropy_counts_rows_whose_first_largest_is_the_label},
    {.test = &a_nan_among_the_logits_shows_in_the_loss},
    {.test = &squared_error_and_its_gradient_agree_with_float64, .repeat = SIZES},
    {.test = &softmax_agrees_with_float64, .repeat = SIZES},
    {.test = &small_probabilities_are_relatively_precise},
    {.test = &argmax_finds_the_first_of_the_largest, .repeat = SIZES},
    {.test = &fill_axpy_and_norm_agree_with_float64, .repeat = SIZES},
    {.test = &a_norm_loses_nothing_over_many_elements},
    {.test = &one_nan_or_infinity_anywhere_is_found, .repeat = SIZES},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op", tests);
}
