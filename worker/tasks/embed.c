/* embed: what stands for each of some texts, left with the job as the artifact embeddings.npy: an
 * array of NumPy's format 1.0, float32 [texts, hidden_size].
 *
 * Happy path: the model is there or is loaded; texts go through it as many at a time as there is
 * room for their tokens, one behind the other, and of what its last block gives each text's mean or
 * first row is taken, and made to be of length 1. Between two passes the task looks whether it is
 * to end. */
#include "common/base/mem.h"
#include "common/format/npy.h"
#include "worker/job/served_model.h"
#include "worker/tasks/artifact.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct embedding {
    ps_task_run *run;
    const ps_spec_embed *how;
    const ps_spec_model *about;
    ps_model *model;
    bool cls;
    size_t most;     /* tokens of a pass */
    int32_t *tokens; /* [PS_SERVED_TEXTS, context_length]; -1 behind a text's last */
    size_t *lengths; /* [PS_SERVED_TEXTS] */
    float *states;   /* [tokens of a pass, hidden_size] */
    float *one;      /* [hidden_size] */
    size_t done;     /* texts */
    ps_spool file;
} embedding;

static ps_status check_end(const embedding *e)
{
    ps_status st = ps_gate_check(e->run->remote->gate);
    return !st && ps_task_stopping(e->run) ? ps_fail(PS_CANCELLED, "the worker is stopping") : st;
}

/* ---- a text ---- */

/* rows[n, hidden_size] -> e->one */
static void pool(embedding *e, const float *rows, size_t n)
{
    size_t width = (size_t)e->about->hidden_size;
    double length = 0;
    for (size_t c = 0; c < width; c++) {
        double sum = 0;
        for (size_t i = 0; i < (e->cls ? 1 : n); i++)
            sum += (double)rows[i * width + c];
        sum /= e->cls ? 1 : (double)n;
        length += sum * sum;
        e->one[c] = (float)sum;
    }
    length = sqrt(length);
    for (size_t c = 0; c < width && e->how->normalise && length > 0; c++)
        e->one[c] = (float)((double)e->one[c] / length);
}

/* ---- passes ---- */

/* As many of the texts that come, *n, as there is room for. */
static ps_status gather(embedding *e, size_t *n)
{
    size_t context = (size_t)e->about->context_length, all = 0;
    *n = 0;
    while (*n < PS_SERVED_TEXTS && e->done + *n < e->how->n_texts) {
        int32_t *to = e->tokens + *n * context;
        size_t length = 0;
        ps_status st = ps_spec_embed_tokens(e->how, e->done + *n, e->about, to, &length);
        if (st)
            return st;
        if (all + length > e->most)
            break;
        if (length < context)
            to[length] = -1;
        all += length;
        e->lengths[*n] = length;
        ++*n;
    }
    return PS_OK;
}

static ps_status embed_some(embedding *e)
{
    size_t n = 0, width = (size_t)e->about->hidden_size;
    ps_status st = gather(e, &n);
    const ps_model_batch batch = {
        .rows = (int64_t)n, .tokens = e->tokens, .length = e->about->context_length};
    if (!st)
        st = ps_model_forward(e->model, &batch, NULL);
    if (!st)
        st = ps_model_states(e->model, e->states);
    const float *from = e->states;
    for (size_t i = 0; !st && i < n; i++, e->done++) {
        pool(e, from, e->lengths[i]);
        ps_buf_append(&e->file.pending, e->one, width * sizeof *e->one);
        from += e->lengths[i] * width;
        st = ps_spool_step(&e->file);
    }
    if (st)
        return ps_wrap(st, "embeddings");
    Psd__V1__TaskProgress numbers = PSD__V1__TASK_PROGRESS__INIT;
    numbers.samples = n;
    numbers.rows_total = e->how->n_texts;
    ps_task_report(e->run, e->done, &numbers);
    return PS_OK;
}

static ps_status embed_all(embedding *e, Psd__V1__TaskResult *result)
{
    ps_status st = PS_OK;
    ps_npy_header(&e->file.pending, e->how->n_texts, (uint64_t)e->about->hidden_size);
    while (!st && e->done < e->how->n_texts) {
        st = check_end(e);
        if (!st)
            st = embed_some(e);
    }
    if (!st)
        st = ps_artifact_leave(e->run, "embeddings.npy", &e->file, result);
    if (!st)
        ps_result_metric(result, "texts", (double)e->done);
    return st;
}

static ps_status prepare(embedding *e, const ps_job_spec *spec)
{
    const ps_served_need need = {.name = spec->model_name, .texts = true};
    ps_status st = ps_served_model_get(e->run, &need, &e->model, &e->about);
    if (!st)
        st = ps_spec_embed_match(e->how, e->about);
    if (st)
        return st;
    size_t width = (size_t)e->about->hidden_size;
    e->cls = e->how->pool == PS_EMBED_POOL_MODEL ? e->about->pooling == PS_SPEC_POOLING_CLS
                                                 : e->how->pool == PS_EMBED_POOL_CLS;
    e->tokens =
        ps_try_alloc_raw((size_t)e->about->context_length * PS_SERVED_TEXTS * sizeof *e->tokens);
    e->most = ps_served_tokens(e->about, e->run->env->backend);
    e->states = ps_try_alloc_raw(e->most * width * sizeof *e->states);
    e->lengths = ps_alloc_array(PS_SERVED_TEXTS, sizeof *e->lengths);
    e->one = ps_alloc_array(width, sizeof *e->one);
    return e->tokens && e->states ? PS_OK : ps_fail(PS_NO_MEMORY, "no memory for embeddings");
}

static void clear(embedding *e)
{
    ps_spool_free(&e->file);
    ps_free(&e->tokens);
    ps_free(&e->lengths);
    ps_free(&e->states);
    ps_free(&e->one);
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_job_spec *spec = NULL;
    ps_status st = ps_job_spec_parse(ps_slice_str(run->task->spec), "job file", &spec);
    if (st)
        return st;
    if (!spec->embed) {
        ps_job_spec_free(&spec);
        return ps_fail(PS_INVALID_ARGUMENT, "an embed task of a job that is of another kind");
    }
    embedding e = {.run = run, .how = spec->embed, .file = PS_SPOOL(&ps_disk_system)};
    st = prepare(&e, spec);
    if (!st)
        st = embed_all(&e, result);
    clear(&e);
    ps_job_spec_free(&spec);
    return st;
}

const ps_worker_kind ps_worker_kind_embed = {.name = "embed", .run = run_task};
