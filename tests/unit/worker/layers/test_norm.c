/* The norm layer against float64, and its gradients against finite differences there. */
#include "worker/layers/norm.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"
#include "tests/lib/ref64_transformer.h"

#include <math.h>

/* rows, columns; epsilon is large enough to matter */
static const int shapes[][2] = {{1, 3}, {5, 13}, {3, 64}, {37, 6}};
#define CASES   (4 * 2 * PS_TEST_TYPES)
#define EPSILON 0.1f
/* Statistics are kept for more rows than there are. */
#define MORE_ROWS 2

static ps_test_device device;

typedef struct fixture {
    int rows, n;
    bool centred;
    double tolerance; /* of what is rounded to the layer's type, once */
    ps_norm_layer layer;
    ps_norm_state state;
    ps_tensor x, y, dx, dy;
    ps_ref64_norm ref;
    double *x64, *gain64, *bias64, *dy64;
} fixture;

static double *doubles(int n)
{
    return ps_alloc_array((size_t)n, sizeof(double));
}

/* What beta 0 never reads. */
static ps_tensor nans(int n)
{
    ps_tensor t = ps_test_f32(&device, 0, n, NULL);
    ps_op_fill(device.stream, t, NAN);
    return t;
}

static void open_fixture(fixture *f, int number)
{
    ps_dtype type = ps_test_types[number % PS_TEST_TYPES];
    const int *shape = shapes[number / PS_TEST_TYPES / 2];
    ps_test_device_open(&device, "cpu");
    *f = (fixture){.rows = shape[0],
                   .n = shape[1],
                   .centred = number / PS_TEST_TYPES % 2,
                   .tolerance = ps_test_tolerance(type, 2e-6)};
    f->x = ps_test_real(&device, type, f->rows, f->n, NULL);
    f->y = ps_test_real(&device, type, f->rows, f->n, NULL);
    f->dx = ps_test_real(&device, type, f->rows, f->n, NULL);
    f->dy = ps_test_real(&device, type, f->rows, f->n, NULL);
    f->layer = (ps_norm_layer){.gain = ps_test_real(&device, type, 0, f->n, NULL),
                               .gain_gradient = nans(f->n),
                               .epsilon = EPSILON};
    f->state.rstd = ps_test_f32(&device, 0, f->rows + MORE_ROWS, NULL);
    if (f->centred) {
        f->layer.bias = ps_test_real(&device, type, 0, f->n, NULL);
        f->layer.bias_gradient = nans(f->n);
        f->state.mean = ps_test_f32(&device, 0, f->rows + MORE_ROWS, NULL);
    }
    f->x64 = ps_test_read64(&device, f->x);
    f->dy64 = ps_test_read64(&device, f->dy);
    f->gain64 = ps_test_read64(&device, f->layer.gain);
    f->bias64 = f->centred ? ps_test_read64(&device, f->layer.bias) : NULL;
    f->ref = (ps_ref64_norm){f->rows,         f->n,      (double)EPSILON,         f->x64,
                             f->gain64,       f->bias64, doubles(f->rows * f->n), doubles(f->rows),
                             doubles(f->rows)};
}

static void close_fixture(fixture *f)
{
    ps_free(&f->x64);
    ps_free(&f->dy64);
    ps_free(&f->gain64);
    ps_free(&f->bias64);
    ps_free(&f->ref.y);
    ps_free(&f->ref.mean);
    ps_free(&f->ref.rstd);
    ps_test_device_close(&device);
}

/* The sum over y·dy: its slope along an input is that input's gradient. */
static double projected_cb(void *context)
{
    fixture *f = context;
    ps_ref64_norm_forward(&f->ref);
    return ps_ref64_dot(f->ref.y, f->dy64, (size_t)(f->rows * f->n));
}

/* got = kept + times · the slope along x64[n] */
static void check_gradient(fixture *f, ps_tensor got, double *x64, const double *kept, double times,
                           double tolerance)
{
    size_t n = (size_t)ps_tensor_count(got);
    double *want = doubles((int)n);
    ps_ref64_differences(projected_cb, f, x64, n, want);
    for (size_t i = 0; i < n; i++)
        want[i] = times * want[i] + (kept ? kept[i] : 0);
    ck_assert_double_lt(ps_test_error(&device, got, want), tolerance);
    ps_free(&want);
}

/* Those of parameters are F32, from values that are exact: never rounded to the layer's type. */
static void check_parameters(fixture *f, double times)
{
    check_gradient(f, f->layer.gain_gradient, f->gain64, NULL, times, 2e-6);
    if (f->centred)
        check_gradient(f, f->layer.bias_gradient, f->bias64, NULL, times, 2e-6);
}

static void check_unused(ps_tensor statistics, const double *before, int rows)
{
    double *after = ps_test_read64(&device, statistics);
    for (int i = rows; i < rows + MORE_ROWS; i++)
        ck_assert_double_eq(after[i], before[i]);
    ps_free(&after);
}

START_TEST(forward_agrees_with_float64)
{
    fixture f;
    open_fixture(&f, _i);
    double *before = ps_test_read64(&device, f.state.rstd);
    ps_norm_layer_forward(device.stream, &f.layer, f.state, f.y, f.x);
    ps_ref64_norm_forward(&f.ref);
    ck_assert_double_lt(ps_test_error(&device, f.y, f.ref.y), f.tolerance);
    ck_assert_double_lt(ps_test_error(&device, ps_tensor_head(f.state.rstd, f.rows), f.ref.rstd),
                        1e-6);
    check_unused(f.state.rstd, before, f.rows);
    ps_free(&before);
    close_fixture(&f);
}
END_TEST

/* The input's is added to a residual's; the parameters' are, from the second pass on. */
START_TEST(gradients_agree_with_finite_differences)
{
    fixture f;
    open_fixture(&f, _i);
    double *residual = ps_test_read64(&device, f.dx);
    ps_norm_layer_forward(device.stream, &f.layer, f.state, f.y, f.x);
    ps_norm_layer_backward(device.stream, &f.layer, f.state, f.dx, f.dy, f.x, 0);
    check_gradient(&f, f.dx, f.x64, residual, 1, f.tolerance);
    check_parameters(&f, 1);
    ps_norm_layer_backward(device.stream, &f.layer, f.state, f.dx, f.dy, f.x, 0.5f);
    check_parameters(&f, 1.5);
    ps_free(&residual);
    close_fixture(&f);
}
END_TEST

START_TEST(gradients_in_place_agree_with_finite_differences)
{
    fixture f;
    open_fixture(&f, _i);
    ps_tensor again = ps_test_real(&device, f.dy.dtype, f.rows, f.n, NULL);
    ps_copy(device.stream, again, f.dy);
    ps_norm_layer_forward(device.stream, &f.layer, f.state, f.y, f.x);
    ps_norm_layer_backward_in_place(device.stream, &f.layer, f.state, f.dy, f.x, 0);
    check_gradient(&f, f.dy, f.x64, NULL, 1, f.tolerance);
    check_parameters(&f, 1);
    ps_norm_layer_backward_in_place(device.stream, &f.layer, f.state, again, f.x, 2);
    check_gradient(&f, again, f.x64, NULL, 1, f.tolerance);
    check_parameters(&f, 3);
    close_fixture(&f);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &forward_agrees_with_float64, .repeat = CASES},
    {.test = &gradients_agree_with_finite_differences, .repeat = CASES},
    {.test = &gradients_in_place_agree_with_finite_differences, .repeat = CASES},
    {0},
};

int main(void)
{
    return ps_check_main("layers/norm", tests);
}
