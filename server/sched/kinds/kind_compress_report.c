/* What a job of kind compress came to: its report, the short of it for Job.result, and whether the
 * new model may be published. */
#include "common/base/mem.h"
#include "common/compress/calibration.h"
#include "common/json/json.h"
#include "server/sched/core.h"
#include "server/sched/kinds/compress_line.h"
#include "server/sched/kinds/kind_compress.h"
#include "server/sched/stage.h"

#include <math.h>
#include <string.h>

static const ps_compress_test *test_of(const ps_compress *w, ps_compress_which which)
{
    return w->tests[which].done ? &w->tests[which] : NULL;
}

/* Of the parent, and of the new model; false: it was not measured. */
static bool accuracies(const ps_compress *w, double out[2])
{
    bool both = true;
    for (size_t i = 0; i < 2; i++) {
        const ps_metric_list *m = &w->tests[i].found.metrics;
        bool found = false;
        for (size_t k = 0; k < m->count; k++)
            if (strcmp(m->at[k].name, "accuracy") == 0) {
                out[i] = m->at[k].value;
                found = true;
            }
        both &= found && w->tests[i].done;
    }
    return both;
}

/* A row here and there may be in both by chance; NULL: no more than that. */
static char *overlap(const ps_job *job)
{
    const double chance = 0.01;
    const ps_compress *w = job->work;
    double shared, rows;
    if (job->spec->compress->allow_overlap ||
        !ps_compress_line_part_number(w->compared, "data", "shared_rows", &shared) ||
        !ps_compress_line_part_number(w->compared, "data", "calibration_rows", &rows) ||
        !(shared > chance * rows))
        return NULL;
    return ps_asprintf("%.0f of the %.0f rows of the %s are rows of data.test, too: what "
                       "is measured there says nothing of other data; take others, or say "
                       "compress.allow_overlap: true; nothing is published",
                       shared, rows, job->first ? "training" : "calibration");
}

static char *limit_missed(const ps_job *job)
{
    const ps_compress *w = job->work;
    const ps_spec_limits *limits = &job->spec->compress->limits;
    const ps_compress_test *parent = test_of(w, PS_COMPRESS_PARENT);
    const ps_compress_test *child = test_of(w, PS_COMPRESS_CHILD);
    double accuracy[2];
    if (!parent || !child)
        return NULL;
    double more = child->found.loss - parent->found.loss;
    if (limits->loss >= 0 && !(more <= limits->loss)) /* no number is no reason to publish */
        return ps_asprintf("the loss on data.test is %.6g, of model %s %.6g: %+.6g, and "
                           "compress.limits.loss allows %g; nothing is published",
                           child->found.loss, ps_stage_first(job)->spec->model_name,
                           parent->found.loss, more, limits->loss);
    if (limits->accuracy < 0)
        return NULL;
    if (!accuracies(w, accuracy))
        return ps_strdup("the model says no accuracy, which compress.limits.accuracy is about; "
                         "nothing is published");
    if (!(accuracy[0] - accuracy[1] <= limits->accuracy))
        return ps_asprintf("the accuracy on data.test is %.6g, of model %s %.6g: %+.6g, and "
                           "compress.limits.accuracy allows -%g; nothing is published",
                           accuracy[1], ps_stage_first(job)->spec->model_name, accuracy[0],
                           accuracy[1] - accuracy[0], limits->accuracy);
    return NULL;
}

char *ps_compress_refusal(const ps_job *job)
{
    ps_core_require_locked(job->sched);
    char *why = overlap(job);
    return why ? why : limit_missed(job);
}

/* ---- JSON ---- */

static void put_test(ps_json_writer *w, const ps_compress_test *test)
{
    ps_json_put_uint(w, "samples", test->found.samples);
    ps_json_put_double(w, "loss", test->found.loss);
    for (size_t i = 0; i < test->found.metrics.count; i++)
        ps_json_put_double(w, test->found.metrics.at[i].name, test->found.metrics.at[i].value);
}

static void put_model(ps_json_writer *json, const char *key, const char *name, const char *version,
                      const char *sha256, const ps_compress_test *test)
{
    ps_json_key(json, key);
    ps_json_object(json);
    ps_json_put_string(json, "name", name);
    ps_json_put_string(json, "version", version);
    if (*sha256)
        ps_json_put_string(json, "sha256", sha256);
    if (test) {
        ps_json_key(json, "test");
        ps_json_object(json);
        put_test(json, test);
        ps_json_object_end(json);
    }
    ps_json_object_end(json);
}

static double bits_of(uint64_t bytes, uint64_t numbers)
{
    return numbers ? 8 * (double)bytes / (double)numbers : 0;
}

