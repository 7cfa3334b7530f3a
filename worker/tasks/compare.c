/* compare: two stored models on the same rows: the loss of each, how far the other's answers are
 * from the first's (Σ p·log(p/q), mean over what has a label: the divergence), and how often both
 * have the same largest output. Differences come with the standard error of their mean over
 * batches; as both see the same batches, what these share is in neither.
 *
 * Both are on the device together. Each is timed with its largest outputs alone, without the loss;
 * the first has a second pass for the divergence, which is not. Of language models there is how
 * fast they generate, too, where there is room for both once more.
 *
 * Of a job of kind compress the other one is the job's own, which is not published yet. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "worker/job/job_model.h"
#include "worker/job/stored_model.h"
#include "worker/tasks/compress_job.h"
#include "worker/tasks/data_mark.h"
#include "worker/tasks/decoding.h"
#include "worker/tasks/pass.h"
#include "worker/tasks/task_kind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 64 };

/* One of the two. */
typedef struct side {
    const char *name;
    double loss, correct; /* times the weights; summed over labels */
    double seconds;
    double decoding; /* seconds of a generated token; NaN: not known */
    int32_t *top;    /* of a batch: [rows], or [rows, length] */
} side;

/* A mean over batches, each with its number of rows as its weight. */
typedef struct spread {
    size_t n;
    double weight, sum;           /* Σw, Σwx */
    double weight2, sum2, square; /* Σw², Σw²x, Σw²x² */
} spread;

typedef struct comparing {
    ps_spec_model *other_spec;
    ps_form *forms;
    ps_model *other;
    side sides[2]; /* model_name's, and compare.model's */
    spread loss, divergence;
    double weight;                        /* of all batches, in rows (pass.h) */
    uint64_t rows, answers, labels, same; /* answers: outputs that were compared */
    bool answering;                       /* there is a largest output to compare */
    ps_data_mark test, calibration;       /* of a job that compresses: of the rows of both */
    char test_digest[PS_DIGEST_TEXT], calibration_digest[PS_DIGEST_TEXT]; /* "": none */
    uint64_t shared;        /* rows of the calibration that are rows of the test */
    int32_t tokens[TOKENS]; /* the first of the data, */
    size_t n_tokens;        /* to generate from */
} comparing;

static void spread_add(spread *s, double weight, double x)
{
    s->n++;
    s->weight += weight;
    s->sum += weight * x;
    s->weight2 += weight * weight;
    s->sum2 += weight * weight * x;
    s->square += weight * weight * x * x;
}

static double spread_mean(const spread *s)
{
    return s->weight > 0 ? s->sum / s->weight : NAN;
}

/* NaN: of fewer than two batches nothing is known. */
static double spread_error(const spread *s)
{
    double mean = spread_mean(s), n = (double)s->n;
    double sum = s->square - 2 * mean * s->sum2 + mean * mean * s->weight2;
    return s->n > 1 ? sqrt(fmax(sum, 0) * n / (n - 1)) / s->weight : NAN;
}

/* ---- the other model ---- */

static ps_status load(comparing *c, const ps_pass *pass)
{
    ps_task_run *run = pass->run;
    const ps_job_spec *spec = ps_job_entry_spec(pass->entry);
    const ps_spec_model *first = ps_job_entry_model_spec(pass->entry);
    const ps_stored_model which = {.name = c->sides[1].name,
                                   .version = run->task->teacher_version,
                                   .job_id = run->task->job_id};
    ps_model_config config = ps_job_model_config(c->other_spec);
    ps_status st = ps_stored_model_check(run->remote, &which, &config, &c->forms);
    const ps_model_options options = {.max_batch = (int64_t)ps_job_entry_batch(pass->entry),
                                      .max_length = spec->data.sequence_length
                                                        ? spec->data.sequence_length
                                                        : first->context_length,
                                      .inference = true,
                                      .exact = true,
                                      .forms = c->forms};
    const ps_job_model_need need = {.name = which.name, .config = &config, .options = &options};
    if (!st)
        st = ps_job_model_room(&need, run->env->backend);
    if (!st)
        st = ps_model_create(run->env->backend, &config, &options, &c->other);
    return st ? st : ps_stored_model_load(run->remote, &which, c->forms, c->other);
}

