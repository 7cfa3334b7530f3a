/* The linear layer against float64, and its gradients against finite differences there. */
#include "worker/layers/linear.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"

#include <math.h>

enum { ROWS = 9, IN = 13, OUT = 7 };

static ps_test_device device;

typedef struct fixture {
    ps_linear linear;
    ps_tensor x, y, dx, dy;
    int ld; /* of y and dy */
    double *weight64, *bias64, *x64, *dy64;
} fixture;

/* layout 1: the weight is stored [in,out], and y's rows are part of wider ones */
static void open_fixture(fixture *f, int layout)
{
    ps_test_device_open(&device, "cpu");
    f->ld = layout ? OUT + 3 : OUT;
    f->linear = (ps_linear){
        .input_major = layout,
        .weight = ps_test_f32(&device, layout ? IN : OUT, layout ? OUT : IN, NULL),
        .bias = ps_test_f32(&device, 0, OUT, NULL),
        .weight_gradient = ps_test_f32(&device, layout ? IN : OUT, layout ? OUT : IN, NULL),
        .bias_gradient = ps_test_f32(&device, 0, OUT, NULL)};
    if (layout) {
        static const float ones[ROWS] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
        f->linear.ones = ps_test_f32(&device, ROWS, 1, ones);
    }
    f->x = ps_test_f32(&device, ROWS, IN, NULL);
    f->y = ps_test_f32(&device, ROWS, f->ld, NULL);
    f->dx = ps_test_f32(&device, ROWS, IN, NULL);
    f->dy = ps_test_f32(&device, ROWS, f->ld, NULL);
    f->weight64 = ps_test_read64(&device, f->linear.weight);
    f->bias64 = ps_test_read64(&device, f->linear.bias);
    f->x64 = ps_test_read64(&device, f->x);
    f->dy64 = ps_test_read64(&device, f->dy);
    f->y.shape[1] = f->dy.shape[1] = OUT;
}

static void close_fixture(fixture *f)
{
    ps_free(&f->weight64);
    ps_free(&f->bias64);
    ps_free(&f->x64);
    ps_free(&f->dy64);
    ps_test_device_close(&device);
}

static double weight_of(const fixture *f, int o, int i)
{
    return f->weight64[f->linear.input_major ? i * OUT + o : o * IN + i];
}

/* y[r][o] = b[o] + sum of x[r][i]·W[o][i] */
static void reference(const fixture *f, double *y)
{
    for (int r = 0; r < ROWS; r++) {
        for (int o = 0; o < OUT; o++) {
            double sum = f->bias64[o];
            for (int i = 0; i < IN; i++)
                sum += f->x64[r * IN + i] * weight_of(f, o, i);
            y[r * f->ld + o] = sum;
        }
    }
}

/* The sum over y·dy: its slope along a parameter is that parameter's gradient. */
static double projected_cb(void *context)
{
    const fixture *f = context;
    double y[ROWS * (OUT + 3)], sum = 0;
    reference(f, y);
    for (int i = 0; i < ROWS * f->ld; i++)
        sum += i % f->ld < OUT ? y[i] * f->dy64[i] : 0;
    return sum;
}

START_TEST(forward_agrees_with_float64)
{
    fixture f;
    open_fixture(&f, _i);
    ps_tensor rows = f.y;
    rows.shape[1] = f.ld;
    double *want = ps_test_read64(&device, rows); /* what lies between them stays */
    reference(&f, want);
    ps_linear_forward(device.stream, &f.linear, f.y, f.ld, f.x);
    ck_assert_double_lt(ps_test_error(&device, rows, want), 1e-6);
    ps_free(&want);
    close_fixture(&f);
}
END_TEST

START_TEST(gradients_agree_with_finite_differences)
{
    fixture f;
    open_fixture(&f, _i);
    double weight[OUT * IN], bias[OUT], x[ROWS * IN];
    ps_ref64_differences(projected_cb, &f, f.weight64, OUT * IN, weight);
    ps_ref64_differences(projected_cb, &f, f.bias64, OUT, bias);
    ps_ref64_differences(projected_cb, &f, f.x64, ROWS * IN, x);
    ps_linear_backward_weight(device.stream, &f.linear, f.dy, f.ld, f.x, 0);
    ps_linear_backward_bias(device.stream, &f.linear, f.dy, f.ld, 0);
    ps_linear_backward_input(device.stream, &f.linear, f.dx, f.dy, f.ld, 0);
    ck_assert_double_lt(ps_test_error(&device, f.linear.weight_gradient, weight), 1e-6);
    ck_assert_double_lt(ps_test_error(&device, f.linear.bias_gradient, bias), 1e-6);
    ck_assert_double_lt(ps_test_error(&device, f.dx, x), 1e-6);
    close_fixture(&f);
}
END_TEST

/* Twice into the same memory, with beta 1: twice the gradient. */
START_TEST(gradients_add_up)
{
    fixture f;
    open_fixture(&f, _i);
    for (int i = 0; i < 2; i++) {
        ps_linear_backward_weight(device.stream, &f.linear, f.dy, f.ld, f.x, (float)i);
        ps_linear_backward_bias(device.stream, &f.linear, f.dy, f.ld, (float)i);
        ps_linear_backward_input(device.stream, &f.linear, f.dx, f.dy, f.ld, (float)i);
    }
    double weight[OUT * IN], bias[OUT], x[ROWS * IN];
    ps_ref64_differences(projected_cb, &f, f.bias64, OUT, bias);
    ps_ref64_differences(projected_cb, &f, f.weight64, OUT * IN, weight);
    ps_ref64_differences(projected_cb, &f, f.x64, ROWS * IN, x);
    for (int i = 0; i < OUT * IN; i++)
        weight[i] *= 2;
    for (int i = 0; i < OUT; i++)
        bias[i] *= 2;
    for (int i = 0; i < ROWS * IN; i++)
        x[i] *= 2;
    ck_assert_double_lt(ps_test_error(&device, f.linear.bias_gradient, bias), 1e-6);
    ck_assert_double_lt(ps_test_error(&device, f.linear.weight_gradient, weight), 1e-6);
    ck_assert_double_lt(ps_test_error(&device, f.dx, x), 1e-6);
    close_fixture(&f);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &forward_agrees_with_float64, .repeat = 2},
    {.test = &gradients_agree_with_finite_differences, .repeat = 2},
    {.test = &gradients_add_up, .repeat = 2},
    {0},
};

int main(void)
{
    return ps_check_main("layers/linear", tests);
}
