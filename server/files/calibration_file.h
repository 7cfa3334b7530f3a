/* calibration_file: the sums of a compress job, left with it as calibration.safetensors
 * (common/compress/calibration.h). Blocks: off the loop. Any thread. */
#ifndef PS_FILES_CALIBRATION_FILE_H
#define PS_FILES_CALIBRATION_FILE_H

#include "common/compress/plan.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"

/* Of a store that has them (common/compress/store_plan.h), and into which nobody pushes any more,
 * with these metadata. Fails as an artifact's does. */
PS_MUST_CHECK ps_status ps_calibration_file_store(const ps_stored_files *files,
                                                  ps_param_store *store, uint64_t job_id,
                                                  const char *about);
/* What the job plan->from has left, into a fresh store of that plan. PS_FAILED_PRECONDITION: it has
 * not what the plan needs; PS_CORRUPT; PS_INVALID_ARGUMENT: NaN or infinity; PS_NOT_FOUND: it is
 * gone. Then the store is of no use. */
PS_MUST_CHECK ps_status ps_calibration_file_load(const ps_stored_files *files, const ps_plan *plan,
                                                 ps_param_store *store);

#endif