/* ---- a batch ---- */

static double now(const ps_pass *pass)
{
    return (double)ps_clock_ns(pass->run->env->clock) / 1e9;
}

static ps_status answer(const ps_pass *pass, ps_model *m, side *s, const ps_model_batch *batch)
{
    double began = now(pass);
    ps_status st = ps_model_forward(m, batch, NULL);
    if (!st)
        st = ps_model_top(m, s->top);
    s->seconds += now(pass) - began;
    return st;
}

static ps_status lose(side *s, ps_model *m, const ps_model_batch *batch, ps_model_result *out)
{
    ps_status st = ps_model_loss(m, batch);
    if (!st)
        st = ps_model_result_get(m, out);
    if (st)
        return st;
    if (!isfinite(out->loss))
        return ps_fail(PS_OUT_OF_RANGE,
                       "model %s: the loss is %s; has it NaN or infinity in it, or values that are "
                       "too large?",
                       s->name, isnan(out->loss) ? "NaN" : "infinite");
    s->correct += out->correct > 0 ? (double)out->correct : 0;
    return PS_OK;
}

static void count_same(comparing *c, const ps_model_batch *batch)
{
    int64_t n = batch->rows * (batch->tokens ? batch->length : 1);
    for (int64_t i = 0; c->answering && i < n; i++) {
        bool counts = !batch->labels || batch->labels[i] >= 0;
        c->answers += counts;
        c->same += counts && c->sides[0].top[i] == c->sides[1].top[i];
    }
}

static void keep_tokens(comparing *c, const ps_model_batch *batch)
{
    if (c->n_tokens || !batch->tokens)
        return;
    c->n_tokens = batch->length < TOKENS ? (size_t)batch->length : TOKENS;
    memcpy(c->tokens, batch->tokens, c->n_tokens * sizeof *c->tokens);
}

static ps_status compare_batch(void *user, const ps_pass *pass, const ps_batch *rows)
{
    comparing *c = user;
    ps_model_batch batch = ps_pass_model_batch(rows);
    const ps_model_teaching teaching = {
        .teacher = pass->model, .kind = PS_DIVERGENCE_KL, .temperature = 1, .alpha = 0.5};
    ps_model_result first, other;
    ps_status st = answer(pass, pass->model, &c->sides[0], &batch);
    if (!st)
        st = answer(pass, c->other, &c->sides[1], &batch);
    if (st)
        return st;
    count_same(c, &batch);
    if (c->test.all)
        ps_data_mark_add(&c->test, rows);
    keep_tokens(c, &batch);
    batch.teaching = c->answering ? &teaching : NULL; /* its loss gives the first a pass */
    st = lose(&c->sides[1], c->other, &batch, &other);
    batch.teaching = NULL;
    if (!st)
        st = lose(&c->sides[0], pass->model, &batch, &first);
    if (st)
        return st;
    double weight = ps_pass_weight(rows, &first);
    c->rows += (uint64_t)rows->rows;
    c->weight += weight;
    c->sides[0].loss += first.loss * weight;
    c->sides[1].loss += other.loss * weight;
    c->labels += (uint64_t)first.labels;
    spread_add(&c->loss, weight, other.loss - first.loss);
    if (c->answering)
        spread_add(&c->divergence, weight, other.divergence);
    return PS_OK;
}

/* ---- which data they are ---- */

/* The first n rows. */
static ps_status mark_rows(comparing *c, const ps_pass *pass, const ps_dataset *data, uint64_t n)
{
    ps_prefetch *prefetch;
    const ps_prefetch_options options = {.dataset = data,
                                         .end = n,
                                         .batch_size = ps_job_entry_batch(pass->entry),
                                         .max_bytes = pass->run->env->conf->memory_bytes};
    const ps_batch *batch;
    ps_status st = ps_prefetch_start(&options, &prefetch);
    if (st)
        return st;
    while (!(st = ps_prefetch_next(prefetch, &batch))) {
        st = ps_gate_check(pass->run->remote->gate);
        if (!st)
            ps_data_mark_add(&c->calibration, batch);
        ps_prefetch_give_back(prefetch, batch);
        if (st)
            break;
    }
    ps_prefetch_free(&prefetch);
    return st == PS_END ? PS_OK : st;
}

