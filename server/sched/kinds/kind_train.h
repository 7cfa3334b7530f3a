/* kind_train: what a training job knows of itself, for kind_train.c and for the bytes of it that go
 * into checkpoints (kind_train_progress.c). Under the scheduler's mutex. */
#ifndef PS_SCHED_KINDS_KIND_TRAIN_H
#define PS_SCHED_KINDS_KIND_TRAIN_H

#include "common/format/metric_list.h"
#include "server/sched/job_kind.h"
#include "server/sched/kinds/epoch_means.h"
#include "server/sched/kinds/epoch_rows.h"

/* The drawing is in kind_train.c, what may follow what in kind_train_phase.c. */
typedef enum ps_train_phase {
    PS_PLANNING,
    PS_CREATING,
    PS_TRAINING,
    PS_FINISHING,
} ps_train_phase;

typedef struct ps_train {
    unsigned phase;    /* ps_train_phase; ps_train_move */
    ps_row_range plan; /* of the plan task: failures, ready_ns, avoid */
    bool plan_out;     /* a worker has it */
    uint64_t test_rows;
    ps_epoch_rows rows; /* set from PS_TRAINING on */
    double seconds;     /* of running, in processes before this one */
    /* evaluation: epochs before `evaluated` need none any more */
    uint32_t evaluated;
    bool evaluate_out;
    ps_row_range evaluate; /* epoch, failures, ready_ns, avoid of the one that waits or is out */
    bool has_test;
    double test_loss;
    ps_metric_list test_metrics;
    ps_epoch_means means;
    char *settled; /* as ps_train_read found it; then it is ps_job.settled */
} ps_train;

void ps_train_move(const ps_job *job, ps_train_phase to);
bool ps_train_merges(const ps_job *job);
double ps_train_seconds(const ps_job *job); /* of running, in all processes */

void ps_train_finish_if_done(ps_job *job);

/* A segment to be measured (record.loss_changes), for this worker; pressing: only if many wait. */
bool ps_train_next_probe(ps_job *job, ps_worker *worker, bool pressing, ps_lease *task);

/* Into the job's log: what the test of an epoch says, and that these epochs had none. */
void ps_train_say_tested(ps_job *job);
void ps_train_say_untested(ps_job *job, uint32_t first, uint32_t end);

/* Into the job's log, when test_rows and rows are set: what the plan has found. */
void ps_train_say_planned(ps_job *job, const ps_data_plan *plan);

enum { PS_TRAIN_PROGRESS = 4 }; /* version of what save gives */
/* The hook `save` of the kind: PS_FAILED_PRECONDITION before there are parameters. */
PS_MUST_CHECK ps_status ps_train_save(ps_job *job, ps_buf *blob);
/* Into a fresh struct; phase and rows.per_task are the caller's. PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_train_read(const ps_job *job, ps_slice blob, ps_train *out);

#endif
