/* The catalog's order of a model's tensors is its file's, so that psd's plan and this one have the
 * same tensors in the same places. */
#include "worker/tasks/compress_job.h"

#include "common/base/mem.h"
#include "common/model/form_stream.h"

#include <string.h>

static ps_status make_plan(ps_compress_job *job)
{
    const Psd__V1__Task *task = job->run->task;
    ps_status st = ps_plan_new(job->spec,
                               &(ps_plan_parent){.name = job->spec->model_name,
                                                 .model = ps_job_entry_model_spec(job->entry),
                                                 .tensors = job->stored,
                                                 .n = job->parent->n_tensors},
                               0, &job->plan);
    return !st && task->n_choices ? ps_plan_settle(job->plan, task->choices, task->n_choices) : st;
}

ps_status ps_compress_open(ps_task_run *run, ps_compress_job *out)
{
    ps_compress_job job = {.run = run};
    ps_status st = ps_job_cache_get(run, &job.entry);
    if (st)
        return st;
    job.spec = ps_job_entry_spec(job.entry);
    if (!job.spec->compress || !ps_job_entry_stored(job.entry))
        return ps_fail(PS_INVALID_ARGUMENT, "a job of kind %s compresses nothing",
                       ps_job_spec_kind(job.spec)->name);
    const ps_stored_model which = ps_job_entry_stored_model(job.entry);
    st = ps_stored_header(run->remote, &which, &job.parent);
    if (!st) {
        st = ps_model_forms_parse(job.parent, &job.stored);
        st = st ? ps_wrap(st, "model %s", which.name) : make_plan(&job);
    }
    if (st)
        ps_compress_close(&job);
    else
        *out = job;
    return st;
}

void ps_compress_close(ps_compress_job *job)
{
    ps_plan_free(&job->plan);
    ps_free(&job->stored);
    if (job->parent)
        ps_safetensors_free(&job->parent);
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

static ps_status take_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                              const float *values, size_t n)
{
    (void)tensor;
    memcpy((float *)user + first, values, n * sizeof *values);
    return PS_OK;
}

static ps_status decode(const ps_model_form *form, ps_slice bytes, float *out)
{
    ps_form_stream *stream = ps_form_stream_new((ps_form_sink){take_numbers, out});
    ps_status st = ps_form_stream_begin(stream, form);
    if (!st)
        st = ps_form_stream_feed(stream, bytes);
    ps_form_stream_free(&stream);
    return st;
}

ps_status ps_compress_parent_numbers(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                     float **out)
{
    const char *name = tensor->stored.name;
    const ps_model_form *form = ps_model_form_find(job->stored, job->parent->n_tensors, name);
    const ps_safetensors_tensor *from = ps_safetensors_find(job->parent, name);
    if (!form || !from)
        return ps_fail(PS_FAILED_PRECONDITION, "model %s has no tensor %s", job->spec->model_name,
                       name);
    const ps_stored_model which = ps_job_entry_stored_model(job->entry);
    size_t size = (size_t)(from->end - from->begin);
    uint8_t *bytes = ps_try_alloc_raw(size + 1);
    float *numbers = ps_try_alloc_raw((size_t)ps_model_form_numbers(form) * sizeof *numbers);
    ps_status st = bytes && numbers ? PS_OK : ps_fail(PS_NO_MEMORY, "numbers of tensor %s", name);
    if (!st)
        st = ps_stored_tensor(job->run->remote, &which, job->parent, from, bytes);
    if (!st)
        st = decode(form, ps_slice_of(bytes, size), numbers);
    ps_free(&bytes);
    if (st)
        ps_free(&numbers);
    *out = numbers;
    return st;
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
