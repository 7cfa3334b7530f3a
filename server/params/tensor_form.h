/* tensor_form: numbers of a tensor that is trained in a form, as that form's blocks: what workers
 * compute with, and what is stored in the end. The same numbers are the same bytes, always. Pure;
 * any thread. */
#ifndef PS_PARAMS_TENSOR_FORM_H
#define PS_PARAMS_TENSOR_FORM_H

#include "server/params/placement.h"

/* How many bytes n numbers take, of a row or of several. PS_INVALID_ARGUMENT: they are no whole
 * groups, or there is one that the form cannot hold. Both name the tensor. */
PS_MUST_CHECK ps_status ps_tensor_form_bytes(const ps_param_tensor *tensor, const float *values,
                                             uint64_t n, size_t *bytes);
/* Then: writes them. */
void ps_tensor_form_encode(const ps_param_tensor *tensor, const float *values, uint64_t n,
                           uint8_t *out);

#endif
