/* The mlp against a float64 one, whose gradients are checked against finite differences here. */
#include "tests/lib/check_main.h"
#include "tests/unit/worker/models/mlp_fixture.h"

#include <math.h>
#include <string.h>

static const char *const activations[] = {"relu", "gelu", "tanh", "gelu_tanh", "silu"};
static const char *const losses[] = {"cross_entropy", "squared_error"};
#define COMBINATIONS 10

static ps_model_config config_of(const int64_t *layers, size_t count, int combination)
{
    return (ps_model_config){.architecture = "mlp",
                             .layers = layers,
                             .layer_count = count,
                             .activation = activations[combination / 2],
                             .loss = losses[combination % 2]};
}

typedef struct reference {
    mlp_fixture *f;
    int combination;
} reference;

static double run_reference_cb(void *context)
{
    const reference *r = context;
    mlp_fixture *f = r->f;
    return ps_ref64_mlp_run(&f->ref, f->features64, (int)f->batch.rows,
                            r->combination % 2 ? NULL : f->labels, f->targets64);
}

/* Central differences of the reference's loss over every parameter. */
static void check_differences(mlp_fixture *f, int combination)
{
    double *want[FIXTURE_PARAMETERS_MAX];
    reference r = {f, combination};
    (void)run_reference_cb(&r);
    for (size_t i = 0; i < f->count; i++)
        want[i] = f->gradients[i];
    f->ref.gradients = NULL;
    for (size_t i = 0; i < f->count; i++) {
        size_t n = (size_t)ps_tensor_count(ps_model_parameter(f->model, i));
        double *slopes = ps_alloc_array(n, sizeof *slopes);
        ps_ref64_differences(run_reference_cb, &r, f->parameters[i], n, slopes);
        for (size_t j = 0; j < n; j++)
            ck_assert_msg(fabs(slopes[j] - want[i][j]) < 1e-7 + 1e-6 * fabs(slopes[j]),
                          "%s, %s: parameter %zu, element %zu: %g by differences, %g",
                          f->ref.activation, losses[combination % 2], i, j, slopes[j], want[i][j]);
        ps_free(&slopes);
    }
    f->ref.gradients = f->gradients;
}

START_TEST(the_reference_gradients_agree_with_finite_differences)
{
    static const int64_t layers[] = {5, 7, 6, 3};
    ps_model_config config = config_of(layers, 4, _i);
    mlp_fixture f;
    fixture_open(&f, &config, 4, 4);
    check_differences(&f, _i);
    fixture_close(&f);
}
END_TEST

static void run_step(mlp_fixture *f, ps_model_result *result)
{
    ck_ok(ps_model_forward(f->model, &f->batch, NULL));
    ck_ok(ps_model_loss(f->model, &f->batch));
    ck_ok(ps_model_backward(f->model, NULL));
    ck_ok(ps_model_result_get(f->model, result));
}

static void check_against_reference(const int64_t *layers, size_t count, int combination,
                                    int64_t max_batch, int64_t rows)
{
    ps_model_config config = config_of(layers, count, combination);
    mlp_fixture f;
    fixture_open(&f, &config, max_batch, rows);
    ps_model_result result;
    run_step(&f, &result);
    double loss = run_reference_cb(&(reference){&f, combination});
    ck_assert_double_eq_tol(result.loss, loss, 1e-5 * fabs(loss));
    ck_assert_int_eq(result.rows, rows);
    for (size_t i = 0; i < f.count; i++) {
        double e = ps_test_error(&f.device, ps_model_gradient(f.model, i), f.gradients[i]);
        ck_assert_msg(e < 1e-5, "%s, %s: gradient %zu is off by %g", config.activation, config.loss,
                      i, e);
    }
    fixture_close(&f);
}

START_TEST(gradients_agree_with_float64)
{
    check_against_reference((const int64_t[]){37, 41, 29, 11}, 4, _i, 33, 33);
}
END_TEST

START_TEST(gradients_of_a_small_last_batch_agree_with_float64)
{
    check_against_reference((const int64_t[]){13, 64, 17, 9, 5}, 5, _i, 32, 7);
}
END_TEST

START_TEST(a_model_of_one_layer_agrees_with_float64)
{
    check_against_reference((const int64_t[]){19, 4}, 2, _i, 8, 8);
}
END_TEST

