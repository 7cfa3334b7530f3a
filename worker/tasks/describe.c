/* describe: what numbers a stored model is made of, left with the job as describe.json:
 *
 *     {"model":"tiny","version":"…","tensors":[
 *       {"name":"layers.0.bias","shape":[16],"dtype":"F32","elements":16,"mean":0.01,"std":0.2,
 *        "min":-0.4,"max":0.3,"zeros":0,"nan":0,"inf":0,"l2_norm":0.8},…],
 *      "total":{"tensors":4,"elements":340,…}}
 *
 * std is that of all elements (divided by their number). Mean, std, min, max and norm are of what
 * is finite, in double, and null where nothing is. The totals are the task's report, too.
 *
 * The model's file goes by as it comes, a block of numbers at a time, and is not kept; moments of
 * blocks are put together as in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise
 * Algorithm for Computing Sample Variances" (1979). */
#include "common/base/mem.h"
#include "common/conf/job_spec.h"
#include "common/json/json.h"
#include "worker/job/stored_stream.h"
#include "worker/tasks/artifact.h"
#include "worker/tasks/task_kind.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 1024 }; /* numbers */

typedef struct moments {
    uint64_t elements, finite, zeros, nans, infinite;
    double mean, squares; /* of what is finite; the sum of squared distances from the mean */
    double least, most;
} moments;

typedef struct describing {
    const ps_safetensors *file; /* from its header on, to the end of the stream */
    moments *of;                /* each tensor */
    float block[BLOCK];         /* of the tensor that comes; cut as the stream is */
    size_t bytes;               /* in it */
    const ps_stored_model *model;
    ps_spool out;
    ps_buf report;
} describing;

/* ---- numbers ---- */

static void merge(moments *into, const moments *more)
{
    uint64_t finite = into->finite + more->finite;
    into->elements += more->elements;
    into->zeros += more->zeros;
    into->nans += more->nans;
    into->infinite += more->infinite;
    if (more->finite == 0)
        return;
    double share = (double)more->finite / (double)finite, apart = more->mean - into->mean;
    into->least = into->finite ? fmin(into->least, more->least) : more->least;
    into->most = into->finite ? fmax(into->most, more->most) : more->most;
    into->squares += more->squares + apart * apart * (double)into->finite * share;
    into->mean += apart * share;
    into->finite = finite;
}

/* What is not finite is counted; of the rest, the sum. */
static double count(moments *m, const float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        m->nans += isnan(v[i]) != 0;
        m->infinite += isinf(v[i]) != 0;
        m->zeros += v[i] == 0;
        if (!isfinite(v[i]))
            continue;
        m->least = m->finite ? fmin(m->least, (double)v[i]) : (double)v[i];
        m->most = m->finite ? fmax(m->most, (double)v[i]) : (double)v[i];
        m->finite++;
        sum += (double)v[i];
    }
    m->elements = n;
    return sum;
}

static moments moments_of(const float *v, size_t n)
{
    moments m = {0};
    double sum = count(&m, v, n);
    m.mean = m.finite ? sum / (double)m.finite : 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i]))
            m.squares += ((double)v[i] - m.mean) * ((double)v[i] - m.mean);
    return m;
}

/* ---- the file, as it comes ---- */

static void restart(void *user)
{
    describing *d = user;
    ps_free(&d->of);
    d->bytes = 0;
}

static ps_status take_head(void *user, const ps_safetensors *file)
{
    describing *d = user;
    for (size_t i = 0; i < file->n_tensors; i++)
        if (file->tensors[i].dtype != PS_SAFETENSORS_F32)
            return ps_fail(PS_FAILED_PRECONDITION, "tensor %s is %s in the file, only F32 is read",
                           file->tensors[i].name, ps_safetensors_type_of(&file->tensors[i]));
    d->file = file;
    d->of = ps_try_alloc((file->n_tensors + 1) * sizeof *d->of);
    return d->of ? PS_OK : ps_fail(PS_NO_MEMORY, "numbers of %zu tensors", file->n_tensors);
}

