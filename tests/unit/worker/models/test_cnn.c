/* Networks for images against PyTorch: tests/golden/cnn/make.py made the file. Outputs, loss, every
 * gradient, and that of the images; and that dropout is there in training alone. */
#include "common/conf/job_spec.h"
#include "tests/lib/check_main.h"
#include "tests/unit/worker/models/golden_fixture.h"
#include "tests/unit/worker/models/step.h"
#include "worker/job/job_model.h"

#include <math.h>

#define TOLERANCE 1e-4
#define SMALL     1e-2 /* beside what is 0: the least of the other gradients */

static const char *const names[] = {"plain", "gelu", "tanh", "wide", "deep", "row", "whole"};
enum { NAMES = sizeof names / sizeof *names, OUTPUTS_MOST = 16, ROWS_MOST = 8, CHANNELS_MOST = 8 };

typedef struct golden {
    ps_test_device device;
    golden_file file;
    char prefix[16];
    ps_spec_model *section;
    ps_model *model;
    ps_model_batch batch;
} golden;

static const void *get(const golden *g, const char *what, const char *name)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof prefix, "%s%s", g->prefix, what);
    return golden_get(&g->file, prefix, name);
}

static int64_t rows_of(const golden *g)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%slabels", g->prefix);
    return (int64_t)ps_safetensors_find(g->file.file, name)->shape[0];
}

static void open_golden(golden *g, const char *name, ps_model_options options)
{
    *g = (golden){0};
    (void)snprintf(g->prefix, sizeof g->prefix, "%s/", name);
    ps_test_device_open(&g->device, ps_test_backend());
    golden_open(&g->file, "cnn/", "cnn");
    const char *text = ps_safetensors_metadata(g->file.file, name);
    ck_assert_ptr_nonnull(text);
    ck_ok(ps_spec_model_parse(ps_slice_str(text), name, &g->section));
    ps_model_config config = ps_job_model_config(g->section);
    options.max_batch = rows_of(g) + 1; /* batches may be smaller */
    ck_ok(ps_model_create(g->device.backend, &config, &options, &g->model));
    const ps_model_layout *layout = ps_model_parameters(g->model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(g->model, i);
        ps_copy_to_device(ps_model_stream(g->model), t, get(g, "", layout->parameters[i].name),
                          ps_tensor_bytes(t));
    }
    ck_ok(ps_stream_sync(ps_model_stream(g->model)));
    ps_model_refresh(g->model);
    g->batch = (ps_model_batch){
        .rows = rows_of(g), .features = get(g, "", "images"), .labels = get(g, "", "labels")};
}

static void close_golden(golden *g)
{
    ps_model_free(&g->model);
    ps_spec_model_free(&g->section);
    golden_close(&g->file);
    ps_test_device_close(&g->device);
}

/* Where each channel is a group of its own its bias is taken away again: that gradient is 0, in
 * float32 to rounding. */
static double gradient_error(golden *g, ps_tensor t, const char *name)
{
    const float *want = get(g, "grad/", name);
    int64_t n = ps_tensor_count(t);
    float most = 0, got[CHANNELS_MOST];
    for (int64_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(want[i]));
    if (most > 1e-9f)
        return golden_error(&g->device, t, want);
    ck_assert_int_le(n, CHANNELS_MOST);
    ck_ok(ps_copy_to_host(ps_model_stream(g->model), got, t, (size_t)n * sizeof *got));
    for (int64_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(got[i]));
    return most / SMALL;
}

START_TEST(loss_and_every_gradient)
{
    golden g;
    open_golden(&g, names[_i], (ps_model_options){0});
    g.batch.train = true;
    double want = (double)*(const float *)get(&g, "", "loss");
    ck_assert_double_eq_tol(model_step(g.model, &g.batch).loss, want, 1e-5 * want);
    const ps_model_layout *layout = ps_model_parameters(g.model);
    for (size_t i = 0; i < layout->count; i++) {
        const char *name = layout->parameters[i].name;
        double e = gradient_error(&g, ps_model_gradient(g.model, i), name);
        ck_assert_msg(e < TOLERANCE, "%s: the gradient of %s is off by %g", names[_i], name, e);
    }
    close_golden(&g);
}
END_TEST

/* Of two batches that are the same the sum is twice the gradient. */
START_TEST(gradients_of_batches_add_up)
{
    golden g;
    open_golden(&g, names[_i], (ps_model_options){0});
    (void)model_step(g.model, &g.batch);
    g.batch.add_gradients = true;
    (void)model_step(g.model, &g.batch);
    const ps_model_layout *layout = ps_model_parameters(g.model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_gradient(g.model, i);
        const char *name = layout->parameters[i].name;
        ps_op_scale(ps_model_stream(g.model), t, 0.5f);
        ck_ok(ps_stream_sync(ps_model_stream(g.model)));
        ck_assert_double_lt(gradient_error(&g, t, name), TOLERANCE);
    }
    close_golden(&g);
}
END_TEST

