/* Models that learn from others: what is said of the teacher's answers, against its probabilities
 * in float64; what the gradient is with the teacher alone, without it, and over steps. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "worker/models/model.h"

#include <math.h>
#include <string.h>

enum { ROWS = 6, LENGTH = 4, INPUTS = 5, CLASSES = 7, KINDS = 3 };

static ps_test_device device;

/* student and teacher: of a family, and not of the same width */
static ps_model_config config_of(int kind, bool teacher)
{
    static const int64_t small[] = {INPUTS, 4, CLASSES}, large[] = {INPUTS, 9, 8, CLASSES};
    static const char *const names[KINDS] = {"mlp", "gpt2", "llama"};
    ps_model_language size = {.vocab_size = CLASSES,
                              .context_length = LENGTH,
                              .hidden_size = teacher ? 16 : 8,
                              .num_layers = teacher ? 2 : 1,
                              .num_heads = 2,
                              .num_kv_heads = 2,
                              .intermediate_size = 12,
                              .rope_theta = 10000,
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

static const ps_check_case tests[] = {
    {.test = &the_divergence_is_that_of_what_both_predict, .repeat = KINDS},
    {.test = &alpha_goes_from_the_labels_to_the_teacher, .repeat = KINDS},
    {.test = &a_student_comes_near_its_teacher, .repeat = KINDS * PS_DIVERGENCE_COUNT},
    {.test = &squared_error_has_no_teacher},
    {0},
};

int main(void)
{
    return ps_check_main("models/teaching", tests);
}
