/* mlp_fixture: an mlp on the backend under test, the same one in float64, and a random batch for
 * both. */
#ifndef PS_TEST_MLP_FIXTURE_H
#define PS_TEST_MLP_FIXTURE_H

#include "common/base/mem.h"
#include "tests/lib/ck_ok.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"
#include "worker/models/model.h"

#include <check.h>

#define FIXTURE_PARAMETERS_MAX 16

typedef struct mlp_fixture {
    ps_test_device device;
    ps_model *model;
    ps_ref64_mlp ref;
    double *parameters[FIXTURE_PARAMETERS_MAX];
    double *gradients[FIXTURE_PARAMETERS_MAX];
    size_t count;
    ps_model_batch batch;
    float *features, *targets;
    int32_t *labels;
    double *features64, *targets64;
} mlp_fixture;

static inline float *random_floats(ps_rng *rng, int64_t n, double scale)
{
    float *x = ps_alloc_array((size_t)n, sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(scale * ps_rng_normal(rng));
    return x;
}

static inline void fixture_batch(mlp_fixture *f, int64_t rows, int64_t in, int64_t out)
{
    ps_rng *rng = &f->device.rng;
    f->features = random_floats(rng, rows * in, 1);
    f->targets = random_floats(rng, rows * out, 1);
    f->labels = ps_alloc_array((size_t)rows, sizeof *f->labels);
    for (int64_t i = 0; i < rows; i++)
        f->labels[i] = (int32_t)ps_rng_below(rng, (uint64_t)out);
    f->features64 = ps_ref64_from_f32(f->features, (size_t)(rows * in));
    f->targets64 = ps_ref64_from_f32(f->targets, (size_t)(rows * out));
    f->batch = (ps_model_batch){
        .rows = rows, .features = f->features, .labels = f->labels, .targets = f->targets};
}

/* Parameters are random and twice as large as the initialisation would make them, so that no
 * activation stays in its linear part; batches have rows of max_batch. */
static inline void fixture_open(mlp_fixture *f, const ps_model_config *config, int64_t max_batch,
                                int64_t rows)
{
    *f = (mlp_fixture){0};
    ps_test_device_open(&f->device, ps_test_backend());
    ck_ok(ps_model_create(f->device.backend, config, &(ps_model_options){.max_batch = max_batch},
                          &f->model));
    const ps_model_layout *layout = ps_model_parameters(f->model);
    f->count = layout->count;
    for (size_t i = 0; i < f->count; i++) {
        ps_tensor t = ps_model_parameter(f->model, i);
        int64_t n = ps_tensor_count(t);
        float *values = random_floats(&f->device.rng, n, 2 * (double)layout->parameters[i].scale);
        ps_copy_to_device(ps_model_stream(f->model), t, values, ps_tensor_bytes(t));
        ck_ok(ps_stream_sync(ps_model_stream(f->model)));
        f->parameters[i] = ps_ref64_from_f32(values, (size_t)n);
        f->gradients[i] = ps_alloc_array((size_t)n, sizeof(double));
        ps_free(&values);
    }
    f->ref = (ps_ref64_mlp){.sizes = config->layers,
                            .layers = (int)config->layer_count - 1,
                            .activation = config->activation,
                            .parameters = f->parameters,
                            .gradients = f->gradients};
    fixture_batch(f, rows, config->layers[0], config->layers[config->layer_count - 1]);
}

static inline void fixture_close(mlp_fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        ps_free(&f->parameters[i]);
        ps_free(&f->gradients[i]);
    }
    ps_free(&f->features);
    ps_free(&f->targets);
    ps_free(&f->labels);
    ps_free(&f->features64);
    ps_free(&f->targets64);
    ps_model_free(&f->model);
    ps_test_device_close(&f->device);
}

#endif
