/* Happy path: the thread that leaves the mutex takes entries off the front, one at a time, until
 * there are none. What can fail in here: the catalog (a state that cannot be written is tried again
 * by the tick) and a plan that does not fit a stored model (the job fails). */
#include "server/sched/outbox.h"

#include "common/base/mem.h"
#include "server/catalog/models.h"
#include "server/sched/core.h"

#include <inttypes.h>
#include <string.h>

typedef struct entry {
    ps_list link;
    void (*run)(ps_sched *s, struct entry *e);
    ps_job *job; /* a reference, or NULL */
    uint64_t session;
    uint64_t lease_id;
    char *text; /* a reason, a worker's name */
    ps_job_record *record;
    ps_job_line *lines; /* of its log, n_lines */
    size_t n_lines;
    Psd__V1__PlanResult *plan;
    ps_watch *watch; /* a reference */
    ps_task_kind task;
    ps_row_range piece;
    const char *settled;   /* the job's, once its plan has settled it */
    Psd__V1__Output *said; /* before this task; NULL: nothing */
    ps_job_outcome outcome;
    ps_job_state state;
} entry;

void ps_outbox_init(ps_outbox *outbox)
{
    *outbox = (ps_outbox){0};
    ps_list_init(&outbox->entries);
    ps_list_init(&outbox->late);
}

static entry *add(ps_sched *s, ps_job *job, void (*run)(ps_sched *, entry *))
{
    entry *e = ps_new(entry);
    e->run = run;
    e->job = job;
    if (job)
        ps_job_ref(job);
    ps_list_append(&s->outbox.entries, &e->link);
    return e;
}

static void drop(ps_sched *s, entry *e)
{
    ps_list_remove(&e->link);
    ps_job_record_free(&e->record);
    ps_job_lines_free(&e->lines, e->n_lines);
    if (e->plan)
        psd__v1__plan_result__free_unpacked(e->plan, NULL);
    if (e->said)
        psd__v1__output__free_unpacked(e->said, NULL);
    if (e->watch)
        ps_watch_unref(e->watch);
    if (e->job)
        ps_job_unref(e->job);
    free(e->text);
    free(e);
}

void ps_outbox_drop_all(ps_sched *s)
{
    ps_list_each_safe(node, &s->outbox.entries) drop(s, ps_container(node, entry, link));
    ps_list_each_safe(late, &s->outbox.late) drop(s, ps_container(late, entry, link));
}

static void put_late_ones_in(ps_outbox *outbox)
{
    ps_list_each_safe(node, &outbox->late)
    {
        ps_list_remove(node);
        ps_list_append(&outbox->entries, node);
    }
}

void ps_outbox_run_and_unlock(ps_sched *s)
{
    put_late_ones_in(&s->outbox);
    if (!s->outbox.running) {
        s->outbox.running = true;
        s->outbox.runner = pthread_self();
        while (!ps_list_empty(&s->outbox.entries)) {
            entry *e = ps_container(s->outbox.entries.next, entry, link);
            ps_list_remove(&e->link);
            pthread_mutex_unlock(&s->mutex);
            e->run(s, e);
            pthread_mutex_lock(&s->mutex);
            drop(s, e);
        }
        s->outbox.running = false;
    }
    pthread_mutex_unlock(&s->mutex);
}

/* ---- the catalog ---- */

/* A job that has ended, and is known to have in the catalog, is needed only by those who hold a
 * reference. */
static void retire(ps_job *job)
{
    if (!job->ended || job->unsaved || ps_list_empty(&job->link))
        return;
    ps_job_unlink(job);
    ps_job_unref(job);
}

static void tell_saved(ps_job *job, ps_status st)
{
    char times[PS_REPEAT_TEXT];
    uint64_t id = job->record->id;
    if (st && ps_repeat_due(&job->trouble, ps_core_now(job->sched) / 1000000, NULL))
        ps_log_error("sched", "job=%" PRIu64 " state not saved, trying again: %s%s", id,
                     ps_error_message(), ps_repeat_text(&job->trouble, times));
    else if (!st && ps_repeat_over(&job->trouble))
        ps_log_notice("sched", "job=%" PRIu64 " state saved%s", id,
                      ps_repeat_text(&job->trouble, times));
}

