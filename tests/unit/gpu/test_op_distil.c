/* The distillation loss of every backend against float64: the loss as its definition says it, and
 * its gradient by finite differences of that. */
#include "common/base/mem.h"
#include "gpu/op.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64_distil.h"

#include <math.h>
#include <string.h>

static ps_test_device device;

enum { ROWS = 5 };

/* What is tried: all divergences with and without a temperature, a top_k, padding on either side.
 */
typedef struct variant {
    int64_t classes, teacher_classes, top_k;
    double temperature, alpha;
} variant;

static const variant variants[] = {
    {10, 10, 0, 1, 0.5},   {10, 10, 0, 2.5, 0.7}, {33, 33, 4, 1, 1},    {33, 33, 4, 0.5, 0.25},
    {17, 12, 0, 1.5, 0.5}, {12, 17, 3, 1, 0.5},   {257, 257, 0, 1, 0},  {257, 250, 64, 2, 0.9},
    {9, 9, 9, 1, 0.5},     {2, 2, 1, 1, 0.5},     {300, 300, 1, 1, 0.5}};
#define VARIANTS (int)(sizeof variants / sizeof *variants)

typedef struct distil_case {
    ps_distil d;
    ps_ref64_distil ref;
    double *gradient;
} distil_case;

static const int32_t labels[ROWS] = {1, -1, 0, 1, -1};

static void open_case(distil_case *c, const variant *v, ps_divergence kind, ps_dtype type)
{
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor logits = ps_test_f32(&device, ROWS, v->classes, NULL);
    ps_tensor teacher = ps_test_f32(&device, ROWS, v->teacher_classes, NULL);
    ps_op_axpy(device.stream, logits, 2, logits);
    ps_op_axpy(device.stream, teacher, 3, teacher);
    c->d = (ps_distil){.task = {.loss = ps_test_f32(&device, 0, 1, NULL),
                                .correct = ps_test_i32(&device, 1, NULL),
                                .dlogits = ps_test_real(&device, type, ROWS, v->classes, NULL),
                                .logits = logits,
                                .labels = ps_test_i32(&device, ROWS, labels),
                                .scale = 1.0f / 3},
                       .teacher = teacher,
                       .divergence = ps_test_f32(&device, 0, 1, NULL),
                       .kind = kind,
                       .temperature = (float)v->temperature,
                       .alpha = (float)v->alpha,
                       .top_k = v->top_k};
    c->ref = (ps_ref64_distil){.logits = ps_test_read64(&device, logits),
                               .teacher = ps_test_read64(&device, teacher),
                               .labels = labels,
                               .rows = ROWS,
                               .n = (int)v->classes,
                               .teacher_n = (int)v->teacher_classes,
                               .kind = kind,
                               .temperature = v->temperature,
                               .alpha = (double)c->d.alpha,
                               .top_k = (int)v->top_k};
    size_t count = (size_t)(ROWS * v->classes);
    c->gradient = ps_alloc_array(count, sizeof *c->gradient);
    ps_ref64_differences(ps_ref64_distil_run, &c->ref, c->ref.logits, count, c->gradient);
    (void)ps_ref64_distil_run(&c->ref);
}

static void close_case(distil_case *c)
{
    ps_free(&c->ref.logits);
    ps_free(&c->ref.teacher);
    ps_free(&c->gradient);
    ps_test_device_close(&device);
}

static void check_number(ps_tensor t, double want)
{
    float *got = ps_test_read(&device, t);
    ck_assert_double_eq_tol((double)*got, want, 3e-6 * (1 + fabs(want)));
    ps_free(&got);
}

static void check_losses(const distil_case *c)
{
    check_number(c->d.task.loss, c->ref.loss);
    check_number(c->d.divergence, c->ref.divergence);
    int32_t *correct = ps_test_read(&device, c->d.task.correct);
    ck_assert_int_eq(*correct, c->ref.correct);
    ps_free(&correct);
}

static void check_variant(int number, ps_dtype type)
{
    const variant *v = &variants[number / PS_DIVERGENCE_COUNT];
    distil_case c;
    open_case(&c, v, (ps_divergence)(number % PS_DIVERGENCE_COUNT), type);
    ps_op_distil(device.stream, &c.d);
    check_losses(&c);
    ck_assert_double_lt(ps_test_error(&device, c.d.task.dlogits, c.gradient),
                        ps_test_tolerance(type, 2e-5));
    close_case(&c);
}

START_TEST(loss_and_gradient_agree_with_float64)
{
    check_variant(_i, PS_DTYPE_F32);
}
END_TEST

START_TEST(a_gradient_can_be_of_bfloat16)
{
    check_variant(_i, PS_DTYPE_BF16);
}
END_TEST

START_TEST(the_gradient_may_take_the_logits_place_or_be_left_out)
{
    distil_case c;
    open_case(&c, &variants[3], (ps_divergence)_i, PS_DTYPE_F32);
    ps_distil d = c.d;
    d.task.dlogits = (ps_tensor){0};
    ps_op_distil(device.stream, &d);
    check_losses(&c);
    d.task.dlogits = d.task.logits;
    ps_op_distil(device.stream, &d);
    check_losses(&c);
    ck_assert_double_lt(ps_test_error(&device, d.task.logits, c.gradient), 2e-5);
    close_case(&c);
}
END_TEST

