/* Models that learn from others: what is said of the teacher's answers, against its probabilities
 * in float64; what the gradient is with the teacher alone, without it, and over steps. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "worker/models/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 6, LENGTH = 4, INPUTS = 5, CLASSES = 7, KINDS = 3 };

static ps_test_device device;
static bool wider = true; /* the teacher of language models, than the student */
/* Hidden layers that are compared, of mlp and of language models. */
static const int64_t of_student[2][2] = {{1}, {1, 1}}, of_teacher[2][2] = {{2}, {1, 2}};

/* student and teacher: of a family, and not of the same width */
static ps_model_config config_of(int kind, bool teacher)
{
    static const int64_t small[] = {INPUTS, 4, CLASSES}, large[] = {INPUTS, 9, 4, CLASSES};
    static const char *const names[KINDS] = {"mlp", "gpt2", "llama"};
    ps_model_language size = {.vocab_size = CLASSES,
                              .context_length = LENGTH,
                              .hidden_size = teacher && wider ? 16 : 8,
                              .num_layers = teacher ? 2 : 1,
                              .num_heads = 2,
                              .num_kv_heads = 2,
                              .intermediate_size = 12,
                              .rope = {.theta = 10000},
                              .norm_epsilon = 1e-5,
                              .tie_embeddings = kind == 1};
    ps_model_config config = {.architecture = names[kind], .language = size};
    if (kind == 0) {
        config.layers = teacher ? large : small;
        config.layer_count = teacher ? 4 : 3;
    }
    return config;
}

typedef struct fixture {
    ps_model *student, *teacher;
    float features[ROWS * INPUTS];
    int32_t tokens[ROWS * LENGTH], labels[ROWS * LENGTH];
    ps_model_batch batch;
    ps_model_teaching teaching;
} fixture;

static ps_model *create(int kind, bool teacher)
{
    ps_model_config config = config_of(kind, teacher);
    ps_model_options options = {.max_batch = ROWS, .inference = teacher};
    if (teacher && !wider) {
        options.keep = of_teacher[kind > 0];
        options.n_keep = kind > 0 ? 2 : 1;
    }
    ps_model *model = NULL;
    ck_ok(ps_model_create(device.backend, &config, &options, &model));
    for (size_t i = 0; i < ps_model_parameters(model)->count; i++) {
        ps_tensor t = ps_model_parameter(model, i);
        float *values = ps_alloc_array((size_t)ps_tensor_count(t), sizeof *values);
        for (int64_t j = 0; j < ps_tensor_count(t); j++)
            values[j] = (float)(0.5 * ps_rng_normal(&device.rng));
        ps_copy_to_device(ps_model_stream(model), t, values, ps_tensor_bytes(t));
        ck_ok(ps_stream_sync(ps_model_stream(model)));
        ps_free(&values);
    }
    ps_model_refresh(model);
    return model;
}

static void open_fixture(fixture *f, int kind)
{
    ps_test_device_open(&device, "cpu");
    *f = (fixture){.student = create(kind, false), .teacher = create(kind, true)};
    for (int i = 0; i < ROWS * INPUTS; i++)
        f->features[i] = (float)ps_rng_normal(&device.rng);
    for (int i = 0; i < ROWS * LENGTH; i++) {
        f->tokens[i] = (int32_t)ps_rng_below(&device.rng, CLASSES);
        f->labels[i] = (int32_t)ps_rng_below(&device.rng, CLASSES);
    }
    f->batch = (ps_model_batch){.rows = ROWS, .labels = f->labels, .train = true};
    if (kind == 0) {
        f->batch.features = f->features;
    } else {
        f->batch.tokens = f->tokens;
        f->batch.length = LENGTH;
    }
    f->teaching = (ps_model_teaching){.teacher = f->teacher, .temperature = 1, .alpha = 1};
    f->batch.teaching = &f->teaching;
}

static void close_fixture(fixture *f)
{
    ps_model_free(&f->student);
    ps_model_free(&f->teacher);
    ps_test_device_close(&device);
}

static ps_model_result step(fixture *f)
{
    ps_model_result result;
    ck_ok(ps_model_forward(f->student, &f->batch, NULL));
    ck_ok(ps_model_loss(f->student, &f->batch));
    ck_ok(ps_model_backward(f->student, NULL));
    ck_ok(ps_model_result_get(f->student, &result));
    return result;
}

/* Of the last token of each row: predict says no more; so all others are left out. */
static void only_last(fixture *f)
{
    for (int i = 0; f->batch.tokens && i < ROWS * LENGTH; i++)
        if (i % LENGTH < LENGTH - 1)
            f->labels[i] = -1;
}