static ps_status take_data(void *user, size_t tensor, uint64_t offset, ps_slice bytes)
{
    describing *d = user;
    uint64_t left = d->file->tensors[tensor].end - d->file->tensors[tensor].begin - offset;
    while (bytes.len) {
        size_t room = sizeof d->block - d->bytes, n = bytes.len < room ? bytes.len : room;
        memcpy((uint8_t *)d->block + d->bytes, bytes.data, n);
        d->bytes += n;
        left -= n;
        bytes = ps_slice_of(bytes.data + n, bytes.len - n);
        if (d->bytes < sizeof d->block && left)
            continue;
        const moments more = moments_of(d->block, d->bytes / sizeof *d->block);
        merge(&d->of[tensor], &more);
        d->bytes = 0;
    }
    return PS_OK;
}

/* ---- the answer ---- */

static void put_moments(ps_json_writer *w, const moments *m)
{
    double n = (double)m->finite, none = m->finite ? 0 : NAN; /* which is null */
    ps_json_put_uint(w, "elements", m->elements);
    ps_json_put_double(w, "mean", m->mean + none);
    ps_json_put_double(w, "std", sqrt(m->squares / n));
    ps_json_put_double(w, "min", m->least + none);
    ps_json_put_double(w, "max", m->most + none);
    ps_json_put_uint(w, "zeros", m->zeros);
    ps_json_put_uint(w, "nan", m->nans);
    ps_json_put_uint(w, "inf", m->infinite);
    ps_json_put_double(w, "l2_norm", sqrt(m->squares + n * m->mean * m->mean) + none);
}

static void put_tensor(ps_json_writer *w, const ps_safetensors_tensor *tensor, const moments *m)
{
    ps_json_object(w);
    ps_json_put_string(w, "name", tensor->name);
    ps_json_key(w, "shape");
    ps_json_array(w);
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        ps_json_uint(w, tensor->shape[i]);
    ps_json_array_end(w);
    ps_json_put_string(w, "dtype", ps_safetensors_type_of(tensor));
    put_moments(w, m);
    ps_json_object_end(w);
}

static void put_total(ps_json_writer *w, size_t tensors, const moments *total)
{
    ps_json_object(w);
    ps_json_put_uint(w, "tensors", tensors);
    put_moments(w, total);
    ps_json_object_end(w);
}

static ps_status write_all(void *user)
{
    describing *d = user;
    size_t n = d->file->n_tensors;
    moments total = {0};
    ps_status st = PS_OK;
    ps_json_writer w = ps_json_writer_to(&d->out.pending), report = ps_json_writer_to(&d->report);
    ps_json_object(&w);
    ps_json_put_string(&w, "model", d->model->name);
    ps_json_put_string(&w, "version", d->model->version);
    ps_json_key(&w, "tensors");
    ps_json_array(&w);
    for (size_t i = 0; !st && i < n; i++) {
        put_tensor(&w, &d->file->tensors[i], &d->of[i]);
        merge(&total, &d->of[i]);
        st = ps_spool_step(&d->out);
    }
    ps_json_array_end(&w);
    ps_json_key(&w, "total");
    put_total(&w, n, &total);
    ps_json_object_end(&w);
    ps_buf_putc(&d->out.pending, '\n');
    put_total(&report, n, &total);
    return st;
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_job_spec *spec = NULL;
    ps_status st = ps_job_spec_parse(ps_slice_str(run->task->spec), "job file", &spec);
    if (st)
        return st;
    const ps_stored_model model = {
        .name = spec->model_name, .version = run->task->model_version, .job_id = run->task->job_id};
    describing d = {.model = &model, .out = PS_SPOOL(&ps_disk_system)};
    st = ps_stored_stream(run->remote, &model,
                          &(ps_stored_sink){.restart = restart,
                                            .head = take_head,
                                            .data = take_data,
                                            .end = write_all,
                                            .user = &d});
    if (!st)
        st = ps_artifact_leave(run, "describe.json", &d.out, result);
    if (!st)
        ps_result_report(result, ps_buf_cstr(&d.report));
    restart(&d);
    ps_spool_free(&d.out);
    ps_buf_free(&d.report);
    ps_job_spec_free(&spec);
    return st;
}

const ps_worker_kind ps_worker_kind_describe = {.name = "describe", .run = run_task};
