/* factor: L·D·Lᵀ of a symmetric matrix, in blocks, in float64. */
#ifndef PS_COMPRESS_FACTOR_H
#define PS_COMPRESS_FACTOR_H

#include "common/base/status.h"

#include <stddef.h>

/* a[n, n]: what is on and below its diagonal is read, and what is below becomes L's (whose diagonal
 * is 1); d[n] becomes D. *positive: the matrix is positive definite; if not, a and d are of no use.
 * PS_NO_MEMORY. n³/3 multiplications. */
PS_MUST_CHECK ps_status ps_factor(double *a, size_t n, double *d, size_t threads, bool *positive);

#endif
