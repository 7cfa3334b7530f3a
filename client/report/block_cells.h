/* block_cells: what column blocks of matrices add to the score to first order, of a method blocks:
 * a cell a block, the mean of all rows. Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_BLOCK_CELLS_H
#define PS_REPORT_BLOCK_CELLS_H

#include "client/report/report.h"

bool ps_block_cells_present(const ps_explain_view *view);
/* Left out where there is no room, which is said. */
void ps_block_cells_html(ps_report *report, ps_buf *out);

#endif