/* All rows that are calibrated on, or held out of that. */
static ps_status planned_rows(const ps_pass *pass, const ps_dataset *data, uint64_t *n)
{
    ps_compress_job job;
    uint64_t rows = 0, held_out = 0;
    ps_status st = ps_compress_open(pass->run, &job);
    if (st)
        return st;
    st = ps_plan_rows(job.plan, ps_dataset_rows(data), &rows, &held_out);
    *n = rows + held_out;
    return st;
}

/* A job that distils has been trained on all rows; the plan of its last stage knows of none. */
static ps_status mark_calibration(comparing *c, const ps_pass *pass)
{
    ps_dataset *data;
    uint64_t n = 0;
    ps_status st = ps_job_entry_data(pass->entry, pass->run, PS_JOB_TRAIN_DATA, &data);
    if (st)
        return st;
    if (ps_job_entry_spec(pass->entry)->compress->distilled)
        n = ps_dataset_rows(data);
    else
        st = planned_rows(pass, data, &n);
    if (st)
        return st;
    ps_data_mark_begin(&c->calibration, data);
    return mark_rows(c, pass, data, n);
}

/* Of a job that compresses: what it was calibrated on, and measured on, and whether these are two
 * things. What was compared is there without it: where it is not known, psd says so. */
static ps_status mark_data(comparing *c, const ps_pass *pass)
{
    if (!c->test.all)
        return PS_OK;
    ps_data_mark_end(&c->test, c->test_digest);
    if (!ps_job_entry_spec(pass->entry)->data.train)
        return PS_OK;
    ps_status st = mark_calibration(c, pass);
    if (st && st == ps_gate_check(pass->run->remote->gate))
        return st; /* the task is over */
    if (st) {
        ps_task_log(pass->run, PS_LOG_WARNING,
                    "whether rows of data.train are rows of data.test is not known: %s",
                    ps_error_message());
        return PS_OK;
    }
    ps_data_mark_end(&c->calibration, c->calibration_digest);
    c->shared = ps_data_mark_shared(&c->calibration, &c->test);
    return PS_OK;
}

/* ---- generating ---- */

/* What was compared is there without it: it is left out where there is no room for it. */
static ps_status time_decoding(comparing *c, const ps_pass *pass)
{
    ps_task_run *run = pass->run;
    ps_decoding d[2] = {{.which = ps_job_entry_stored_model(pass->entry),
                         .spec = ps_job_entry_model_spec(pass->entry)},
                        {.which = {.name = c->sides[1].name,
                                   .version = run->task->teacher_version,
                                   .job_id = run->task->job_id},
                         .spec = c->other_spec}};
    ps_model_free(&c->other);
    ps_status st = ps_decoding_measure(run, d, c->tokens, c->n_tokens);
    for (size_t i = 0; !st && i < 2; i++)
        c->sides[i].decoding = d[i].seconds;
    if (st != PS_NO_MEMORY)
        return st;
    ps_task_log(run, PS_LOG_NOTICE, "how fast they generate is not measured: %s",
                ps_error_message());
    return PS_OK;
}

/* ---- what it came to ---- */

static void put_side(ps_json_writer *w, const comparing *c, size_t which)
{
    const side *s = &c->sides[which];
    bool language = ps_spec_model_is_language(c->other_spec);
    double loss = s->loss / c->weight;
    ps_json_key(w, which ? "other" : "model");
    ps_json_object(w);
    ps_json_put_string(w, "name", s->name);
    ps_json_put_double(w, "loss", loss);
    if (language)
        ps_json_put_double(w, "perplexity", exp(loss));
    if (c->answering && c->labels)
        ps_json_put_double(w, "accuracy", s->correct / (double)c->labels);
    if (s->seconds > 0)
        ps_json_put_double(w, language ? "tokens_a_second" : "rows_a_second",
                           (double)(language ? c->answers : c->rows) / s->seconds);
    if (s->decoding > 0)
        ps_json_put_double(w, "generated_a_second", 1 / s->decoding);
    ps_json_object_end(w);
}

