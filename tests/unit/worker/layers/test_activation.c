/* Activation layers: their names, and gradients against finite differences in float64. */
#include "worker/layers/activation.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"

#include <string.h>

enum { ROWS = 11, COLUMNS = 19 };

static const char *const names[] = {"relu", "gelu", "tanh", "gelu_tanh", "silu"};

START_TEST(gradients_agree_with_finite_differences)
{
    ps_test_device d;
    ps_test_device_open(&d, "cpu");
    ps_activation kind;
    ck_ok(ps_activation_parse(names[_i], &kind));
    ps_tensor x = ps_test_f32(&d, ROWS, COLUMNS, NULL), y = ps_test_f32(&d, ROWS, COLUMNS, NULL);
    ps_tensor g = ps_test_f32(&d, ROWS, COLUMNS, NULL);
    double *x64 = ps_test_read64(&d, x), *want = ps_test_read64(&d, g);
    const double h = 1e-5;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        want[i] *= (ps_ref64_activation(names[_i], x64[i] + h) -
                    ps_ref64_activation(names[_i], x64[i] - h)) /
                   (2 * h);
    if (!ps_activation_keeps_input(kind)) /* then it may run in place */
        y = x;
    ps_activation_forward(d.stream, kind, y, x);
    ps_activation_backward(d.stream, kind, g, x, y);
    ck_assert_double_lt(ps_test_error(&d, g, want), 1e-6);
    ps_free(&x64);
    ps_free(&want);
    ps_test_device_close(&d);
}
END_TEST

START_TEST(relu_is_the_default_and_unknown_names_are_told_what_there_is)
{
    ps_activation kind = PS_ACTIVATION_TANH;
    ck_ok(ps_activation_parse(NULL, &kind));
    ck_assert_int_eq(kind, PS_ACTIVATION_RELU);
    ck_assert_int_eq(ps_activation_parse("swish", &kind), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "activation: swish is unknown, there are relu, gelu, tanh, gelu_tanh, silu");
    ck_assert_int_eq(kind, PS_ACTIVATION_RELU);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &gradients_agree_with_finite_differences, .repeat = PS_ACTIVATION_COUNT},
    {.test = &relu_is_the_default_and_unknown_names_are_told_what_there_is},
    {0},
};

int main(void)
{
    return ps_check_main("layers/activation", tests);
}
