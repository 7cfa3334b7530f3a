/* Losses: gradients against finite differences in float64, goals that do not fit, counting. */
#include "worker/layers/loss.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/fault.h"
#include "tests/lib/ref64.h"

#include <math.h>
#include <string.h>

enum { ROWS = 6, OUT = 5 };

static ps_test_device device;
static const int32_t labels[ROWS] = {0, 4, 2, 2, 1, 3};
static float targets[ROWS * OUT];

static void open_loss(ps_loss *l, const char *name, int64_t outputs)
{
    ps_test_device_open(&device, "cpu");
    const ps_loss_row *row;
    ck_ok(ps_loss_parse(name, outputs, &row));
    ck_ok(ps_loss_init(l, row, device.backend, ROWS, outputs));
    for (int i = 0; i < ROWS * OUT; i++)
        targets[i] = (float)ps_rng_normal(&device.rng);
}

static void close_loss(ps_loss *l)
{
    ps_loss_fini(l, device.backend);
    ps_test_device_close(&device);
}

typedef struct loss_case {
    const char *name;
    const double *y;
} loss_case;

static double loss64_cb(void *context)
{
    const loss_case *c = context;
    if (strcmp(c->name, "cross_entropy") == 0)
        return ps_ref64_cross_entropy(NULL, c->y, labels, ROWS, OUT);
    double t[ROWS * OUT];
    for (int i = 0; i < ROWS * OUT; i++)
        t[i] = (double)targets[i];
    return ps_ref64_squared_error(NULL, c->y, t, ROWS * OUT);
}

static const char *const names[] = {"cross_entropy", "squared_error"};

START_TEST(gradients_agree_with_finite_differences)
{
    ps_loss l;
    open_loss(&l, names[_i], OUT);
    ps_tensor y = ps_test_f32(&device, ROWS, OUT, NULL);
    double *y64 = ps_test_read64(&device, y), want[ROWS * OUT];
    loss_case c = {names[_i], y64};
    double loss = loss64_cb(&c);
    ps_ref64_differences(loss64_cb, &c, y64, ROWS * OUT, want);
    for (int i = 0; i < ROWS * OUT; i++)
        want[i] *= 0.5; /* the goal's weight */
    ps_loss_goal goal = {
        .rows = ROWS, .labels = labels, .targets = _i ? targets : NULL, .weight = 0.5};
    ps_loss_value value;
    ck_ok(l.row->check(&l, &goal));
    l.row->run(device.stream, &l, &goal, &y, y);
    ck_ok(l.row->value(device.stream, &l, &goal, &value));
    ck_assert_double_eq_tol(value.loss, loss, 1e-6 * loss);
    ck_assert_double_lt(ps_test_error(&device, y, want), 1e-6);
    ps_free(&y64);
    close_loss(&l);
}
END_TEST

/* Rows whose largest output is column 0, 1, 2, 2, 2, 2; labels say 0, 4, 2, 2, 1, 3. */
START_TEST(rows_that_are_right_are_counted)
{
    ps_loss l;
    open_loss(&l, names[_i], OUT);
    static const int largest[ROWS] = {0, 1, 2, 2, 2, 2};
    float values[ROWS * OUT] = {0};
    for (int r = 0; r < ROWS; r++)
        values[r * OUT + largest[r]] = 1.5f;
    ps_tensor y = ps_test_f32(&device, ROWS, OUT, values);
    ps_loss_goal goal = {.rows = ROWS, .labels = labels, .weight = 1};
    ps_loss_value value;
    ck_ok(l.row->check(&l, &goal));
    l.row->run(device.stream, &l, &goal, &y, y);
    ck_ok(l.row->value(device.stream, &l, &goal, &value));
    ck_assert_int_eq(value.correct, 3);
    close_loss(&l);
}
END_TEST

START_TEST(a_second_batch_does_not_see_the_labels_of_the_first)
{
    ps_loss l;
    open_loss(&l, "squared_error", OUT);
    static const int32_t first[] = {0, 0}, second[] = {1, 2};
    ps_tensor y = ps_test_f32(&device, 2, OUT, (const float[2 * OUT]){0});
    ps_loss_value value;
    l.row->run(device.stream, &l, &(ps_loss_goal){.rows = 2, .labels = first, .weight = 1}, NULL,
               y);
    ps_loss_goal goal = {.rows = 2, .labels = second, .weight = 1};
    l.row->run(device.stream, &l, &goal, NULL, y);
    ck_ok(l.row->value(device.stream, &l, &goal, &value));
    ck_assert_double_eq_tol(value.loss, 2.0 / (2 * OUT), 1e-7);
    close_loss(&l);
}
END_TEST