/* What it could have been, and what each would have cost. */
static void put_choices(ps_json_writer *json, const ps_plan_tensor *t, const ps_compress_item *item)
{
    char text[PS_FORM_TEXT];
    uint64_t rows = ps_model_form_rows(&t->stored), columns = ps_model_form_columns(&t->stored);
    ps_json_key(json, "choices");
    ps_json_array(json);
    for (size_t i = 0; i < t->n_choices; i++) {
        ps_json_object(json);
        ps_json_put_string(json, "form", ps_form_text(t->choices[i], text));
        ps_json_put_uint(json, "bytes", rows * ps_form_row_bytes(t->choices[i], columns));
        ps_json_put_double(json, "loss", item->measured[i]);
        ps_json_object_end(json);
    }
    ps_json_array_end(json);
}

static void put_tensor(ps_json_writer *json, const ps_plan_tensor *t, const ps_compress_item *item)
{
    char text[PS_FORM_TEXT];
    ps_json_object(json);
    ps_json_put_string(json, "name", t->stored.name);
    ps_json_key(json, "shape");
    ps_json_array(json);
    for (uint32_t i = 0; i < t->stored.n_dims; i++)
        ps_json_uint(json, t->stored.shape[i]);
    ps_json_array_end(json);
    ps_json_put_string(json, "form",
                       t->stored.form.row ? ps_form_text(t->stored.form, text) : "float32");
    ps_json_put_uint(json, "bytes", t->bytes);
    ps_json_put_double(json, "bits", bits_of(t->bytes, ps_model_form_numbers(&t->stored)));
    if (t->method)
        ps_json_put_string(json, "method", t->method->name);
    if (*t->why)
        ps_json_put_string(json, "why", t->why);
    if (item->measured && t->n_choices)
        put_choices(json, t, item);
    if (item->line) { /* a worker's own, and as deep as it likes */
        ps_json_key(json, "solved");
        ps_json_embed(json, item->line);
    }
    ps_json_object_end(json);
}

/* What the loss is predicted to rise by: of all tensors that say so. false: none does. */
static bool predicted(const ps_compress *w, double *out)
{
    bool any = false;
    *out = 0;
    for (size_t i = 0; i < w->plan->n_tensors; i++) {
        double one;
        if (!ps_compress_line_number(w->items[i].line, "predicted", &one))
            continue;
        *out += one;
        any = true;
    }
    return any;
}

/* Beside what it does rise by. The prediction is of second order: of a change that is no small part
 * of the loss it says little, and wherever it is far off the report says so; it is not, where the
 * test's rows could not tell the two apart. */
static void put_prediction(ps_json_writer *json, const ps_job *job)
{
    const ps_compress *w = job->work;
    const double small = 0.05, near = 0.3, errors = 2;
    const ps_compress_test *parent = test_of(w, PS_COMPRESS_PARENT);
    const ps_compress_test *child = test_of(w, PS_COMPRESS_CHILD);
    double sum, error = 0; /* of the differences of rows, by who compared the models */
    if (!predicted(w, &sum))
        return;
    ps_json_put_double(json, "predicted", sum);
    if (!parent || !child || job->past) /* of what is measured it is only the last stage's part */
        return;
    double measured = child->found.loss - parent->found.loss;
    ps_json_put_double(json, "measured", measured);
    if (ps_compress_line_number(w->compared, "loss_difference_error", &error))
        ps_json_put_double(json, "measured_error", error);
    else
        error = 0;
    ps_json_put_string(json, "range", sum <= small * parent->found.loss ? "quadratic" : "beyond");
    ps_json_put_bool(json, "agrees",
                     fabs(sum - measured) <= fmax(near * fabs(measured), errors * error));
}

/* Units, in all layers. */
static void put_removed(ps_json_writer *json, const ps_plan *plan, const ps_spec_prune *prune)
{
    uint64_t units = 0, left = 0;
    for (size_t i = 0; i < plan->n_units; i++) {
        units += plan->units[i].units;
        left += plan->units[i].left;
    }
    ps_json_key(json, "prune");
    ps_json_object(json);
    ps_json_put_string(json, "what", ps_prune_what_words[prune->what]);
    ps_json_put_string(json, "by", ps_prune_by_words[prune->by]);
    ps_json_put_bool(json, "repair", prune->repair == PS_PRUNE_REPAIR_SQUARES);
    ps_json_put_double(json, "ratio", prune->ratio);
    if (plan->n_units) {
        ps_json_put_uint(json, "units", units);
        ps_json_put_uint(json, "units_left", left);
    }
    ps_json_object_end(json);
}

static void put_totals(ps_json_writer *json, const ps_job *job)
{
    const ps_compress *w = job->work;
    const ps_plan *plan = w->plan;
    const ps_job_file *first = ps_stage_first(job);
    ps_json_key(json, "total");
    ps_json_object(json);
    ps_json_put_uint(json, "parameters", plan->parameters);
    ps_json_put_uint(json, "parent_parameters", first->plan->parent_parameters);
    ps_json_put_uint(json, "parent_bytes", first->plan->parent_data);
    ps_json_put_uint(json, "bytes", plan->data);
    ps_json_put_double(json, "bits", bits_of(plan->data, plan->parameters));
    ps_json_put_uint(json, "file_bytes", w->draft_bytes);
    if (plan->target.asked && !plan->target.by_loss)
        ps_json_put_uint(json, "target_bytes", plan->target.bytes);
    put_prediction(json, job);
    if (first->spec->compress->prune)
        put_removed(json, first->plan, first->spec->compress->prune);
    ps_json_put_uint(json, "calibration_rows", plan->calibration_rows);
    ps_json_put_uint(json, "held_out_rows", plan->held_out_rows);
    if (plan->from)
        ps_json_put_uint(json, "calibration_job", plan->from);
    if (plan->importance)
        ps_json_put_string(json, "importance", job->spec->compress->importance);
    ps_json_put_double(json, "seconds", ps_compress_seconds(job));
    ps_json_object_end(json);
}

