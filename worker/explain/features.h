/* features: which numbers of a row are taken together: single features or tokens, or the cells of a
 * grid over an image. Plain memory, its maker's. */
#ifndef PS_EXPLAIN_FEATURES_H
#define PS_EXPLAIN_FEATURES_H

#include "common/base/status.h"
#include "common/conf/explain_spec.h"
#include "worker/explain/method.h"

typedef struct ps_explain_groups {
    size_t n;        /* groups */
    size_t features; /* that they are of */
    uint32_t *of;    /* [features]: the group of each */
} ps_explain_groups;

/* features: of a row, or its tokens. PS_INVALID_ARGUMENT: the input is not of the shape that is
 * said, or not square. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_explain_groups_make(const ps_spec_explain_features *spec,
                                               size_t features, bool language,
                                               ps_explain_groups *out);
void ps_explain_groups_free(ps_explain_groups *groups);
/* A number a group, of_groups[rows, n], becomes `values`, in which each feature has its group's;
 * where a group is more than a feature also `groups`. */
PS_MUST_CHECK ps_status ps_explain_put_groups(const ps_explaining *x,
                                              const ps_explain_groups *groups, size_t rows,
                                              const float *of_groups, ps_explain_part *out);

/* Rows and columns of an input of so many features: shape as the job says it (none: it is square).
 * PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_explain_image(const int64_t *shape, size_t n_shape, size_t features,
                                         size_t *rows, size_t *columns);

#endif
