/* patch_points: the points of two passes that patching exchanges: a position of a layer, of one of
 * some kinds, of z and pattern a head at that position; what the clean row has there, and what they
 * are estimated to be worth. Numbered by kind, layer, position and head. One thread (not asserted:
 * the model's, which asserts it). */
#ifndef PS_EXPLAIN_PATCH_POINTS_H
#define PS_EXPLAIN_PATCH_POINTS_H

#include "worker/explain/method.h"

enum { PS_PATCH_KINDS = 5 };
extern const ps_tap_kind ps_patch_kinds[PS_PATCH_KINDS]; /* that there are */
static inline bool ps_patch_by_head(ps_tap_kind kind)
{
    return kind == PS_TAP_Z || kind == PS_TAP_PATTERN;
}

typedef struct ps_patch_points {
    ps_tap_kind kinds[PS_PATCH_KINDS]; /* that are exchanged */
    size_t n_kinds;
    size_t layers, length, heads;
    size_t first[PS_PATCH_KINDS], n; /* the first point of a kind; all of them */
    size_t columns[PS_PATCH_KINDS];
    size_t before[PS_PATCH_KINDS]; /* numbers of the kinds before it, in each of: */
    float *values, *changes;       /* kind, layer, [length, columns]: clean; clean - corrupt; of
                                      pattern [heads, length, length] */
    float *gradient;               /* [length, columns] of the widest */
    float *stream;                 /* [length, hidden]: clean, before the first block */
} ps_patch_points;

/* Freed with _free, also after a failure. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_patch_points_make(const ps_explaining *x,
                                             const ps_spec_explain_patch *spec,
                                             ps_patch_points *out);
void ps_patch_points_free(ps_patch_points *points);

/* Where a tap's are, [length, columns]; NULL: it is of no kind that is exchanged. */
float *ps_patch_values(const ps_patch_points *points, ps_tap tap);
float *ps_patch_changes(const ps_patch_points *points, ps_tap tap);
/* Each of the tap's points: its change times its gradient, which is in points->gradient. */
void ps_patch_estimate(const ps_patch_points *points, ps_tap tap, double *estimates);
/* The clean values of a point into row `row` of what a hook sees, if it is of this tap. Waits for
 * the device. */
PS_MUST_CHECK ps_status ps_patch_put(const ps_patch_points *points, size_t point, ps_tap tap,
                                     ps_stream *stream, ps_tensor seen, int64_t ld, size_t row);
/* The numbers of the k estimates that are farthest from 0, the farthest first, the first of equal
 * ones; NaN is not far. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_patch_best(const double *estimates, size_t n, size_t k, size_t *best);

#endif
