/* Happy path: something changes, the watch's notify() runs once, its owner asks for events until
 * there are none, and the watch is armed again. Lines and output come before the job's state, so
 * that the last thing said of a job is how it ended. */
#include "server/sched/watch.h"

#include "common/base/mem.h"
#include "server/sched/core.h"

#include <inttypes.h>

void ps_watch_unref(ps_watch *watch)
{
    if (--watch->refs > 0)
        return;
    ps_job_unref(watch->job);
    free(watch);
}

static void wake(ps_watch *watch)
{
    if (!watch->armed)
        return;
    watch->armed = false;
    ps_outbox_notify(watch->job, watch);
}

void ps_watch_wake(ps_job *job)
{
    ps_list_each(node, &job->watches) wake(ps_container(node, ps_watch, link));
}

void ps_watch_run(ps_watch *watch, ps_sched *s)
{
    pthread_mutex_lock(&s->mutex);
    bool run = !watch->closed;
    watch->notifying = run;
    pthread_mutex_unlock(&s->mutex);
    if (!run)
        return;
    watch->notify(watch->user);
    pthread_mutex_lock(&s->mutex);
    watch->notifying = false;
    pthread_cond_broadcast(&s->notified);
    pthread_mutex_unlock(&s->mutex);
}

/* So many watches of jobs that ended before have the whole log, which may be a megabyte; those of
 * more get what a job in memory has. */
enum { TOLD_WHOLE = 64 };

/* A job that ended before is known to the catalog only; it gets a job of its own, in no list. */
static ps_status find_or_load(ps_sched *s, uint64_t job_id, ps_job **out)
{
    ps_job *job = ps_job_find(s, job_id);
    if (job) {
        ps_job_ref(job);
        *out = job;
        return PS_OK;
    }
    ps_job_record *record = NULL;
    ps_job_line *lines = NULL;
    size_t n = 0, most = s->n_told < TOLD_WHOLE ? PS_JOB_LINES_MAX : PS_JOB_LOG_LINES;
    pthread_mutex_unlock(&s->mutex); /* not over the disk */
    ps_status st = ps_catalog_job_get(s->catalog, job_id, &record);
    if (!st)
        st = ps_catalog_job_lines(s->catalog, job_id, most, &lines, &n);
    pthread_mutex_lock(&s->mutex);
    if (st) {
        ps_job_record_free(&record);
        return st;
    }
    job = ps_job_find(s, job_id);
    if (job) {
        ps_job_record_free(&record);
        ps_job_lines_free(&lines, n);
        ps_job_ref(job);
    } else {
        job = ps_job_make(s, record, NULL, "");
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
    ps_core_lock(s);
    ps_status st = find_or_load(s, job_id, &job);
    ps_error_save(&error, st);
    if (!st) {
        ps_watch *watch = ps_new(ps_watch);
        *watch = (ps_watch){.job = job, .notify = notify, .user = user, .armed = true, .refs = 1};
        watch->next_line = ps_job_log_first(&job->log);
        ps_list_append(&job->watches, &watch->link);
        *out = watch; /* before notify() can run on another thread */
        wake(watch);
    }
    ps_core_unlock(s);
    return st ? ps_error_raise(&error) : PS_OK;
}

static Psd__V1__LogEvent *make_line(int64_t time_ms, int level, const char *source, char *text)
{
    Psd__V1__LogEvent *log = ps_new(Psd__V1__LogEvent);
    psd__v1__log_event__init(log);
    log->time_ms = time_ms;
    log->level = level;
    log->source = ps_strdup(source);
    log->text = text;
    return log;
}

static Psd__V1__LogEvent *next_line(ps_watch *watch)
{
    const ps_job_log *said = &watch->job->log;
    uint64_t oldest = ps_job_log_first(said);
    if (watch->next_line < oldest) {
        uint64_t missed = oldest - watch->next_line;
        watch->next_line = oldest;
        return make_line(ps_job_log_at(said, oldest)->time_ms, PS_LOG_NOTICE, "psd",
                         ps_asprintf("%" PRIu64 " lines were left out", missed));
    }
    const ps_job_line *line = ps_job_log_at(said, watch->next_line++);
    return make_line(line->time_ms, line->level, line->source, ps_strdup(line->text));
}

static Psd__V1__Output *next_output(ps_watch *watch)
{
    enum { TOKENS_AT_ONCE = 16384 };
    Psd__V1__Output *more =
        ps_output_message(&watch->job->output, watch->next_token, TOKENS_AT_ONCE);
    watch->next_token += more->n_tokens;
    return more;
}

static ps_job_record *snapshot(ps_job *job)
{
    ps_job_show(job);
    ps_job_record *copy = ps_job_record_copy(job->record);
    copy->spec[0] = 0;
    return copy;
}

static bool has_ended(const ps_job *job)
{
    return job->record->state >= PS_JOB_DONE;
}

ps_status ps_watch_next(ps_watch *watch, ps_watch_event *out)
{
    ps_job *job = watch->job;
    ps_sched *s = job->sched;
    ps_status st = PS_OK;
    pthread_mutex_lock(&s->mutex);
    *out = (ps_watch_event){0};
    bool held = has_ended(job) && job->unsaved; /* an end is told when it is on disk */
    if (watch->next_line < job->log.n) {
        out->log = next_line(watch);
    } else if (watch->next_token < job->output.n) {
        out->output = next_output(watch);
    } else if (held) {
        watch->armed = true;
        st = PS_AGAIN;
    } else if (watch->seen_version != job->version) {
        watch->seen_version = job->version;
        out->job = snapshot(job);
    } else if (has_ended(job)) {
        st = PS_END;
    } else {
        watch->armed = true;
        st = PS_AGAIN;
    }
    pthread_mutex_unlock(&s->mutex);
    return st;
}

void ps_watch_event_clear(ps_watch_event *event)
{
    ps_job_record_free(&event->job);
    if (event->log) {
        free(event->log->source);
        free(event->log->text);
        ps_free(&event->log);
    }
    if (event->output)
        psd__v1__output__free_unpacked(event->output, NULL);
    event->output = NULL;
}

void ps_watch_close(ps_watch **watch)
{
    ps_watch *w = *watch;
    if (!w)
        return;
    ps_sched *s = w->job->sched;
    pthread_mutex_lock(&s->mutex);
    w->closed = true;
    ps_list_remove(&w->link);
    while (w->notifying && !pthread_equal(s->outbox.runner, pthread_self()))
        pthread_cond_wait(&s->notified, &s->mutex);
    ps_watch_unref(w);
    pthread_mutex_unlock(&s->mutex);
    *watch = NULL;
}