START_TEST(outputs_and_the_gradient_of_the_images)
{
    golden g;
    open_golden(&g, names[_i], (ps_model_options){.explain = true});
    int64_t rows = g.batch.rows, outputs = ps_model_outputs(g.model);
    float got[ROWS_MOST * OUTPUTS_MOST];
    ps_model_point points[ROWS_MOST];
    for (int64_t i = 0; i < rows; i++)
        points[i] = (ps_model_point){.row = i};
    ck_ok(ps_model_forward(g.model, &g.batch, NULL));
    ck_ok(ps_model_outputs_at(g.model, points, (size_t)rows, got));
    const float *want = get(&g, "", "outputs");
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < outputs; i++)
            sum += exp((double)want[r * outputs + i]);
        for (int64_t i = 0; i < outputs; i++) {
            float *at = &got[r * outputs + i];
            ck_assert_float_eq_tol(*at, want[r * outputs + i], 1e-5f);
            *at = (float)((exp((double)*at) / sum - (g.batch.labels[r] == i)) / (double)rows);
        }
    }
    ck_ok(ps_model_backward_at(g.model, points, (size_t)rows, got, NULL));
    ck_ok(ps_stream_sync(ps_model_stream(g.model)));
    double e =
        golden_error(&g.device, ps_model_input_gradient(g.model), get(&g, "grad/", "images"));
    ck_assert_msg(e < TOLERANCE, "%s: off by %g", names[_i], e);
    close_golden(&g);
}
END_TEST

START_TEST(a_model_for_inference_says_the_same)
{
    golden g;
    open_golden(&g, names[_i], (ps_model_options){.inference = true});
    float got[ROWS_MOST * OUTPUTS_MOST];
    ck_ok(ps_model_predict(g.model, &g.batch, NULL, got));
    const float *want = get(&g, "", "outputs");
    int64_t outputs = ps_model_outputs(g.model);
    for (int64_t r = 0; r < g.batch.rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < outputs; i++)
            sum += exp((double)want[r * outputs + i]);
        for (int64_t i = 0; i < outputs; i++)
            ck_assert_double_eq_tol((double)got[r * outputs + i],
                                    exp((double)want[r * outputs + i]) / sum, 1e-5);
    }
    close_golden(&g);
}
END_TEST

/* The loss of one pass along the gradient: what is dropped is the same on the way back. */
START_TEST(dropout_is_in_training_alone)
{
    golden g;
    open_golden(&g, "plain", (ps_model_options){0});
    ps_model_config config = ps_job_model_config(g.section);
    ps_model *with = NULL;
    config.dropout = 0.5;
    ck_ok(ps_model_create(g.device.backend, &config,
                          &(ps_model_options){.max_batch = g.batch.rows, .seed = 5}, &with));
    for (size_t i = 0; i < ps_model_parameters(with)->count; i++)
        ps_copy(ps_model_stream(with), ps_model_parameter(with, i), ps_model_parameter(g.model, i));
    double plain = model_loss(g.model, &g.batch).loss;
    ck_assert_double_eq(model_loss(with, &g.batch).loss, plain);
    g.batch.train = true;
    double first = model_loss(with, &g.batch).loss;
    ck_assert_double_ne(first, plain);
    ck_assert_double_ne(first, model_loss(with, &g.batch).loss);
    ps_model_free(&with);
    close_golden(&g);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    static const int64_t layers[] = {10};
    ps_convolution c = {.channels = 4, .kernel = 5, .stride = 1, .norm = PS_CONVOLUTION_NO_NORM};
    ps_model_config config = {.architecture = "cnn",
                              .image = {1, 4, 4},
                              .convolutions = &c,
                              .convolution_count = 1,
                              .layers = layers,
                              .layer_count = 1};
    ps_model_layout layout = {0};
    ck_assert_int_eq(ps_model_describe(&config, &layout), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "convolutions[0]: does not fit what comes to it, 1 × 4 × 4");
    c.padding = 1;
    const ps_convolution good = c;
    const ps_convolution bad[] = {
        {.kernel = 3, .stride = 1},
        {.channels = 4, .stride = 1},
        {.channels = 4, .kernel = 3},
        {.channels = 4, .kernel = 3, .stride = 1, .padding = 3},
        {.channels = 4, .kernel = 3, .stride = 1, .pool = PS_CONVOLUTION_MAX, .pool_size = 2},
        {.channels = 4, .kernel = 3, .stride = 1, .pool = PS_CONVOLUTION_AVERAGE, .pool_stride = 2},
        {.channels = 4, .kernel = 3, .stride = 1, .norm = PS_CONVOLUTION_GROUP}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        c = bad[i];
        ck_assert_int_eq(ps_model_describe(&config, &layout), PS_INVALID_ARGUMENT);
    }
    c = good;
    ck_ok(ps_model_describe(&config, &layout));
    ck_assert_uint_eq(layout.count, 4);
    ck_assert_str_eq(layout.parameters[0].name, "convolutions.0.weight");
    ck_assert_int_eq(layout.parameters[2].shape[1], 4 * 2 * 2);
    ps_model_layout_free(&layout);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &loss_and_every_gradient, .repeat = NAMES},
    {.test = &gradients_of_batches_add_up, .repeat = NAMES},
    {.test = &outputs_and_the_gradient_of_the_images, .repeat = NAMES},
    {.test = &a_model_for_inference_says_the_same, .repeat = NAMES},
    {.test = &dropout_is_in_training_alone},
    {.test = &what_does_not_fit_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("worker/models/cnn", tests);
}
