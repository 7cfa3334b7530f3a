/* explanation: what a job of kind explain has left, fetched and shown. One thread (not asserted:
 * psctl has no other). */
#ifndef PS_CALL_EXPLANATION_H
#define PS_CALL_EXPLANATION_H

#include "client/call/page.h"

/* Onto the client's output, as text or JSON; as text of these rows (a row_list), or the first so
 * many. PS_NOT_FOUND: the job has left none; PS_FAILED_PRECONDITION: the model is another one under
 * that name by now. */
PS_MUST_CHECK ps_status ps_explanation_show(ps_client *client, uint64_t job_id, const char *chosen,
                                            size_t rows);
/* The same as a report in one file of HTML, appended to out. Fails likewise. */
PS_MUST_CHECK ps_status ps_explanation_html(ps_client *client, uint64_t job_id,
                                            const ps_page_options *options, ps_buf *out);

#endif
