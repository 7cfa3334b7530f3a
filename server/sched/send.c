/* Happy path: what the task needs is noted while the mutex is held; without it the worker becomes a
 * member of the controller, if it is to train, and the task is sent. Cannot fail: a session that
 * has gone meanwhile gets none, and its lease is lost with it. */
#include "server/sched/send.h"

#include "common/base/mem.h"

typedef struct parcel {
    ps_outbox_entry entry;
    ps_job *job; /* a reference */
    uint64_t session, lease_id;
    char *worker;
    ps_task_kind task;
    ps_row_range piece;
    const char *settled; /* the job's, once its plan has settled it */
    ps_tokens *said;     /* before this task; NULL: nothing */
} parcel;

/* Of the record only what does not change after the job was made. */
static void parcel_run(ps_outbox_entry *entry)
{
    const parcel *p = ps_container(entry, parcel, entry);
    const ps_sched *s = p->job->sched;
    const ps_job_record *record = p->job->record;
    const ps_job_spec *spec = p->job->spec;
    ps_task task = {.lease_id = p->lease_id,
                    .job_id = record->id,
                    .kind = p->task,
                    .inference = p->job->kind->inference,
                    .spec = record->spec,
                    .settled = p->settled,
                    .model_version = record->model_version,
                    .model_config = p->job->file->config,
                    .epoch = p->piece.epoch,
                    .row_begin = p->piece.begin,
                    .row_end = p->piece.end,
                    .seed = spec->train ? (uint64_t)spec->train->seed : 0};
    if (p->said) {
        task.said = p->said->tokens;
        task.n_said = p->said->n_tokens;
    }
    if (p->task == PS_TASK_TRAIN)
        task.first_clock =
            s->out.store->enter(s->out.store_user, record->id, p->worker, p->lease_id);
    s->out.workers->send_task(s->out.workers_user, p->session, &task);
}

static void parcel_drop(ps_outbox_entry *entry)
{
    parcel *p = ps_container(entry, parcel, entry);
    ps_tokens_free(&p->said);
    ps_job_unref(p->job);
    free(p->worker);
    free(p);
}

void ps_send_task(const ps_lease *lease)
{
    ps_job *job = lease->job;
    parcel *p = ps_new(parcel);
    *p = (parcel){.entry = {.run = parcel_run, .drop = parcel_drop},
                  .job = job,
                  .session = lease->worker->session,
                  .lease_id = lease->id,
                  .worker = ps_strdup(lease->worker->name),
                  .task = lease->kind,
                  .piece = lease->piece,
                  /* a plan's task has none, and its answer, which frees what was there, may come
                   * before this one runs: from a worker that guesses the number. What the plan
                   * settles stays. */
                  .settled = lease->kind == PS_TASK_PLAN ? "" : job->settled};
    ps_job_ref(job);
    if (job->output.n)
        p->said = ps_output_copy(&job->output, 0, job->output.n);
    if (lease->kind == PS_TASK_EVALUATE && !lease->inference)
        ps_outbox_add_late(&job->sched->outbox, &p->entry);
    else
        ps_outbox_add(&job->sched->outbox, &p->entry);
}
