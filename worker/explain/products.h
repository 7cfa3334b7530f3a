/* products: matrices of the host, multiplied where the model computes. One thread (not asserted:
 * the model's stream asserts it). */
#ifndef PS_EXPLAIN_PRODUCTS_H
#define PS_EXPLAIN_PRODUCTS_H

#include "common/base/status.h"
#include "worker/models/model.h"

/* What is kept between products; zeros but for the model. Freed with _free. */
typedef struct ps_products {
    const ps_model *model; /* borrowed */
    ps_buffer *memory[3];
} ps_products;

/* c[m, n] = a[m, k]·b[n, k]ᵀ, rows one behind the other, in float32. Waits. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_products_rows(ps_products *p, const float *a, size_t m, const float *b,
                                         size_t n, size_t k, float *c);
/* c[m, n] = a[k, m]ᵀ·b[k, n]. */
PS_MUST_CHECK ps_status ps_products_columns(ps_products *p, const float *a, size_t m,
                                            const float *b, size_t n, size_t k, float *c);
/* A matrix that many are multiplied with: b[n, k] is copied to where the model computes. *out is
 * the caller's (ps_products_drop). PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_products_keep(const ps_products *p, const float *b, size_t n, size_t k,
                                         ps_buffer **out);
void ps_products_drop(const ps_products *p, ps_buffer **kept);
/* As ps_products_rows, with a b that is kept. */
PS_MUST_CHECK ps_status ps_products_rows_kept(ps_products *p, const float *a, size_t m,
                                              ps_buffer *b, size_t n, size_t k, float *c);
void ps_products_free(ps_products *p);

#endif
