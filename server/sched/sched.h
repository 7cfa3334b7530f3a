/* sched: jobs, their tasks, and the leases under which workers hold them.
 *
 *     submit ─▶ queued ─▶ running ──────────────▶ done ◀─╮ its model was being written
 *                 │          │ ╰─ cancel ─▶ cancelling ────┴─▶ cancelled
 *                 ├──────────┴──────────────▶ failed
 *                 ╰─ cancel ──────────────────────────────────▶ cancelled
 *
 * A running job's kind (job_kind.h) says what there is to do; assign.c shares the workers out; a
 * lease says that a worker has a task, until it answers, or has been silent for lease_timeout_ms.
 *
 * Any thread may call anything here but ps_sched_create, _recover and _free; one mutex guards it
 * all (ps_sched_holds_lease has its own reader lock). What the outside must do goes through
 * ps_sched_out: those functions are called one at a time, in the order of the decisions, without
 * the mutex, on whichever thread is in here. They may call back into the scheduler. They must not
 * block long (create_store and finish hand the work to another thread and answer later).
 *
 * A session is one Attach stream, by number: a callback may still come for a session that has just
 * been detached, and is then ignored.
 */
#ifndef PS_SCHED_SCHED_H
#define PS_SCHED_SCHED_H

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/conf/job_spec.h"
#include "server/catalog/job_lines.h"
#include "server/params/ledger.h"
#include "server/quota/quotas.h"
#include "server/sched/hello.h"
#include "server/sched/job_file.h"
#include "server/sched/output.h"
#include "server/sched/task.h"
#include "server/sched/task_result.h"

typedef struct ps_sched ps_sched;

typedef struct ps_sched_conf {
    uint32_t max_running;    /* jobs side by side; 0: 8 */
    uint32_t max_unfinished; /* jobs that have not ended; 0: no bound */
    ps_quotas *quotas;       /* in which jobs are counted; NULL: in none. Outlives the scheduler */
    uint64_t lease_timeout_ms;
    uint64_t checkpoint_ms; /* between checkpoints of jobs that do not say; 0: only at the end */
    ps_clock clock;
    /* What can be done with jobs, a NULL behind the last (kinds/kinds.h); NULL: nothing. Must
     * outlive the scheduler. */
    const struct ps_job_kind *const *kinds;
} ps_sched_conf;

/* What a job has come to when its training ended. */
typedef struct ps_job_outcome {
    uint64_t epochs, samples;
    double seconds;
    bool has_test;
    double test_loss;
    ps_metric_list test_metrics;
    uint32_t failed_writes; /* of the model, before this one */
    bool explains;  /* kind explain: there is no model; parts that were merged are to be removed, */
    bool explained; /* and what passes left for each other: that was the last of them */
    /* kind compress; the job's, until the answer: */
    bool drafts;        /* the new model is to be written, as a version that no name means yet; */
    const char *draft;  /* or that version is to become the model; NULL: it is not */
    const char *report; /* JSON, to be left with the job as report.json; NULL: none */
    const char *calibration; /* its sums are to be left, too, with these metadata
                                (common/compress/calibration.h); NULL: they are not */
} ps_job_outcome;

/* A new model that no name means yet; borrowed for the call. */
typedef struct ps_draft {
    const char *version; /* ps_model_record.path */
    uint64_t bytes;
    const char *sha256, *parent_sha256; /* of the files, in hexadecimal digits */
} ps_draft;

/* What psd knows of a job and the scheduler shows in its progress. */
typedef struct ps_job_gauges {
    double bytes_in_per_second, bytes_out_per_second;
    double staleness_mean;
    uint64_t staleness_max;
    uint64_t steps; /* updates of the whole model */
} ps_job_gauges;

/* Whose it is, of which rows of an epoch, and which tensor it sets (ps_ledger_lease_limit). */
typedef struct ps_booked_task {
    uint64_t lease_id;
    uint32_t epoch;
    ps_row_span rows;
    const char *worker;
    uint32_t sets;
} ps_booked_task;

