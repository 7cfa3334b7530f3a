/* core: what the scheduler's files share: jobs, workers, leases, the mutex over them all, and how a
 * public call runs.
 *
 *     ps_core_lock(s);
 *     ... change something; what must happen outside is put into the outbox ...
 *     ps_core_unlock(s);   // shares workers out, gives the mutex back, then runs the outbox
 *
 * Everything here needs the mutex, unless said. Inside this folder only.
 */
#ifndef PS_SCHED_CORE_H
#define PS_SCHED_CORE_H

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/repeat.h"
#include "server/sched/job_log.h"
#include "server/sched/kinds/epoch_rows.h"
#include "server/sched/kinds/job_kind.h"
#include "server/sched/kinds/output.h"
#include "server/sched/lease_index.h"
#include "server/sched/meter.h"
#include "server/sched/outbox.h"
#include "server/sched/sched.h"
#include "server/sched/watch.h"

#include <pthread.h>

typedef enum ps_task_kind {
    PS_TASK_PLAN,
    PS_TASK_TRAIN,
    PS_TASK_EVALUATE,
    PS_TASK_PREDICT,
    PS_TASK_GENERATE,
} ps_task_kind;
const char *ps_task_kind_name(ps_task_kind kind);

struct ps_worker {
    ps_list link; /* ps_sched.workers */
    char name[PS_WORKER_MAX];
    char *address;
    Psd__V1__Hello *hello; /* a copy */
    uint64_t session;      /* 0: its stream has ended */
    uint32_t slots;
    uint32_t train_slots; /* of them, for jobs that train; the others are for those on stored
                             models. As many as slots: each takes any */
    uint64_t stopping_ns; /* gave a task back unasked: gets none before this, or attaching again */
    bool silent;          /* heard nothing for lease_timeout_ms; its leases are gone */
    bool left;            /* it ended its stream itself, in order */
    uint64_t heard_ns;
    uint64_t detached_ns;          /* its stream has ended unasked, then; 0: it has not */
    int64_t attached_ms, heard_ms; /* since 1970 */
    int64_t certificate_ms;        /* when it ends; likewise */
    uint64_t used_ns;              /* was last given a task */
    uint64_t last_job;             /* of that task: its data may still be in memory there */
    char *last_model;              /* the version of the last generate task: likewise; NULL: none */
    ps_list leases;                /* ps_lease.of_worker */
    uint32_t n_leases;             /* occupied slots, */
    uint32_t n_inference;          /* of them, by tasks of jobs on stored models */
};

/* A lease occupies a slot of its worker until that answers or goes silent. It is the job's until
 * then too, unless the job ended first: then job is NULL and the answer means nothing. */
struct ps_lease {
    ps_list of_worker, of_job;
    uint64_t id;
    ps_worker *worker;
    ps_job *job;
    ps_task_kind kind;
    bool inference;        /* of a job on a stored model */
    ps_row_range piece;    /* train: begin moves as rows are done; evaluate: epoch */
    bool cancelled;        /* the worker was told, */
    uint64_t cancelled_ns; /* then */
};

struct ps_job {
    ps_list link;     /* ps_sched.jobs, oldest first */
    ps_list of_state; /* ps_sched.queued[] or .active, oldest first; none when it has ended */
    ps_sched *sched;
    unsigned refs; /* the list, the outbox, watches */
    ps_job_record *record;
    /* these never change, and may be read without the mutex while a reference is held */
    ps_job_spec *spec;
    char *model_config; /* of the stored model record->model_version; "": it uses none */
    const ps_job_kind *kind;
    char *settled; /* its model section as its plan has settled it, from then on; "": as in spec */
    void *work;    /* the kind's; NULL before it runs, or until its checkpoint has been read */
    ps_list leases;
    uint32_t n_leases;        /* that are not cancelled */
    uint64_t began_ns;        /* running since (in this process) */
    uint64_t checkpoint_ns;   /* the last one was asked for */
    bool waiting;             /* for the answer of create_store or finish */
    ps_job_outcome outcome;   /* from ps_finish_begin on */
    uint64_t finish_ns;       /* the model could not be written and is tried again then; 0: no */
    uint32_t failed_restores; /* in vain, after a restart: so long the job has no work, */
    uint64_t restore_ns;      /* and is restored then; 0: now, or it is none of those */
    ps_repeat restore_trouble;
    bool ended_waits;  /* `ended` is to be called after that answer */
    bool ended;        /* it was called */
    bool unsaved;      /* the catalog does not have its state yet, */
    unsigned saves;    /* and so many writes of it are on their way */
    ps_repeat trouble; /* with saving */
    bool end_unsaved;  /* it has ended, and that waits for the catalog */
    bool told;         /* it ended before, and was read for somebody who watches */
    ps_meter meter;
    ps_job_log log;
    ps_output output; /* kind generate */
    uint64_t version; /* of what Job says; changes wake the watches */
    ps_list watches;
    struct ps_member *members; /* workers in the consistency controller */
    size_t n_members;
};