START_TEST(a_second_step_does_not_see_the_first)
{
    static const int64_t layers[] = {6, 9, 4};
    ps_model_config config = config_of(layers, 3, 2);
    mlp_fixture f;
    fixture_open(&f, &config, 16, 16);
    ps_model_result first, second;
    run_step(&f, &first);
    f.batch.rows = 5;
    run_step(&f, &second);
    f.batch.rows = 16;
    run_step(&f, &second);
    ck_assert_double_eq(first.loss, second.loss);
    (void)run_reference_cb(&(reference){&f, 2});
    for (size_t i = 0; i < f.count; i++)
        ck_assert_double_lt(ps_test_error(&f.device, ps_model_gradient(f.model, i), f.gradients[i]),
                            1e-5);
    fixture_close(&f);
}
END_TEST

START_TEST(predictions_are_probabilities_under_cross_entropy)
{
    static const int64_t layers[] = {8, 12, 5};
    ps_model_config config = config_of(layers, 3, 0);
    mlp_fixture f;
    fixture_open(&f, &config, 9, 9);
    float got[9 * 5];
    double logits[9 * 5], want[9 * 5];
    ck_ok(ps_model_predict(f.model, &f.batch, NULL, got));
    f.ref.outputs = logits;
    (void)run_reference_cb(&(reference){&f, 0});
    ps_ref64_softmax(want, logits, 9, 5);
    ck_assert_double_lt(ps_ref64_error(got, want, 45), 1e-5);
    fixture_close(&f);
}
END_TEST

START_TEST(predictions_are_the_outputs_under_squared_error)
{
    static const int64_t layers[] = {8, 12, 1};
    ps_model_config config = config_of(layers, 3, 5);
    mlp_fixture f;
    fixture_open(&f, &config, 9, 6);
    float got[6];
    double want[6];
    ck_ok(ps_model_predict(f.model, &f.batch, NULL, got));
    f.ref.outputs = want;
    (void)run_reference_cb(&(reference){&f, 5});
    ck_assert_double_lt(ps_ref64_error(got, want, 6), 1e-5);
    fixture_close(&f);
}
END_TEST

START_TEST(labels_stand_for_one_hot_rows_under_squared_error)
{
    static const int64_t layers[] = {8, 12, 5};
    ps_model_config config = config_of(layers, 3, 1);
    mlp_fixture f;
    fixture_open(&f, &config, 9, 9);
    f.batch.targets = NULL;
    memset(f.targets64, 0, 45 * sizeof(double));
    for (int r = 0; r < 9; r++)
        f.targets64[r * 5 + f.labels[r]] = 1;
    double outputs[45];
    f.ref.outputs = outputs;
    double loss = run_reference_cb(&(reference){&f, 1});
    int64_t correct = 0;
    for (int r = 0; r < 9; r++) {
        int best = 0;
        for (int i = 1; i < 5; i++)
            best = outputs[r * 5 + i] > outputs[r * 5 + best] ? i : best;
        correct += best == f.labels[r];
    }
    ps_model_result result;
    run_step(&f, &result);
    ck_assert_double_eq_tol(result.loss, loss, 1e-5 * loss);
    ck_assert_int_eq(result.correct, correct);
    for (size_t i = 0; i < f.count; i++)
        ck_assert_double_lt(ps_test_error(&f.device, ps_model_gradient(f.model, i), f.gradients[i]),
                            1e-5);
    fixture_close(&f);
}
END_TEST

typedef struct hook_log {
    mlp_fixture *f;
    size_t used[16], ready[16];
    size_t used_count, ready_count;
    float *seen[16]; /* each gradient as it was when it was said to be ready */
    size_t fail_at;  /* the parameter whose hook fails; SIZE_MAX: none */
} hook_log;

static ps_status log_use(void *user, size_t parameter, bool *changed)
{
    *changed = true;
    hook_log *log = user;
    log->used[log->used_count++] = parameter;
    return parameter == log->fail_at ? ps_fail(PS_CANCELLED, "stop") : PS_OK;
}

static ps_status log_ready(void *user, size_t parameter)
{
    hook_log *log = user;
    log->ready[log->ready_count++] = parameter;
    log->seen[parameter] =
        ps_test_read(&log->f->device, ps_model_gradient(log->f->model, parameter));
    return parameter == log->fail_at ? ps_fail(PS_CANCELLED, "stop") : PS_OK;
}

