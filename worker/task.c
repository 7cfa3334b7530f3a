/* Threads that wait for tasks, and the way back of what they say: each report is a small event that
 * is posted to the loop and freed there. */
#include "worker/task.h"

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "worker/job_cache.h"
#include "worker/job_kind.h"
#include "worker/train/served_model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct queued {
    ps_list link;
    Psd__V1__Task *task;
} queued;

typedef struct slot {
    ps_runner *runner;
    pthread_t thread;
    ps_gate gate;
    ps_remote remote;
    ps_job_cache *cache;
    ps_served_model *served;
    uint64_t lease_id; /* under the runner's lock; 0: idle */
} slot;

struct ps_runner {
    ps_worker_env env;
    ps_runner_events events;
    pthread_mutex_t lock;
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
    ps_job job;
    ps_runner *runner;
    Psd__V1__TaskProgress *progress;
    Psd__V1__TaskOutput *output;
    Psd__V1__TaskResult *result;
    char *lost;
    bool ended;
} event;

static void event_cb(ps_job *job)
{
    event *e = ps_container(job, event, job);
    ps_runner *r = e->runner;
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
    ps_job_init(&e->job, event_cb);
    ps_loop_post(r->env.loop, &e->job);
}

/* ---- what a task says ---- */

bool ps_task_stopping(const ps_task_run *run)
{
    return atomic_load(run->stop);
}

static void report_now(ps_task_run *run)
{
    Psd__V1__TaskProgress *report = ps_new(Psd__V1__TaskProgress);
    *report = run->pending;
    report->n_metric_sums = run->metric_sums.count;
    report->metric_sums = ps_metric_list_messages(&run->metric_sums);
    post(run->runner, &(event){.progress = report});
    run->metric_sums.count = 0;
    uint64_t position = run->pending.position;
    psd__v1__task_progress__init(&run->pending);
    run->pending.lease_id = run->task->lease_id;
    run->pending.position = position;
    run->reported_ms = ps_clock_ms(run->env->clock);
}

void ps_task_report(ps_task_run *run, uint64_t position, const Psd__V1__TaskProgress *numbers)
{
    run->pending.position = position;
    run->pending.samples += numbers->samples;
    run->pending.steps += numbers->steps;
    run->pending.rows_total = numbers->rows_total;
    run->pending.loss_sum += numbers->loss_sum;
    ps_metric_list_add_messages(&run->metric_sums, numbers->metric_sums, numbers->n_metric_sums);
    if (ps_clock_ms(run->env->clock) - run->reported_ms >= PS_TASK_REPORT_MS)
        report_now(run);
}