/* What decides which jobs may start; [1]: jobs on stored models, [0]: others. */
typedef struct ps_tally {
    uint32_t here; /* workers */
    uint32_t running[2];
} ps_tally;

struct ps_sched {
    ps_sched_conf conf;
    ps_catalog *catalog;
    const ps_sched_out *out;
    void *user;
    pthread_mutex_t mutex;
    pthread_cond_t notified; /* a watch's notify() has returned */
    ps_list jobs, workers;
    size_t n_jobs;
    size_t n_told;             /* jobs that were read for a watch, and are in no list */
    ps_list queued[2], active; /* jobs that wait (as in ps_tally); that run or are cancelling */
    bool assign_due;           /* something has changed that may let a worker have a task */
    bool newly_queued;         /* since jobs were last started, */
    ps_tally tally;            /* when this was so */
    uint64_t next_lease;
    bool draining;
    bool recovered;
    ps_outbox outbox;
    ps_lease_index index;
    uint64_t saved_ns, shown_ns; /* last retries of saving, last refresh of progress */
    uint64_t ticked_ns;          /* last look at who is silent */
    uint64_t tasks_sent, tasks_done, tasks_failed, leases_lost;
};

void ps_core_lock(ps_sched *sched);
/* For a call that changes nothing of who can have which task; it says so if it does, by assign_due:
 * what such a call costs does not grow with jobs and workers. */
void ps_core_lock_quietly(ps_sched *sched);
void ps_core_unlock(ps_sched *sched);
/* One of psd's other parts answers: the job that waits for it; NULL: nobody does any more. */
ps_job *ps_core_answered(ps_sched *sched, uint64_t job_id);
#define PS_SECOND_NS UINT64_C(1000000000)
static inline uint64_t ps_core_now(const ps_sched *sched)
{
    return ps_clock_ns(&sched->conf.clock);
}

/* assign.c: gives free slots work, fairly; looks at so many free workers at a time. */
enum { PS_ASSIGN_TRIES = 256 };
void ps_assign(ps_sched *sched);
void ps_tally_count(const ps_sched *sched, ps_tally *out);
/* Is one of its free slots for jobs such as these? */
bool ps_worker_has_slot(const ps_worker *worker, bool inference);

/* waits.c: why a job is queued, or runs and no worker does anything for it, as a line for people;
 * "": it does not wait. */
enum { PS_WAITS_MAX = 192 };
void ps_job_waits_for(const ps_job *job, char out[PS_WAITS_MAX]);

/* job.c */
ps_job *ps_job_find(ps_sched *sched, uint64_t id); /* NULL: none in memory */
/* Takes record and spec; model_config is copied. */
ps_job *ps_job_make(ps_sched *sched, ps_job_record *record, ps_job_spec *spec,
                    const char *model_config);
void ps_job_unlink(ps_job *job); /* out of the scheduler's lists; the reference stays */
void ps_job_settle(ps_job *job, char **section); /* before its plan is acted on; takes the text */
void ps_job_ref(ps_job *job);
void ps_job_unref(ps_job *job);
bool ps_job_runs(const ps_job *job); /* state running */
void ps_job_start(ps_job *job);      /* queued -> running */
/* Moves the state and saves it. reason and result may be NULL: as they are. An end takes the leases
 * and calls `ended`. */
void ps_job_move(ps_job *job, ps_job_state to, const char *reason, const char *result);
void ps_job_fail(ps_job *job, const char *format, ...) PS_PRINTF(2, 3);
void ps_job_cancel(ps_job *job, const char *text); /* queued or running: is to end */
void ps_job_cancelled_when_free(ps_job *job);      /* cancelling -> cancelled, if nothing is out */
void ps_job_say(ps_job *job, int level, const char *source, const char *format, ...)
    PS_PRINTF(4, 5);
