/* lines: numbers over one axis, some rows of them, as a figure whose points can be walked through,
 * and behind it, folded, as a table. Rows differ by colour, dashes and name alike. Pure. One thread
 * (not asserted: psctl has no other). */
#ifndef PS_REPORT_LINES_H
#define PS_REPORT_LINES_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_line {
    const char *name;
    const double *values; /* [n]; NaN: a gap */
    bool level;           /* values[0] alone, all the way across, dashed */
} ps_line;

enum { PS_LINES_MOST = 4, PS_LINES_POINTS_MOST = 1000 }; /* more is not drawn: nothing is */

typedef struct ps_lines {
    const char *title;
    const char *across; /* what the axis is: "features changed, %" */
    double last;        /* the axis' value at the last point; it begins at 0 */
    uint64_t n;
    const ps_line *lines;
    size_t n_lines;
} ps_lines;

void ps_lines_html(ps_buf *out, const ps_lines *lines);

#endif
