/* shares: of what a quantity is made, as a bar and a list. Pure. One thread (not asserted: psctl
 * has no other). */
#ifndef PS_REPORT_SHARES_H
#define PS_REPORT_SHARES_H

#include "client/report/quantity.h"
#include "common/base/buf.h"

/* By the halves of blocks and what is outside of them; small parts as one. quantity: additive. */
void ps_shares_html(ps_buf *out, const ps_graph *graph, const ps_quantity *quantity);

#endif
