/* lifecycle_record: the record of a training (record.influence) as the lifecycle has it: a file
 * data_dir/records/JOB while the job runs, cut where its checkpoint was when the job is restored,
 * the artifact influence.bin when it is done, and gone when the job has ended. Blocks: off the
 * loop. */
#ifndef PS_RUNS_LIFECYCLE_RECORD_H
#define PS_RUNS_LIFECYCLE_RECORD_H

#include "server/runs/lifecycle_internal.h"

/* The store records from now on, if the job is to. Fails as the disk does, or with PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_lifecycle_record_begin(const ps_lifecycle *lifecycle, uint64_t job_id,
                                                  const ps_job_spec *spec, ps_param_store *store);
/* (gate, exclusive) Behind a checkpoint's progress: how far the record is; nothing where there is
 * none. */
void ps_lifecycle_record_mark(ps_param_store *store, ps_buf *progress);
/* Takes the mark off again, and goes on with the record as it was then. A record that is not there
 * any more ends the record and not the job: text is added to note. */
void ps_lifecycle_record_restore(const ps_lifecycle *lifecycle, uint64_t job_id,
                                 ps_param_store *store, ps_restored *restored);
/* Nothing is pushed any more: the file becomes the job's artifact. Again: nothing. */
PS_MUST_CHECK ps_status ps_lifecycle_record_finish(const ps_lifecycle *lifecycle, uint64_t job_id,
                                                   ps_param_store *store);
void ps_lifecycle_record_remove(const ps_lifecycle *lifecycle, uint64_t job_id);

#endif
