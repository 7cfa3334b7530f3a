/* export: tensors row-major, out of and into their column blocks (model files, predictions). */
#ifndef PS_PARAMS_EXPORT_H
#define PS_PARAMS_EXPORT_H

#include "server/params/param_store.h"

/* Gets values in row-major order, in pieces; a failure ends the export. */
typedef struct ps_param_sink {
    ps_status (*write)(void *state, const float *values, size_t count);
    void *state;
} ps_param_sink;

/* The whole tensor. Each block is one consistent state; the tensor as a whole is only when nobody
 * pushes. Off the loop. PS_NOT_FOUND; PS_RESOURCE_EXHAUSTED; what write returned. */
PS_MUST_CHECK ps_status ps_param_export(ps_param_store *store, uint32_t tensor, ps_param_sink sink);
/* Does the store's rule know of the variance of gradients (optimizer.h, second_moment)? */
bool ps_param_has_moments(const ps_param_store *store);
/* The same of each element's variance of gradients, without bias; 0 where none came yet. Of a
 * store that has them, and of dense tensors. */
PS_MUST_CHECK ps_status ps_param_export_moments(ps_param_store *store, uint32_t tensor,
                                                ps_param_sink sink);
/* Elements [offset, offset + count) of the tensor, row-major, are replaced. For filling a store
 * before it is used: no versions change. PS_NOT_FOUND; PS_INVALID_ARGUMENT: outside, NaN or
 * infinity; then nothing is changed. */
PS_MUST_CHECK ps_status ps_param_import(ps_param_store *store, uint32_t tensor, uint64_t offset,
                                        const ps_wire_float *values, uint64_t count);

#endif