void ps_job_changed(ps_job *job); /* wakes its watches */
void ps_job_show(ps_job *job); /* refreshes record->progress and, of a job that waits, ->reason */
void ps_job_save(ps_job *job); /* writes the record, outside */
void ps_job_member(ps_job *job, const char *worker); /* entered */
void ps_job_leave_unused(ps_sched *sched);           /* members without a training task */

/* finish.c: the model is written, again and again if need be; then comes the kind's `answered`. */
void ps_finish_begin(ps_job *job, const ps_job_outcome *outcome);
void ps_finish_failed(ps_job *job, const ps_error *error); /* ends the job, or waits */
void ps_finish_tick(ps_job *job, uint64_t now);            /* of a running job */
/* So long before what failed so often is tried again: 1, 2, 4, … s, then every minute. */
uint64_t ps_wait_s(uint32_t failed);
/* Why a running job does not go on. */
typedef struct ps_job_wait {
    const char *what, *why; /* "the model is not written yet", and the error */
    const char *kept;       /* "what was trained is kept" */
    uint32_t failed;        /* tries, at least 1 */
} ps_job_wait;
/* Makes it the job's reason, with what to do and when the next try is; returns that, which is the
 * record's. */
const char *ps_job_waits(ps_job *job, const ps_job_wait *wait);

/* recover.c: a running job whose checkpoint could not be read is tried again. */
void ps_recover_tick(ps_job *job, uint64_t now);

/* book.c: which rows of a training task are in the parameters. */
void ps_book_begin(const ps_lease *lease);
uint64_t ps_book_report(const ps_lease *lease, uint64_t position); /* how far it really is */
/* Adds to *left what of the task is not done. done: the worker says that all is. */
void ps_book_end(const ps_lease *lease, bool done, ps_row_set *left);
bool ps_book_state(const ps_job *job, ps_ledger_state *out);
void ps_book_adopt(const ps_job *job, ps_ledger_state *state); /* takes over what it points to */

/* lease.c */
ps_lease *ps_lease_begin(ps_job *job, ps_worker *worker, const ps_lease *task);
/* One that the worker says it holds and nobody here knows (psd has restarted, or it has expired):
 * it is no job's, but takes the slot until the worker has answered for it. */
void ps_lease_adopt(ps_worker *worker, uint64_t id, uint64_t now_ns);
ps_lease *ps_lease_find(ps_worker *worker, uint64_t id);
/* The lease is over: out of all tables and freed. The kind has been told before. */
void ps_lease_end(ps_lease *lease);
void ps_lease_lose(ps_lease *lease);                       /* its work goes back to the job */
void ps_lease_cancel(ps_lease *lease, const char *reason); /* the worker is told */
void ps_lease_orphan(ps_lease *lease);                     /* its job ended; the slot stays taken */

/* worker_list.c: as people see it */
typedef enum ps_worker_state {
    PS_WORKER_IDLE,
    PS_WORKER_BUSY,
    PS_WORKER_DRAINING,
    PS_WORKER_SILENT, /* or its stream has broken and it may come back */
    PS_WORKER_LEFT,   /* stopped in order */
    PS_WORKER_STATES,
} ps_worker_state;
ps_worker_state ps_worker_state_of(const ps_sched *sched, const ps_worker *worker);

/* worker.c */
ps_worker *ps_worker_find_session(ps_sched *sched, uint64_t session);
bool ps_worker_does(const ps_worker *worker, ps_task_kind kind);
void ps_worker_expire(ps_sched *sched); /* those silent for too long */
void ps_worker_free(ps_worker *worker);
void ps_worker_heard(ps_sched *sched, ps_worker *worker);          /* a sign of life */
Psd__V1__Hello *ps_worker_hello_copy(const Psd__V1__Hello *hello); /* NULL: no memory */
/* Could any other worker than this one take tasks of this kind? */
bool ps_worker_others(const ps_worker *worker, ps_sched *sched, ps_task_kind kind);

/* watch.c */
void ps_watch_wake(ps_job *job);
void ps_watch_run(ps_watch *watch, ps_sched *sched); /* the outbox's; without the mutex */

#endif
