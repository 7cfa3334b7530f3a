/* dense: the products of float64 matrices that methods are made of. Rows of a matrix are `ld`
 * numbers apart. Every element's sum is made in the order of k, and no product is fused into it:
 * the same bits on every machine. */
#ifndef PS_COMPRESS_DENSE_H
#define PS_COMPRESS_DENSE_H

#include <stddef.h>
#include <stdint.h>

enum { PS_DENSE_BLOCK = 128 }; /* the most that k may be */

/* c[m, n] += a[m, k]·b[k, n]; b and c do not overlap. */
void ps_dense_add(double *c, size_t ldc, const double *a, size_t lda, const double *b, size_t ldb,
                  size_t m, size_t n, size_t k);

#endif
