/* compare_view: what a job of kind compare has found, as text. What psd says of it may be anything.
 * Pure. */
#ifndef PS_SHOW_COMPARE_VIEW_H
#define PS_SHOW_COMPARE_VIEW_H

#include "client/show/table.h"
#include "psd/v1/models.pb-c.h"

/* models: both, as psd knows them; result: Job.result. PS_CORRUPT: it does not say. */
PS_MUST_CHECK ps_status ps_compare_text(ps_buf *out, const ps_style *style,
                                        const Psd__V1__Model *const models[2], const char *result);

#endif
