/* Segments of a training whose losses are recorded (params/waypoints.h): each is a task, of whoever
 * is free. One that a worker cannot measure is given up, and its place in the record says so: a
 * training does not fail for what is told about it. */
#include "server/sched/book.h"
#include "server/sched/job.h"
#include "server/sched/kinds/kind_train.h"
#include "server/sched/send.h"
#include "server/sched/worker.h"

#include <inttypes.h>

enum { LOSSES_MAX = 3 };

static void measured(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    if (ps_book_segment_done(job, lease->piece.begin, result->report))
        ps_job_say(job, PS_LOG_WARNING, "psd", "worker %s: %s", lease->worker->name,
                   ps_error_message());
    ps_train_finish_if_done(job);
}

static void give_up(ps_job *job, uint64_t number, const char *why)
{
    ps_job_say(job, PS_LOG_WARNING, "psd", "segment %" PRIu64 " of the losses is not measured: %s",
               number, why);
    if (!ps_book_segment_done(job, number, NULL))
        ps_train_finish_if_done(job);
}

/* A worker that leaves in order has nothing against its segment; one that is lost may have died of
 * it, and so would the next. */
static void back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    uint64_t number = lease->piece.begin;
    bool lost = !failed && !*message;
    if (failed)
        give_up(job, number, message);
    else if (lost && ps_book_segment_lost(job, number) >= LOSSES_MAX)
        give_up(job, number, "its worker was lost, again and again; see the log of the last");
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
