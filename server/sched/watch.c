/* Happy path: something changes, the watch's notify() runs once, its owner asks for events until
 * there are none, and the watch is armed again. Lines and output come before the job's state, so
 * that the last thing said of a job is how it ended. */
#include "server/sched/watch.h"

#include "common/base/mem.h"
#include "server/sched/job.h"

#include <inttypes.h>
#include <stdio.h>

struct ps_watch {
    ps_list link; /* ps_job.watches */
    ps_job *job;  /* a reference */
    void (*notify)(void *user);
    void *user;
    uint64_t next_line;    /* of job->log */
    size_t next_token;     /* of job->output */
    uint64_t seen_version; /* of job->version */
    bool armed;            /* notify at the next change */
    bool closed;
    bool notifying; /* notify() is running */
    unsigned refs;  /* its owner's, and the outbox's */
};

static void watch_unref(ps_watch *watch)
{
    ps_core_require_locked(watch->job->sched);
    PS_REQUIRE(watch->refs > 0);
    if (--watch->refs > 0)
        return;
    ps_job_unref(watch->job);
    free(watch);
}

/* ---- notify() ---- */

typedef struct notice {
    ps_outbox_entry entry;
    ps_watch *watch; /* a reference */
} notice;

static void notice_run(ps_outbox_entry *entry)
{
    ps_watch *watch = ps_container(entry, notice, entry)->watch;
    ps_sched *s = watch->job->sched;
    ps_core_lock(s);
    bool run = !watch->closed;
    watch->notifying = run;
    ps_core_unlock(s);
    if (!run)
        return;
    watch->notify(watch->user);
    ps_core_lock(s);
    watch->notifying = false;
    pthread_cond_broadcast(&s->notified);
    ps_core_unlock(s);
}

static void notice_drop(ps_outbox_entry *entry)
{
    notice *n = ps_container(entry, notice, entry);
    watch_unref(n->watch);
    free(n);
}

static void wake(ps_watch *watch)
{
    PS_REQUIRE(!watch->closed);
    if (!watch->armed)
        return;
    watch->armed = false;
    notice *n = ps_new(notice);
    *n = (notice){.entry = {.run = notice_run, .drop = notice_drop}, .watch = watch};
    watch->refs++;
    ps_outbox_add(&watch->job->sched->outbox, &n->entry);
}

void ps_watch_wake_changed(ps_sched *s)
{
    ps_core_require_locked(s);
    ps_list_each_safe(node, &s->changed)
    {
        ps_job *job = ps_container(node, ps_job, of_changed);
        ps_list_remove(&job->of_changed);
        ps_list_each(at, &job->watches) wake(ps_container(at, ps_watch, link));
    }
}

void ps_watch_open(ps_job *job, void (*notify)(void *), void *user, ps_watch **out)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(notify);
    ps_watch *watch = ps_new(ps_watch);
    *watch = (ps_watch){.job = job, .notify = notify, .user = user, .armed = true, .refs = 1};
    watch->next_line = ps_job_log_first(&job->log);
    ps_list_append(&job->watches, &watch->link);
    *out = watch; /* before notify() can run on another thread */
    wake(watch);
}

/* ---- what its owner asks ---- */

/* A copy of its own, as the event has it. */
static ps_job_line *own(const ps_job_line *line)
{
    ps_job_line *copy = ps_new(ps_job_line);
    *copy = ps_job_line_copy(line);
    return copy;
}

static ps_job_line *next_line(ps_watch *watch)
{
    const ps_job_log *said = &watch->job->log;
    uint64_t oldest = ps_job_log_first(said);
    if (watch->next_line >= oldest)
        return own(ps_job_log_at(said, watch->next_line++));
    char text[64], source[] = "psd";
    (void)snprintf(text, sizeof text, "%" PRIu64 " lines were left out", oldest - watch->next_line);
    watch->next_line = oldest;
    return own(&(ps_job_line){.time_ms = ps_job_log_at(said, oldest)->time_ms,
                              .level = PS_LOG_NOTICE,
                              .source = source,
                              .text = text});
}

static ps_tokens *next_output(ps_watch *watch)
{
    enum { TOKENS_AT_ONCE = 16384 };
    ps_tokens *more = ps_output_copy(&watch->job->output, watch->next_token, TOKENS_AT_ONCE);
    watch->next_token += more->n_tokens;
    return more;
}

static ps_job_record *snapshot(ps_job *job)
{
    ps_core_require_locked(job->sched);
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
    ps_core_lock(s);
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
    ps_core_unlock(s);
    return st;
}

void ps_watch_event_clear(ps_watch_event *event)
{
    ps_job_record_free(&event->job);
    if (event->log)
        ps_job_lines_free(&event->log, 1);
    ps_tokens_free(&event->output);
}

void ps_watch_close(ps_watch **watch)
{
    ps_watch *w = *watch;
    if (!w)
        return;
    ps_sched *s = w->job->sched;
    ps_core_lock(s);
    w->closed = true;
    ps_list_remove(&w->link);
    while (w->notifying && !ps_outbox_runs_here(&s->outbox))
        ps_mutex_wait(&s->mutex, &s->notified);
    watch_unref(w);
    ps_core_unlock(s);
    *watch = NULL;
}
