/* lifecycle: the scheduler's hands. What it has done with a training job's parameters:
 *
 *     create_store ─▶ (checkpoint_due)* ─▶ finish ─▶ ended        or restore after a restart
 *
 * It is the scheduler's ps_to_store. Everything that touches the disk or fills parameters runs on
 * the thread pool.
 *
 * data_dir/checkpoints/JOB holds a job's checkpoints until it has ended; data_dir/models the
 * models.
 */
#ifndef PS_RUNS_LIFECYCLE_H
#define PS_RUNS_LIFECYCLE_H

#include "common/loop/loop.h"
#include "server/files/model_file.h"
#include "server/runs/run.h"

typedef struct ps_lifecycle ps_lifecycle;

typedef struct ps_lifecycle_conf {
    ps_stored_files files; /* borrowed members */
    ps_runs *runs;         /* borrowed */
    ps_loop *loop;         /* whose pool does the work; borrowed */
    ps_param_host host;    /* of all stores */
    unsigned keep_checkpoints;
} ps_lifecycle_conf;

/* Makes the folders that are missing. */
PS_MUST_CHECK ps_status ps_lifecycle_create(const ps_lifecycle_conf *conf, ps_lifecycle **out);
void ps_lifecycle_free(ps_lifecycle **lifecycle); /* when nothing is pending any more */
/* Before anything happens: the scheduler that is to be answered. */
void ps_lifecycle_set_sched(ps_lifecycle *lifecycle, ps_sched *sched);

/* For ps_sched_create; its user is the lifecycle. */
extern const ps_to_store ps_lifecycle_to_store;

/* For ps_sched_recover. */
PS_MUST_CHECK ps_status ps_lifecycle_restore(void *lifecycle, uint64_t job_id,
                                             const ps_job_spec *spec, ps_restored *out);

/* After that: removes checkpoints that a crash left of jobs that have ended, and files that it left
 * half-written. */
void ps_lifecycle_sweep(ps_lifecycle *lifecycle);

/* Writes a checkpoint of the job now, after one that is being written. Blocks: off the loop. *bytes
 * is its size. PS_NOT_FOUND, PS_FAILED_PRECONDITION: the job has no parameters (any more, or yet),
 * or keeps no checkpoints. */
PS_MUST_CHECK ps_status ps_lifecycle_checkpoint(ps_lifecycle *lifecycle, uint64_t job_id,
                                                uint64_t *bytes);
/* Of every job that keeps checkpoints; adds to *jobs how many, and to *bytes. One that fails does
 * not keep the others from theirs; the first failure is returned. */
PS_MUST_CHECK ps_status ps_lifecycle_checkpoint_all(ps_lifecycle *lifecycle, uint32_t *jobs,
                                                    uint64_t *bytes);

typedef struct ps_lifecycle_stats {
    uint64_t checkpoints, checkpoint_failures, checkpoint_bytes;
    uint64_t last_pause_ns; /* for how long updates were held off */
} ps_lifecycle_stats;
void ps_lifecycle_count(ps_lifecycle *lifecycle, ps_lifecycle_stats *out); /* any thread */

#endif
