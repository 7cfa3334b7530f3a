/* slice_tables: how good a model is on parts of the rows, of a method slices. Pure. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_REPORT_SLICE_TABLES_H
#define PS_REPORT_SLICE_TABLES_H

#include "client/report/report.h"

bool ps_slice_tables_present(const ps_explain_view *view);
/* Left out where there is no room, which is said. */
void ps_slice_tables_html(ps_report *report, ps_buf *out);

#endif
