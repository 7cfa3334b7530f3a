/* Threads that wait for tasks, and the way back of what they report: each one is a small event that
 * is posted to the loop and freed there. */
#include "worker/runner.h"

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"
#include "common/base/thread.h"
#include "worker/job/job_cache.h"
#include "worker/job/job_sources.h"
#include "worker/job/served_model.h"
#include "worker/task/report.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>

typedef struct queued {
    ps_list link;
    Psd__V1__Task *task;
    bool alone; /* again, with the memory of all slots */
} queued;

typedef struct slot {
    ps_runner *runner;
    pthread_t thread;
    ps_gate gate;
    ps_remote remote;
    ps_job_cache *cache;
    ps_served_model *served;
    /* under the runner's lock */
    uint64_t lease_id; /* 0: idle */
    bool alone;        /* its task runs while no other does */
    bool empty;        /* its caches hold nothing */
} slot;

struct ps_runner {
    ps_worker_env env;
    ps_runner_events events;
    ps_mutex lock;
    pthread_cond_t more;
    ps_list queue;
    bool quit;
    atomic_bool stop;
    slot *slots;
    unsigned slot_count;
    bool joined;
    unsigned ended; /* threads; on the loop */
};

typedef struct event {
    ps_loop_task job;
    ps_runner *runner;
    Psd__V1__TaskProgress *progress;
    Psd__V1__TaskOutput *output;
    Psd__V1__TaskResult *result;
    char *lost;
    bool ended;
} event;

static void event_cb(ps_loop_task *job)
{
    event *e = ps_container(job, event, job);
    ps_runner *r = e->runner;
    ps_loop_require_on(r->env.loop);
    PS_REQUIRE(r->ended < r->slot_count); /* after the last thread nothing comes */
    if (e->progress) {
        r->events.progress(r->events.user, e->progress);
        psd__v1__task_progress__free_unpacked(e->progress, NULL);
    }
    if (e->output) {
        if (r->events.output)
            r->events.output(r->events.user, e->output);
        psd__v1__task_output__free_unpacked(e->output, NULL);
    }
    if (e->result)
        r->events.result(r->events.user, e->result);
    if (e->lost && r->events.lost)
        r->events.lost(r->events.user, e->lost);
    ps_free(&e->lost);
    bool last = e->ended && ++r->ended == r->slot_count;
    ps_free(&e);
    if (last)
        r->events.stopped(r->events.user);
}

/* what is copied; what its members point to becomes the event's */
static void post(ps_runner *r, const event *what)
{
    event *e = ps_new(event);
    *e = *what;
    e->runner = r;
    ps_loop_task_init(&e->job, event_cb);
    ps_loop_post(r->env.loop, &e->job);
}

static void progress_of_task(void *runner, Psd__V1__TaskProgress *progress)
{
    post(runner, &(event){.progress = progress});
}

static void output_of_task(void *runner, Psd__V1__TaskOutput *output)
{
    post(runner, &(event){.output = output});
}

/* ---- a thread ---- */

/* Might another worker, or this one later, succeed? What is wrong with the job itself is not worth
 * it; what is wrong with this machine, or with the moment, is. */
static bool worth_retry(const Psd__V1__Task *task, ps_status st)
{
    const ps_worker_kind *kind = ps_worker_kind_find(task->kind);
    bool here = (st == PS_NOT_FOUND || st == PS_PERMISSION_DENIED || st == PS_NO_ACCESS ||
                 st == PS_NO_MEMORY || st == PS_IO || st == PS_UNIMPLEMENTED) &&
                !(kind && kind->once);
    bool fenced = st == PS_FAILED_PRECONDITION && kind && kind->fenced;
    return here || fenced || st == PS_CANCELLED || ps_status_retryable(st);
}

static Psd__V1__TaskResult *result_new(const Psd__V1__Task *task)
{
    Psd__V1__TaskResult *result = ps_new(Psd__V1__TaskResult);
    psd__v1__task_result__init(result);
    result->lease_id = task->lease_id;
    return result;
}

/* With the message of the error, and no more. */
static Psd__V1__TaskResult *result_failed(const Psd__V1__Task *task, ps_status st)
{
    Psd__V1__TaskResult *result = result_new(task);
    result->code = ps_status_grpc(st);
    result->message = ps_strdup(ps_error_message());
    result->retry = worth_retry(task, st);
    return result;
}

/* After a failure: what the device has failed under is forgotten. Why the device is lost to this
 * process, so that nothing but another one helps; the task is then another worker's. NULL: it is
 * not. */
static char *look_at_device(ps_task_run *run, ps_status st, Psd__V1__TaskResult *result)
{
    bool failed = ps_job_cache_mend(run->cache);
    failed |= ps_served_model_mend(run->served);
    if (!failed && st != PS_INTERNAL)
        return NULL;
    ps_status device = ps_backend_check(run->env->backend);
    if (!device || device == PS_NO_MEMORY)
        return NULL;
    result->retry = true;
    return ps_strdup(ps_error_message());
}

