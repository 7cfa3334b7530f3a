/* lifecycle_internal: what the files of the lifecycle share. */
#ifndef PS_RUNS_LIFECYCLE_INTERNAL_H
#define PS_RUNS_LIFECYCLE_INTERNAL_H

#include "common/loop/off_loop.h"
#include "server/runs/lifecycle.h"
#include "server/sched/job_file.h"

#include <stdatomic.h>

struct ps_lifecycle {
    ps_lifecycle_conf conf;
    ps_sched *sched;
    atomic_uint_fast64_t checkpoints, failures, bytes, pause_ns;
};

/* What is done on the pool for a job, and then answered: it is freed by the function that it was
 * given to the pool with. */
typedef struct ps_lifecycle_step {
    ps_off_loop off;
    ps_lifecycle *lifecycle;
    uint64_t job_id;
    ps_job_file *file;      /* create, finish: a reference */
    ps_data_plan *plan;     /* create */
    ps_job_outcome outcome; /* finish; its texts are these: */
    char *draft, *report, *calibration;
    char *settled;      /* finish */
    ps_job_state state; /* ended */
} ps_lifecycle_step;

ps_lifecycle_step *ps_lifecycle_step_new(ps_lifecycle *lifecycle, uint64_t job_id);
void ps_lifecycle_step_outcome(ps_lifecycle_step *step, const ps_job_outcome *outcome); /* once */
void ps_lifecycle_step_free(ps_lifecycle_step *step);

/* Where the job's checkpoints are; freed by the caller. */
char *ps_lifecycle_folder(const ps_lifecycle *lifecycle, uint64_t job_id);

/* Writes one when no other of the run is being written. wait false: PS_AGAIN then. */
PS_MUST_CHECK ps_status ps_lifecycle_in_turn(ps_lifecycle *lifecycle, ps_run *run, bool wait,
                                             uint64_t *bytes);
/* The same by the job's number, if the job keeps checkpoints (PS_FAILED_PRECONDITION). */
PS_MUST_CHECK ps_status ps_lifecycle_one(ps_lifecycle *lifecycle, uint64_t job_id, bool wait,
                                         uint64_t *bytes);
/* It was written; or the job has ended, has just begun, keeps none, or another one is being
 * written. */
bool ps_lifecycle_no_failure(ps_status st);

/* Removes the job's folder; of a job that failed, what was kept as damaged stays. */
void ps_lifecycle_remove(ps_lifecycle *lifecycle, uint64_t job_id, ps_job_state state);

/* Of ps_lifecycle_to_store. */
void ps_lifecycle_restore_out(void *lifecycle, uint64_t job_id, const char *unusable);
void ps_lifecycle_clear_out(void *lifecycle, uint64_t job_id);
/* finish, of a job of kind compress: its draft, or what it came to. */
void ps_lifecycle_compressed_out(ps_lifecycle *lifecycle, uint64_t job_id, ps_job_file *file,
                                 const ps_job_outcome *outcome);
/* The same of kind explain: parts that were merged go. */
void ps_lifecycle_explained_out(ps_lifecycle *lifecycle, uint64_t job_id,
                                const ps_job_outcome *outcome);
/* all: what one pass leaves for the next goes, too; of a job that has ended, however. */
void ps_lifecycle_drop_parts(ps_lifecycle *lifecycle, uint64_t job_id, bool all);
/* After a restart: the names of its artifacts, a line each, are its progress. */
PS_MUST_CHECK ps_status ps_lifecycle_explained(ps_lifecycle *lifecycle, uint64_t job_id,
                                               ps_restored *out);
extern const ps_sched_book ps_lifecycle_book;

#endif
