/* golden_fixture: the files of tests/golden that hold tensors, and the tiny models whose parameters
 * are in gpt2.safetensors, llama.safetensors and qwen2.safetensors there (make_transformers.py). */
#ifndef PS_TEST_GOLDEN_FIXTURE_H
#define PS_TEST_GOLDEN_FIXTURE_H

#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "tests/lib/ck_ok.h"
#include "tests/lib/device.h"
#include "worker/models/model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline ps_model_config golden_config(const char *kind)
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
                                          .rope = {.theta = 10000},
                                          .norm_epsilon = 1e-5,
                                          .tie_embeddings = !llama}};
}

typedef struct golden_file {
    uint8_t *bytes;
    ps_safetensors *file;
} golden_file;

/* tests/golden/PREFIXkind.safetensors */
static inline void golden_open(golden_file *g, const char *prefix, const char *kind)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/%s%s.safetensors", getenv("PSD_SOURCE_ROOT"),
                   prefix, kind);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    g->bytes = ps_alloc_array(1 << 20, 1);
    size_t size = fread(g->bytes, 1, 1 << 20, f);
    fclose(f);
    ck_ok(ps_safetensors_parse(ps_slice_of(g->bytes, size), size, &g->file));
}

static inline void golden_close(golden_file *g)
{
    ps_safetensors_free(&g->file);
    ps_free(&g->bytes);
}

/* NULL: the file has none of that name. */
static inline const void *golden_find(const golden_file *g, const char *prefix, const char *name)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s%s", prefix, name);
    for (size_t i = 0; i < g->file->n_tensors; i++)
        if (strcmp(g->file->tensors[i].name, full) == 0)
            return g->bytes + g->file->data_start + g->file->tensors[i].begin;
    return NULL;
}

static inline const void *golden_get(const golden_file *g, const char *prefix, const char *name)
{
    const void *found = golden_find(g, prefix, name);
    ck_assert_msg(found != NULL, "the golden file has no %s%s", prefix, name);
    return found;
}

static inline ps_model *golden_model(const golden_file *g, ps_test_device *device, const char *kind,
                                     ps_model_options options)
{
    ps_model_config config = golden_config(kind);
    ps_model *model = NULL;
    ck_ok(ps_model_create(device->backend, &config, &options, &model));
    const ps_model_layout *layout = ps_model_parameters(model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(model, i);
        ps_copy_to_device(ps_model_stream(model), t,
                          golden_get(g, "parameter/", layout->parameters[i].name),
                          ps_tensor_bytes(t));
    }
    ck_ok(ps_stream_sync(ps_model_stream(model)));
    ps_model_refresh(model);
    return model;
}

/* How far t is from its golden value, over the largest of these. */
static inline double golden_error(ps_test_device *device, ps_tensor t, const float *want)
{
    double *want64 = ps_alloc_array((size_t)ps_tensor_count(t), sizeof *want64);
    for (int64_t i = 0; i < ps_tensor_count(t); i++)
        want64[i] = (double)want[i];
    double e = ps_test_error(device, t, want64);
    ps_free(&want64);
    return e;
}

#endif
