/* ekfac_sums: what the passes of ekfac.c have summed over all rows, finished where nobody has a
 * model. On the task's thread (not asserted: plain data). */
#ifndef PS_EXPLAIN_EKFAC_SUMS_H
#define PS_EXPLAIN_EKFAC_SUMS_H

#include "worker/explain/method.h"

enum { PS_EKFAC_SIDE_MOST = 8192 }; /* of a matrix whose eigenvectors are found */

/* That pass 0 leaves beside its sums: [layer, 2], numbers of a layer's inputs and outputs. */
#define PS_EKFAC_SHAPES "shapes"

/* Sums of the name become what the next pass begins with: in pass 0 eigenvectors, a vector a row,
 * of what are matrices; later means. Both are of as many "rows". PS_CORRUPT: they are not what
 * shares leave; PS_OUT_OF_RANGE: of no row; fails as x->check. */
PS_MUST_CHECK ps_status ps_ekfac_finish_sums(const ps_explaining *x, ps_explain_part *merged,
                                             const char *name);

#endif
