/* Happy path: the plan fits what is stored, and the outside is asked for the parameters; or, of a
 * job that has them, to clear its sums. What fails is that, or the outside; either fails the job.
 */
#include "server/sched/create.h"

#include "common/base/mem.h"
#include "server/catalog/models.h"
#include "server/sched/job.h"

#include <string.h>

typedef struct creation {
    ps_outbox_entry entry;
    ps_job *job; /* a reference */
    ps_data_plan *plan;
} creation;

/* Its plan has the tensors that are trained; those of the model that it leaves are all of the model
 * that it begins from. */
static ps_status check_partly(const ps_job *job)
{
    ps_catalog *catalog = job->sched->catalog;
    ps_model_record *base = NULL;
    ps_status st = ps_catalog_model_version(catalog, job->spec->initialize_from,
                                            job->record->model_version, &base);
    if (st)
        return st;
    st = ps_catalog_model_fits(catalog, job->spec->name, base->tensors, base->n_tensors);
    ps_model_record_free(&base);
    return st;
}

static ps_status check_plan(const ps_job *job, const ps_data_plan *plan)
{
    if (!job->spec->train)
        return PS_OK; /* they are not the tensors of the model */
    if (ps_spec_train_partly(job->spec->train))
        return check_partly(job);
    size_t n = plan->n_tensors;
    ps_model_tensor *tensors = ps_alloc_array(n ? n : 1, sizeof *tensors);
    for (size_t i = 0; i < n; i++) {
        const ps_data_plan_tensor *t = &plan->tensors[i];
        tensors[i].name = t->name;
        tensors[i].rank = (uint32_t)t->n_shape;
        for (size_t d = 0; d < t->n_shape; d++) /* of the model */
            tensors[i].shape[d] = t->shape[t->transposed ? t->n_shape - 1 - d : d];
    }
    ps_status st = ps_catalog_model_fits(job->sched->catalog, job->spec->name, tensors, n);
    free(tensors);
    return st;
}

void ps_create_answered(ps_sched *s, uint64_t job_id, const ps_error *error)
{
    ps_core_require_locked(s);
    ps_job *job = ps_job_answered(s, job_id);
    if (!job || job->record->state == PS_JOB_CANCELLING)
        return;
    if (error)
        ps_job_fail(job, "%s", error->message);
    else
        job->kind->answered(job);
}

static void clear_run(const ps_errand *e)
{
    const ps_sched *s = e->job->sched;
    s->out.store->clear_sums(s->out.store_user, e->job->record->id);
}

void ps_clear_begin(ps_job *job)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(!job->waiting);
    job->waiting = true;
    ps_job_errand(job, NULL, clear_run);
}

static void creation_run(ps_outbox_entry *entry)
{
    creation *c = ps_container(entry, creation, entry);
    ps_sched *s = c->job->sched;
    uint64_t id = c->job->record->id;
    ps_core_require_unlocked(s); /* the catalog is on a disk */
    ps_status st = check_plan(c->job, c->plan);
    if (!st) {
        ps_data_plan *plan = c->plan;
        c->plan = NULL;
        s->out.store->create_store(s->out.store_user, id, c->job->file, plan);
        return;
    }
    ps_error error;
    ps_error_save(&error, st);
    ps_core_lock(s);
    ps_create_answered(s, id, &error);
    s->assign_due = true; /* another may begin in its place */
    ps_core_unlock(s);
}

static void creation_drop(ps_outbox_entry *entry)
{
    creation *c = ps_container(entry, creation, entry);
    ps_data_plan_free(&c->plan);
    ps_job_unref(c->job);
    free(c);
}

void ps_create_begin(ps_job *job, ps_data_plan **plan)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(*plan && !job->waiting);
    creation *c = ps_new(creation);
    *c = (creation){
        .entry = {.run = creation_run, .drop = creation_drop}, .job = job, .plan = *plan};
    *plan = NULL;
    ps_job_ref(job);
    job->waiting = true;
    ps_outbox_add(&job->sched->outbox, &c->entry);
}
