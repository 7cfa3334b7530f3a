/* A model whose inputs' factors are folded says what it said before, whatever the factors are. */
#include "worker/tasks/fold.h"

#include "tests/lib/device.h"
#include "tests/unit/common/compress/plan_rig.h"
#include "worker/job/job_model.h"
#include "worker/models/model.h"

#include <math.h>

enum { ROWS = 5, LENGTH = 7, MOST = ROWS * LENGTH * 300 };

#define LANGUAGE(name, heads, inner)                                                 \
    "{architecture: " name ", vocab_size: 300, context_length: 8, hidden_size: 64, " \
    "num_layers: 2, num_heads: 4, " heads "intermediate_size: " inner "}"

static const struct {
    const char *model;
    size_t folded, inputs; /* how many inputs have factors, of how many */
} cases_of[] = {
    {LANGUAGE("gpt2", "", "128"), 6, 8},
    {LANGUAGE("llama", "num_kv_heads: 2, ", "96"), 8, 8},
    {LANGUAGE("llama", "num_kv_heads: 4, ", "96"), 8, 8},
    {LANGUAGE("qwen2", "num_kv_heads: 1, ", "96"), 8, 8},
    {"{architecture: mlp, layers: [32, 48, 40, 300]}", 2, 3},
    {"{architecture: mlp, layers: [32, 48, 40, 300], activation: tanh}", 0, 3},
};

typedef struct fixture {
    rig rig;
    ps_test_device device;
    ps_model *model;
    float features[ROWS * 32];
    int32_t tokens[ROWS * LENGTH];
    ps_model_batch batch;
    float *scales[8]; /* of each input */
} fixture;

static float *numbers_of(const fixture *f, size_t i, size_t *bytes)
{
    ps_tensor t = ps_model_parameter(f->model, i);
    *bytes = ps_tensor_bytes(t);
    float *x = ps_alloc(*bytes);
    ck_ok(ps_copy_to_host(ps_model_stream(f->model), x, t, *bytes));
    return x;
}

static void give(const fixture *f, size_t i, const float *x, size_t bytes)
{
    ps_copy_to_device(ps_model_stream(f->model), ps_model_parameter(f->model, i), x, bytes);
    ck_ok(ps_stream_sync(ps_model_stream(f->model)));
}

static void fill(fixture *f)
{
    const ps_model_layout *layout = ps_model_parameters(f->model);
    for (size_t i = 0; i < layout->count; i++) {
        size_t bytes;
        float *x = numbers_of(f, i, &bytes);
        for (size_t k = 0; k < bytes / sizeof *x; k++)
            x[k] = (layout->parameters[i].init == PS_INIT_ONES ? 1 : 0) +
                   0.2F * (float)ps_rng_normal(&f->device.rng);
        give(f, i, x, bytes);
        ps_free(&x);
    }
    ps_model_refresh(f->model);
}

static void make_batch(fixture *f)
{
    bool language = ps_spec_model_is_language(f->rig.model);
    for (int i = 0; i < ROWS * 32; i++)
        f->features[i] = (float)ps_rng_normal(&f->device.rng);
    for (int i = 0; i < ROWS * LENGTH; i++)
        f->tokens[i] = (int32_t)ps_rng_below(&f->device.rng, 300);
    f->batch = language ? (ps_model_batch){.rows = ROWS, .length = LENGTH, .tokens = f->tokens}
                        : (ps_model_batch){.rows = ROWS, .features = f->features};
}

/* Between 1/4 and 4; those of one row are one. */
static void draw_scales(fixture *f)
{
    for (size_t i = 0; i < f->rig.plan->n_inputs; i++) {
        const ps_plan_input *in = &f->rig.plan->inputs[i];
        ps_scale_share share = {in->span, in->repeat};
        if (!in->factors)
            continue;
        float *of_rows = ps_alloc_array(in->columns, sizeof *of_rows);
        f->scales[i] = ps_alloc_array(in->columns, sizeof(float));
        for (uint64_t c = 0; c < in->columns; c++)
            of_rows[c] = (float)exp2(4 * ps_rng_uniform(&f->device.rng) - 2);
        for (uint64_t c = 0; c < in->columns; c++)
            f->scales[i][c] = of_rows[ps_scale_row(share, c)];
        ps_free(&of_rows);
    }
}