/* False: it is to run again, alone, and has reported nothing. */
static bool run_task(slot *s, const Psd__V1__Task *task)
{
    ps_runner *r = s->runner;
    ps_task_run run = {.env = &r->env,
                       .task = task,
                       .remote = &s->remote,
                       .cache = s->cache,
                       .served = s->served,
                       .stop = &r->stop,
                       .sink = {.progress = progress_of_task, .output = output_of_task, .user = r}};
    ps_task_report_begin(&run);
    Psd__V1__TaskResult *result = result_new(task);
    uint64_t begun = ps_clock_ms(r->env.clock);
    ps_log_debug(
        "task",
        "begun lease=%" PRIu64 " job=%" PRIu64 " kind=%s epoch=%u rows=%" PRIu64 "..%" PRIu64,
        task->lease_id, task->job_id, task->kind, task->epoch, task->row_begin, task->row_end);
    const ps_worker_kind *kind = ps_worker_kind_find(task->kind);
    ps_status st =
        kind ? kind->run(&run, result)
             : ps_fail(PS_UNIMPLEMENTED, "this worker has no task of kind '%s'", task->kind);
    char *lost = NULL;
    if (!st)
        ps_job_sources_tell(&run, result);
    if (st == PS_NO_MEMORY && !run.begun && !s->alone && r->slot_count > 1) {
        ps_log_info("task", "lease=%" PRIu64 " waits for the memory of other tasks: %s",
                    task->lease_id, ps_error_message());
        psd__v1__task_result__free_unpacked(result, NULL);
        (void)ps_job_cache_mend(s->cache);
        (void)ps_served_model_mend(s->served);
        return false;
    }
    if (st) {
        psd__v1__task_result__free_unpacked(result, NULL);
        result = result_failed(task, st);
        lost = look_at_device(&run, st, result);
        ps_log(st == PS_CANCELLED ? PS_LOG_INFO : PS_LOG_WARNING, "task",
               "failed lease=%" PRIu64 " job=%" PRIu64 " kind=%s: %s", task->lease_id, task->job_id,
               task->kind, result->message);
    } else {
        ps_log_debug("task", "done lease=%" PRIu64 " ms=%" PRIu64, task->lease_id,
                     ps_clock_ms(r->env.clock) - begun);
    }
    ps_task_report_end(&run, st != PS_OK);
    post(r, &(event){.result = result, .lost = lost});
    return true;
}

/* ---- whose turn it is: all with the lock ---- */

static bool takes(const slot *s, const queued *q)
{
    const ps_runner *r = s->runner;
    bool first = s == &r->slots[0];
    return r->slot_count == 1 || q->task->inference == !first;
}

/* May it begin now? One alone when all others are idle and hold nothing; until then, and while it
 * runs, nobody else's task begins. */
static bool may_begin(const slot *s, const queued *q, const queued *alone)
{
    const ps_runner *r = s->runner;
    if (alone && q != alone)
        return false;
    for (unsigned i = 0; i < r->slot_count; i++) {
        const slot *other = &r->slots[i];
        if (other != s && (other->alone || (alone && (other->lease_id || !other->empty))))
            return false;
    }
    return true;
}

static queued *first_alone(const ps_runner *r)
{
    ps_list_each(node, &r->queue)
    {
        queued *q = ps_container(node, queued, link);
        if (q->alone)
            return q;
    }
    return NULL;
}

static queued *pick(const slot *s)
{
    ps_mutex_require_held(&s->runner->lock);
    queued *alone = first_alone(s->runner);
    ps_list_each(node, &s->runner->queue)
    {
        queued *q = ps_container(node, queued, link);
        if (takes(s, q) && may_begin(s, q, alone))
            return q;
    }
    return NULL;
}

/* Somebody wants all the memory there is. */
static void give_memory(slot *s)
{
    ps_mutex_require_held(&s->runner->lock);
    ps_mutex_unlock(&s->runner->lock);
    ps_job_cache_clear(s->cache);
    ps_served_model_drop(s->served);
    ps_mutex_lock(&s->runner->lock);
    s->empty = true;
    pthread_cond_broadcast(&s->runner->more);
}

static queued *next_task(slot *s)
{
    ps_runner *r = s->runner;
    queued *q = NULL;
    ps_mutex_lock(&r->lock);
    s->lease_id = 0;
    s->alone = false;
    pthread_cond_broadcast(&r->more); /* somebody may wait to be alone, or for one that was */
    while (!(q = pick(s)) && !(r->quit && ps_list_empty(&r->queue))) {
        if (!s->empty && first_alone(r))
            give_memory(s);
        else
            ps_mutex_wait(&r->lock, &r->more);
    }
    if (q) {
        ps_list_remove(&q->link);
        ps_gate_reset(&s->gate);
        s->lease_id = q->task->lease_id;
        s->alone = q->alone;
        s->empty = false;
    }
    ps_mutex_unlock(&r->lock);
    return q;
}