static void put_tensors(ps_json_writer *json, const ps_compress *w)
{
    ps_json_key(json, "tensors");
    ps_json_array(json);
    for (size_t i = 0; i < w->plan->n_tensors; i++)
        put_tensor(json, &w->plan->tensors[i], &w->items[i]);
    ps_json_array_end(json);
}

void ps_compress_told(const ps_job *job, ps_buf *out)
{
    ps_core_require_locked(job->sched);
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_object(&json);
    put_totals(&json, job);
    put_tensors(&json, job->work);
    ps_json_object_end(&json);
}

/* What the stages before this one came to. */
static void put_past(ps_json_writer *json, const ps_stage_past *past)
{
    static const char *const keys[] = {
        [PS_STAGE_PRUNE] = "pruned", [PS_STAGE_DISTIL] = "distilled"};
    for (size_t i = 0; past && i < sizeof keys / sizeof *keys; i++) {
        if (!past->told[i])
            continue;
        ps_json_key(json, keys[i]);
        ps_json_embed(json, past->told[i]);
    }
}

/* overlap() had nothing to go by: nobody has compared the models, or who did could not say. */
static void put_unchecked(ps_json_writer *json, const ps_job *job)
{
    const ps_compress *w = job->work;
    double shared;
    bool learnt = job->first || w->plan->calibration_rows > 0 || ps_plan_is_given(w->plan);
    if (learnt && job->spec->data.test &&
        !ps_compress_line_part_number(w->compared, "data", "shared_rows", &shared))
        ps_json_put_string(json, "overlap", "not checked");
}

void ps_compress_report(const ps_job *job, ps_buf *out)
{
    ps_core_require_locked(job->sched);
    const ps_compress *w = job->work;
    const ps_job_file *first = ps_stage_first(job);
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_object(&json);
    put_model(&json, "parent", first->spec->model_name, first->version,
              job->past ? job->past->sha256 : w->parent_sha256, test_of(w, PS_COMPRESS_PARENT));
    put_model(&json, "model", job->spec->name, job->draft, w->sha256,
              test_of(w, PS_COMPRESS_CHILD));
    ps_json_put_bool(&json, "published", !w->refused);
    if (w->refused)
        ps_json_put_string(&json, "refused", w->refused);
    put_totals(&json, job);
    if (w->compared) { /* a worker's own */
        ps_json_key(&json, "compared");
        ps_json_embed(&json, w->compared);
    }
    put_unchecked(&json, job);
    put_past(&json, job->past);
    put_tensors(&json, w);
    ps_json_object_end(&json);
    ps_buf_putc(out, '\n');
}

void ps_compress_keep(const ps_job *job)
{
    ps_core_require_locked(job->sched);
    ps_compress *w = job->work;
    char data[PS_CALIBRATION_DIGEST] = "";
    ps_buf json = PS_BUF_EMPTY;
    if (!job->spec->compress->calibrate.keep || w->kept)
        return;
    (void)ps_compress_line_part_text(w->compared, "data", "calibration_sha256", data, sizeof data);
    const ps_calibration_about about = {.model = job->spec->model_name,
                                        .config = job->file->config,
                                        .parent_sha256 = w->parent_sha256,
                                        .data_sha256 = data};
    ps_calibration_describe(w->plan, &about, &json);
    w->kept = ps_strdup(ps_buf_cstr(&json));
    ps_buf_free(&json);
}

void ps_compress_outcome(const ps_job *job, ps_buf *out)
{
    ps_core_require_locked(job->sched);
    const ps_compress *w = job->work;
    const ps_compress_test *parent = test_of(w, PS_COMPRESS_PARENT);
    const ps_compress_test *child = test_of(w, PS_COMPRESS_CHILD);
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_object(&json);
    if (child)
        ps_json_put_double(&json, "test_loss", child->found.loss);
    if (parent)
        ps_json_put_double(&json, "parent_test_loss", parent->found.loss);
    ps_json_put_uint(&json, "tensors", w->n_solve);
    ps_json_put_uint(&json, "bytes", w->plan->data);
    ps_json_put_uint(&json, "parent_bytes", ps_stage_first(job)->plan->parent_data);
    ps_json_put_double(&json, "bits", bits_of(w->plan->data, w->plan->parameters));
    ps_json_put_string(&json, "artifact", "report.json");
    ps_json_put_double(&json, "seconds", ps_compress_seconds(job));
    ps_json_object_end(&json);
}
