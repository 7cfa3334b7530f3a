/* language_fixture: tiny language models on the backend under test, one of each kind that differs,
 * the same parameters for float64 (tests/lib/ref64_language.h), and a random batch. */
#ifndef PS_TEST_LANGUAGE_FIXTURE_H
#define PS_TEST_LANGUAGE_FIXTURE_H

#include "common/base/mem.h"
#include "tests/lib/ck_ok.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64_language.h"
#include "worker/models/model.h"

#include <check.h>

enum { ROWS = 2, LENGTH = 5, TOKENS = ROWS * LENGTH, KINDS = 6 };

static inline ps_model_config language_config(int kind)
{
    static const char *const names[KINDS] = {"gpt2", "llama", "llama", "qwen2", "llama", "gpt2"};
    ps_model_language size = {.vocab_size = 13,
                              .context_length = 8,
                              .hidden_size = 8,
                              .num_layers = 2,
                              .num_heads = 4,
                              .num_kv_heads = 4,
                              .intermediate_size = 12,
                              .rope = {.theta = 10000},
                              .norm_epsilon = 1e-5,
                              .tie_embeddings = true};
    if (kind > 0)
        size.num_kv_heads = 2;
    if (kind >= 4) { /* heads that are not hidden_size / num_heads numbers */
        size.num_heads = kind == 4 ? 6 : 3;
        size.num_kv_heads = 3;
        size.head_dim = kind == 4 ? 2 : 4;
    }
    size.tie_embeddings = kind != 1;
    return (ps_model_config){.architecture = names[kind], .language = size};
}

typedef struct language_fixture {
    ps_test_device device;
    ps_model_config config;
    ps_model *model;
    double **parameters;
    size_t count;
    int32_t tokens[TOKENS], labels[TOKENS];
    ps_model_batch batch;
} language_fixture;

static inline ps_model *language_create(language_fixture *f, ps_model_options options)
{
    ps_model *model = NULL;
    options.max_batch = options.max_batch ? options.max_batch : ROWS;
    ck_assert_msg(ps_model_create(f->device.backend, &f->config, &options, &model) == PS_OK, "%s",
                  ps_error_message());
    return model;
}

/* f's parameters, rounded to float32 once, into the model. */
static inline void language_load(language_fixture *f, ps_model *model)
{
    for (size_t i = 0; i < f->count; i++) {
        ps_tensor t = ps_model_parameter(model, i);
        int64_t n = ps_tensor_count(t);
        float *values = ps_alloc_array((size_t)n, sizeof *values);
        for (int64_t j = 0; j < n; j++)
            values[j] = (float)f->parameters[i][j];
        ps_copy_to_device(ps_model_stream(model), t, values, ps_tensor_bytes(t));
        ck_ok(ps_stream_sync(ps_model_stream(model)));
        ps_free(&values);
    }
    ps_model_refresh(model);
}

/* Gains around 1, the rest around 0, all far enough from it to matter. */
static inline void language_draw(language_fixture *f)
{
    const ps_model_layout *layout = ps_model_parameters(f->model);
    f->count = layout->count;
    f->parameters = ps_alloc_array(f->count, sizeof *f->parameters);
    for (size_t i = 0; i < f->count; i++) {
        int64_t n = ps_tensor_count(ps_model_parameter(f->model, i));
        f->parameters[i] = ps_alloc_array((size_t)n, sizeof(double));
        double around = layout->parameters[i].init == PS_INIT_ONES ? 1 : 0;
        for (int64_t j = 0; j < n; j++)
            f->parameters[i][j] = (double)(float)(around + 0.3 * ps_rng_normal(&f->device.rng));
    }
}

static inline void language_open_of(language_fixture *f, ps_model_config config)
{
    *f = (language_fixture){.config = config};
    ps_test_device_open(&f->device, ps_test_backend());
    f->model = language_create(f, (ps_model_options){0});
    language_draw(f);
    language_load(f, f->model);
    uint64_t vocabulary = (uint64_t)f->config.language.vocab_size;
    for (int i = 0; i < TOKENS; i++) {
        f->tokens[i] = (int32_t)ps_rng_below(&f->device.rng, vocabulary);
        f->labels[i] = (int32_t)ps_rng_below(&f->device.rng, vocabulary);
    }
    f->labels[3] = -1; /* one that does not count */
    f->batch = (ps_model_batch){
        .rows = ROWS, .tokens = f->tokens, .length = LENGTH, .labels = f->labels, .train = true};
}

static inline void language_open(language_fixture *f, int kind)
{
    language_open_of(f, language_config(kind));
}

static inline void language_close(language_fixture *f)
{
    for (size_t i = 0; i < f->count; i++)
        ps_free(&f->parameters[i]);
    ps_free(&f->parameters);
    ps_model_free(&f->model);
    ps_test_device_close(&f->device);
}

static inline ps_ref64_language language_reference(const language_fixture *f)
{
    return (ps_ref64_language){
        .config = &f->config, .layout = ps_model_parameters(f->model), .parameters = f->parameters};
}

#endif
