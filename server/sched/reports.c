/* Happy path: a heartbeat, progress, output, and the result of a task, which ends its lease. All
 * are a sign of life. What a worker says of a lease that is not its own (any more) is ignored. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/sched/attach.h"
#include "server/sched/job.h"
#include "server/sched/job_save.h"
#include "server/sched/lease.h"
#include "server/sched/sources.h"
#include "server/sched/turn.h"
#include "server/sched/worker.h"

/* Locks; *out is the worker of the session. On failure nothing is locked. */
static ps_status enter_session(ps_sched *s, uint64_t session, ps_worker **out)
{
    ps_turn_begin_quietly(s);
    ps_worker *worker = ps_worker_find_session(s, session);
    if (!worker) {
        ps_turn_end(s);
        return ps_fail(PS_NOT_FOUND, "this stream has lost its leases; attach again");
    }
    ps_worker_heard(s, worker);
    *out = worker;
    return PS_OK;
}

ps_status ps_sched_heartbeat(ps_sched *s, uint64_t session)
{
    ps_worker *worker = NULL;
    ps_status st = enter_session(s, session, &worker);
    if (!st)
        ps_turn_end(s);
    return st;
}

static void take_log(const ps_worker *worker, ps_job *job, const ps_task_report *report)
{
    int level = report->log_level < PS_LOG_ERROR   ? PS_LOG_ERROR
                : report->log_level > PS_LOG_DEBUG ? PS_LOG_DEBUG
                                                   : report->log_level;
    ps_job_say(job, level, worker->name, "%s", report->log_text);
}

ps_status ps_sched_progress(ps_sched *s, uint64_t session, const ps_task_report *report)
{
    ps_worker *worker = NULL;
    ps_status st = enter_session(s, session, &worker);
    if (st)
        return st;
    ps_lease *lease = ps_lease_find(worker, report->lease_id);
    if (lease && lease->job && ps_job_runs(lease->job)) {
        s->assign_due = true; /* rows that are done may let others be given out */
        if (report->log_text)
            take_log(worker, lease->job, report);
        if (lease->kind->progress)
            lease->kind->progress(lease->job, lease, report);
    }
    ps_turn_end(s);
    return PS_OK;
}

ps_status ps_sched_output(ps_sched *s, uint64_t session, uint64_t lease_id, const ps_tokens *said)
{
    ps_worker *worker = NULL;
    ps_status st = enter_session(s, session, &worker);
    if (st)
        return st;
    ps_lease *lease = ps_lease_find(worker, lease_id);
    bool counts = lease && lease->job && ps_job_runs(lease->job) && !lease->cancelled;
    if (counts && lease->kind->output)
        lease->kind->output(lease->job, lease, said);
    ps_turn_end(s);
    return PS_OK;
}

/* What the model that comes of the job will have learnt from. */
static void take_files(ps_job *job, const ps_worker *worker, const ps_task_result *result)
{
    ps_core_require_locked(job->sched);
    bool makes = job->spec->train || job->spec->compress;
    if (makes && ps_sources_add(&job->record->sources, worker->name, result))
        ps_job_save(job);
}

/* Code 1 (cancelled) from a worker that was not told to is one that is stopping. */
static void take_result(ps_sched *s, ps_lease *lease, ps_task_result *result)
{
    ps_core_require_locked(s);
    enum { GRPC_OK = 0, GRPC_CANCELLED = 1 };
    ps_job *job = lease->job;
    bool counts = job && ps_job_runs(job) && !lease->cancelled;
    bool says = result->message && *result->message;
    const char *message = says ? result->message : "no reason given";
    if (counts && result->code == GRPC_OK) {
        s->tasks_done++;
        take_files(job, lease->worker, result);
        lease->kind->done(job, lease, result);
    } else if (counts && result->code == GRPC_CANCELLED) {
        lease->worker->stopping_ns = ps_core_now(s) + s->conf.lease_timeout_ms * 1000000;
        lease->kind->back(job, lease, false, message);
    } else if (counts && (result->retry || lease->kind->optional)) {
        s->tasks_failed++;
        lease->kind->back(job, lease, true, message);
    } else if (counts) {
        s->tasks_failed++;
        ps_job_fail(job, "worker %s: %s", lease->worker->name, message);
    }
    ps_lease_end(lease);
}

/* One that cannot be is not worth another worker's time. */
static void check_result(ps_task_result *result, ps_error *error)
{
    if (result->code || !ps_task_result_check(result))
        return;
    ps_error_save(error, PS_INVALID_ARGUMENT);
    result->code = ps_status_grpc(error->code);
    result->message = error->message;
    result->retry = false;
}

ps_status ps_sched_result(ps_sched *s, uint64_t session, ps_task_result *result)
{
    ps_error error;
    ps_worker *worker = NULL;
    check_result(result, &error);
    PS_REQUIRE(!result->own_report);
    if (result->report && *result->report)
        result->own_report = ps_strdup(result->report);
    ps_status st = enter_session(s, session, &worker);
    if (!st) {
        ps_lease *lease = ps_lease_find(worker, result->lease_id);
        s->assign_due = lease != NULL;
        if (lease)
            take_result(s, lease, result);
        ps_turn_end(s);
    }
    ps_free(&result->own_report);
    return st;
}
