/* Happy path: the task says which version and what shape; its header is read when tensors are asked
 * for, and a model of it is made, with the numbers decoded, when one is; the job's entry keeps it.
 * Fails as reading a stored model does. */
#include "worker/tasks/explain_other.h"

#include "common/base/mem.h"
#include "worker/job/job_model.h"
#include "worker/job/stored_model.h"
#include "worker/job/stored_range.h"

static ps_status tensors(void *user, const ps_model_form **out, size_t *n)
{
    ps_explain_second *s = user;
    ps_status st = PS_OK;
    if (!s->file)
        st = ps_stored_header(s->run->remote, &s->which, &s->file);
    if (!st && !s->forms)
        st = ps_model_forms_parse(s->file, &s->forms);
    if (st)
        return ps_wrap(st, "model %s", s->which.name);
    *out = s->forms;
    *n = s->file->n_tensors;
    return PS_OK;
}

static ps_status numbers(void *user, const ps_model_form *tensor, float **out)
{
    const ps_explain_second *s = user;
    return ps_stored_numbers(s->run->remote, &s->which, s->file, tensor, out);
}

static ps_status beside(void *user, const ps_explaining *x, ps_explaining *out)
{
    ps_explain_second *s = user;
    *out = *x;
    out->other = NULL;
    out->evaluations = 0;
    out->model_spec = s->spec;
    out->baseline = &s->baseline;
    ps_status st = ps_job_entry_beside(s->entry, s->run, &s->which, s->spec, &out->model);
    if (st)
        return ps_wrap(st, "model %s", s->which.name);
    out->inputs = x->language ? s->spec->hidden_size : ps_model_inputs(out->model);
    out->outputs = ps_model_outputs(out->model);
    if (x->outputs != out->outputs)
        return ps_fail(PS_INVALID_ARGUMENT, "model %s has other outputs", s->which.name);
    return s->baseline.numbers ? PS_OK : ps_explain_baseline_of(out, &s->baseline);
}

static ps_status open_model(void *user, const ps_model_options *options, ps_model **out)
{
    const ps_explain_second *s = user;
    ps_job_entry_beside_drop(s->entry);
    const ps_model_config config = ps_job_model_config(s->spec);
    const ps_job_model_need need = {.name = s->which.name, .config = &config, .options = options};
    ps_status st = ps_job_model_room(&need, s->run->env->backend);
    if (!st)
        st = ps_model_create(s->run->env->backend, &config, options, out);
    if (st)
        return ps_wrap(st, "model %s", s->which.name);
    st = ps_stored_model_load_whole(s->run->remote, &s->which, *out, NULL);
    if (st)
        ps_model_free(out);
    return st;
}

ps_status ps_explain_second_open(ps_task_run *run, ps_job_entry *entry, const char *name,
                                 ps_explain_second *out)
{
    *out = (ps_explain_second){.run = run,
                               .entry = entry,
                               .which = {.name = name,
                                         .version = run->task->teacher_version,
                                         .job_id = run->task->job_id}};
    ps_status st =
        ps_spec_model_parse(ps_slice_str(run->task->teacher_config), "its config", &out->spec);
    if (st)
        return ps_wrap(st, "model %s", name);
    out->other = (ps_explain_other){.name = name,
                                    .spec = out->spec,
                                    .tensors = tensors,
                                    .numbers = numbers,
                                    .beside = beside,
                                    .open = open_model,
                                    .user = out};
    return PS_OK;
}

void ps_explain_second_close(ps_explain_second *second)
{
    ps_explain_baseline_free(&second->baseline);
    if (second->spec)
        ps_spec_model_free(&second->spec);
    if (second->file)
        ps_safetensors_free(&second->file);
    ps_free(&second->forms);
}