static void run_save(ps_sched *s, entry *e)
{
    ps_status st = ps_catalog_job_save(s->catalog, e->record, e->lines, e->n_lines);
    pthread_mutex_lock(&s->mutex);
    ps_job *job = e->job;
    tell_saved(job, st);
    if (!st && e->n_lines)
        job->log.saved = e->lines[e->n_lines - 1].number + 1;
    job->saves--;
    job->unsaved = st || job->saves;
    if (job->end_unsaved && !job->unsaved) {
        job->end_unsaved = false;
        ps_outbox_ended(job);
    }
    if (!job->unsaved && job->record->state >= PS_JOB_DONE)
        ps_watch_wake(job); /* its end is told only now */
    retire(job);
    pthread_mutex_unlock(&s->mutex);
}

void ps_outbox_save(ps_job *job)
{
    job->unsaved = true;
    job->saves++;
    entry *e = add(job->sched, job, run_save);
    e->record = ps_job_record_copy(job->record);
    e->lines = ps_job_log_unsaved(&job->log, &e->n_lines);
}

/* The job's checkpoints go with its end: only when the catalog knows of it. A psd that died before
 * would find a job that runs and has no checkpoint, and train it anew. */
static void run_ended(ps_sched *s, entry *e)
{
    pthread_mutex_lock(&s->mutex);
    bool unsaved = e->job->end_unsaved = e->job->unsaved;
    pthread_mutex_unlock(&s->mutex);
    if (unsaved)
        return;
    s->out->ended(s->user, e->job->record->id, e->state);
    pthread_mutex_lock(&s->mutex);
    e->job->ended = true;
    retire(e->job);
    pthread_mutex_unlock(&s->mutex);
}

void ps_outbox_ended(ps_job *job)
{
    add(job->sched, job, run_ended)->state = job->record->state;
}

/* ---- workers ---- */

/* Of the record only what does not change after the job was made. */
static void run_task(ps_sched *s, entry *e)
{
    const ps_job_record *record = e->job->record;
    const ps_job_spec *spec = e->job->spec;
    Psd__V1__Task task;
    psd__v1__task__init(&task);
    task.model_config = e->job->model_config;
    task.model_version = record->model_version;
    task.inference = e->job->kind->inference;
    task.lease_id = e->lease_id;
    task.job_id = record->id;
    /* protobuf-c has no const; the message is only read */
    union {
        const char *in;
        char *out;
    } kind = {.in = ps_task_kind_name(e->task)};
    task.kind = kind.out;
    task.spec = record->spec;
    union {
        const char *in;
        char *out;
    } settled = {.in = e->settled};
    task.settled_model = settled.out;
    task.epoch = e->piece.epoch;
    task.row_begin = e->piece.begin;
    task.row_end = e->piece.end;
    if (e->said) {
        task.said = e->said->tokens;
        task.n_said = e->said->n_tokens;
    }
    task.seed = spec->train ? (uint64_t)spec->train->seed : 0;
    if (e->task == PS_TASK_TRAIN)
        task.first_clock = s->out->enter(s->user, record->id, e->text, e->lease_id);
    s->out->send_task(s->user, e->session, &task);
}

void ps_outbox_task(const ps_lease *lease)
{
    entry *e = add(lease->job->sched, lease->job, run_task);
    e->session = lease->worker->session;
    e->lease_id = lease->id;
    e->task = lease->kind;
    e->piece = lease->piece;
    /* a plan's task has none, and its answer, which frees what was there, may come before this one
     * runs: from a worker that guesses the number. What the plan settles stays. */
    e->settled = lease->kind == PS_TASK_PLAN ? "" : lease->job->settled;
    e->text = ps_strdup(lease->worker->name);
    const ps_output *output = &lease->job->output;
    if (output->n)
        e->said = ps_output_message(output, 0, output->n);
    if (lease->kind == PS_TASK_EVALUATE && !lease->inference) {
        ps_list_remove(&e->link);
        ps_list_append(&lease->job->sched->outbox.late, &e->link);
    }
}