/* Which rows of a training job are in its parameters: they are booked with the updates (ledger.h).
 * Asked with the mutex held, but for segment_done: quick, and never calling back. */
typedef struct ps_sched_book {
    /* A task is given out. */
    void (*begin)(void *user, uint64_t job_id, const ps_booked_task *task);
    /* The worker says that it is at `position`; returns how far the lease is by the book. */
    uint64_t (*report)(void *user, uint64_t job_id, uint64_t lease_id, uint64_t position);
    /* The lease is over, and nothing is booked for it any more; done: its worker says that all is.
     * Adds to *left what is not. false: the book does not know it. */
    bool (*end)(void *user, uint64_t job_id, uint64_t lease_id, bool done, ps_row_set *left);
    /* After a restart: what is done, freed by the caller; false: the checkpoint did not say. */
    bool (*state)(void *user, uint64_t job_id, ps_ledger_state *out);
    /* Then: this is. Takes over the sets. */
    void (*adopt)(void *user, uint64_t job_id, ps_ledger_state *state);
    /* record.loss_changes; NULL: no job has it. A segment (params/waypoints.h) to be measured;
     * pressing: only when many wait. */
    bool (*segment_take)(void *user, uint64_t job_id, bool pressing, uint64_t *number);
    void (*segment_back)(void *user, uint64_t job_id, uint64_t number);
    /* The worker that had it is lost: for which time. It is still out. */
    uint32_t (*segment_lost)(void *user, uint64_t job_id, uint64_t number);
    /* With what a worker says of it (hostile); NULL: it is not measured. PS_INVALID_ARGUMENT: what
     * it says is none; the segment is over all the same. As the functions of ps_sched_out are
     * called: without the mutex. */
    ps_status (*segment_done)(void *user, uint64_t job_id, uint64_t number, const char *report);
    bool (*segments_left)(void *user, uint64_t job_id); /* some wait, or are out */
} ps_sched_book;

/* What is said to workers (service/sessions). Everything passed is the scheduler's, for the call.
 */
typedef struct ps_to_workers {
    void (*send_task)(void *user, uint64_t session, const ps_task *task);
    void (*send_cancel)(void *user, uint64_t session, uint64_t lease_id, const char *reason);
    /* End this session's stream: the worker came back on another, or was silent too long. */
    void (*drop_session)(void *user, uint64_t session, const char *reason);
} ps_to_workers;

/* What is asked of those who keep the jobs' parameters (runs/lifecycle). Likewise. */
typedef struct ps_to_store {
    /* To the consistency controller: enter comes before each training task that is sent and
     * returns the clock with which the worker goes on (the same worker may enter again, with
     * another lease); leave comes when a worker that entered holds no training task of the job any
     * more. */
    uint64_t (*enter)(void *user, uint64_t job_id, const char *worker, uint64_t lease_id);
    void (*leave)(void *user, uint64_t job_id, const char *worker);

    /* Make the job's parameters as the plan says, which is handed over; answer once with
     * ps_sched_store_created. That a stored model of this name has the same shapes has been
     * checked. The file may be kept, by a reference, here and below. */
    void (*create_store)(void *user, uint64_t job_id, ps_job_file *file, ps_data_plan *plan);
    /* All sums among the parameters are zeros from now on, which no checkpoint that is under way
     * sees; answer once with ps_sched_store_created. */
    void (*clear_sums)(void *user, uint64_t job_id);
    /* A running job's checkpoint could not be read when psd started: do it now; answer once with
     * ps_sched_restored. unusable: it was read, and cannot be used for this reason: it is to be
     * kept, and the one before it restored; NULL: it was not. */
    void (*restore)(void *user, uint64_t job_id, const char *unusable);
    /* A checkpoint of the job is due (the job file's checkpoint.every, or else
     * checkpoint_ms, have passed). */
    void (*checkpoint_due)(void *user, uint64_t job_id);
    /* Training is over: write the model; answer once with ps_sched_finished, or, where the outcome
     * drafts, ps_sched_drafted. It is asked again, later, when that could not be done. settled: the
     * model section that the plan has settled; "": it is the spec's. */
    void (*finish)(void *user, uint64_t job_id, ps_job_file *file, const char *settled,
                   const ps_job_outcome *outcome);
    /* The job has ended in this state, and its leases are gone: release what it holds. */
    void (*ended)(void *user, uint64_t job_id, ps_job_state state);

    /* Asked with the mutex held: quick, and never calling back. May be NULL. */
    void (*gauges)(void *user, uint64_t job_id, ps_job_gauges *out);
    /* NULL: what workers report of their rows is believed. */
    const ps_sched_book *book;
} ps_to_store;

