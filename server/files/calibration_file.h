/* calibration_file: the sums of a compress job, left with it as calibration.safetensors
 * (common/compress/calibration.h). Blocks: off the loop. Any thread. */
#ifndef PS_FILES_CALIBRATION_FILE_H
#define PS_FILES_CALIBRATION_FILE_H

#include "server/files/stored_file.h"
#include "server/params/param_store.h"

/* Of a store that has them (common/compress/store_plan.h), and into which nobody pushes any more,
 * with these metadata. Fails as an artifact's does. */
PS_MUST_CHECK ps_status ps_calibration_file_store(const ps_stored_files *files,
                                                  ps_param_store *store, uint64_t job_id,
                                                  const char *about);

#endif
