/* Language models against Hugging Face's transformers on PyTorch: tests/golden/make_transformers.py
 * made the files. Logits, loss, every gradient, and the loss over 20 steps of AdamW. */
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "worker/models/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-4
enum { STEPS = 20, ROWS = 3, LENGTH = 12 };

static const char *const kinds[] = {"gpt2", "llama", "qwen2"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static ps_model_config config_of(const char *kind)
{
    bool llama = strcmp(kind, "gpt2") != 0; /* or what has its sizes */
    return (ps_model_config){.architecture = kind,
                             .language = {.vocab_size = 61,
                                          .context_length = 16,
                                          .hidden_size = 16,
                                          .num_layers = 2,
                                          .num_heads = 4,
                                          .num_kv_heads = llama ? 2 : 4,
                                          .intermediate_size = llama ? 44 : 64,
                                          .rope_theta = 10000,
                                          .norm_epsilon = 1e-5,
                                          .tie_embeddings = !llama}};
}

typedef struct golden {
    ps_test_device device;
    ps_model *model;
    uint8_t *bytes;
    ps_safetensors *file;
    ps_model_batch batch;
} golden;

static const void *find(const golden *g, const char *prefix, const char *name)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s%s", prefix, name);
    for (size_t i = 0; i < g->file->n_tensors; i++)
        if (strcmp(g->file->tensors[i].name, full) == 0)
            return g->bytes + g->file->data_start + g->file->tensors[i].begin;
    ck_abort_msg("the golden file has no %s", full);
    return NULL;
}

static void read_file(golden *g, const char *kind)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/%s.safetensors", getenv("PSD_SOURCE_ROOT"),
                   kind);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    g->bytes = ps_alloc_array(1 << 20, 1);
    size_t size = fread(g->bytes, 1, 1 << 20, f);
    fclose(f);
    ck_assert_msg(ps_safetensors_parse(ps_slice_of(g->bytes, size), size, &g->file) == PS_OK, "%s",
                  ps_error_message());
}

static void load(golden *g, ps_model *model)
{
    const ps_model_layout *layout = ps_model_parameters(model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(model, i);
        ps_copy_to_device(ps_model_stream(model), t,
                          find(g, "parameter/", layout->parameters[i].name), ps_tensor_bytes(t));
    }
    ck_ok(ps_stream_sync(ps_model_stream(model)));
    ps_model_refresh(model);
}

static ps_model *create(golden *g, const char *kind, ps_model_options options)
{
    ps_model_config config = config_of(kind);
    ps_model *model = NULL;
    ck_assert_msg(ps_model_create(g->device.backend, &config, &options, &model) == PS_OK, "%s",
                  ps_error_message());
    load(g, model);
    return model;
}

static void open_golden(golden *g, const char *kind)
{
    *g = (golden){0};
    ps_test_device_open(&g->device, "cpu");
    read_file(g, kind);
    g->model = create(g, kind, (ps_model_options){.max_batch = ROWS});
    g->batch = (ps_model_batch){.rows = ROWS,
                                .length = LENGTH,
                                .tokens = find(g, "", "tokens"),
                                .labels = find(g, "", "labels"),
                                .train = true};
}

static void close_golden(golden *g)
{
    ps_model_free(&g->model);
    ps_safetensors_free(&g->file);
    ps_free(&g->bytes);
    ps_test_device_close(&g->device);
}

static double step(golden *g)
{
    ps_model_result result;
    ck_ok(ps_model_forward(g->model, &g->batch, NULL));
    ck_ok(ps_model_loss(g->model, &g->batch));
    ck_ok(ps_model_backward(g->model, NULL));
    ck_ok(ps_model_result_get(g->model, &result));
    return result.loss;
}

static double error_to(const golden *g, ps_tensor t, const float *want)
{
    double *want64 = ps_alloc_array((size_t)ps_tensor_count(t), sizeof *want64);
    for (int64_t i = 0; i < ps_tensor_count(t); i++)
        want64[i] = (double)want[i];
    double e = ps_test_error((ps_test_device *)(uintptr_t)&g->device, t, want64);
    ps_free(&want64);
    return e;
}

START_TEST(loss_and_every_gradient)
{
    golden g;
    open_golden(&g, kinds[_i]);
    const float *losses = find(&g, "", "losses");
    ck_assert_double_eq_tol(step(&g), (double)losses[0], TOLERANCE * (double)losses[0]);
    const ps_model_layout *layout = ps_model_parameters(g.model);
    for (size_t i = 0; i < layout->count; i++) {
        const char *name = layout->parameters[i].name;
        double e = error_to(&g, ps_model_gradient(g.model, i), find(&g, "gradient/", name));
        ck_assert_msg(e < TOLERANCE, "%s: the gradient of %s is off by %g", kinds[_i], name, e);
    }
    close_golden(&g);
}
END_TEST

START_TEST(logits)
{
    golden g;
    open_golden(&g, kinds[_i]);
    const float *want = find(&g, "", "logits");
    const int v = 61;
    ps_model *decoder = create(&g, kinds[_i], (ps_model_options){.max_batch = 1, .decode = true});
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
    const float *losses = find(&g, "", "losses");
    for (int i = 0; i < STEPS; i++) {
        double loss = step(&g);
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
