/* lm_layout: the tensors of a language model, of its model section. Any thread. */
#ifndef PS_MODEL_LM_LAYOUT_H
#define PS_MODEL_LM_LAYOUT_H

#include "common/arch/layout.h"
#include "common/conf/job_spec.h"

/* ps_arch_layout of the model; *out is the caller's (ps_free). */
void ps_lm_layout(const ps_spec_model *model, ps_lm_tensor **out, size_t *n);

#endif