static void set_up(fixture *f, int kind)
{
    *f = (fixture){0};
    ck_ok(
        plan(&f->rig, cases_of[kind].model, "quantise: {scheme: int4, method: awq, group: 32}\n"));
    ps_test_device_open(&f->device, "cpu");
    ps_model_config config = ps_job_model_config(f->rig.model);
    ck_ok(ps_model_create(f->device.backend, &config,
                          &(ps_model_options){.max_batch = ROWS, .inference = true}, &f->model));
    fill(f);
    make_batch(f);
    draw_scales(f);
}

static void tear_down(fixture *f)
{
    for (size_t i = 0; i < 8; i++)
        ps_free(&f->scales[i]);
    ps_model_free(&f->model);
    ps_test_device_close(&f->device);
    rig_free(&f->rig);
}

/* As a solver does it, in rows of one output each. */
static void fold_tensor(fixture *f, const ps_plan_tensor *t)
{
    size_t at, bytes;
    const ps_plan *p = f->rig.plan;
    const ps_model_form *form = &t->stored;
    const float *in = t->input != PS_PLAN_NO_INPUT ? f->scales[t->input] : NULL;
    const float *out = t->folds != PS_PLAN_NO_INPUT ? f->scales[t->folds] : NULL;
    ck_assert(t->solves || (!in && !out));
    ck_ok(ps_model_find(f->model, form->name, &at));
    float *x = numbers_of(f, at, &bytes);
    float *rows = ps_alloc(bytes);
    if (form->transposed)
        ps_compress_transpose(x, form->shape[0], form->shape[1], rows);
    else
        memcpy(rows, x, bytes);
    ps_fold_apply(p, t, in, out, rows);
    if (form->transposed)
        ps_compress_transpose(rows, form->shape[1], form->shape[0], x);
    else
        memcpy(x, rows, bytes);
    give(f, at, x, bytes);
    ps_free(&rows);
    ps_free(&x);
}

/* The largest difference between what the model says and said. */
static double changed(fixture *f, const float *was)
{
    static float is[MOST];
    double most = 0;
    ps_model_refresh(f->model);
    ck_ok(ps_model_predict(f->model, &f->batch, NULL, is));
    int64_t n = ROWS * (f->batch.tokens ? LENGTH : 1) * ps_model_outputs(f->model);
    ck_assert_int_le(n, MOST);
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)is[i] - (double)was[i]));
    return most;
}

START_TEST(folded_models_say_what_they_said)
{
    static float was[MOST];
    fixture f;
    set_up(&f, _i);
    const ps_plan *p = f.rig.plan;
    size_t folded = 0;
    double half = 0;
    for (size_t i = 0; i < p->n_inputs; i++)
        folded += p->inputs[i].factors;
    ck_assert_uint_eq(folded, cases_of[_i].folded);
    ck_assert_uint_eq(p->n_inputs, cases_of[_i].inputs);
    ck_ok(ps_model_predict(f.model, &f.batch, NULL, was));
    for (size_t i = 0; i < p->n_tensors; i++) {
        fold_tensor(&f, &p->tensors[i]);
        if (i + 1 < p->n_tensors)
            half = fmax(half, changed(&f, was));
    }
    if (folded)
        ck_assert_double_gt(half, 1e-3); /* on the way it said something else */
    ck_assert_double_lt(changed(&f, was), 2e-6);
    tear_down(&f);
}
END_TEST

/* psd may ask for what the worker's plan does not have. */
START_TEST(sums_of_no_input_of_the_plan_are_refused)
{
    ps_plan plan = {0};
    const ps_compress_job job = {.plan = &plan};
    const ps_plan_tensor tensor = {0};
    ps_compress_sums sums;
    ck_assert_int_eq(ps_compress_sums_take(&job, &tensor, &sums), PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(sums.memory[0]);
    ck_assert_ptr_null(sums.memory[1]);
}
END_TEST

static const ps_check_case cases[] = {
    {&folded_models_say_what_they_said, 0, sizeof cases_of / sizeof *cases_of},
    {&sums_of_no_input_of_the_plan_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("worker/tasks/fold", cases);
}
