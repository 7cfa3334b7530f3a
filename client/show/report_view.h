/* report_view: the report that a job of kind compress leaves (report.json), as text. psd wrote it,
 * but it may be any bytes: keys that are not known here are passed over. Pure. */
#ifndef PS_SHOW_REPORT_VIEW_H
#define PS_SHOW_REPORT_VIEW_H

#include "client/show/table.h"

/* PS_CORRUPT: no such report; nothing is appended then. */
PS_MUST_CHECK ps_status ps_report_text(ps_buf *out, const ps_style *style, ps_slice json);

#endif