static void cancel_queued(ps_runner *r, queued *q, const char *reason)
{
    ps_mutex_require_held(&r->lock);
    Psd__V1__TaskResult *result = result_failed(q->task, ps_fail(PS_CANCELLED, "%s", reason));
    post(r, &(event){.result = result});
    ps_list_remove(&q->link);
    psd__v1__task__free_unpacked(q->task, NULL);
    ps_free(&q);
}

/* It keeps its place: whoever has waited longest is served first. Was it cancelled meanwhile? */
static void run_again(slot *s, queued *q)
{
    ps_runner *r = s->runner;
    ps_error cancelled;
    ps_mutex_lock(&r->lock);
    ps_error_save(&cancelled, ps_gate_check(&s->gate));
    q->alone = true;
    ps_list_append(r->queue.next, &q->link);
    if (cancelled.code)
        cancel_queued(r, q, cancelled.message);
    else if (atomic_load(&r->stop))
        cancel_queued(r, q, "the worker is stopping");
    ps_mutex_unlock(&r->lock);
}

static void *slot_main(void *argument)
{
    slot *s = argument;
    ps_job_cache_create(&s->cache);
    ps_served_model_create(&s->served);
    for (queued *q; (q = next_task(s));) {
        if (!run_task(s, q->task)) {
            run_again(s, q);
            continue;
        }
        psd__v1__task__free_unpacked(q->task, NULL);
        ps_free(&q);
    }
    ps_job_cache_free(&s->cache);
    ps_served_model_free(&s->served);
    post(s->runner, &(event){.ended = true});
    return NULL;
}

/* ---- the loop's side ---- */

void ps_runner_create(const ps_worker_env *env, unsigned slots, const ps_runner_events *events,
                      ps_runner **out)
{
    PS_REQUIRE(slots > 0 && events->progress && events->result && events->stopped);
    ps_loop_require_on(env->loop);
    ps_runner *r = ps_new(ps_runner);
    r->env = *env;
    r->events = *events;
    ps_mutex_init(&r->lock);
    pthread_cond_init(&r->more, NULL);
    ps_list_init(&r->queue);
    r->slots = ps_alloc_array(slots, sizeof(*r->slots));
    r->slot_count = slots;
    for (unsigned i = 0; i < slots; i++) {
        slot *s = &r->slots[i];
        s->runner = r;
        s->empty = true;
        ps_gate_init(&s->gate);
        s->remote = (ps_remote){
            .loop = env->loop, .channel = env->channel, .gate = &s->gate, .clock = env->clock};
        if (ps_thread_start(&s->thread, slot_main, s)) {
            ps_log_error("task", "no thread for tasks can be made");
            ps_log_flush();
            abort();
        }
    }
    *out = r;
}

void ps_runner_start(ps_runner *r, Psd__V1__Task *task)
{
    ps_loop_require_on(r->env.loop);
    PS_REQUIRE(task);
    queued *q = ps_new(queued);
    q->task = task;
    ps_mutex_lock(&r->lock);
    ps_list_append(&r->queue, &q->link);
    pthread_cond_broadcast(&r->more);
    ps_mutex_unlock(&r->lock);
}

void ps_runner_cancel(ps_runner *r, uint64_t lease_id, const char *reason)
{
    ps_loop_require_on(r->env.loop);
    ps_mutex_lock(&r->lock);
    ps_list_each_safe(node, &r->queue)
    {
        queued *q = ps_container(node, queued, link);
        if (q->task->lease_id == lease_id)
            cancel_queued(r, q, reason);
    }
    for (unsigned i = 0; i < r->slot_count; i++)
        if (r->slots[i].lease_id == lease_id)
            ps_gate_cancel(&r->slots[i].gate, reason);
    ps_mutex_unlock(&r->lock);
}

void ps_runner_stop(ps_runner *r)
{
    ps_loop_require_on(r->env.loop);
    atomic_store(&r->stop, true);
    ps_mutex_lock(&r->lock);
    ps_list_each_safe(node, &r->queue)
        cancel_queued(r, ps_container(node, queued, link), "the worker is stopping");
    ps_mutex_unlock(&r->lock);
}

void ps_runner_quit(ps_runner *r)
{
    ps_loop_require_on(r->env.loop);
    ps_mutex_lock(&r->lock);
    r->quit = true;
    pthread_cond_broadcast(&r->more);
    ps_mutex_unlock(&r->lock);
}

void ps_runner_join(ps_runner *r)
{
    for (unsigned i = 0; i < r->slot_count && !r->joined; i++)
        pthread_join(r->slots[i].thread, NULL);
    r->joined = true;
}

void ps_runner_free(ps_runner **runner)
{
    ps_runner *r = *runner;
    if (!r)
        return;
    ps_runner_join(r);
    for (unsigned i = 0; i < r->slot_count; i++)
        ps_gate_destroy(&r->slots[i].gate);
    ps_free(&r->slots);
    pthread_cond_destroy(&r->more);
    ps_mutex_destroy(&r->lock);
    ps_free(runner);
}