static ps_tensor part(ps_tensor t, int64_t from, int64_t rows)
{
    t.offset += (size_t)(from * (t.rank == 2 ? t.shape[1] : 1)) * ps_dtype_bytes(t.dtype);
    return ps_tensor_head(t, rows);
}

START_TEST(a_mean_can_be_made_of_several_calls)
{
    distil_case c;
    open_case(&c, &variants[7], (ps_divergence)_i, PS_DTYPE_F32);
    for (int from = 0; from < ROWS; from += 2) {
        ps_distil d = c.d;
        int rows = ROWS - from < 2 ? ROWS - from : 2;
        d.task.add = from > 0;
        d.task.dlogits = part(d.task.dlogits, from, rows);
        d.task.logits = part(d.task.logits, from, rows);
        d.task.labels = part(d.task.labels, from, rows);
        d.teacher = part(d.teacher, from, rows);
        ps_op_distil(device.stream, &d);
    }
    check_losses(&c);
    ck_assert_double_lt(ps_test_error(&device, c.d.task.dlogits, c.gradient), 2e-5);
    close_case(&c);
}
END_TEST

/* A student that is its teacher: nothing to learn, whatever top_k puts together. */
START_TEST(a_student_like_its_teacher_is_not_moved)
{
    distil_case c;
    open_case(&c, &variants[2], (ps_divergence)_i, PS_DTYPE_F32);
    ps_copy(device.stream, c.d.task.logits, c.d.teacher);
    ps_op_distil(device.stream, &c.d);
    float *far = ps_test_read(&device, c.d.divergence);
    ck_assert_double_eq_tol((double)*far, 0, 1e-6);
    float *d = ps_test_read(&device, c.d.task.dlogits);
    for (int64_t i = 0; i < ROWS * variants[2].classes; i++)
        ck_assert_double_eq_tol((double)d[i], 0, 1e-6);
    ps_free(&far);
    ps_free(&d);
    close_case(&c);
}
END_TEST

START_TEST(far_logits_do_not_overflow)
{
    static const float student[] = {3e4f, 0, -3e4f}, teacher[] = {0, 200, -200};
    static const double wants[] = {[PS_DIVERGENCE_KL] = 3e4, /* log(p/q) of the second class */
                                   [PS_DIVERGENCE_REVERSE_KL] = 200,
                                   [PS_DIVERGENCE_JSD] = 0.6931471805599453};
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor far = ps_test_f32(&device, 0, 1, NULL);
    ps_tensor d = ps_test_f32(&device, 1, 3, NULL);
    ps_op_distil(device.stream,
                 &(ps_distil){.task = {.loss = ps_test_f32(&device, 0, 1, NULL),
                                       .correct = ps_test_i32(&device, 1, NULL),
                                       .dlogits = d,
                                       .logits = ps_test_f32(&device, 1, 3, student),
                                       .labels = ps_test_i32(&device, 1, (int32_t[]){0}),
                                       .scale = 1},
                              .teacher = ps_test_f32(&device, 1, 3, teacher),
                              .divergence = far,
                              .kind = (ps_divergence)_i,
                              .temperature = 1,
                              .alpha = 1});
    check_number(far, wants[_i]);
    float *slopes = ps_test_read(&device, d);
    for (int i = 0; i < 3; i++)
        ck_assert(isfinite(slopes[i]));
    ps_free(&slopes);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(a_nan_of_either_shows_in_the_divergence)
{
    static const float good[] = {1, 2, 3}, bad[] = {1, NAN, 3};
    ps_test_device_open(&device, ps_test_backend());
    for (int k = 0; k < PS_DIVERGENCE_COUNT; k++) {
        ps_tensor far = ps_test_f32(&device, 0, 1, NULL);
        ps_op_distil(device.stream,
                     &(ps_distil){.task = {.loss = ps_test_f32(&device, 0, 1, NULL),
                                           .correct = ps_test_i32(&device, 1, NULL),
                                           .logits = ps_test_f32(&device, 1, 3, _i ? good : bad),
                                           .labels = ps_test_i32(&device, 1, (int32_t[]){0}),
                                           .scale = 1},
                                  .teacher = ps_test_f32(&device, 1, 3, _i ? bad : good),
                                  .divergence = far,
                                  .kind = (ps_divergence)k,
                                  .temperature = 1,
                                  .alpha = 1});
        float *value = ps_test_read(&device, far);
        ck_assert(isnan(*value));
        ps_free(&value);
    }
    ps_test_device_close(&device);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &loss_and_gradient_agree_with_float64, .repeat = VARIANTS * PS_DIVERGENCE_COUNT},
    {.test = &a_gradient_can_be_of_bfloat16, .repeat = 4 * PS_DIVERGENCE_COUNT},
    {.test = &the_gradient_may_take_the_logits_place_or_be_left_out, .repeat = PS_DIVERGENCE_COUNT},
    {.test = &a_mean_can_be_made_of_several_calls, .repeat = PS_DIVERGENCE_COUNT},
    {.test = &a_student_like_its_teacher_is_not_moved, .repeat = PS_DIVERGENCE_COUNT},
    {.test = &far_logits_do_not_overflow, .repeat = PS_DIVERGENCE_COUNT},
    {.test = &a_nan_of_either_shows_in_the_divergence, .repeat = 2},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_distil", tests);
}
