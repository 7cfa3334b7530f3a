/* Parts by name: of a language model by its layout (common/arch), of an mlp by how it names its
 * layers (worker/models/mlp.c). Cannot fail. */
#include "common/compress/parts.h"

#include "common/base/mem.h"
#include "common/model/lm_layout.h"

#include <stdlib.h>
#include <string.h>

static ps_plan_role role_of(const ps_lm_tensor *t)
{
    if (t->bias)
        return PS_PLAN_BIAS;
    if (ps_arch_is_norm(t->part))
        return PS_PLAN_NORM;
    switch (t->part) {
    case PS_PART_TOKENS:
        return PS_PLAN_EMBEDDING;
    case PS_PART_HEAD:
        return PS_PLAN_HEAD;
    case PS_PART_POSITIONS:
        return PS_PLAN_POSITIONS;
    default:
        return PS_PLAN_MATRIX;
    }
}

/* The inputs of a block, in the order in which they are there; the head's is one of the last block.
 * Of a norm, the one that it makes; one that makes no product's input has a number of its own. */
static unsigned input_of(ps_arch_part part)
{
    switch (part) {
    case PS_PART_NORM_Q:
    case PS_PART_NORM_K:
    case PS_PART_NORM_AFTER_ATTENTION:
    case PS_PART_NORM_AFTER_MLP:
        return 5;
    default:
        return part <= PS_PART_V      ? 0
               : part == PS_PART_O    ? 1
               : part < PS_PART_DOWN  ? 2
               : part == PS_PART_DOWN ? 3
                                      : 4;
    }
}

static void language(const ps_spec_model *model, ps_plan_parts *out)
{
    size_t blocks = 0;
    ps_lm_layout(model, &out->layout, &out->n);
    out->sorted = ps_alloc_array(out->n, sizeof *out->sorted);
    for (size_t i = 0; i < out->n; i++) {
        const ps_lm_tensor *t = &out->layout[i];
        blocks += t->part == PS_PART_NORM_ATTENTION && !t->bias; /* a block begins with it */
        out->sorted[i] = (ps_plan_part){.name = t->name,
                                        .role = role_of(t),
                                        .part = t->part,
                                        .transposed = t->change == PS_LM_TRANSPOSE && !t->bias,
                                        .tied = t->part == PS_PART_TOKENS && model->tie_embeddings,
                                        .layer = blocks ? blocks - 1 : 0,
                                        .input = input_of(t->part),
                                        .shape = {t->shape[0], t->shape[1]},
                                        .n_dims = t->n_dims,
                                        .sides = {t->sides[0], t->sides[1]}};
    }
}

static void layers(const ps_spec_model *model, ps_plan_parts *out)
{
    size_t n = model->n_layers - 1;
    out->n = 2 * n;
    out->sorted = ps_alloc_array(out->n, sizeof *out->sorted);
    out->names = ps_alloc_array(out->n, sizeof *out->names);
    for (size_t i = 0; i < out->n; i++) {
        size_t layer = i / 2;
        uint64_t outputs = (uint64_t)model->layers[layer + 1];
        bool bias = i % 2;
        out->names[i] = ps_asprintf("layers.%zu.%s", layer, bias ? "bias" : "weight");
        out->sorted[i] = (ps_plan_part){.name = out->names[i],
                                        .role = bias ? PS_PLAN_BIAS : PS_PLAN_MATRIX,
                                        .layer = layer,
                                        .shape = {outputs, (uint64_t)model->layers[layer]},
                                        .n_dims = bias ? 1 : 2};
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ps_plan_part *)a)->name, ((const ps_plan_part *)b)->name);
}

void ps_plan_parts_of(const ps_spec_model *model, ps_plan_parts *out)
{
    *out = (ps_plan_parts){0};
    if (ps_spec_model_is_language(model))
        language(model, out);
    else
        layers(model, out);
    for (size_t i = 0; i < out->n; i++)
        if (out->sorted[i].tied) { /* its product is the head's */
            out->sorted[i].layer = (size_t)model->num_layers - 1;
            out->sorted[i].input = input_of(PS_PART_HEAD);
        }
    qsort(out->sorted, out->n, sizeof *out->sorted, by_name);
}

void ps_plan_parts_free(ps_plan_parts *parts)
{
    for (size_t i = 0; parts->names && i < parts->n; i++)
        free(parts->names[i]);
    ps_free(&parts->names);
    ps_free(&parts->layout);
    ps_free(&parts->sorted);
}

const ps_plan_part *ps_plan_part_find(const ps_plan_parts *parts, const char *name)
{
    const ps_plan_part wanted = {.name = name};
    return bsearch(&wanted, parts->sorted, parts->n, sizeof wanted, by_name);
}
