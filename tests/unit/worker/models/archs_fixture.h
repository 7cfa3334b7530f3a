/* archs_fixture: the variants in tests/golden/archs (make.py), with the weights that both sides
 * make for themselves. */
#ifndef PS_TEST_ARCHS_FIXTURE_H
#define PS_TEST_ARCHS_FIXTURE_H

#include "common/base/mem.h"
#include "common/model/hf_config.h"
#include "tests/lib/ck_ok.h"
#include "tests/lib/device.h"
#include "worker/job/job_model.h"
#include "worker/models/model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARCHS_ROWS = 2,
    ARCHS_LENGTH = 24,
    ARCHS_PROMPT = 6,
    ARCHS_SAYS = 14,
    ARCHS_GRADIENTS = 128,
    ARCHS_TEXTS = 5,
    ARCHS_TEXT = 24, /* tokens of the longest */
    ARCHS_ANSWERS = 256
};

typedef struct archs_gradient {
    char name[64];
    double length, along[2];
} archs_gradient;

/* Of a model of texts. */
typedef struct archs_text {
    int32_t label, tokens[ARCHS_TEXT]; /* as ps_model_batch has them */
    size_t n;
} archs_text;

typedef struct archs_variant {
    char name[64];
    ps_spec_model *spec;
    int32_t tokens[ARCHS_ROWS * (ARCHS_LENGTH + 1)], greedy[ARCHS_SAYS];
    int32_t starts[ARCHS_ROWS * ARCHS_LENGTH]; /* of "packed" */
    archs_text texts[ARCHS_TEXTS];
    size_t n_texts;
    double answers[ARCHS_ANSWERS];
    size_t n_answers;
    double loss;
    archs_gradient gradients[ARCHS_GRADIENTS];
    size_t n_gradients;
} archs_variant;

