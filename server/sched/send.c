/* Happy path: what the task needs is noted while the mutex is held; without it the worker becomes a
 * member of the controller, if it is to train, and the task is sent. Cannot fail: a session that
 * has gone meanwhile gets none, and its lease is lost with it. */
#include "server/sched/send.h"

#include "common/base/mem.h"

static void parcel_run(ps_outbox_entry *entry)
{
    ps_parcel *p = ps_container(entry, ps_parcel, entry);
    const ps_sched *s = p->job->sched;
    if (p->trains)
        p->task.first_clock =
            s->out.store->enter(s->out.store_user, p->task.job_id, p->worker, p->task.lease_id);
    s->out.workers->send_task(s->out.workers_user, p->session, &p->task);
}

static void parcel_drop(ps_outbox_entry *entry)
{
    ps_parcel *p = ps_container(entry, ps_parcel, entry);
    ps_tokens_free(&p->said);
    ps_job_unref(p->job);
    free(p->worker);
    free(p);
}

/* Of the record only what does not change after the job was made. */
static ps_task task_of(const ps_lease *lease)
{
    const ps_job *job = lease->job;
    const ps_job_model *teacher = ps_job_file_teacher(job->file);
    return (ps_task){.lease_id = lease->id,
                     .job_id = job->record->id,
                     .kind = lease->kind->name,
                     .inference = job->kind->inference,
                     .spec = job->record->spec,
                     .settled = "",
                     .stage = job->file->stage,
                     .model_version = job->file->version,
                     .model_config = job->file->config,
                     .teacher_version = teacher->version,
                     .teacher_config = teacher->config,
                     .others = job->file->others,
                     .n_others = job->file->n_others,
                     .model_name = "",
                     .note = "",
                     .epoch = lease->piece.epoch,
                     .row_begin = lease->piece.begin,
                     .row_end = lease->piece.end};
}

void ps_send_task(const ps_lease *lease)
{
    ps_core_require_locked(lease->job->sched);
    PS_REQUIRE(lease->job->file);
    ps_job *job = lease->job;
    ps_parcel *p = ps_new(ps_parcel);
    *p = (ps_parcel){.entry = {.run = parcel_run, .drop = parcel_drop},
                     .job = job,
                     .session = lease->worker->session,
                     .worker = ps_strdup(lease->worker->name),
                     .trains = lease->kind->trains,
                     .task = task_of(lease)};
    ps_job_ref(job);
    if (lease->kind->fill)
        lease->kind->fill(lease, p);
    if (lease->kind->late)
        ps_outbox_add_late(&job->sched->outbox, &p->entry);
    else
        ps_outbox_add(&job->sched->outbox, &p->entry);
}
