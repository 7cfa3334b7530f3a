/* kept_sums: whether the sums that a compress job names (compress.calibrate.from) are there, of the
 * very model that it compresses, and enough for its method. Reads the catalog: never under the
 * scheduler's mutex (not asserted here: as job_file.h). */
#ifndef PS_SCHED_KEPT_SUMS_H
#define PS_SCHED_KEPT_SUMS_H

#include "common/compress/plan.h"
#include "server/catalog/models.h"

/* model: the parent; plan: of it, with `from`. PS_FAILED_PRECONDITION: that job has left none, or
 * of another model, or of another version of it, or less than is needed (ps_plan_check_kept);
 * PS_NOT_FOUND: there is no such job. */
PS_MUST_CHECK ps_status ps_kept_sums_check(ps_catalog *catalog, const ps_model_record *model,
                                           ps_plan *plan);

#endif