/* What the scheduler needs done, each with its user. */
typedef struct ps_sched_out {
    const ps_to_workers *workers;
    void *workers_user;
    const ps_to_store *store;
    void *store_user;
} ps_sched_out;

/* Borrows the catalog and what *out (copied) points to; they must outlive the scheduler. */
ps_sched *ps_sched_create(const ps_sched_conf *conf, ps_catalog *catalog, const ps_sched_out *out);
/* No other thread may be in here any more. Jobs stay in the catalog as they are. */
void ps_sched_free(ps_sched **sched);

/* What a job's newest checkpoint had. */
typedef struct ps_restored {
    ps_buf progress; /* what ps_sched_progress_save gave for it */
    ps_buf note;     /* a line for those who watch the job; empty: nothing is to be said */
} ps_restored;
void ps_restored_free(ps_restored *restored);

/* Once, before anything else: takes up the jobs that had not ended. restore() is called for each
 * that was running: it loads the job's newest checkpoint. PS_NOT_FOUND means there is none (the job
 * starts anew), PS_CORRUPT that none is good (it fails with that reason); after any other failure
 * the job waits, and `restore` of ps_to_store is asked again and again. What this returns is the
 * catalog's failure: then psd must not start. */
PS_MUST_CHECK ps_status ps_sched_recover(ps_sched *sched,
                                         ps_status (*restore)(void *user, uint64_t job_id,
                                                              const ps_job_spec *spec,
                                                              ps_restored *out));

/* Time passes: expires leases, starts jobs, asks for checkpoints, refreshes progress. Call it a few
 * times a second. */
void ps_sched_tick(ps_sched *sched);
/* From now on no task is given out and no job taken (psd is about to stop, or Admin.Drain); false
 * takes it back. */
void ps_sched_drain(ps_sched *sched, bool on);

/* ---- jobs ---- */

/* May a job such as this be? Asked without the mutex. */
typedef ps_status (*ps_job_allowed)(void *user, const ps_job_spec *spec);
/* Checks the job file and queues the job. PS_INVALID_ARGUMENT: line, key, what is allowed; what
 * allowed() says, which may be NULL; PS_NOT_FOUND: the model it is to use; PS_RESOURCE_EXHAUSTED:
 * too many jobs wait; PS_UNAVAILABLE: draining; PS_NO_SPACE. */
PS_MUST_CHECK ps_status ps_sched_submit(ps_sched *sched, const char *submitter, ps_slice yaml,
                                        ps_job_allowed allowed, void *user, uint64_t *job_id);
/* The version of the stored model `model` that the job works on, begins from, is taught by, or has
 * drafted under its own name; freed by the caller. PS_PERMISSION_DENIED: it works on another, or on
 * none; PS_NOT_FOUND: the job has ended. */
PS_MUST_CHECK ps_status ps_sched_job_model(ps_sched *sched, uint64_t job_id, const char *model,
                                           char **version);
/* The training whose record (influence.bin) the job, one of kind explain, asks about.
 * PS_PERMISSION_DENIED: about none; PS_NOT_FOUND: the job has ended. */
