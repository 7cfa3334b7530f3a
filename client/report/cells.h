/* cells: numbers by layer and head, or the like, as a picture whose cells can be walked through.
 * Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_CELLS_H
#define PS_REPORT_CELLS_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_cells {
    const char *title, *row, *column; /* "layer", "head": what sides are called in tips */
    uint64_t rows, columns;
    const double *values; /* [rows, columns]; NaN: an empty cell */
    bool with_sign;       /* blue and orange about 0; else from the least to the most */
    bool last_apart;      /* the last column is something else, and is called */
    const char *last;     /* so */
} ps_cells;

enum { PS_CELLS_MOST = 4000 }; /* more are not drawn: nothing is */

void ps_cells_svg(ps_buf *out, const ps_cells *cells);

#endif
