#include "common/explain/memory.h"

#include <string.h>

enum { ROWS = 256, SEQUENCES = 4 };

int64_t ps_explain_batch(const ps_spec_explain *explain, const ps_spec_model *model)
{
    if (explain->batch)
        return explain->batch;
    return ps_spec_model_is_language(model) ? SEQUENCES : ROWS;
}

int64_t ps_explain_length(const ps_job_spec *spec, const ps_spec_model *model)
{
    if (!ps_spec_model_is_language(model))
        return 1;
    if (spec->explain->n_prompts)
        return ps_spec_explain_longest(spec->explain);
    return spec->data.sequence_length ? spec->data.sequence_length : model->context_length;
}

/* Of a block, a token: what its layers leave for the way back, and gradients. */
static uint64_t block_numbers(const ps_spec_model *m)
{
    return (uint64_t)(6 * m->hidden_size + 2 * m->head_dim * (m->num_heads + m->num_kv_heads) +
                      3 * m->intermediate_size + 2 * m->num_heads);
}

uint64_t ps_model_activation_bytes(const ps_spec_model *model, uint64_t rows)
{
    uint64_t numbers = 0;
    if (ps_spec_model_is_language(model))
        numbers =
            (uint64_t)model->num_layers * block_numbers(model) + 3 * (uint64_t)model->hidden_size;
    for (size_t i = 0; i < model->n_layers; i++)
        numbers += 2 * (uint64_t)model->layers[i];
    ps_image_size size = model->n_image ? ps_spec_model_image(model) : (ps_image_size){0};
    for (size_t i = 0; i < model->n_convolutions; i++) {
        ps_image_size given = ps_convolution_given(&model->convolutions[i], size);
        size = ps_convolution_pooled(&model->convolutions[i], given);
        numbers += 4 * (uint64_t)ps_image_numbers(given) + 2 * (uint64_t)ps_image_numbers(size);
    }
    return rows * numbers * sizeof(float);
}

/* Of a pass that shows the weights of attention: a layer's of the whole batch, and those of all
 * layers twice, as the clean row has them and what they change by. */
static uint64_t pattern_numbers(const ps_spec_explain *explain, const ps_spec_model *m)
{
    uint64_t most = 0;
    for (size_t i = 0; i < explain->n_inside; i++) {
        const ps_spec_explain_patch *patch = &explain->inside[i].patch;
        uint64_t length = (uint64_t)patch->n_clean;
        for (size_t k = 0; k < patch->n_points; k++)
            if (!strcmp(patch->points[k], "pattern") && length > most)
                most = length;
    }
    uint64_t layers = (uint64_t)(ps_explain_batch(explain, m) + 2 * m->num_layers);
    return layers * (uint64_t)m->num_heads * most * most;
}

uint64_t ps_explain_activations(const ps_job_spec *spec, const ps_spec_model *model)
{
    int64_t length = ps_explain_length(spec, model), own = 0;
    if (ps_spec_model_is_language(model))
        own = ps_spec_explain_own_longest(spec->explain, model->context_length);
    uint64_t rows =
        (uint64_t)ps_explain_batch(spec->explain, model) * (uint64_t)(own > length ? own : length);
    return ps_model_activation_bytes(model, rows) +
           pattern_numbers(spec->explain, model) * sizeof(float);
}

/* Of a batch: stream, translated and normed, answers and gradients; then logits of the lens and of
 * its base, so many at a time (worker/layers/head.h). */
uint64_t ps_lens_memory(const ps_job_spec *spec, const ps_spec_model *base)
{
    const uint64_t head = UINT64_C(128) << 20;
    uint64_t width = (uint64_t)base->hidden_size, layers = (uint64_t)base->num_layers,
             length = (uint64_t)(spec->data.sequence_length ? spec->data.sequence_length
                                                            : base->context_length),
             batch = (uint64_t)spec->train->batch_size * layers,
             rows = (uint64_t)spec->data.activations->rows * length * (spec->data.test ? 2 : 1),
             logits = batch * (uint64_t)base->vocab_size * sizeof(float);
    uint64_t numbers =
        2 * layers * width * (width + 1) + 6 * batch * width + rows * (layers + 1) * width;
    return numbers * sizeof(float) + 2 * (logits < head ? logits : head);
}
