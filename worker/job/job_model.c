#include "worker/job/job_model.h"

#include "common/base/limits.h"
#include "common/base/mem.h"

#include <inttypes.h>

ps_model_config ps_job_model_config(const ps_spec_model *model)
{
    static const char *const activations[] = {
        [PS_SPEC_RELU] = "relu", [PS_SPEC_GELU] = "gelu", [PS_SPEC_TANH] = "tanh"};
    static const char *const losses[] = {
        [PS_SPEC_CROSS_ENTROPY] = "cross_entropy", [PS_SPEC_SQUARED_ERROR] = "squared_error"};
    return (ps_model_config){.architecture = model->architecture,
                             .layers = model->layers,
                             .layer_count = model->n_layers,
                             .activation = activations[model->activation],
                             .loss = losses[model->loss],
                             .language = {.vocab_size = model->vocab_size,
                                          .context_length = model->context_length,
                                          .hidden_size = model->hidden_size,
                                          .num_layers = model->num_layers,
                                          .num_heads = model->num_heads,
                                          .num_kv_heads = model->num_kv_heads,
                                          .intermediate_size = model->intermediate_size,
                                          .rope_theta = model->rope_theta,
                                          .norm_epsilon = model->norm_epsilon,
                                          .dropout = model->dropout,
                                          .tie_embeddings = model->tie_embeddings}};
}

static uint64_t elements_of(const ps_model_layout *layout)
{
    uint64_t all = 0;
    for (size_t i = 0; i < layout->count; i++)
        all += (uint64_t)ps_model_parameter_elements(&layout->parameters[i]);
    return all;
}

/* What is larger than the machine is not begun: Linux would give the memory and end somebody for it
 * later. A device of its own says so itself when its memory is out. */
ps_status ps_job_model_room(const char *name, const ps_model_config *config,
                            const ps_backend *backend, bool inference)
{
    if (!backend->info.host_addressable)
        return PS_OK;
    ps_model_layout layout;
    ps_status st = ps_model_describe(config, &layout);
    if (st)
        return st;
    uint64_t elements = elements_of(&layout), available = ps_limits_memory_left();
    uint64_t bytes = elements * sizeof(float) * (inference ? 1 : 2);
    ps_model_layout_free(&layout);
    if (bytes <= available)
        return PS_OK;
    return ps_fail(PS_NO_MEMORY,
                   "model %s has %" PRIu64 " parameters and needs %" PRIu64
                   " bytes here%s, %" PRIu64 " are available",
                   name, elements, bytes, inference ? "" : " with its gradients", available);
}