START_TEST(targets_have_no_right_and_wrong)
{
    ps_loss l;
    open_loss(&l, "squared_error", OUT);
    ps_tensor y = ps_test_f32(&device, ROWS, OUT, NULL);
    ps_loss_goal goal = {.rows = ROWS, .targets = targets, .weight = 1};
    ps_loss_value value;
    l.row->run(device.stream, &l, &goal, NULL, y);
    ck_ok(l.row->value(device.stream, &l, &goal, &value));
    ck_assert_int_eq(value.correct, -1);
    close_loss(&l);
}
END_TEST

START_TEST(a_label_is_the_target_where_there_is_one_output)
{
    ps_loss l;
    open_loss(&l, "squared_error", 1);
    static const int32_t counts[] = {-3, 70000, 2};
    ps_tensor y = ps_test_f32(&device, 3, 1, (const float[]){-2, 70000, 4});
    ps_loss_goal goal = {.rows = 3, .labels = counts, .weight = 1};
    ps_loss_value value;
    ck_ok(l.row->check(&l, &goal));
    l.row->run(device.stream, &l, &goal, NULL, y);
    ck_ok(l.row->value(device.stream, &l, &goal, &value));
    ck_assert_double_eq_tol(value.loss, 5.0 / 3, 1e-6);
    ck_assert_int_eq(value.correct, -1);
    close_loss(&l);
}
END_TEST

START_TEST(a_label_out_of_range_is_named_with_its_row)
{
    ps_loss l;
    open_loss(&l, names[_i], OUT);
    ps_loss_goal goal = {.rows = 3, .labels = (const int32_t[]){0, 4, 5}, .weight = 1};
    ck_assert_int_eq(l.row->check(&l, &goal), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "label 5 in row 2 of the batch, the model has classes 0 to 4");
    goal.labels = (const int32_t[]){0, -1, 3};
    ck_assert_int_eq(l.row->check(&l, &goal), PS_INVALID_ARGUMENT);
    goal.labels = NULL;
    ck_assert_int_eq(l.row->check(&l, &goal), PS_INVALID_ARGUMENT);
    close_loss(&l);
}
END_TEST

START_TEST(names_are_checked_and_cross_entropy_is_the_default)
{
    const ps_loss_row *row = NULL;
    ck_ok(ps_loss_parse(NULL, 2, &row));
    ck_assert_ptr_eq(row, &ps_loss_cross_entropy);
    ck_assert_int_eq(ps_loss_parse("hinge", 2, &row), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "loss: hinge is unknown, there are cross_entropy, squared_error");
    ck_assert_int_eq(ps_loss_parse("cross_entropy", 1, &row), PS_INVALID_ARGUMENT);
    ck_ok(ps_loss_parse("squared_error", 1, &row));
    ck_assert_ptr_eq(row, &ps_loss_squared_error);
}
END_TEST

START_TEST(memory_that_is_not_there_is_an_error)
{
    ps_test_device_open(&device, "cpu");
    ps_loss l;
    for (unsigned long k = 1; k <= 2; k++) {
        fault_memory(k);
        ck_assert_int_eq(ps_loss_init(&l, &ps_loss_squared_error, device.backend, ROWS, OUT),
                         PS_NO_MEMORY);
    }
    fault_memory(0);
    ps_test_device_close(&device);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &gradients_agree_with_finite_differences, .repeat = 2},
    {.test = &rows_that_are_right_are_counted, .repeat = 2},
    {.test = &a_second_batch_does_not_see_the_labels_of_the_first},
    {.test = &targets_have_no_right_and_wrong},
    {.test = &a_label_is_the_target_where_there_is_one_output},
    {.test = &a_label_out_of_range_is_named_with_its_row, .repeat = 2},
    {.test = &names_are_checked_and_cross_entropy_is_the_default},
    {.test = &memory_that_is_not_there_is_an_error},
    {0},
};

int main(void)
{
    return ps_check_main("layers/loss", tests);
}