START_TEST(the_divergence_is_that_of_what_both_predict)
{
    fixture f;
    open_fixture(&f, _i);
    only_last(&f);
    ps_model_result result = step(&f);
    float p[ROWS * CLASSES], q[ROWS * CLASSES];
    ck_ok(ps_model_predict(f.teacher, &f.batch, NULL, p));
    ck_ok(ps_model_predict(f.student, &f.batch, NULL, q));
    double want = 0, loss = 0;
    for (int i = 0; i < ROWS * CLASSES; i++)
        want += (double)p[i] * log((double)p[i] / (double)q[i]) / ROWS;
    for (int r = 0; r < ROWS; r++) {
        int label = f.labels[f.batch.tokens ? r * LENGTH + LENGTH - 1 : r];
        loss -= log((double)q[r * CLASSES + label]) / ROWS;
    }
    ck_assert_double_eq_tol(result.divergence, want, 1e-5);
    ck_assert_double_eq_tol(result.loss, loss, 1e-5); /* of the labels, whatever alpha is */
    f.batch.teaching = NULL;
    ck_assert_double_eq(step(&f).divergence, -1);
    close_fixture(&f);
}
END_TEST

static float *gradients_of(fixture *f, size_t *n)
{
    (void)step(f);
    float *all = NULL;
    *n = 0;
    for (size_t i = 0; i < ps_model_parameters(f->student)->count; i++) {
        ps_tensor t = ps_model_gradient(f->student, i);
        size_t count = (size_t)ps_tensor_count(t);
        all = ps_realloc(all, (*n + count) * sizeof *all);
        ck_ok(ps_copy_to_host(ps_model_stream(f->student), all + *n, t, ps_tensor_bytes(t)));
        *n += count;
    }
    return all;
}

/* The gradient is linear in alpha: that of a half is the mean of that of the teacher alone and that
 * of the labels alone, which is what it is without a teacher. */
START_TEST(alpha_goes_from_the_labels_to_the_teacher)
{
    fixture f;
    size_t n;
    open_fixture(&f, _i);
    float *teachers = gradients_of(&f, &n);
    f.teaching.alpha = 0.5;
    float *both = gradients_of(&f, &n);
    f.teaching.alpha = 0;
    float *none = gradients_of(&f, &n);
    f.batch.teaching = NULL;
    float *labels = gradients_of(&f, &n);
    double apart = 0;
    for (size_t i = 0; i < n; i++) {
        ck_assert_double_eq_tol((double)none[i], (double)labels[i], 1e-6);
        ck_assert_double_eq_tol((double)both[i], ((double)teachers[i] + (double)labels[i]) / 2,
                                1e-5);
        apart += fabs((double)teachers[i] - (double)labels[i]);
    }
    ck_assert_double_gt(apart, 0.1);
    ps_free(&teachers);
    ps_free(&both);
    ps_free(&none);
    ps_free(&labels);
    close_fixture(&f);
}
END_TEST

START_TEST(a_student_comes_near_its_teacher)
{
    fixture f;
    open_fixture(&f, _i / PS_DIVERGENCE_COUNT);
    f.teaching.kind = (ps_divergence)(_i % PS_DIVERGENCE_COUNT);
    f.teaching.top_k = 3;
    double first = step(&f).divergence, last = first;
    for (int i = 0; i < 60; i++) {
        for (size_t p = 0; p < ps_model_parameters(f.student)->count; p++)
            ps_op_axpy(ps_model_stream(f.student), ps_model_parameter(f.student, p), -0.2f,
                       ps_model_gradient(f.student, p));
        last = step(&f).divergence;
    }
    ck_assert_double_lt(last, 0.7 * first);
    close_fixture(&f);
}
END_TEST

START_TEST(squared_error_has_no_teacher)
{
    static const int64_t layers[] = {INPUTS, CLASSES};
    const ps_model_config config = {
        .architecture = "mlp", .layers = layers, .layer_count = 2, .loss = "squared_error"};
    fixture f;
    open_fixture(&f, 0);
    ps_model_free(&f.student);
    ck_ok(ps_model_create(device.backend, &config, &(ps_model_options){.max_batch = ROWS},
                          &f.student));
    ck_ok(ps_model_forward(f.student, &f.batch, NULL));
    ck_assert_int_eq(ps_model_loss(f.student, &f.batch), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "a teacher teaches loss cross_entropy alone");
    close_fixture(&f);
}
END_TEST

