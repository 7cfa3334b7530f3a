/* lm_layout: the tensors of a language model, of its model section. Any thread. */
#ifndef PS_MODEL_LM_LAYOUT_H
#define PS_MODEL_LM_LAYOUT_H

#include "common/arch/layout.h"
#include "common/conf/job_spec.h"

/* ps_arch_layout of the model; *out is the caller's (ps_free). */
void ps_lm_layout(const ps_spec_model *model, ps_lm_tensor **out, size_t *n);

/* PS_FAILED_PRECONDITION: heads are not hidden_size / num_heads numbers, and the format has no key
 * by which programs would know: they would refuse the file, or take it for another model. format:
 * its name, for the message. */
PS_MUST_CHECK ps_status ps_lm_check_heads(const ps_spec_model *model, bool has_key,
                                          const char *format);

#endif
