/* The catalog's order of a model's tensors is its file's, so that psd's plan and this one have the
 * same tensors in the same places. */
#include "worker/tasks/compress_job.h"

#include "common/base/mem.h"

#include <string.h>

/* What tasks of the job share; read and made by the first, and anew when psd has chosen forms. */
typedef struct shared {
    ps_safetensors *parent;
    ps_model_form *stored;
    ps_plan *plan;
    uint32_t *choices; /* that the plan is of, as the task had them */
    size_t n_choices;
} shared;

static void free_shared(void **what)
{
    shared *s = *what;
    ps_plan_free(&s->plan);
    ps_free(&s->stored);
    ps_free(&s->choices);
    if (s->parent)
        ps_safetensors_free(&s->parent);
    ps_free(what);
}

static bool is_of(const shared *s, const Psd__V1__Task *task)
{
    return s && s->n_choices == task->n_choices &&
           (!s->n_choices || !memcmp(s->choices, task->choices, s->n_choices * sizeof *s->choices));
}

static ps_status make_plan(const ps_compress_job *job, shared *s)
{
    const Psd__V1__Task *task = job->run->task;
    ps_status st = ps_plan_new(job->spec,
                               &(ps_plan_parent){.name = job->spec->model_name,
                                                 .model = ps_job_entry_model_spec(job->entry),
                                                 .tensors = s->stored,
                                                 .n = s->parent->n_tensors},
                               0, &s->plan);
    if (st || !task->n_choices)
        return st;
    s->n_choices = task->n_choices;
    s->choices = ps_alloc_array(s->n_choices, sizeof *s->choices);
    memcpy(s->choices, task->choices, s->n_choices * sizeof *s->choices);
    return ps_plan_settle(s->plan, s->choices, s->n_choices);
}

static ps_status make_shared(const ps_compress_job *job, shared *s)
{
    const ps_stored_model which = ps_job_entry_stored_model(job->entry);
    ps_status st = ps_stored_header(job->run->remote, &which, &s->parent);
    if (st)
        return st;
    st = ps_model_forms_parse(s->parent, &s->stored);
    return st ? ps_wrap(st, "model %s", which.name) : make_plan(job, s);
}

static ps_status share(const ps_compress_job *job, const shared **out)
{
    ps_job_kept *kept = ps_job_entry_kept(job->entry);
    ps_status st = PS_OK;
    if (!is_of(kept->what, job->run->task)) {
        if (kept->what)
            kept->free(&kept->what);
        *kept = (ps_job_kept){.what = ps_new(shared), .free = free_shared};
        st = make_shared(job, kept->what);
        if (st)
            kept->free(&kept->what);
    }
    *out = kept->what;
    return st;
}

ps_status ps_compress_open(ps_task_run *run, ps_compress_job *out)
{
    ps_compress_job job = {.run = run};
    const shared *s = NULL;
    ps_status st = ps_job_cache_get(run, &job.entry);
    if (st)
        return st;
    job.spec = ps_job_entry_spec(job.entry);
    if (!job.spec->compress || !ps_job_entry_stored(job.entry))
        return ps_fail(PS_INVALID_ARGUMENT, "a job of kind %s compresses nothing",
                       ps_job_spec_kind(job.spec)->name);
    st = share(&job, &s);
    if (st)
        return st;
    job.parent = s->parent;
    job.stored = s->stored;
    job.plan = s->plan;
    *out = job;
    return PS_OK;
}

ps_status ps_compress_tensors(const ps_compress_job *job, const char *const *names, size_t n,
                              uint64_t max, ps_some_tensors **out)
{
    return ps_some_tensors_open(
        &(ps_some_tensors_options){.remote = job->run->remote,
                                   .backend = job->run->env->backend,
                                   .job_id = job->run->task->job_id,
                                   .incarnation = job->run->env->incarnation,
                                   .sequence = ps_job_entry_sequence(job->entry),
                                   .names = names,
                                   .count = n,
                                   .max = max},
        out);
}

ps_status ps_compress_parent_numbers(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                     float **out)
{
    const char *name = tensor->stored.name;
    const ps_model_form *form = ps_model_form_find(job->stored, job->parent->n_tensors, name);
    if (!form)
        return ps_fail(PS_FAILED_PRECONDITION, "model %s has no tensor %s", job->spec->model_name,
                       name);
    const ps_stored_model which = ps_job_entry_stored_model(job->entry);
    return ps_stored_numbers(job->run->remote, &which, job->parent, form, out);
}

ps_status ps_compress_parent_weights(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                     float **out)
{
    const ps_model_form *from = &tensor->from;
    ps_status st = ps_compress_parent_numbers(job, tensor, out);
    if (st || !from->transposed)
        return st;
    float *turned = ps_try_alloc_raw((size_t)ps_model_form_numbers(from) * sizeof *turned);
    if (!turned)
        st = ps_fail(PS_NO_MEMORY, "numbers of tensor %s", from->name);
    else
        ps_compress_transpose(*out, from->shape[0], from->shape[1], turned);
    ps_free(out);
    *out = turned;
    return st;
}

void ps_compress_transpose(const float *in, uint64_t rows, uint64_t columns, float *out)
{
    enum { TILE = 32 }; /* so that both sides stay in the cache */
    for (uint64_t r = 0; r < rows; r += TILE)
        for (uint64_t c = 0; c < columns; c += TILE)
            for (uint64_t i = r; i < rows && i < r + TILE; i++)
                for (uint64_t k = c; k < columns && k < c + TILE; k++)
                    out[k * rows + i] = in[i * columns + k];
}