/* ---- hidden states ---- */

static void open_hidden(fixture *f, int kind)
{
    wider = false;
    open_fixture(f, kind);
    wider = true;
    f->teaching.n_hidden = kind > 0 ? 2 : 1;
    f->teaching.of_student = of_student[kind > 0];
    f->teaching.of_teacher = of_teacher[kind > 0];
}

static float *parameter_of(const ps_model *m, const char *name)
{
    size_t i;
    ck_ok(ps_model_find(m, name, &i));
    return ps_tensor_address(ps_model_parameter(m, i)); /* the CPU's */
}

/* relu(W·x + b) in float64 */
static void layer64(const ps_model *m, int i, const double *x, int in, int out, double *y)
{
    char name[32];
    (void)snprintf(name, sizeof name, "layers.%d.weight", i);
    const float *w = parameter_of(m, name);
    (void)snprintf(name, sizeof name, "layers.%d.bias", i);
    const float *b = parameter_of(m, name);
    for (int o = 0; o < out; o++) {
        y[o] = (double)b[o];
        for (int k = 0; k < in; k++)
            y[o] += (double)w[o * in + k] * x[k];
        y[o] = y[o] > 0 ? y[o] : 0;
    }
}

START_TEST(hidden_states_are_compared_by_their_squares)
{
    fixture f;
    open_hidden(&f, 0);
    ps_model_result result = step(&f);
    double want = 0;
    for (int r = 0; r < ROWS; r++) {
        double x[INPUTS], s[4], first[9], t[4];
        for (int i = 0; i < INPUTS; i++)
            x[i] = (double)f.features[r * INPUTS + i];
        layer64(f.student, 0, x, INPUTS, 4, s);
        layer64(f.teacher, 0, x, INPUTS, 9, first);
        layer64(f.teacher, 1, first, 9, 4, t);
        for (int i = 0; i < 4; i++)
            want += (s[i] - t[i]) * (s[i] - t[i]) / (ROWS * 4);
    }
    ck_assert_double_eq_tol(result.divergence, want, 1e-5 * want);
    f.batch.weight = 0.25; /* of a step of several batches: what is said stays */
    ck_assert_double_eq_tol(step(&f).divergence, want, 1e-5 * want);
    close_fixture(&f);
}
END_TEST

static double objective(fixture *f)
{
    ps_model_result result;
    ck_ok(ps_model_forward(f->student, &f->batch, NULL));
    ck_ok(ps_model_loss(f->student, &f->batch));
    ck_ok(ps_model_result_get(f->student, &result));
    return f->teaching.alpha * result.divergence + (1 - f->teaching.alpha) * result.loss;
}

static void walk(fixture *f, float by, const float *along)
{
    for (size_t i = 0, at = 0; i < ps_model_parameters(f->student)->count; i++) {
        ps_tensor t = ps_model_parameter(f->student, i);
        float *values = ps_tensor_address(t);
        for (int64_t j = 0; j < ps_tensor_count(t); j++)
            values[j] += by * along[at++];
    }
    ps_model_refresh(f->student);
}

/* Along the gradient itself the objective grows by its square. */
START_TEST(the_gradient_is_that_of_labels_and_hidden_states)
{
    fixture f;
    size_t n;
    open_hidden(&f, _i % KINDS);
    f.teaching.alpha = _i < KINDS ? 1 : 0.6;
    float *gradient = gradients_of(&f, &n);
    double square = 0;
    for (size_t i = 0; i < n; i++)
        square += (double)gradient[i] * (double)gradient[i];
    float h = (float)(2e-3 / sqrt(square));
    walk(&f, h, gradient);
    double above = objective(&f);
    walk(&f, -2 * h, gradient);
    double below = objective(&f);
    ck_assert_double_gt(square, 1e-4);
    ck_assert_double_eq_tol((above - below) / (2 * (double)h), square, 0.02 * square);
    ps_free(&gradient);
    close_fixture(&f);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &the_divergence_is_that_of_what_both_predict, .repeat = KINDS},
    {.test = &alpha_goes_from_the_labels_to_the_teacher, .repeat = KINDS},
    {.test = &a_student_comes_near_its_teacher, .repeat = KINDS * PS_DIVERGENCE_COUNT},
    {.test = &squared_error_has_no_teacher},
    {.test = &hidden_states_are_compared_by_their_squares},
    {.test = &the_gradient_is_that_of_labels_and_hidden_states, .repeat = 2 * KINDS},
    {0},
};

int main(void)
{
    return ps_check_main("models/teaching", tests);
}