static void run_cancel(ps_sched *s, entry *e)
{
    s->out->send_cancel(s->user, e->session, e->lease_id, e->text);
}

void ps_outbox_cancel(ps_sched *s, uint64_t session, uint64_t lease_id, const char *reason)
{
    entry *e = add(s, NULL, run_cancel);
    e->session = session;
    e->lease_id = lease_id;
    e->text = ps_strdup(reason);
}

static void run_drop(ps_sched *s, entry *e)
{
    s->out->drop_session(s->user, e->session, e->text);
}

void ps_outbox_drop(ps_sched *s, uint64_t session, const char *reason)
{
    entry *e = add(s, NULL, run_drop);
    e->session = session;
    e->text = ps_strdup(reason);
}

static void run_leave(ps_sched *s, entry *e)
{
    s->out->leave(s->user, e->job->record->id, e->text);
}

void ps_outbox_leave(ps_job *job, const char *worker)
{
    add(job->sched, job, run_leave)->text = ps_strdup(worker);
}

/* ---- what psd does for a job ---- */

static ps_status check_plan(ps_sched *s, const entry *e)
{
    size_t n = e->plan->n_tensors;
    ps_model_tensor *tensors = ps_alloc_array(n ? n : 1, sizeof *tensors);
    for (size_t i = 0; i < n; i++) {
        const Psd__V1__TensorPlan *t = e->plan->tensors[i];
        tensors[i].name = t->name;
        tensors[i].rank = (uint32_t)t->n_shape;
        memcpy(tensors[i].shape, t->shape, t->n_shape * sizeof *t->shape);
    }
    ps_status st = ps_catalog_model_fits(s->catalog, e->job->spec->name, tensors, n);
    free(tensors);
    return st;
}

static void run_create(ps_sched *s, entry *e)
{
    uint64_t id = e->job->record->id;
    ps_status st = check_plan(s, e);
    if (!st) {
        s->out->create_store(s->user, id, e->job->spec, e->plan);
        return;
    }
    ps_error error;
    ps_error_save(&error, st);
    ps_sched_store_created(s, id, &error);
}

/* Through the wire format: the one deep copy that protobuf-c has. */
static Psd__V1__PlanResult *copy_plan(const Psd__V1__PlanResult *plan)
{
    size_t size = psd__v1__plan_result__get_packed_size(plan);
    uint8_t *bytes = ps_alloc(size ? size : 1);
    psd__v1__plan_result__pack(plan, bytes);
    Psd__V1__PlanResult *copy = psd__v1__plan_result__unpack(NULL, size, bytes);
    free(bytes);
    return copy;
}

void ps_outbox_create(ps_job *job, const Psd__V1__PlanResult *plan)
{
    Psd__V1__PlanResult *copy = copy_plan(plan);
    if (!copy) {
        ps_job_fail(job, "out of memory for the plan");
        return;
    }
    job->waiting = true;
    add(job->sched, job, run_create)->plan = copy;
}

static void run_checkpoint(ps_sched *s, entry *e)
{
    s->out->checkpoint_due(s->user, e->job->record->id);
}

void ps_outbox_checkpoint(ps_job *job)
{
    add(job->sched, job, run_checkpoint);
}

static void run_finish(ps_sched *s, entry *e)
{
    s->out->finish(s->user, e->job->record->id, e->job->spec, e->settled, &e->outcome);
}

void ps_outbox_finish(ps_job *job, const ps_job_outcome *outcome)
{
    job->waiting = true;
    entry *e = add(job->sched, job, run_finish);
    e->settled = job->settled;
    e->outcome = *outcome;
}

static void run_restore(ps_sched *s, entry *e)
{
    s->out->restore(s->user, e->job->record->id, e->text);
}

void ps_outbox_restore(ps_job *job, const char *unusable)
{
    job->waiting = true;
    entry *e = add(job->sched, job, run_restore);
    if (unusable)
        e->text = ps_strdup(unusable);
}

static void run_notify(ps_sched *s, entry *e)
{
    ps_watch_run(e->watch, s);
}

void ps_outbox_notify(ps_job *job, ps_watch *watch)
{
    watch->refs++;
    add(job->sched, job, run_notify)->watch = watch;
}
