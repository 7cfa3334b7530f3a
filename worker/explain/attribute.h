/* attribute: an attribution of the job, asked again for rows that are made for the purpose: what
 * methods about explanations are made of. One thread (not asserted: the model's, which asserts
 * it). */
#ifndef PS_EXPLAIN_ATTRIBUTE_H
#define PS_EXPLAIN_ATTRIBUTE_H

#include "worker/explain/method.h"

/* The attribution that `spec` is about (its key `of`), of these items, into values[n, features]:
 * what it leaves as `values`. What it draws is what it drew for these items before, whatever the
 * points. Of groups of features each has its group's value; with `shared` it is shared out evenly
 * over them, so that it is still the group's if they are added. Fails as that method does. */
PS_MUST_CHECK ps_status ps_explain_attribute(ps_explaining *x, const ps_spec_explain_method *spec,
                                             const ps_explain_items *items, bool shared,
                                             double *values);

/* Items whose points are others: the same goals, and the model's answers there. */
typedef struct ps_explain_moved {
    ps_explain_items items;
    float *logits;
    double *scores;
} ps_explain_moved;

/* points[n, width], borrowed like `items`, tokens too, which say nothing of the points then. Freed
 * with _free, also after a failure. PS_NO_MEMORY; fails as the model does. */
PS_MUST_CHECK ps_status ps_explain_move(ps_explaining *x, const ps_explain_items *items,
                                        const float *points, ps_explain_moved *out);
void ps_explain_moved_free(ps_explain_moved *moved);

#endif