static void put_data(ps_json_writer *w, const comparing *c)
{
    if (!*c->test_digest)
        return;
    ps_json_key(w, "data");
    ps_json_object(w);
    ps_json_put_string(w, "test_sha256", c->test_digest);
    if (*c->calibration_digest) {
        ps_json_put_string(w, "calibration_sha256", c->calibration_digest);
        ps_json_put_uint(w, "calibration_rows", c->calibration.n);
        ps_json_put_uint(w, "shared_rows", c->shared);
    }
    ps_json_object_end(w);
}

/* Without its error where there is none. */
static void put_spread(ps_json_writer *w, const spread *s, const char *name, const char *error)
{
    ps_json_put_double(w, name, spread_mean(s));
    if (s->n > 1)
        ps_json_put_double(w, error, spread_error(s));
}

static void tell(const comparing *c, Psd__V1__TaskResult *result)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_object(&w);
    ps_json_put_uint(&w, "samples", c->rows);
    put_side(&w, c, 0);
    put_side(&w, c, 1);
    put_spread(&w, &c->loss, "loss_difference", "loss_difference_error");
    if (c->answering) {
        put_spread(&w, &c->divergence, "divergence", "divergence_error");
        ps_json_put_double(&w, "same_top", c->answers ? (double)c->same / (double)c->answers : NAN);
    }
    put_data(&w, c);
    ps_json_object_end(&w);
    ps_result_report(result, ps_buf_cstr(&json));
    ps_buf_free(&json);
}

static ps_status prepare(comparing *c, const ps_pass *pass)
{
    const ps_job_spec *spec = ps_job_entry_spec(pass->entry);
    const ps_spec_model *first = ps_job_entry_model_spec(pass->entry);
    bool language = ps_spec_model_is_language(first);
    int64_t length = !language                    ? 1
                     : spec->data.sequence_length ? spec->data.sequence_length
                                                  : first->context_length;
    ps_status st =
        ps_spec_model_parse(ps_slice_str(pass->run->task->teacher_config), "model", &c->other_spec);
    if (!st)
        st = ps_spec_compare_match(spec, first, c->other_spec);
    const char *its = pass->run->task->model_name; /* where the job works on another by now */
    c->sides[0].name = *its ? its : spec->model_name;
    c->sides[1].name = spec->compare ? spec->compare->model : spec->name; /* or the job's own */
    c->answering = first->loss == PS_SPEC_CROSS_ENTROPY;
    for (size_t i = 0; !st && i < 2; i++) {
        c->sides[i].top =
            ps_try_alloc(ps_job_entry_batch(pass->entry) * (size_t)length * sizeof(int32_t));
        if (!c->sides[i].top)
            st = ps_fail(PS_NO_MEMORY, "answers of a batch");
    }
    return st ? st : load(c, pass);
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_pass pass;
    ps_status st = ps_pass_open(run, &pass);
    if (st)
        return st;
    comparing c = {0};
    st = prepare(&c, &pass);
    if (!st && ps_job_entry_spec(pass.entry)->compress)
        ps_data_mark_begin(&c.test, pass.data);
    if (!st)
        st = ps_pass_run(&pass, compare_batch, &c);
    if (!st && c.rows == 0)
        st = ps_fail(PS_INVALID_ARGUMENT, "there are no rows to compare on");
    if (!st)
        st = mark_data(&c, &pass);
    if (!st && ps_spec_model_is_language(c.other_spec))
        st = time_decoding(&c, &pass);
    if (!st)
        tell(&c, result);
    ps_model_free(&c.other);
    ps_free(&c.forms);
    ps_data_mark_free(&c.test);
    ps_data_mark_free(&c.calibration);
    if (c.other_spec)
        ps_spec_model_free(&c.other_spec);
    for (size_t i = 0; i < 2; i++)
        ps_free(&c.sides[i].top);
    return st;
}

const ps_worker_kind ps_worker_kind_compare = {.name = "compare", .run = run_task};
