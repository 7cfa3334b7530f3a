/* kind_compress: what a job of kind compress knows of itself, for kind_compress.c, for the bytes of
 * it that go into checkpoints (kind_compress_progress.c), and for its report
 * (kind_compress_report.c). Under the scheduler's mutex. */
#ifndef PS_SCHED_KINDS_KIND_COMPRESS_H
#define PS_SCHED_KINDS_KIND_COMPRESS_H

#include "common/compress/store_plan.h"
#include "server/sched/job_kind.h"
#include "server/sched/kinds/epoch_rows.h"
#include "server/sched/kinds/result.h"

/* The drawing is in kind_compress.c, what may follow what in kind_compress_phase.c. */
typedef enum ps_compress_phase {
    PS_COMPRESS_CREATING,
    PS_COMPRESS_MEASURING,
    PS_COMPRESS_SOLVING,
    PS_COMPRESS_CLEARING,
    PS_COMPRESS_CALIBRATING,
    PS_COMPRESS_DRAFTING,
    PS_COMPRESS_EVALUATING,
    PS_COMPRESS_FINISHING,
    PS_COMPRESS_PHASES,
} ps_compress_phase;

/* A tensor to be solved, or not. */
typedef struct ps_compress_item {
    size_t turn;    /* ps_plan_turn; not of one that is not solved */
    uint32_t words; /* likewise: the number in the store of what it becomes */
    bool solves, out, done;
    ps_row_range piece; /* begin: the tensor's number; failures, ready_ns, avoid */
    char *line;         /* what its worker says of it: a JSON object; NULL: nothing */
    double *measured;   /* [n_measures] of the plan's tensor; NULL: not yet, or none */
} ps_compress_item;

typedef enum ps_compress_which { PS_COMPRESS_PARENT, PS_COMPRESS_CHILD } ps_compress_which;

typedef struct ps_compress_test {
    bool out, done;
    ps_row_range piece;
    ps_evaluation found;
} ps_compress_test;

typedef struct ps_compress {
    unsigned phase;          /* ps_compress_phase; ps_compress_move */
    const ps_plan *plan;     /* the job file's */
    bool measuring;          /* what is chosen by is not known yet: turns are of that */
    size_t turn;             /* of the tensors that are measured, solved, or calibrated for */
    ps_epoch_rows rows;      /* of calibration (ps_compress_epochs). Set if there are any */
    ps_compress_item *items; /* [plan->n_tensors] */
    size_t n_solve, n_solved, n_measured;
    ps_compress_test tests[2]; /* ps_compress_which */
    ps_compress_test both;     /* comparing them: `found` is nothing */
    bool apart;                /* no worker could compare them: each is evaluated by itself */
    char *compared;   /* what a worker says lies between them: a JSON object; NULL: nothing yet */
    uint32_t *chosen; /* of a checkpoint: of each tensor; NULL: none yet */
    double seconds;   /* of running, in processes before this one */
    uint64_t draft_bytes;
    char sha256[65], parent_sha256[65]; /* of the files; "": not yet */
    char *refused; /* why the new model is not published; NULL: it is, or that is not known yet */
    char *report;  /* NULL: not yet */
    char *kept;    /* whose sums are kept (common/compress/calibration.h); NULL: not yet, or not */
} ps_compress;

void ps_compress_move(const ps_job *job, ps_compress_phase to);
const char *ps_compress_phase_name(ps_compress_phase phase);
double ps_compress_seconds(const ps_job *job); /* of running, in all processes */
bool ps_compress_calibrates(const ps_compress *w);
static inline uint64_t ps_compress_rows(const ps_plan *plan)
{
    return plan->calibration_rows + plan->held_out_rows;
}

/* Of the rows, that are done when turn `turn` has been calibrated for. */
static inline uint32_t ps_compress_epochs(const ps_compress *w, size_t turn)
{
    size_t before = w->plan->measures && !w->measuring ? w->plan->n_windows : 0;
    return (uint32_t)(before + turn);
}

/* Goes as far as it can. */
void ps_compress_advance(ps_job *job);

/* ---- calibration (kind_compress_calibrate.c) ---- */

extern const ps_task_kind ps_compress_calibrate_task;
/* Hooks of tasks: whoever reads what was solved has to know its form; and all that is left of a
 * window may be one task of a worker that is gone. */
void ps_compress_fill_choices(const ps_lease *lease, ps_parcel *parcel);
bool ps_compress_waited_for(const ps_job *job);

/* ---- parent and new model on data.test (kind_compress_test.c) ---- */

/* Is the piece to be given out, and to this worker? */
bool ps_compress_may_take(const ps_job *job, const ps_row_range *piece, ps_worker *worker,
                          const ps_task_kind *kind);
/* As the hook `next`: comparing both, or, where that could not be, evaluating one; and evaluating
 * the parent, which a target is about. */
bool ps_compress_next_test(ps_job *job, ps_worker *worker, ps_lease *task);
bool ps_compress_next_parent(ps_job *job, ps_worker *worker, ps_lease *task);
/* Is all known of both that data.test can say? */
bool ps_compress_tested(const ps_job *job);

/* ---- where something is chosen by what is measured (kind_compress_measure.c) ---- */

static inline bool ps_compress_measures(const ps_compress *w, size_t i)
{
    return w->measuring && w->plan->tensors[i].n_measures && !w->items[i].measured;
}
/* Does it choose by a share of the parent's loss on data.test? */
bool ps_compress_wants_parent(const ps_compress *w);
/* What a worker says of tensor i. false: it does not. */
bool ps_compress_measured(ps_compress *w, size_t i, const char *line);
/* All is measured: it is chosen, and solving begins; where the parent's loss is waited for, it
 * does not yet. The job fails when the target cannot be reached. */
void ps_compress_settle(ps_job *job);

/* A struct for this plan, in which nothing is done. */
ps_compress *ps_compress_new(const ps_plan *plan);
void ps_compress_free(void *work);

/* The tensors that psd is to keep for it; owned by the caller. */
ps_data_plan *ps_compress_store(const ps_plan *plan);
void ps_compress_show(ps_job *job); /* the kind's hook */
enum { PS_COMPRESS_PROGRESS = 3 };  /* version of what save gives, and load knows */
/* The hook `save` of the kind: PS_FAILED_PRECONDITION before there are parameters. */
PS_MUST_CHECK ps_status ps_compress_save(ps_job *job, ps_buf *blob);
/* Into a fresh struct; phase and turn are those that were saved, rows is the caller's. PS_CORRUPT.
 */
PS_MUST_CHECK ps_status ps_compress_read(ps_slice blob, ps_compress *out);

/* By compress.limits, and by what it was calibrated on: NULL, or why it may not be published, with
 * both figures; freed by the caller.
 */
char *ps_compress_refusal(const ps_job *job);
void ps_compress_report(const ps_job *job, ps_buf *json);
/* w->kept, where the job is asked to (compress.calibrate.keep). */
void ps_compress_keep(const ps_job *job);
/* The part of it that a stage which is not the last comes to. */
void ps_compress_told(const ps_job *job, ps_buf *json);
/* Job.result: the short of it. */
void ps_compress_outcome(const ps_job *job, ps_buf *json);

#endif
