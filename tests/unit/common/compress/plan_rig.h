/* plan_rig: a parent of real shapes, float32, and what a job would do to it. */
#ifndef PS_TEST_PLAN_RIG_H
#define PS_TEST_PLAN_RIG_H

#include "common/compress/plan.h"

#include "tests/lib/check_main.h"

#include "common/base/mem.h"
#include "common/model/lm_layout.h"

#include <stdio.h>
#include <string.h>

#define SMOL                                                                               \
    "{architecture: llama, vocab_size: 49152, context_length: 2048, hidden_size: 576, "    \
    "num_layers: 30, num_heads: 9, num_kv_heads: 3, intermediate_size: 1536, rope_theta: " \
    "10000, norm_epsilon: 1e-05, tie_embeddings: true}"
#define GPT                                                                         \
    "{architecture: gpt2, vocab_size: 257, context_length: 128, hidden_size: 128, " \
    "num_layers: 4, num_heads: 4}"
#define QWEN                                                                       \
    "{architecture: qwen2, vocab_size: 300, context_length: 64, hidden_size: 48, " \
    "num_layers: 2, num_heads: 4, num_kv_heads: 2, intermediate_size: 96}"
#define MLP "{architecture: mlp, layers: [784, 512, 10]}"

/* A parent, float32, and the job on it. */
typedef struct rig {
    ps_spec_model *model;
    ps_lm_tensor *layout;
    ps_model_form *tensors;
    char (*names)[64];
    ps_plan_parent parent;
    ps_spec_compress *compress;
    ps_job_spec spec;
    ps_plan *plan;
} rig;

static inline void mlp_tensors(rig *r)
{
    r->parent.n = 2 * (r->model->n_layers - 1);
    r->tensors = ps_alloc_array(r->parent.n, sizeof *r->tensors);
    r->names = ps_alloc_array(r->parent.n, sizeof *r->names);
    for (size_t i = 0; i < r->parent.n; i++) {
        const int64_t *at = &r->model->layers[i / 2];
        (void)snprintf(r->names[i], sizeof r->names[i], "layers.%zu.%s", i / 2,
                       i % 2 ? "bias" : "weight");
        r->tensors[i] = (ps_model_form){.name = r->names[i],
                                        .n_dims = i % 2 ? 1 : 2,
                                        .shape = {(uint64_t)at[1], i % 2 ? 0 : (uint64_t)at[0]}};
    }
}

static inline void language_tensors(rig *r)
{
    ps_lm_layout(r->model, &r->layout, &r->parent.n);
    r->tensors = ps_alloc_array(r->parent.n, sizeof *r->tensors);
    for (size_t i = 0; i < r->parent.n; i++)
        r->tensors[i] = (ps_model_form){.name = r->layout[i].name,
                                        .n_dims = r->layout[i].n_dims,
                                        .shape = {r->layout[i].shape[0], r->layout[i].shape[1]}};
}

static inline ps_status plan_within(rig *r, const char *model, const char *compress,
                                    uint64_t sum_bytes)
{
    void *section = NULL;
    *r = (rig){0};
    ck_ok(ps_spec_model_parse(ps_slice_str(model), "model", &r->model));
    ck_ok(ps_conf_load(&ps_compress_schema, ps_slice_str(compress), "job.yaml", NULL, &section));
    if (ps_spec_model_is_language(r->model))
        language_tensors(r);
    else
        mlp_tensors(r);
    r->parent.name = "big";
    r->parent.model = r->model;
    r->parent.tensors = r->tensors;
    r->compress = section;
    r->spec = (ps_job_spec){.compress = r->compress, .workers = 2};
    return ps_plan_new(&r->spec, &r->parent, sum_bytes, &r->plan);
}

static inline ps_status plan(rig *r, const char *model, const char *compress)
{
    return plan_within(r, model, compress, 0);
}

static inline void rig_free(rig *r)
{
    if (r->plan)
        ps_plan_free(&r->plan);
    ps_free(&r->layout);
    ps_free(&r->tensors);
    ps_free(&r->names);
    ps_conf_free(&ps_compress_schema, r->compress);
    ps_spec_model_free(&r->model);
}

static const ps_plan_tensor *tensor(const rig *r, const char *name)
{
    for (size_t i = 0; i < r->plan->n_tensors; i++)
        if (!strcmp(r->plan->tensors[i].stored.name, name))
            return &r->plan->tensors[i];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

static inline void has(const rig *r, const char *name, const char *form, const char *why)
{
    char text[PS_FORM_TEXT] = "float32";
    const ps_plan_tensor *t = tensor(r, name);
    if (t->stored.form.row)
        (void)ps_form_text(t->stored.form, text);
    ck_assert_msg(!strcmp(text, form), "%s: %s, not %s", name, text, form);
    ck_assert_msg(!strcmp(t->why, why), "%s: '%s', not '%s'", name, t->why, why);
    ck_assert_int_eq(t->method == NULL, t->stored.form.row == NULL);
}

static inline void refuses(const char *model, const char *compress, ps_status status,
                           const char *message)
{
    rig r;
    ck_assert_int_eq(plan(&r, model, compress), status);
    ck_assert_str_eq(ps_error_message(), message);
    rig_free(&r);
}

#endif
