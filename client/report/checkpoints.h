/* checkpoints: the models that a method of an explanation went through, as people read them; its
 * arguments may be any bytes. Pure. One thread (not asserted: psctl has one). */
#ifndef PS_REPORT_CHECKPOINTS_H
#define PS_REPORT_CHECKPOINTS_H

#include "common/base/buf.h"
#include "common/explain/manifest.h"

/* "3 models: e1 at rate 0.5, e2 at rate 0.25, e3 at rate 0.1"; rates of tracin alone. Nothing of a
 * method that looked at the job's model alone. The text is not escaped. */
void ps_checkpoints_text(const ps_explanation_result *result, ps_buf *out);

#endif
