/* lifecycle: what the scheduler has done with a training job's parameters:
 *
 *     create_store ─▶ (checkpoint_due)* ─▶ finish ─▶ ended        or restore after a restart
 *
 * It is the scheduler's `out` table, but for the three functions that talk to workers. Everything
 * that touches the disk or fills parameters runs on the thread pool.
 *
 * data_dir/checkpoints/JOB holds a job's checkpoints until it has ended; data_dir/models the
 * models.
 */
#ifndef PS_RUNS_LIFECYCLE_H
#define PS_RUNS_LIFECYCLE_H

#include "common/loop/loop.h"
#include "server/runs/model_file.h"
#include "server/runs/run.h"

typedef struct ps_lifecycle ps_lifecycle;

typedef struct ps_lifecycle_conf {
    ps_model_files files; /* borrowed members */
    ps_runs *runs;        /* borrowed */
    ps_loop *loop;        /* whose pool does the work; borrowed */
    uint64_t push_bytes;
    unsigned keep_checkpoints;
} ps_lifecycle_conf;

/* Makes the folders that are missing. */
PS_MUST_CHECK ps_status ps_lifecycle_create(const ps_lifecycle_conf *conf, ps_lifecycle **out);
void ps_lifecycle_free(ps_lifecycle **lifecycle); /* when nothing is pending any more */
/* Before anything happens: the scheduler that is to be answered. */
void ps_lifecycle_set_sched(ps_lifecycle *lifecycle, ps_sched *sched);

/* Fills the members of out that are not about workers; their user must be the lifecycle. */
void ps_lifecycle_fill(ps_sched_out *out);

/* For ps_sched_recover. */
PS_MUST_CHECK ps_status ps_lifecycle_restore(void *lifecycle, uint64_t job_id,
                                             const ps_job_spec *spec, ps_buf *blob);

/* Writes a checkpoint of the job now. Blocks: off the loop. *bytes is its size. */
PS_MUST_CHECK ps_status ps_lifecycle_checkpoint(ps_lifecycle *lifecycle, uint64_t job_id,
                                                uint64_t *bytes);

typedef struct ps_lifecycle_stats {
    uint64_t checkpoints, checkpoint_failures, checkpoint_bytes;
    uint64_t last_pause_ns; /* for how long updates were held off */
} ps_lifecycle_stats;
void ps_lifecycle_count(ps_lifecycle *lifecycle, ps_lifecycle_stats *out); /* any thread */

#endif
