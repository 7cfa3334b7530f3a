/* core: what the scheduler's files share: jobs, workers, leases, and the mutex over them all.
 *
 * Everything here needs the mutex, unless said. For this folder and its kinds only. How a call
 * comes in and goes out is in turn.h.
 */
#ifndef PS_SCHED_CORE_H
#define PS_SCHED_CORE_H

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/repeat.h"
#include "server/sched/job_file.h"
#include "server/sched/job_kind.h"
#include "server/sched/job_log.h"
#include "server/sched/lease_index.h"
#include "server/sched/meter.h"
#include "server/sched/outbox.h"
#include "server/sched/output.h"
#include "server/sched/sched.h"
#include "server/sched/stage_past.h"
#include "server/sched/task.h"

#include <pthread.h>

/* What decides which jobs may start; [1]: jobs on stored models, [0]: others. */
typedef struct ps_tally {
    uint32_t here; /* workers */
    uint32_t running[2];
} ps_tally;

struct ps_worker {
    ps_list link; /* ps_sched.workers */
    char name[PS_WORKER_MAX];
    char *address;
    ps_hello hello;   /* a copy */
    uint64_t session; /* 0: its stream has ended */
    uint32_t slots;
    uint32_t train_slots; /* of them, for jobs that train; the others are for those on stored
                             models. As many as slots: each takes any */
    uint64_t stopping_ns; /* gave a task back unasked: gets none before this, or attaching again */
    bool silent;          /* heard nothing for lease_timeout_ms; its leases are gone */
    bool left;            /* it ended its stream itself, in order */
    uint64_t heard_ns;
    uint64_t detached_ns;          /* its stream has ended unasked, then; 0: it has not */
    int64_t attached_ms, heard_ms; /* since 1970 */
    int64_t certificate_from_ms;   /* when it begins; likewise */
    int64_t certificate_ms;        /* when it ends; likewise */
    uint64_t used_ns;              /* was last given a task */
    uint64_t last_job;             /* of that task: its data may still be in memory there */
    char *last_model;     /* of the last task whose kind keeps it: its version; NULL: none */
    ps_list leases;       /* ps_lease.of_worker */
    uint32_t n_leases;    /* occupied slots, */
    uint32_t n_inference; /* of them, by tasks of jobs on stored models */
};

/* A lease occupies a slot of its worker until that answers or goes silent. It is the job's until
 * then too, unless the job ended first: then job is NULL and the answer means nothing. */
struct ps_lease {
    ps_list of_worker, of_job;
    uint64_t id;
    ps_worker *worker;
    ps_job *job;
    const ps_task_kind *kind; /* NULL: of one that this psd did not give */
    bool inference;           /* of a job on a stored model */
    ps_row_range piece;       /* train: begin moves as rows are done; evaluate: epoch */
    bool cancelled;           /* the worker was told, */
    uint64_t cancelled_ns;    /* then */
};

struct ps_job {
    ps_list link;     /* ps_sched.jobs, oldest first */
    ps_list of_state; /* ps_sched.queued[] or .active, oldest first; none when it has ended */
    ps_sched *sched;
    unsigned refs; /* the list, the outbox, watches */
    ps_job_record *record;
    ps_account *account; /* in which it is counted until it ends; NULL: in none */
    /* these change only from one stage of the job to the next (stage.h), when nothing is asked of
     * the outside, and may be read without the mutex while a reference is held and they do not */
    ps_job_file *file;       /* a reference; NULL: it could not be read, or it ended before */
    const ps_job_spec *spec; /* the file's; NULL likewise */
    const ps_job_kind *kind;
    ps_job_file *first;     /* of a job in stages: the first's, a reference. NULL: it is in one */
    ps_stage_past *past;    /* what the stages before have left; NULL: nothing */
    ps_stage_again *again;  /* its next stage could not begin yet; NULL: no (stage.h) */
    uint32_t failed_stages; /* tries of that in vain */
    char *draft;            /* the version that it has written and no name means yet; NULL: none */
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
    ps_list of_changed;        /* ps_sched.changed: its watches are to be woken */
    struct ps_member *members; /* workers in the consistency controller */
    size_t n_members;
};

struct ps_sched {
    ps_sched_conf conf;
    ps_catalog *catalog;
    ps_sched_out out;
    ps_mutex mutex;
    pthread_cond_t notified; /* a watch's notify() has returned */
    ps_list jobs, workers;
    size_t n_jobs;
    size_t n_entering; /* jobs that are being written into the catalog, and are in no list */
    size_t n_told;     /* jobs that were read for a watch, and are in no list */
    ps_list queued[2], active; /* jobs that wait (as in ps_tally); that run or are cancelling */
    bool assign_due;           /* something has changed that may let a worker have a task */
    bool freed;                /* likewise a job that is cancelling end: see ps_job_end_cancelled */
    ps_list changed;           /* jobs whose watches are to be woken */
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

#define PS_SECOND_NS UINT64_C(1000000000)
static inline uint64_t ps_core_now(const ps_sched *sched)
{
    return ps_clock_ns(&sched->conf.clock);
}

/* The mutex and no more: for an outbox's entry, after which it is seen to what has become due. */
void ps_core_lock(ps_sched *sched);
void ps_core_unlock(ps_sched *sched);
/* At the entry of what needs it, and of what must not have it: it may block, or call back in. */
#define ps_core_require_locked(sched)   ps_mutex_require_held(&(sched)->mutex)
#define ps_core_require_unlocked(sched) ps_mutex_require_free(&(sched)->mutex)

void ps_tally_count(const ps_sched *sched, ps_tally *out);

ps_job *ps_job_find(ps_sched *sched, uint64_t id); /* NULL: none in memory */
void ps_job_ref(ps_job *job);
void ps_job_unref(ps_job *job);
void ps_job_unlink(ps_job *job);     /* out of the scheduler's lists; the reference stays */
bool ps_job_runs(const ps_job *job); /* state running */
/* Its watches are woken when the mutex is given back. */
void ps_job_wake(ps_job *job);
void ps_job_changed(ps_job *job); /* the same, and Job says something else than before */

/* Something to do for a job without the mutex, as an entry of the outbox. */
typedef struct ps_errand {
    ps_outbox_entry entry;
    ps_job *job; /* a reference */
    char *text;  /* or NULL */
    void (*run)(const struct ps_errand *errand);
} ps_errand;
/* text, which is copied, may be NULL. */
void ps_job_errand(ps_job *job, const char *text, void (*run)(const ps_errand *errand));

#endif
