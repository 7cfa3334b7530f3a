/* best_rows: of many rows with scores those with the largest, by falling scores; of equal ones the
 * first that came is first. One thread (not asserted: plain data). */
#ifndef PS_EXPLAIN_BEST_ROWS_H
#define PS_EXPLAIN_BEST_ROWS_H

#include <stddef.h>

enum { PS_BEST_PAIR = 2 }; /* a row, and its score */

typedef struct ps_best_rows {
    size_t most, n;
    float *pairs; /* [most, PS_BEST_PAIR], borrowed; NaN behind n */
} ps_best_rows;

/* An empty list in pairs[most, PS_BEST_PAIR]. */
ps_best_rows ps_best_rows_in(float *pairs, size_t most);
/* One whose score is not above 0 is not taken. */
void ps_best_rows_offer(ps_best_rows *best, float row, float score);

#endif
