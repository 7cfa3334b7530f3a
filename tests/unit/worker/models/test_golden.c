/* Language models against Hugging Face's transformers on PyTorch: tests/golden/make_transformers.py
 * made the files. Logits, loss, every gradient, and the loss over 20 steps of AdamW. */
#include "tests/lib/check_main.h"
#include "tests/unit/worker/models/golden_fixture.h"
#include "tests/unit/worker/models/step.h"

#include <math.h>

#define TOLERANCE 1e-4
enum { STEPS = 20, ROWS = 3, LENGTH = 12 };

static const char *const kinds[] = {"gpt2", "llama", "qwen2"};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct golden {
    ps_test_device device;
    ps_model *model;
    golden_file file;
    ps_model_batch batch;
} golden;

static void open_golden(golden *g, const char *kind)
{
    *g = (golden){0};
    ps_test_device_open(&g->device, "cpu");
    golden_open(&g->file, "", kind);
    g->model = golden_model(&g->file, &g->device, kind, (ps_model_options){.max_batch = ROWS});
    g->batch = (ps_model_batch){.rows = ROWS,
                                .length = LENGTH,
                                .tokens = golden_get(&g->file, "", "tokens"),
                                .labels = golden_get(&g->file, "", "labels"),
                                .train = true};
}

static void close_golden(golden *g)
{
    ps_model_free(&g->model);
    golden_close(&g->file);
    ps_test_device_close(&g->device);
}

START_TEST(loss_and_every_gradient)
{
    golden g;
    open_golden(&g, kinds[_i]);
    const float *losses = golden_get(&g.file, "", "losses");
    ck_assert_double_eq_tol(model_step(g.model, &g.batch).loss, (double)losses[0],
                            TOLERANCE * (double)losses[0]);
    const ps_model_layout *layout = ps_model_parameters(g.model);
    for (size_t i = 0; i < layout->count; i++) {
        const char *name = layout->parameters[i].name;
        double e = golden_error(&g.device, ps_model_gradient(g.model, i),
                                golden_get(&g.file, "gradient/", name));
        ck_assert_msg(e < TOLERANCE, "%s: the gradient of %s is off by %g", kinds[_i], name, e);
    }
    close_golden(&g);
}
END_TEST

START_TEST(logits)
{
    golden g;
    open_golden(&g, kinds[_i]);
    const float *want = golden_get(&g.file, "", "logits");
    const int v = 61;
    ps_model *decoder = golden_model(&g.file, &g.device, kinds[_i],
                                     (ps_model_options){.max_batch = 1, .decode = true});
    float got[61];
    for (int i = 0; i < ROWS * LENGTH; i++) {
        ck_ok(ps_model_extend(decoder, g.batch.tokens + i, 1, i % LENGTH, got));
        double e = 0, largest = 0;
        for (int j = 0; j < v; j++) {
            e = fmax(e, fabs((double)got[j] - (double)want[i * v + j]));
            largest = fmax(largest, fabs((double)want[i * v + j]));
        }
        ck_assert_msg(e < TOLERANCE * largest, "token %d: off by %g of %g", i, e, largest);
    }
    ps_model_free(&decoder);
    close_golden(&g);
}
END_TEST

/* m and v beside each parameter. */
static void adamw(golden *g, ps_tensor *moments, int64_t at)
{
    size_t count = ps_model_parameters(g->model)->count;
    for (size_t i = 0; i < count; i++)
        ps_op_adamw(ps_model_stream(g->model),
                    &(ps_adamw){.parameter = ps_model_parameter(g->model, i),
                                .gradient = ps_model_gradient(g->model, i),
                                .m = moments[2 * i],
                                .v = moments[2 * i + 1],
                                .rate = 0.003f,
                                .beta1 = 0.9f,
                                .beta2 = 0.999f,
                                .epsilon = 1e-8f,
                                .decay = 0.05f,
                                .step = at});
    ps_model_refresh(g->model);
}

START_TEST(the_loss_over_twenty_steps_of_adamw)
{
    golden g;
    open_golden(&g, kinds[_i]);
    size_t count = ps_model_parameters(g.model)->count;
    ps_tensor *moments = ps_alloc_array(2 * count, sizeof *moments);
    for (size_t i = 0; i < 2 * count; i++) {
        moments[i] = ps_model_parameter(g.model, i / 2);
        moments[i].offset = 0;
        ck_ok(ps_buffer_new(g.device.backend, ps_tensor_bytes(moments[i]), &moments[i].buffer));
        ps_op_fill(ps_model_stream(g.model), moments[i], 0);
    }
    const float *losses = golden_get(&g.file, "", "losses");
    for (int i = 0; i < STEPS; i++) {
        double loss = model_step(g.model, &g.batch).loss;
        ck_assert_msg(fabs(loss - (double)losses[i]) < TOLERANCE * (double)losses[i],
                      "%s, step %d: %g, PyTorch has %g", kinds[_i], i, loss, (double)losses[i]);
        adamw(&g, moments, i + 1);
    }
    for (size_t i = 0; i < 2 * count; i++)
        ps_buffer_free(g.device.backend, &moments[i].buffer);
    ps_free(&moments);
    close_golden(&g);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &loss_and_every_gradient, .repeat = KINDS},
    {.test = &logits, .repeat = KINDS},
    {.test = &the_loss_over_twenty_steps_of_adamw, .repeat = KINDS},
    {0},
};

int main(void)
{
    return ps_check_main("models/golden", tests);
}
