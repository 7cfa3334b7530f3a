/* The section's sizes to those of the layout; what no other program could load. */
#include "common/model/lm_layout.h"

#include <inttypes.h>

void ps_lm_layout(const ps_spec_model *m, ps_lm_tensor **out, size_t *n)
{
    const ps_arch_sizes sizes = {.vocab_size = m->vocab_size,
                                 .context_length = m->context_length,
                                 .hidden_size = m->hidden_size,
                                 .num_layers = m->num_layers,
                                 .num_heads = m->num_heads,
                                 .num_kv_heads = m->num_kv_heads,
                                 .head_dim = m->head_dim,
                                 .intermediate_size = m->intermediate_size,
                                 .tie_embeddings = m->tie_embeddings,
                                 .choices = m->choices};
    ps_arch_layout(ps_arch_find(m->architecture), &sizes, out, n);
}

ps_status ps_lm_check_heads(const ps_spec_model *m, bool has_key, const char *format)
{
    if (has_key || !ps_spec_model_has_own_heads(m))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "%" PRId64 " heads of %" PRId64
                   " numbers are not the width of the model, %" PRId64
                   ", and %s of architecture %s has no key that says so; --format safetensors has",
                   m->num_heads, m->head_dim, m->hidden_size, format, m->architecture);
}