PS_MUST_CHECK ps_status ps_sched_job_record(ps_sched *sched, uint64_t job_id, uint64_t *of);
/* PS_OK: it is in the catalog that the job is to end, whatever happens to psd; *out (which may be
 * NULL) is how the job is after it. A job that has ended: PS_FAILED_PRECONDITION; one that is being
 * cancelled: PS_OK. When it cannot be stored nothing changes. */
PS_MUST_CHECK ps_status ps_sched_cancel(ps_sched *sched, uint64_t job_id, const char *by,
                                        const char *reason, ps_job_record **out);
PS_MUST_CHECK ps_status ps_sched_job_get(ps_sched *sched, uint64_t job_id, ps_job_record **out);
/* Newest first, without spec; state PS_JOB_NONE: all. At most `limit` (at least 1) of those with an
 * id below `before` (0: all); *next is where to go on before, 0 when these were the last. Fewer may
 * come though there are more. Free with ps_job_records_free. */
PS_MUST_CHECK ps_status ps_sched_job_list(ps_sched *sched, ps_job_state state, uint64_t before,
                                          size_t limit, ps_job_record ***out, uint64_t *next);
/* Jobs in memory by state, for the metrics page. */
typedef struct ps_sched_counts {
    uint32_t queued, running, cancelling;
    uint64_t oldest_queued_ms; /* for so long the oldest queued one has waited; 0: none waits */
    uint32_t workers_idle, workers_busy, workers_draining, workers_silent; /* none that left */
    uint32_t leases;
    uint64_t tasks_sent, tasks_done, tasks_failed, leases_lost; /* since psd started */
} ps_sched_counts;
void ps_sched_count(ps_sched *sched, ps_sched_counts *out);
/* Copies of the running jobs, as they are now, without spec: *n of them and a NULL. Memory only.
 * Free with ps_job_records_free. */
ps_job_record **ps_sched_running(ps_sched *sched, size_t *n);

/* Answers to create_store and finish; error NULL: it went well. A job that was cancelled meanwhile
 * ignores them. */
void ps_sched_store_created(ps_sched *sched, uint64_t job_id, const ps_error *error);
void ps_sched_finished(ps_sched *sched, uint64_t job_id, const ps_error *error);
void ps_sched_drafted(ps_sched *sched, uint64_t job_id, const ps_error *error,
                      const ps_draft *draft);
/* The answer to restore; error as what the restore() of ps_sched_recover returns, NULL: it is
 * restored. *restored stays the caller's. */
void ps_sched_restored(ps_sched *sched, uint64_t job_id, const ps_error *error,
                       ps_restored *restored);
/* Ends a running job at once with this reason (its checkpoint cannot be written, say). */
void ps_sched_fail_job(ps_sched *sched, uint64_t job_id, const ps_error *error);
/* A line for those who watch the job (psd's own words: "checkpoint written"). */
void ps_sched_job_log(ps_sched *sched, uint64_t job_id, int level, const char *text);

/* How far the job is, for its checkpoint: appends to *blob. Take it before the parameters are
 * copied. Which rows are done, the parameters know themselves (ps_sched_book). PS_NOT_FOUND
 * when the job is not running, PS_FAILED_PRECONDITION when it has no parameters yet. */
PS_MUST_CHECK ps_status ps_sched_progress_save(ps_sched *sched, uint64_t job_id, ps_buf *blob);

/* ---- workers ---- */

/* A worker has said hello; `worker` is its identity's name, `session` a number never used before.
 * Leases that it still holds and that have not expired go on; those it names that are not its own
 * are cancelled. An older incarnation than a known one: PS_FAILED_PRECONDITION while that is here
 * or may come back, PS_ABORTED once it has left or is silent. Another session of the worker is
 * dropped. */
PS_MUST_CHECK ps_status ps_sched_attach(ps_sched *sched, uint64_t session, const char *worker,
                                        const char *address, const ps_hello *hello);