void ps_task_log(ps_task_run *run, int level, const char *format, ...)
{
    char text[PS_ERROR_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    Psd__V1__LogEvent *log = ps_new(Psd__V1__LogEvent);
    psd__v1__log_event__init(log);
    log->time_ms = ps_clock_wall_ms(run->env->clock);
    log->level = level;
    log->source = ps_strdup(*run->env->conf->name ? run->env->conf->name : "worker");
    log->text = ps_strdup(text);
    Psd__V1__TaskProgress *progress = ps_new(Psd__V1__TaskProgress);
    psd__v1__task_progress__init(progress);
    progress->lease_id = run->task->lease_id;
    progress->position = run->pending.position;
    progress->log = log;
    post(run->runner, &(event){.progress = progress});
}

static void say_now(ps_task_run *run)
{
    if (!run->said)
        return;
    Psd__V1__TaskOutput *output = ps_new(Psd__V1__TaskOutput);
    psd__v1__task_output__init(output);
    output->lease_id = run->task->lease_id;
    output->output = run->said;
    post(run->runner, &(event){.output = output});
    run->said = NULL;
    run->said_capacity = 0;
    run->said_ms = ps_clock_ms(run->env->clock);
}

void ps_task_say(ps_task_run *run, uint64_t index, int32_t token)
{
    if (!run->said) {
        run->said = ps_new(Psd__V1__Output);
        psd__v1__output__init(run->said);
        run->said->first = index;
    }
    Psd__V1__Output *said = run->said;
    if (said->n_tokens == run->said_capacity) {
        run->said_capacity = run->said_capacity ? 2 * run->said_capacity : 16;
        said->tokens = ps_realloc(said->tokens, run->said_capacity * sizeof *said->tokens);
    }
    said->tokens[said->n_tokens++] = (uint32_t)token;
    if (!run->said_ms || ps_clock_ms(run->env->clock) - run->said_ms >= PS_TASK_OUTPUT_MS)
        say_now(run);
}

/* ---- a thread ---- */

/* Might another worker, or this one later, succeed? What is wrong with the job itself is not worth
 * it; what is wrong with this machine, or with the moment, is. */
static bool worth_retry(const Psd__V1__Task *task, ps_status st)
{
    bool here = (st == PS_NOT_FOUND || st == PS_PERMISSION_DENIED || st == PS_NO_ACCESS ||
                 st == PS_NO_MEMORY || st == PS_IO || st == PS_UNIMPLEMENTED) &&
                strcmp(task->kind, "plan") != 0;
    /* of a clock, or of a job's state: what is refused now is welcome later */
    bool train = st == PS_FAILED_PRECONDITION && strcmp(task->kind, "train") == 0;
    return here || train || st == PS_CANCELLED || ps_status_retryable(st);
}

static Psd__V1__TaskResult *result_new(const Psd__V1__Task *task)
{
    Psd__V1__TaskResult *result = ps_new(Psd__V1__TaskResult);
    psd__v1__task_result__init(result);
    result->lease_id = task->lease_id;
    return result;
}

static void result_fail(Psd__V1__TaskResult *result, const Psd__V1__Task *task, ps_status st)
{
    result->code = ps_status_grpc(st);
    result->message = ps_strdup(ps_error_message());
    result->retry = worth_retry(task, st);
    if (result->plan)
        psd__v1__plan_result__free_unpacked(result->plan, NULL);
    if (result->evaluate)
        psd__v1__evaluate_result__free_unpacked(result->evaluate, NULL);
    if (result->generate)
        psd__v1__generate_result__free_unpacked(result->generate, NULL);
    result->plan = NULL;
    result->evaluate = NULL;
    result->generate = NULL;
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

static void run_task(slot *s, const Psd__V1__Task *task)
{
    ps_runner *r = s->runner;
    ps_task_run run = {.env = &r->env,
                       .task = task,
                       .remote = &s->remote,
                       .cache = s->cache,
                       .served = s->served,
                       .stop = &r->stop,
                       .runner = r,
                       .pending = PSD__V1__TASK_PROGRESS__INIT,
                       .reported_ms = ps_clock_ms(r->env.clock)};
    run.pending.lease_id = task->lease_id;
    run.pending.position = task->row_begin;
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
    if (st) {
        result_fail(result, task, st);
        lost = look_at_device(&run, st, result);
        ps_log(st == PS_CANCELLED ? PS_LOG_INFO : PS_LOG_WARNING, "task",
               "failed lease=%" PRIu64 " job=%" PRIu64 " kind=%s: %s", task->lease_id, task->job_id,
               task->kind, result->message);
    } else {
        ps_log_debug("task", "done lease=%" PRIu64 " ms=%" PRIu64, task->lease_id,
                     ps_clock_ms(r->env.clock) - begun);
    }
    if (run.pending.samples || st)
        report_now(&run);
    say_now(&run);
    post(r, &(event){.result = result, .lost = lost});
}

static Psd__V1__Task *next_task(slot *s)
{
    ps_runner *r = s->runner;
    Psd__V1__Task *task = NULL;
    pthread_mutex_lock(&r->lock);
    s->lease_id = 0;
    while (ps_list_empty(&r->queue) && !r->quit)
        pthread_cond_wait(&r->more, &r->lock);
    if (!ps_list_empty(&r->queue)) {
        queued *q = ps_container(r->queue.next, queued, link);
        ps_list_remove(&q->link);
        task = q->task;
        ps_gate_reset(&s->gate);
        s->lease_id = task->lease_id;
        ps_free(&q);
    }
    pthread_mutex_unlock(&r->lock);
    return task;
}

static void *slot_main(void *argument)
{
    slot *s = argument;
    ps_job_cache_create(&s->cache);
    ps_served_model_create(&s->served);
    for (Psd__V1__Task *task; (task = next_task(s));) {
        run_task(s, task);
        psd__v1__task__free_unpacked(task, NULL);
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
    ps_runner *r = ps_new(ps_runner);
    r->env = *env;
    r->events = *events;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->more, NULL);
    ps_list_init(&r->queue);
    r->slots = ps_alloc_array(slots, sizeof(*r->slots));
    r->slot_count = slots;
    for (unsigned i = 0; i < slots; i++) {
        slot *s = &r->slots[i];
        s->runner = r;
        ps_gate_init(&s->gate);
        s->remote = (ps_remote){
            .loop = env->loop, .channel = env->channel, .gate = &s->gate, .clock = env->clock};
        if (pthread_create(&s->thread, NULL, slot_main, s)) {
            ps_log_error("task", "no thread for tasks can be made");
            abort();
        }
    }
    *out = r;
}

void ps_runner_start(ps_runner *r, Psd__V1__Task *task)
{
    queued *q = ps_new(queued);
    q->task = task;
    pthread_mutex_lock(&r->lock);
    ps_list_append(&r->queue, &q->link);
    pthread_cond_signal(&r->more);
    pthread_mutex_unlock(&r->lock);
}

static void cancel_queued(ps_runner *r, queued *q, const char *reason)
{
    Psd__V1__TaskResult *result = result_new(q->task);
    result_fail(result, q->task, ps_fail(PS_CANCELLED, "%s", reason));
    post(r, &(event){.result = result});
    ps_list_remove(&q->link);
    psd__v1__task__free_unpacked(q->task, NULL);
    ps_free(&q);
}

void ps_runner_cancel(ps_runner *r, uint64_t lease_id, const char *reason)
{
    pthread_mutex_lock(&r->lock);
    ps_list_each_safe(node, &r->queue)
    {
        queued *q = ps_container(node, queued, link);
        if (q->task->lease_id == lease_id)
            cancel_queued(r, q, reason);
    }
    for (unsigned i = 0; i < r->slot_count; i++)
        if (r->slots[i].lease_id == lease_id)
            ps_gate_cancel(&r->slots[i].gate, reason);
    pthread_mutex_unlock(&r->lock);
}

void ps_runner_stop(ps_runner *r)
{
    atomic_store(&r->stop, true);
    pthread_mutex_lock(&r->lock);
    ps_list_each_safe(node, &r->queue)
        cancel_queued(r, ps_container(node, queued, link), "the worker is stopping");
    pthread_mutex_unlock(&r->lock);
}

void ps_runner_quit(ps_runner *r)
{
    pthread_mutex_lock(&r->lock);
    r->quit = true;
    pthread_cond_broadcast(&r->more);
    pthread_mutex_unlock(&r->lock);
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
    pthread_mutex_destroy(&r->lock);
    ps_free(runner);
}
