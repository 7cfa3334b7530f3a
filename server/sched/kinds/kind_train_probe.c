/* Segments of a training whose losses are recorded (params/waypoints.h): each is a task, of whoever
 * is free. One that a worker cannot measure is given up, and its place in the record says so: a
 * training does not fail for what is told about it. */
#include "common/base/mem.h"
#include "server/sched/book.h"
#include "server/sched/job.h"
#include "server/sched/kinds/kind_train.h"
#include "server/sched/send.h"
#include "server/sched/worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LOSSES_MAX = 3 };

/* A segment that is over. What its worker says is read, and parameters freed, without the mutex;
 * till then it is still out, and the training does not end. */
typedef struct answer {
    ps_outbox_entry entry;
    ps_job *job;
    uint64_t number;
    char *report; /* NULL: it is not measured */
    char worker[PS_WORKER_MAX];
} answer;

static void answer_run(ps_outbox_entry *entry)
{
    const answer *a = ps_container(entry, answer, entry);
    ps_job *job = a->job;
    ps_status st = ps_book_segment_done(job, a->number, a->report);
    ps_core_lock(job->sched);
    if (ps_job_runs(job)) {
        if (st)
            ps_job_say(job, PS_LOG_WARNING, "psd", "worker %s: %s", a->worker, ps_error_message());
        ps_train_finish_if_done(job);
    }
    ps_core_unlock(job->sched);
}

static void answer_drop(ps_outbox_entry *entry)
{
    answer *a = ps_container(entry, answer, entry);
    ps_job_unref(a->job);
    free(a->report);
    free(a);
}

/* Takes the report. */
static void end_segment(ps_job *job, const ps_lease *lease, char *report)
{
    ps_core_require_locked(job->sched);
    answer *a = ps_new(answer);
    a->entry.run = answer_run;
    a->entry.drop = answer_drop;
    a->job = job;
    ps_job_ref(job);
    a->number = lease->piece.begin;
    a->report = report;
    memcpy(a->worker, lease->worker->name, sizeof a->worker);
    ps_outbox_add(&job->sched->outbox, &a->entry);
}

static void measured(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    char *report = result->own_report ? result->own_report : ps_strdup("");
    result->own_report = NULL;
    end_segment(job, lease, report);
}

static void give_up(ps_job *job, const ps_lease *lease, const char *why)
{
    ps_job_say(job, PS_LOG_WARNING, "psd", "segment %" PRIu64 " of the losses is not measured: %s",
               lease->piece.begin, why);
    end_segment(job, lease, NULL);
}

/* A worker that leaves in order has nothing against its segment; one that is lost may have died of
 * it, and so would the next. */
static void back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    uint64_t number = lease->piece.begin;
    bool lost = !failed && !*message;
    if (failed)
        give_up(job, lease, message);
    else if (lost && ps_book_segment_lost(job, number) >= LOSSES_MAX)
        give_up(job, lease, "its worker was lost, again and again; see the log of the last");
    else
        ps_book_segment_back(job, number);
}

static void fill(const ps_lease *lease, ps_parcel *parcel)
{
    parcel->task.seed = (uint64_t)lease->job->spec->train->seed;
    parcel->task.settled = lease->job->settled;
}

static const ps_task_kind probe_task = {.name = "probe",
                                        .phrase = "a probe task",
                                        .optional = true,
                                        .fill = fill,
                                        .done = measured,
                                        .back = back};

bool ps_train_next_probe(ps_job *job, ps_worker *worker, bool pressing, ps_lease *task)
{
    uint64_t number;
    const ps_spec_record *record = job->spec->record;
    if (!record || !record->loss_changes || !ps_worker_does(worker, &probe_task) ||
        !ps_book_segment_take(job, pressing, &number))
        return false;
    task->kind = &probe_task;
    task->piece = (ps_row_range){.begin = number, .end = number + 1};
    return true;
}
