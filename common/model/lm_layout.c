/* The section's sizes to those of the layout. Cannot fail. */
#include "common/model/lm_layout.h"

void ps_lm_layout(const ps_spec_model *m, ps_lm_tensor **out, size_t *n)
{
    const ps_arch_sizes sizes = {.vocab_size = m->vocab_size,
                                 .context_length = m->context_length,
                                 .hidden_size = m->hidden_size,
                                 .num_layers = m->num_layers,
                                 .num_heads = m->num_heads,
                                 .num_kv_heads = m->num_kv_heads,
                                 .intermediate_size = m->intermediate_size,
                                 .tie_embeddings = m->tie_embeddings};
    ps_arch_layout(ps_arch_find(m->architecture), &sizes, out, n);
}
