/* report_row: one tensor of the report that a job of kind compress leaves, as a row of a table. A
 * worker wrote some of it, so that it may be anything: what cannot be read is shown as that, and
 * says nothing of the tensors beside it. Cannot fail. */
#ifndef PS_SHOW_REPORT_ROW_H
#define PS_SHOW_REPORT_ROW_H

#include "client/show/table.h"

typedef struct ps_report_rows {
    ps_table *coded;  /* what became codes, or cannot be read */
    ps_table *pruned; /* what has lost units or numbers */
    ps_table *thin;   /* what is, or was, a product of two */
    size_t kept;      /* tensors that stayed as they were, */
    size_t folded;    /* or have taken a factor of what follows into themselves */
} ps_report_rows;

void ps_report_rows_init(ps_report_rows *rows);
void ps_report_rows_clear(ps_report_rows *rows);
/* An element of the report's `tensors`. */
void ps_report_row(ps_report_rows *rows, ps_slice json);

#endif
