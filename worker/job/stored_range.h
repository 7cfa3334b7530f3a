/* stored_range: parts of a stored model's file: its header, and then the bytes of a tensor or two,
 * for who works on those alone; or of its moments. Blocks the task's thread (not asserted here:
 * transfer.c asks); a broken transfer begins again. */
#ifndef PS_JOB_STORED_RANGE_H
#define PS_JOB_STORED_RANGE_H

#include "worker/job/stored_stream.h"

/* *out is the caller's. Fails as ps_stored_stream. */
PS_MUST_CHECK ps_status ps_stored_header(ps_remote *remote, const ps_stored_model *which,
                                         ps_safetensors **out);
/* The bytes of a tensor of the header into out, which holds tensor->end - tensor->begin. Fails as
 * ps_stored_stream, too. */
PS_MUST_CHECK ps_status ps_stored_tensor(ps_remote *remote, const ps_stored_model *which,
                                         const ps_safetensors *file,
                                         const ps_safetensors_tensor *tensor, void *out);
/* Its numbers, in psd's order, whatever form it is in: form is the header's of that tensor (common/
 * model/model_forms.h). *out is the caller's (ps_free). PS_NO_MEMORY, too. */
PS_MUST_CHECK ps_status ps_stored_numbers(ps_remote *remote, const ps_stored_model *which,
                                          const ps_safetensors *file, const ps_model_form *form,
                                          float **out);

#endif
