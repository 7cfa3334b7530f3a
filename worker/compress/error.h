/* error: how much of a product's output a change of its weights is. */
#ifndef PS_COMPRESS_ERROR_H
#define PS_COMPRESS_ERROR_H

#include "worker/compress/method.h"

/* Of [rows, columns] numbers w: tr(w·H·wᵀ), Σ over rows of what their outputs' squares sum to.
 * minus, if not NULL: of w − minus. */
PS_MUST_CHECK ps_status ps_error_power(const float *w, const float *minus, uint64_t rows,
                                       uint64_t columns, const ps_hessian *hessian, size_t threads,
                                       double *out);

/* power(w − was) / power(was); 0 where was has no power. */
PS_MUST_CHECK ps_status ps_error_share(const float *w, const float *was, uint64_t rows,
                                       uint64_t columns, const ps_hessian *hessian, size_t threads,
                                       double *out);

#endif