/* When the certificate that the session came with ends, milliseconds since 1970: to be shown. */
void ps_sched_certified(ps_sched *sched, uint64_t session, int64_t starts_ms, int64_t expires_ms);
/* The stream has ended. Its leases wait for it to come back until they expire; those that other
 * workers wait for (training under bsp) for a second. */
void ps_sched_detach(ps_sched *sched, uint64_t session);
/* The worker has ended the stream itself, after all it had to say: what it holds by our count (a
 * task that crossed its leaving on the wire) returns at once. */
void ps_sched_leave(ps_sched *sched, uint64_t session);
/* The messages of a session; hostile. What is taken over of a result (its plan) becomes NULL. A
 * lease that is not this worker's is ignored (a lost one's report may be under way); every message
 * is a sign of life. PS_NOT_FOUND: no such session, end its stream. A worker answers every task
 * once, a cancelled one too; code 1 (cancelled) without having been told to says that it is
 * stopping: it gets nothing more before it attaches again, or lease_timeout_ms have passed. */
PS_MUST_CHECK ps_status ps_sched_heartbeat(ps_sched *sched, uint64_t session);
PS_MUST_CHECK ps_status ps_sched_progress(ps_sched *sched, uint64_t session,
                                          const ps_task_report *report);
PS_MUST_CHECK ps_status ps_sched_output(ps_sched *sched, uint64_t session, uint64_t lease_id,
                                        const ps_tokens *said);
PS_MUST_CHECK ps_status ps_sched_result(ps_sched *sched, uint64_t session, ps_task_result *result);
/* Does the worker of this name hold a lease of the job? For every push and pull: takes only a
 * reader lock that is written when a lease begins or ends. */
bool ps_sched_holds_lease(ps_sched *sched, const char *worker, uint64_t job_id);
/* A worker as people see it. */
typedef struct ps_worker_info {
    char *name, *address;
    ps_hello hello;
    int64_t attached_ms, heard_ms;                         /* milliseconds since 1970 */
    int64_t certificate_starts_ms, certificate_expires_ms; /* likewise */
    uint64_t *jobs;                                        /* of the leases it holds, n_jobs */
    size_t n_jobs;
    const char *state; /* "idle", "busy", "draining", "silent", "left" (stopped in order) */
} ps_worker_info;
/* The known workers by name, those after `after` ("": all), at most `limit` (0: all): *n of them,
 * freed with ps_worker_infos_free. */
ps_worker_info *ps_sched_workers(ps_sched *sched, const char *after, size_t limit, size_t *n);
void ps_worker_infos_free(ps_worker_info **list, size_t n);

/* ---- watching ---- */

typedef struct ps_watch ps_watch;

/* notify(user) is called (as the functions of ps_sched_out are, and soon for the first time) when
 * there is something new, and then not again before ps_watch_next has said PS_AGAIN. First comes
 * what was last said, then the job as it is. PS_NOT_FOUND: no such job. PS_ABORTED: it is just
 * being submitted. */
PS_MUST_CHECK ps_status ps_sched_watch(ps_sched *sched, uint64_t job_id, void (*notify)(void *user),
                                       void *user, ps_watch **out);

typedef struct ps_watch_event {
    ps_job_record *job; /* without spec; or NULL */
    ps_job_line *log;   /* or NULL */
    ps_tokens *output;  /* or NULL */
} ps_watch_event;

/* The next event: PS_AGAIN when there is none yet, PS_END when the job has ended and everything was
 * said. Changes of a job that nobody fetched become one; of log lines the last 64 are kept, with
 * a line that says how many were left out; of output, all until the job has ended and was saved
 * (its result has it then). So a slow watcher costs nothing. */
PS_MUST_CHECK ps_status ps_watch_next(ps_watch *watch, ps_watch_event *out);
void ps_watch_event_clear(ps_watch_event *event);
/* No notify() is running or begins after this has returned (but for the one that calls it). Hold no
 * lock that notify() takes. */
void ps_watch_close(ps_watch **watch);

#endif
