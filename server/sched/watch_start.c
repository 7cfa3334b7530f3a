/* Happy path: somebody begins to follow a job, which is in memory, or is read for them. What fails
 * is the catalog. */
#include "server/sched/job.h"
#include "server/sched/turn.h"
#include "server/sched/watch.h"

#include <inttypes.h>

/* So many watches of jobs that ended before have the whole log, which may be a megabyte; those of
 * more get what a job in memory has. */
enum { TOLD_WHOLE = 64 };

/* One that has not ended, and is not in memory, is not yet there: nothing would ever come of it. */
static ps_status check_ended(const ps_job_record *record)
{
    return record->state >= PS_JOB_DONE
               ? PS_OK
               : ps_fail(PS_ABORTED, "job %" PRIu64 " is being submitted; try again", record->id);
}

/* A job that ended before is known to the catalog only; it gets a job of its own, in no list. */
static ps_status find_or_load(ps_sched *s, uint64_t job_id, ps_job **out)
{
    ps_core_require_locked(s);
    ps_job *job = ps_job_find(s, job_id);
    if (job) {
        ps_job_ref(job);
        *out = job;
        return PS_OK;
    }
    ps_job_record *record = NULL;
    ps_job_line *lines = NULL;
    size_t n = 0, most = s->n_told < TOLD_WHOLE ? PS_JOB_LINES_MAX : PS_JOB_LOG_LINES;
    ps_core_unlock(s); /* not over the disk */
    ps_status st = ps_catalog_job_get(s->catalog, job_id, &record);
    if (!st)
        st = ps_catalog_job_lines(s->catalog, job_id, most, &lines, &n);
    ps_core_lock(s);
    job = ps_job_find(s, job_id);
    if (!st && !job)
        st = check_ended(record);
    if (st) {
        ps_job_record_free(&record);
        ps_job_lines_free(&lines, n);
        return st;
    }
    if (job) {
        ps_job_record_free(&record);
        ps_job_lines_free(&lines, n);
        ps_job_ref(job);
    } else {
        job = ps_job_make(s, record, NULL);
        ps_job_unlink(job); /* its one reference is the watch's */
        job->told = true;
        s->n_told++;
        ps_job_log_restore(&job->log, &lines, n);
    }
    *out = job;
    return PS_OK;
}

ps_status ps_sched_watch(ps_sched *s, uint64_t job_id, void (*notify)(void *), void *user,
                         ps_watch **out)
{
    ps_job *job = NULL;
    ps_error error;
    ps_turn_begin(s);
    ps_status st = find_or_load(s, job_id, &job);
    ps_error_save(&error, st);
    if (!st)
        ps_watch_open(job, notify, user, out);
    ps_turn_end(s);
    return st ? ps_error_raise(&error) : PS_OK;
}
