/* head_table: heads of attention in a table, most first: what each looks for, what the score loses
 * without it, and what it adds by itself; whatever of this a job has found. Pure. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_REPORT_HEAD_TABLE_H
#define PS_REPORT_HEAD_TABLE_H

#include "client/report/report.h"

/* What head_scores tell of, and what they are called, as HTML; the last has neither. */
typedef struct ps_head_look {
    const char *array, *title;
} ps_head_look;
extern const ps_head_look ps_head_looks[];

/* Is anything known by which heads can be put in order? */
bool ps_head_table_present(const ps_explain_view *view);
/* With heading and note; nothing: there is none. */
void ps_head_table_html(ps_report *report, ps_buf *out);

#endif
