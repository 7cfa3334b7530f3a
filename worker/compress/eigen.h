/* eigen: all eigenvalues and vectors of a symmetric matrix, in float64. */
#ifndef PS_COMPRESS_EIGEN_H
#define PS_COMPRESS_EIGEN_H

#include "common/base/status.h"

#include <stddef.h>

/* Whether work that takes minutes is to end. */
typedef struct ps_eigen_watch {
    ps_status (*check)(void *user); /* PS_OK: it goes on; NULL: nobody asks */
    void *user;
} ps_eigen_watch;

/* a[n, n], symmetric: row k becomes the unit vector of values[k], the k-th largest. About 9·n³
 * operations, n² of them between two looks at watch (NULL: none), whose failure is returned.
 * PS_NO_MEMORY. PS_INTERNAL: it did not converge (a number was not finite). */
PS_MUST_CHECK ps_status ps_eigen(double *a, size_t n, double *values, size_t threads,
                                 const ps_eigen_watch *watch);

#endif
