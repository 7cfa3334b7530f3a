/* Looking jobs up, holding them, and marking what is to be seen to when the mutex is given back.
 * Cannot fail. */
#include "server/sched/core.h"

#include "common/base/mem.h"

void ps_core_lock(ps_sched *s)
{
    ps_mutex_lock(&s->mutex);
}

void ps_core_unlock(ps_sched *s)
{
    ps_mutex_unlock(&s->mutex);
}

void ps_tally_count(const ps_sched *s, ps_tally *out)
{
    ps_core_require_locked(s);
    *out = (ps_tally){0};
    ps_list_each(node, &s->workers)
    {
        out->here += ps_container(node, ps_worker, link)->session != 0;
    }
    ps_list_each(node, &s->active)
    {
        const ps_job *job = ps_container(node, ps_job, of_state);
        out->running[job->kind && job->kind->inference]++;
    }
}

/* Newest first: those are asked for. */
ps_job *ps_job_find(ps_sched *s, uint64_t id)
{
    ps_core_require_locked(s);
    for (ps_list *node = s->jobs.prev; node != &s->jobs; node = node->prev) {
        ps_job *job = ps_container(node, ps_job, link);
        if (job->record->id == id)
            return job;
        if (job->record->id < id)
            break;
    }
    return NULL;
}

void ps_job_ref(ps_job *job)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->refs > 0);
    job->refs++;
}

void ps_job_unref(ps_job *job)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->refs > 0);
    if (--job->refs > 0)
        return;
    PS_REQUIRE(ps_list_empty(&job->link) && ps_list_empty(&job->watches));
    PS_REQUIRE(ps_list_empty(&job->leases));
    job->sched->n_told -= job->told;
    ps_list_remove(&job->of_changed);
    if (job->work)
        job->kind->free(job->work);
    free(job->draft);
    ps_job_log_free(&job->log);
    free(job->members);
    ps_output_free(&job->output);
    free(job->settled);
    ps_job_file_unref(&job->file);
    ps_job_file_unref(&job->first);
    ps_stage_past_free(&job->past);
    ps_stage_again_free(&job->again);
    ps_job_record_free(&job->record);
    free(job);
}

void ps_job_unlink(ps_job *job)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->sched->n_jobs > 0);
    ps_list_remove(&job->link);
    ps_list_remove(&job->of_state);
    job->sched->n_jobs--;
}

bool ps_job_runs(const ps_job *job)
{
    return job->record->state == PS_JOB_RUNNING;
}

void ps_job_wake(ps_job *job)
{
    ps_core_require_locked(job->sched);
    if (ps_list_empty(&job->of_changed) && !ps_list_empty(&job->watches))
        ps_list_append(&job->sched->changed, &job->of_changed);
}

void ps_job_changed(ps_job *job)
{
    ps_core_require_locked(job->sched);
    job->version++;
    ps_job_wake(job);
}

/* ---- errands ---- */

static void errand_run(ps_outbox_entry *entry)
{
    const ps_errand *e = ps_container(entry, ps_errand, entry);
    e->run(e);
}

static void errand_drop(ps_outbox_entry *entry)
{
    ps_errand *e = ps_container(entry, ps_errand, entry);
    ps_job_unref(e->job);
    free(e->text);
    free(e);
}

void ps_job_errand(ps_job *job, const char *text, void (*run)(const ps_errand *))
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(run);
    ps_errand *e = ps_new(ps_errand);
    e->entry.run = errand_run;
    e->entry.drop = errand_drop;
    e->job = job;
    ps_job_ref(job);
    e->text = text ? ps_strdup(text) : NULL;
    e->run = run;
    ps_outbox_add(&job->sched->outbox, &e->entry);
}