/* As make.py: in [-0.5, 0.5). */
static inline void archs_numbers(const char *name, double *out, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (const char *c = name; *c; c++)
        h = (h ^ (uint8_t)*c) * 0x100000001B3u;
    for (size_t i = 0; i < n; i++) {
        uint64_t z = h + (i + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        out[i] = (double)(z >> 40) / (1 << 24) - 0.5;
    }
}

static inline void archs_weights(const ps_model_parameter_spec *spec, float *out, size_t n)
{
    double *values = ps_alloc_array(n, sizeof *values);
    archs_numbers(spec->name, values, n);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((spec->init == PS_INIT_ONES ? 1 : 0) + 0.6 * values[i]);
    ps_free(&values);
}

static inline void archs_ints(const char *text, int32_t *out, size_t n)
{
    char *end = NULL;
    for (size_t i = 0; i < n; i++, text = end)
        out[i] = (int32_t)strtol(text, &end, 10);
}

/* "class, tokens of the first text, tokens" */
static inline void archs_read_text(const char *rest, archs_text *out)
{
    char *end = NULL;
    out->label = (int32_t)strtol(rest, &end, 10);
    size_t first = strtoul(end, &end, 10);
    for (; *end; out->n++) {
        ck_assert_uint_lt(out->n, ARCHS_TEXT);
        int32_t token = (int32_t)strtol(end, &end, 10);
        out->tokens[out->n] = out->n < first ? token : token | PS_MODEL_SECOND;
    }
    for (size_t i = out->n; i < ARCHS_TEXT; i++)
        out->tokens[i] = -1;
}

static inline void archs_read_answers(char *rest, archs_variant *v)
{
    for (; *rest; v->n_answers++) {
        ck_assert_uint_lt(v->n_answers, ARCHS_ANSWERS);
        v->answers[v->n_answers] = strtod(rest, &rest);
    }
}

/* The next variant of the file; false: it was the last. */
static inline bool archs_next(FILE *file, archs_variant *v)
{
    static char line[8192];
    char word[32];
    bool begun = false;
    *v = (archs_variant){.n_gradients = 0};
    for (long at = ftell(file); fgets(line, sizeof line, file); at = ftell(file)) {
        int skip = 0;
        ck_assert_int_eq(sscanf(line, "%31s %n", word, &skip), 1);
        char *rest = line + skip;
        rest[strcspn(rest, "\n")] = 0;
        if (!strcmp(word, "variant") && begun) {
            ck_assert_int_eq(fseek(file, at, SEEK_SET), 0);
            return true;
        }
        if (!strcmp(word, "variant")) {
            begun = true;
            (void)snprintf(v->name, sizeof v->name, "%.63s", rest);
        } else if (!strcmp(word, "config")) {
            ck_assert_msg(ps_hf_config_parse(ps_slice_str(rest), &v->spec) == PS_OK, "%s: %s",
                          v->name, ps_error_message());
        } else if (!strcmp(word, "tokens")) {
            archs_ints(rest, v->tokens, sizeof v->tokens / sizeof *v->tokens);
        } else if (!strcmp(word, "starts")) {
            archs_ints(rest, v->starts, sizeof v->starts / sizeof *v->starts);
        } else if (!strcmp(word, "greedy")) {
            archs_ints(rest, v->greedy, ARCHS_SAYS);
        } else if (!strcmp(word, "text")) {
            ck_assert_uint_lt(v->n_texts, ARCHS_TEXTS);
            archs_read_text(rest, &v->texts[v->n_texts++]);
        } else if (!strcmp(word, "answers")) {
            archs_read_answers(rest, v);
        } else if (!strcmp(word, "loss")) {
            v->loss = strtod(rest, NULL);
        } else {
            ck_assert_str_eq(word, "gradient");
            archs_gradient *g = &v->gradients[v->n_gradients++];
            ck_assert_uint_le(v->n_gradients, ARCHS_GRADIENTS);
            ck_assert_int_eq(
                sscanf(rest, "%63s %lf %lf %lf", g->name, &g->length, &g->along[0], &g->along[1]),
                4);
        }
    }
    return begun;
}

static inline FILE *archs_open(const char *kind)
{
    char *path = ps_asprintf("%s/tests/golden/archs/%s.txt", getenv("PSD_SOURCE_ROOT"), kind);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    ps_free(&path);
    return file;
}

static inline ps_model *archs_model_of(ps_test_device *device, const archs_variant *v,
                                       const ps_model_config *config, ps_model_options options)
{
    ps_model *model = NULL;
    ck_assert_msg(ps_model_create(device->backend, config, &options, &model) == PS_OK, "%s: %s",
                  v->name, ps_error_message());
    const ps_model_layout *layout = ps_model_parameters(model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(model, i);
        float *values = ps_alloc_array((size_t)ps_tensor_count(t), sizeof *values);
        archs_weights(&layout->parameters[i], values, (size_t)ps_tensor_count(t));
        ps_copy_to_device(ps_model_stream(model), t, values, ps_tensor_bytes(t));
        ck_ok(ps_stream_sync(ps_model_stream(model)));
        ps_free(&values);
    }
    ps_model_refresh(model);
    return model;
}

static inline ps_model *archs_model(ps_test_device *device, const archs_variant *v,
                                    ps_model_options options)
{
    const ps_model_config config = ps_job_model_config(v->spec);
    return archs_model_of(device, v, &config, options);
}

/* Its texts; for tokens[ARCHS_TEXTS * ARCHS_TEXT] and labels[ARCHS_TEXTS]. */
static inline ps_model_batch archs_batch(const archs_variant *v, int32_t *tokens, int32_t *labels)
{
    for (size_t i = 0; i < v->n_texts; i++) {
        memcpy(tokens + i * ARCHS_TEXT, v->texts[i].tokens, sizeof v->texts[i].tokens);
        labels[i] = v->texts[i].label;
    }
    return (ps_model_batch){
        .rows = (int64_t)v->n_texts, .length = ARCHS_TEXT, .tokens = tokens, .labels = labels};
}

#endif
