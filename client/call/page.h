/* page: the report of a job as a file of HTML: what psd tells of the model, of the job and of what
 * is stored, and the record of the model's training, put together with what was found out. One
 * thread (not asserted: psctl has no other). */
#ifndef PS_CALL_PAGE_H
#define PS_CALL_PAGE_H

#include "client/call/client.h"
#include "client/show/explain_view.h"
#include "psd/v1/models.pb-c.h"

typedef struct ps_page_options {
    const char *command; /* that makes the page again */
    uint64_t budget;     /* bytes at most; 0: as the job file says */
    const char *rows;    /* a row_list; NULL: the first ones */
    const char *section; /* "lens", "lens:2": only this figure of it, as SVG; NULL: all */
} ps_page_options;

/* view: of the job; appended to out. model: that is explained; NULL: it is gone. */
PS_MUST_CHECK ps_status ps_page_explanation(ps_client *client, uint64_t job_id,
                                            const Psd__V1__Model *model,
                                            const ps_explain_view *view,
                                            const ps_page_options *options, ps_buf *out);
/* Of a training. PS_NOT_FOUND: it has left no record. */
PS_MUST_CHECK ps_status ps_page_training(ps_client *client, uint64_t job_id,
                                         const ps_page_options *options, ps_buf *out);

#endif
