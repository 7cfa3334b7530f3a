#include "worker/job/job_model.h"

#include "common/base/limits.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>

ps_model_config ps_job_model_config(const ps_spec_model *model)
{
    static const char *const activations[] = {
        [PS_SPEC_RELU] = "relu", [PS_SPEC_GELU] = "gelu", [PS_SPEC_TANH] = "tanh"};
    static const char *const losses[] = {
        [PS_SPEC_CROSS_ENTROPY] = "cross_entropy", [PS_SPEC_SQUARED_ERROR] = "squared_error"};
    return (ps_model_config){.architecture = model->architecture,
                             .layers = model->layers,
                             .layer_count = model->n_layers,
                             .image =
                                 model->n_image ? ps_spec_model_image(model) : (ps_image_size){0},
                             .convolutions = model->convolutions,
                             .convolution_count = model->n_convolutions,
                             .dropout = model->n_convolutions ? model->dropout : 0,
                             .activation = activations[model->activation],
                             .loss = losses[model->loss],
                             .top_k = model->top_k,
                             .l1 = model->l1,
                             .language = {.vocab_size = model->vocab_size,
                                          .context_length = model->context_length,
                                          .hidden_size = model->hidden_size,
                                          .num_layers = model->num_layers,
                                          .num_heads = model->num_heads,
                                          .num_kv_heads = model->num_kv_heads,
                                          .head_dim = model->head_dim,
                                          .intermediate_size = model->intermediate_size,
                                          .rope = model->rope,
                                          .norm_epsilon = model->norm_epsilon,
                                          .dropout = model->dropout,
                                          .tie_embeddings = model->tie_embeddings,
                                          .choices = model->choices}};
}

ps_model_config ps_job_trained_config(const ps_job_spec *spec, const ps_spec_model *model)
{
    ps_model_config config = ps_job_model_config(model);
    const ps_spec_lora *lora = spec->train ? spec->train->lora : NULL;
    if (lora)
        config.lora = (ps_model_lora){.rank = lora->rank,
                                      .scale = ps_spec_lora_scale(lora),
                                      .dropout = lora->dropout,
                                      .targets = (const char *const *)lora->targets,
                                      .n_targets = lora->n_targets};
    if (spec->train) {
        config.freeze = (const char *const *)spec->train->freeze;
        config.n_freeze = spec->train->n_freeze;
    }
    return config;
}

typedef struct size {
    uint64_t elements, bytes;
    uint64_t trained; /* bytes of those that have gradients */
} size;

static size size_of(const ps_model_layout *layout, const ps_form *forms)
{
    size all = {0};
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *spec = &layout->parameters[i];
        uint64_t elements = (uint64_t)ps_model_parameter_elements(spec);
        all.elements += elements;
        all.trained += spec->frozen ? 0 : elements * sizeof(float);
        if (!forms || !forms[i].row) {
            all.bytes += elements * sizeof(float);
            continue;
        }
        if (forms[i].rank && spec->rank == 2) {
            all.bytes +=
                (uint64_t)(spec->shape[0] + spec->shape[1]) * forms[i].rank * sizeof(float);
            continue;
        }
        uint64_t columns = (uint64_t)spec->shape[spec->input_major ? 0 : spec->rank - 1];
        if (ps_form_divides(forms[i], columns)) /* else making it says what is wrong */
            all.bytes += elements / columns * ps_form_row_bytes(forms[i], columns);
    }
    return all;
}

static bool with_gradients(const ps_model_options *options)
{
    return !options->inference && !options->decode && !options->explain;
}

static ps_status count(const ps_job_model_need *need, size *out)
{
    bool inference = !with_gradients(need->options);
    ps_model_layout layout;
    ps_status st = ps_model_describe(need->config, &layout);
    if (st)
        return st;
    *out = size_of(&layout, need->options->forms);
    out->bytes += inference ? 0 : out->trained;
    out->bytes += need->activations;
    ps_model_layout_free(&layout);
    return PS_OK;
}

/* What is larger than the machine is not begun: Linux would give the memory and end somebody for it
 * later. A device of its own says so itself when its memory is out. */
ps_status ps_job_model_room(const ps_job_model_need *need, const ps_backend *backend)
{
    size own = {0}, other = {0};
    uint64_t available = ps_limits_memory_left();
    if (!backend->info.host_addressable)
        return PS_OK;
    ps_status st = need->beside ? count(need->beside, &other) : PS_OK;
    if (!st)
        st = count(need, &own);
    if (st || (own.bytes <= available && other.bytes <= available - own.bytes))
        return st;
    char beside[160] = "";
    if (need->beside)
        (void)snprintf(beside, sizeof beside, ", and %s beside it %" PRIu64, need->beside->name,
                       other.bytes);
    if (need->options->explain)
        return ps_fail(PS_NO_MEMORY,
                       "model %s has %" PRIu64 " parameters and needs %" PRIu64
                       " bytes here, %" PRId64 " rows at a time, %" PRIu64
                       " are available; lower explain.batch%s",
                       need->name, own.elements, own.bytes, need->options->max_batch, available,
                       need->config->layer_count ? "" : ", or data.sequence_length");
    return ps_fail(PS_NO_MEMORY,
                   "model %s has %" PRIu64 " parameters and needs %" PRIu64
                   " bytes here%s%s, %" PRIu64 " are available",
                   need->name, own.elements, own.bytes,
                   with_gradients(need->options) ? " with its gradients" : "", beside, available);
}