START_TEST(hooks_fire_once_each_in_the_order_of_use)
{
    static const int64_t layers[] = {8, 12, 7, 5};
    ps_model_config config = config_of(layers, 4, 0);
    mlp_fixture f;
    fixture_open(&f, &config, 9, 9);
    hook_log log = {.f = &f, .fail_at = SIZE_MAX};
    ps_model_hooks hooks = {.before_use = log_use, .gradient_ready = log_ready, .user = &log};
    ck_ok(ps_model_forward(f.model, &f.batch, &hooks));
    ck_ok(ps_model_loss(f.model, &f.batch));
    ck_ok(ps_model_backward(f.model, &hooks));

    static const size_t used[] = {0, 1, 2, 3, 4, 5}, ready[] = {4, 5, 2, 3, 0, 1};
    ck_assert_uint_eq(log.used_count, 6);
    ck_assert_uint_eq(log.ready_count, 6);
    ck_assert_mem_eq(log.used, used, sizeof used);
    ck_assert_mem_eq(log.ready, ready, sizeof ready);
    (void)run_reference_cb(&(reference){&f, 0});
    for (size_t i = 0; i < f.count; i++) {
        size_t n = (size_t)ps_tensor_count(ps_model_gradient(f.model, i));
        ck_assert_double_lt(ps_ref64_error(log.seen[i], f.gradients[i], n), 1e-5);
        ps_free(&log.seen[i]);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_hook_that_fails_ends_the_pass)
{
    static const int64_t layers[] = {8, 12, 7, 5};
    ps_model_config config = config_of(layers, 4, 0);
    mlp_fixture f;
    fixture_open(&f, &config, 9, 9);
    hook_log log = {.f = &f, .fail_at = 2};
    ps_model_hooks hooks = {.before_use = log_use, .gradient_ready = log_ready, .user = &log};
    ck_assert_int_eq(ps_model_forward(f.model, &f.batch, &hooks), PS_CANCELLED);
    ck_assert_uint_eq(log.used_count, 3);

    hooks.before_use = NULL;
    ck_ok(ps_model_forward(f.model, &f.batch, &hooks));
    ck_ok(ps_model_loss(f.model, &f.batch));
    ck_assert_int_eq(ps_model_backward(f.model, &hooks), PS_CANCELLED);
    ck_assert_uint_eq(log.ready_count, 3);
    for (size_t i = 0; i < f.count; i++)
        ps_free(&log.seen[i]);
    fixture_close(&f);
}
END_TEST

/* Three clouds of points, each around a corner of a triangle. */
static void make_clouds(mlp_fixture *f)
{
    static const float corner[3][2] = {{0, 2}, {2, -1}, {-2, -1}};
    for (int64_t r = 0; r < f->batch.rows; r++) {
        int32_t label = (int32_t)ps_rng_below(&f->device.rng, 3);
        f->labels[r] = label;
        for (int i = 0; i < 2; i++)
            f->features[r * 2 + i] = corner[label][i] + 0.5f * (float)ps_rng_normal(&f->device.rng);
    }
}

typedef struct seen {
    const mlp_fixture *f;
    size_t calls;
    float *x[6];
} seen;

/* What is between two linear layers, in order; the last has no activation. */
static const ps_tap order[6] = {{PS_TAP_INPUT, 0},      {PS_TAP_LAYER_PRE, 0},
                                {PS_TAP_LAYER_POST, 0}, {PS_TAP_LAYER_PRE, 1},
                                {PS_TAP_LAYER_POST, 1}, {PS_TAP_LAYER_PRE, 2}};

static void see(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    seen *s = user;
    ck_assert(ps_tap_equal(tap, order[s->calls]));
    ck_assert_int_eq(x.shape[0], s->f->batch.rows);
    ck_assert_int_eq(x.shape[1], ps_model_tap_columns(s->f->model, tap));
    float *copy = s->x[s->calls++] = ps_alloc_array(ps_tensor_bytes(x), 1);
    ck_ok(ps_tap_read(ps_model_stream(s->f->model), x, ld, copy));
}

/* x·wᵀ + b of a layer's is what comes after it, in float64, or relu of it. */
static void assert_next(const mlp_fixture *f, const int64_t *layers, size_t l, const float *x,
                        const float *next, bool relu)
{
    const double *w = f->parameters[2 * l], *b = f->parameters[2 * l + 1];
    for (int64_t row = 0; row < f->batch.rows; row++)
        for (int64_t o = 0; o < layers[l + 1]; o++) {
            double z = b[o];
            for (int64_t i = 0; i < layers[l]; i++)
                z += w[o * layers[l] + i] * (double)x[row * layers[l] + i];
            ck_assert_double_eq_tol((double)next[row * layers[l + 1] + o], z > 0 || !relu ? z : 0,
                                    1e-4);
        }
}

START_TEST(what_passes_between_layers_is_shown_in_order)
{
    static const int64_t layers[] = {7, 9, 5, 3};
    const ps_model_config config = {
        .architecture = "mlp", .layers = layers, .layer_count = 4, .activation = "relu"};
    mlp_fixture f;
    fixture_open(&f, &config, 8, 6);
    seen s = {.f = &f};
    ck_ok(ps_model_forward(f.model, &f.batch, &(ps_model_hooks){.at = see, .user = &s}));
    ck_assert_uint_eq(s.calls, 6);
    ck_assert_mem_eq(s.x[0], f.features, 6 * 7 * sizeof(float));
    for (size_t l = 0; l < 3; l++) {
        ps_tap before;
        ck_ok(ps_model_tap_before(f.model, 2 * l, &before));
        ck_assert(ps_tap_equal(before, order[2 * l]));
        assert_next(&f, layers, l, s.x[2 * l], s.x[2 * l + 1], false);
        if (l < 2)
            assert_next(&f, layers, l, s.x[2 * l], s.x[2 * l + 2], true);
    }
    ck_ok(ps_model_forward(f.model, &f.batch, NULL)); /* nobody watches any more */
    ck_assert_uint_eq(s.calls, 6);
    for (size_t i = 0; i < 6; i++)
        ps_free(&s.x[i]);
    ck_assert_int_eq(ps_model_tap_before(f.model, 1, &(ps_tap){0}), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "parameter layers.0.bias is in no product");
    ck_assert_int_eq(ps_model_tap_columns(f.model, (ps_tap){PS_TAP_LAYER_POST, 2}), 0);
    ck_assert_int_eq(ps_model_tap_columns(f.model, (ps_tap){PS_TAP_Z, 0}), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(gradient_descent_learns_to_tell_three_clouds_apart)
{
    static const int64_t layers[] = {2, 16, 3};
    ps_model_config config = config_of(layers, 3, _i);
    mlp_fixture f;
    fixture_open(&f, &config, 64, 64);
    f.batch.targets = NULL;
    ps_model_result result;
    int64_t correct = 0;
    for (int step = 0; step < 620; step++) { /* at 0.1, squared errors may grow */
        make_clouds(&f);
        run_step(&f, &result);
        correct += step >= 600 ? result.correct : 0;
        for (size_t i = 0; i < f.count; i++)
            ps_op_axpy(ps_model_stream(f.model), ps_model_parameter(f.model, i), -0.03f,
                       ps_model_gradient(f.model, i));
    }
    ck_assert_int_gt(correct, (int64_t)(0.95 * 20 * 64));
    fixture_close(&f);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &the_reference_gradients_agree_with_finite_differences, .repeat = COMBINATIONS},
    {.test = &gradients_agree_with_float64, .repeat = COMBINATIONS},
    {.test = &gradients_of_a_small_last_batch_agree_with_float64, .repeat = COMBINATIONS},
    {.test = &a_model_of_one_layer_agrees_with_float64, .repeat = COMBINATIONS},
    {.test = &a_second_step_does_not_see_the_first},
    {.test = &predictions_are_probabilities_under_cross_entropy},
    {.test = &predictions_are_the_outputs_under_squared_error},
    {.test = &labels_stand_for_one_hot_rows_under_squared_error},
    {.test = &hooks_fire_once_each_in_the_order_of_use},
    {.test = &a_hook_that_fails_ends_the_pass},
    {.test = &what_passes_between_layers_is_shown_in_order},
    {.test = &gradient_descent_learns_to_tell_three_clouds_apart, .repeat = COMBINATIONS},
    {0},
};

int main(void)
{
    return ps_check_main("models/mlp", tests);
}
