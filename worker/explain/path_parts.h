/* path_parts: ∫ ∇f along a straight path, of rows whose f is uneven on the way. The path is cut
 * into parts, and a part into halves where what its points give is not what f changes by between
 * its ends, which is known: so points gather where f bends, however narrow that place is, and are
 * few elsewhere. A step of width w costs log(1/w) parts; points that lie evenly would cost 1/w. One
 * thread (not asserted: the model's, which asserts it). */
#ifndef PS_EXPLAIN_PATH_PARTS_H
#define PS_EXPLAIN_PATH_PARTS_H

#include "worker/explain/method.h"

/* What is cut, by whoever cuts paths. */
enum {
    PS_PATH_CUTS = 4, /* parts of the whole path, at first */
    PS_PATH_HALVES = 2,
    PS_PATH_SHARE = 32, /* a part may be off by this share of what the whole may be off by */
};
/* Narrower parts are the same float32 from end to end. */
#define PS_PATH_NARROWEST 1e-7

typedef struct ps_path {
    const ps_explain_items *items;
    bool first;   /* points are what the first layer gives (ps_explain_points.first) */
    size_t inner; /* numbers of a point */
    /* The point at alpha, 0 the baseline and 1 the row. */
    void (*at)(void *user, size_t row, double alpha, float *out);
    /* What number k changes by on the whole way. */
    double (*way)(void *user, size_t row, size_t k);
    void *user;
    const double *from; /* [items->n]: f at 0; at 1 it is the item's score */
    double tolerance;   /* of the whole path, a share of what f changes by */
    size_t most;        /* points of a row, those that it has had included */
    double *sums;       /* [items->n, inner]: the mean gradient; of rows that are cut, made anew */
    float *steps;       /* [items->n]: points that a row has had, and has then */
} ps_path;

/* Of these rows, each below items->n; one that `most` does not leave points for stays as it is.
 * What is reached at `most` is taken as it is. PS_NO_MEMORY; fails as ps_explain_evaluate. */
PS_MUST_CHECK ps_status ps_path_by_parts(ps_explaining *x, const ps_path *path, const size_t *rows,
                                         size_t n);

#endif
