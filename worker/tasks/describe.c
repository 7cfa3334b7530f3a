/* describe: what numbers a stored model is made of, left with the job as describe.json:
 *
 *     {"model":"tiny","version":"…","tensors":[
 *       {"name":"layers.0.bias","shape":[16],"dtype":"F32","form":"float32","bits":32,
 *        "elements":16,"mean":0.01,"std":0.2,"min":-0.4,"max":0.3,"zeros":0,"nan":0,"inf":0,
 *        "l2_norm":0.8},…],
 *      "total":{"tensors":4,"elements":340,…}}
 *
 * std is that of all elements (divided by their number). Mean, std, min, max and norm are of what
 * is finite, in double, and null where nothing is. The totals are the task's report, too.
 *
 * bits are those of an element in the file. Of a tensor in a form the numbers are those that it is
 * decoded to. The model's file goes by as it comes and is not kept; moments of its pieces are put
 * together as in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
 * Sample Variances" (1979). */
#include "common/base/mem.h"
#include "common/conf/job_spec.h"
#include "common/json/json.h"
#include "common/model/form_stream.h"
#include "worker/job/stored_stream.h"
#include "worker/tasks/artifact.h"
#include "worker/tasks/task_kind.h"

#include <math.h>
#include <string.h>

typedef struct moments {
    uint64_t elements, finite, zeros, nans, infinite;
    double mean, squares; /* of what is finite; the sum of squared distances from the mean */
    double least, most;
} moments;

typedef struct describing {
    const ps_safetensors *file;   /* from its header on, to the end of the stream, */
    const ps_model_form *tensors; /* and of it */
    moments *of;                  /* each tensor */
    ps_form_stream *numbers;
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
    ps_form_stream_free(&d->numbers);
}

static ps_status take_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                              const float *values, size_t n)
{
    const describing *d = user;
    const moments more = moments_of(values, n);
    (void)first;
    merge(&d->of[tensor - d->tensors], &more);
    return PS_OK;
}

static ps_status take_head(void *user, const ps_safetensors *file, const ps_model_form *tensors)
{
    describing *d = user;
    d->file = file;
    d->tensors = tensors;
    d->numbers = ps_form_stream_new((ps_form_sink){take_numbers, d});
    d->of = ps_try_alloc((file->n_tensors + 1) * sizeof *d->of);
    return d->of ? PS_OK : ps_fail(PS_NO_MEMORY, "numbers of %zu tensors", file->n_tensors);
}

static ps_status take_data(void *user, size_t tensor, uint64_t offset, ps_slice bytes)
{
    const describing *d = user;
    ps_status st = offset ? PS_OK : ps_form_stream_begin(d->numbers, &d->tensors[tensor]);
    return st ? st : ps_form_stream_feed(d->numbers, bytes);
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

static void put_bits(ps_json_writer *w, uint64_t bytes, uint64_t elements)
{
    ps_json_put_double(w, "bits", 8 * (double)bytes / (double)elements);
}

static void put_tensor(ps_json_writer *w, const ps_safetensors_tensor *stored,
                       const ps_model_form *tensor, const moments *m)
{
    char form[PS_FORM_TEXT] = "float32";
    if (tensor->form.row)
        (void)ps_form_text(tensor->form, form);
    ps_json_object(w);
    ps_json_put_string(w, "name", tensor->name);
    ps_json_key(w, "shape");
    ps_json_array(w);
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        ps_json_uint(w, tensor->shape[i]);
    ps_json_array_end(w);
    ps_json_put_string(w, "dtype", ps_safetensors_type_of(stored));
    ps_json_put_string(w, "form", form);
    put_bits(w, stored->end - stored->begin, ps_model_form_numbers(tensor));
    put_moments(w, m);
    ps_json_object_end(w);
}

static void put_total(ps_json_writer *w, const ps_safetensors *file, const moments *total)
{
    ps_json_object(w);
    ps_json_put_uint(w, "tensors", file->n_tensors);
    put_bits(w, file->data_bytes, total->elements);
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
        put_tensor(&w, &d->file->tensors[i], &d->tensors[i], &d->of[i]);
        merge(&total, &d->of[i]);
        st = ps_spool_step(&d->out);
    }
    ps_json_array_end(&w);
    ps_json_key(&w, "total");
    put_total(&w, d->file, &total);
    ps_json_object_end(&w);
    ps_buf_putc(&d->out.pending, '\n');
    put_total(&report, d->file, &total);
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
