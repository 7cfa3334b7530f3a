#include "worker/tasks/manifest_of.h"

#include "common/base/mem.h"
#include "common/conf/others.h"
#include "common/json/json.h"
#include "common/security/digest.h"
#include "worker/tasks/explaining.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

/* "attributions/0": the entry's section, and which of it. */
static char *name_of(const ps_spec_explain *spec, size_t i)
{
    const ps_explain_row *row = ps_spec_explain_row(spec, i);
    size_t before = 0;
    for (size_t k = 0; k < i; k++)
        before += ps_spec_explain_row(spec, k)->section == row->section;
    return ps_asprintf("%s/%zu", ps_explain_section_names[row->section], before);
}

/* ---- figures ---- */

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of those that are finite; NaN: there are none. */
static void median_and_max(const ps_explain_array *a, double *median, double *most)
{
    uint64_t n = ps_explain_array_count(a);
    size_t finite = 0;
    float *sorted = ps_try_alloc_raw((n ? n : 1) * sizeof *sorted);
    *median = *most = NAN;
    for (uint64_t i = 0; sorted && i < n; i++)
        if (isfinite(a->floats[i]))
            sorted[finite++] = a->floats[i];
    if (finite) {
        qsort(sorted, finite, sizeof *sorted, by_size);
        *median = (double)sorted[finite / 2];
        *most = (double)sorted[finite - 1];
    }
    ps_free(&sorted);
}

static uint64_t count_above(const ps_explain_array *a, double tolerance)
{
    uint64_t n = 0;
    for (uint64_t i = 0; tolerance > 0 && i < ps_explain_array_count(a); i++)
        n += !((double)a->floats[i] <= tolerance);
    return n;
}

static double mean_of(const ps_explain_array *a)
{
    double sum = 0;
    uint64_t n = 0;
    for (uint64_t i = 0; i < ps_explain_array_count(a); i++)
        if (isfinite(a->floats[i])) {
            sum += (double)a->floats[i];
            n++;
        }
    return n ? sum / (double)n : NAN;
}

/* ---- results ---- */

static void put_entries(const ps_explain_method *method, ps_explanation_array *out)
{
    const ps_explain_entries *e = method->entries;
    while (e && e->array && strcmp(e->array, out->name) != 0)
        e++;
    if (!e || !e->array)
        return;
    while (e->names[out->n_entries])
        out->n_entries++;
    out->entries = ps_alloc_array(out->n_entries, sizeof *out->entries);
    for (size_t i = 0; i < out->n_entries; i++)
        out->entries[i] = ps_strdup(e->names[i]);
}

static void put_arrays(const ps_explain_part *part, const char *name, ps_explanation_result *out)
{
    out->arrays = ps_alloc_array(part->n ? part->n : 1, sizeof *out->arrays);
    for (size_t i = 0; i < part->n; i++) {
        const ps_explain_array *a = &part->arrays[i];
        out->arrays[out->n_arrays++] =
            (ps_explanation_array){.name = ps_strdup(a->name),
                                   .array = ps_asprintf("%s/%s", name, a->name),
                                   .axes = ps_strdup(a->axes)};
        put_entries(ps_explain_method_find(out->method), &out->arrays[i]);
    }
}

static void put_figures(const ps_explain_part *part, ps_explanation_result *out)
{
    const ps_explain_array *residual = ps_explain_get(part, "residual"),
                           *error = ps_explain_get(part, "standard_error"),
                           *steps = ps_explain_get(part, "steps");
    out->standard_error = error && error->floats ? mean_of(error) : NAN;
    out->steps_median = out->steps_max = NAN;
    if (steps && steps->floats)
        median_and_max(steps, &out->steps_median, &out->steps_max);
    if (!residual || !residual->floats)
        return;
    out->has_residual = true;
    out->tolerance = part->tolerance;
    out->unmet = count_above(residual, part->tolerance);
    median_and_max(residual, &out->relative_median, &out->relative_max);
}

static void make_result(const ps_explanation_of *of, size_t i, ps_explanation_result *out)
{
    const ps_spec_explain *spec = of->job->explain;
    const ps_explain_part *part = &of->parts->methods[i];
    ps_buf arguments = PS_BUF_EMPTY;
    char *name = name_of(spec, i);
    ps_spec_explain_arguments(ps_spec_explain_at(spec, i), &arguments);
    *out = (ps_explanation_result){
        .kind = ps_strdup(ps_explain_section_names[ps_spec_explain_row(spec, i)->section]),
        .method = ps_strdup(ps_spec_explain_at(spec, i)->method),
        .arguments = ps_strdup(ps_buf_cstr(&arguments)),
        .evaluations = part->evaluations,
        .seconds = part->seconds};
    put_arrays(part, name, out);
    put_figures(part, out);
    ps_buf_free(&arguments);
    ps_free(&name);
}

/* ---- warnings ---- */

static void warn(ps_explanation *m, const char *format, ...) PS_PRINTF(2, 3);
static void warn(ps_explanation *m, const char *format, ...)
{
    char line[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    m->warnings[m->n_warnings++] = ps_strdup(line);
}

static void warn_of_rows(ps_explanation *m)
{
    ps_buf rows = PS_BUF_EMPTY;
    if (!m->left_out)
        return;
    for (size_t i = 0; i < m->n_left_out_rows && i < 8; i++)
        ps_buf_printf(&rows, "%s%" PRIu64, i ? ", " : "", m->left_out_rows[i]);
    warn(m, "%" PRIu64 " %s left out, whose score is not finite: row %s%s", m->left_out,
         m->left_out == 1 ? "row is" : "rows are", ps_buf_cstr(&rows),
         m->left_out > 8 ? ", …" : "");
    ps_buf_free(&rows);
}

static void warn_of_result(ps_explanation *m, const ps_explanation_result *r,
                           const ps_explain_part *part)
{
    if (r->has_residual && r->unmet)
        warn(m,
             "%s: %" PRIu64
             " of %zu rows are not within the tolerance of %g (largest residual %.3g); "
             "raise steps_max, or choose another baseline",
             r->method, r->unmet, m->n_rows, r->tolerance, r->relative_max);
    for (size_t i = 0; i < part->n_warnings; i++)
        warn(m, "%s: %s", r->method, part->warnings[i]);
}

/* One path, other bytes. */
static void warn_of_files(const ps_explanation_of *of, ps_explanation *m)
{
    const ps_explain_sources *s = &of->parts->sources;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < i; k++)
            if (s->all[i].kind == PS_EXPLAIN_SOURCE_DATA &&
                s->all[k].kind == PS_EXPLAIN_SOURCE_DATA &&
                !strcmp(s->all[i].name, s->all[k].name)) {
                warn(m, "%s is not the same file on all workers, or was changed meanwhile",
                     s->all[i].name);
                return;
            }
}

static void warn_all(const ps_explanation_of *of, ps_explanation *m)
{
    size_t most = 2;
    for (size_t i = 0; i < m->n_results; i++)
        most += 1 + of->parts->methods[i].n_warnings;
    m->warnings = ps_alloc_array(most, sizeof *m->warnings);
    warn_of_rows(m);
    warn_of_files(of, m);
    for (size_t i = 0; i < m->n_results; i++)
        warn_of_result(m, &m->results[i], &of->parts->methods[i]);
}

/* ---- the whole ---- */

static char *target_text(const ps_spec_explain_target *t)
{
    if (t->kind == PS_EXPLAIN_CLASS)
        return ps_asprintf("class %" PRId64, t->number);
    if (t->kind == PS_EXPLAIN_DIFFERENCE)
        return ps_asprintf("difference %" PRId64 " %" PRId64, t->difference[0], t->difference[1]);
    return ps_strdup(ps_explain_target_name(t->kind));
}

static char *baseline_text(const ps_spec_explain_baseline *b, bool language)
{
    if (language && ps_explain_baseline_settled(b, language) == PS_EXPLAIN_MEAN)
        return ps_strdup("mean embedding");
    if (b->kind == PS_EXPLAIN_VALUE)
        return ps_asprintf("value %g", b->value);
    if (b->kind == PS_EXPLAIN_TOKEN || b->kind == PS_EXPLAIN_ROW)
        return ps_asprintf("%s %" PRId64, ps_explain_baseline_name(b->kind),
                           b->kind == PS_EXPLAIN_TOKEN ? b->token : b->row);
    return ps_strdup(ps_explain_baseline_name(ps_explain_baseline_settled(b, language)));
}

static void put_rows(const ps_explain_parts *parts, ps_explanation *out)
{
    out->n_rows = parts->n_info;
    out->rows = ps_alloc_array(parts->n_info ? parts->n_info : 1, sizeof *out->rows);
    for (size_t i = 0; i < parts->n_info; i++) {
        const ps_explain_row_info *r = &parts->info[i];
        out->rows[i] = (ps_explanation_row){.row = r->row,
                                            .label = r->label,
                                            .prediction = r->prediction,
                                            .target = r->target,
                                            .confidence = r->confidence,
                                            .score = r->score};
    }
    out->left_out = parts->n_left_out;
    out->n_left_out_rows =
        parts->n_left_out < PS_EXPLAIN_LEFT_OUT ? (size_t)parts->n_left_out : PS_EXPLAIN_LEFT_OUT;
    out->left_out_rows = ps_alloc_array(PS_EXPLAIN_LEFT_OUT, sizeof *out->left_out_rows);
    memcpy(out->left_out_rows, parts->left_out, out->n_left_out_rows * sizeof *out->left_out_rows);
}

static void put_tensors(const ps_model_layout *layout, ps_explanation *out)
{
    out->tensors = ps_alloc_array(layout->count, sizeof *out->tensors);
    for (; out->n_tensors < layout->count; out->n_tensors++)
        out->tensors[out->n_tensors] = ps_strdup(layout->parameters[out->n_tensors].name);
}

/* The digest of a model; "": nobody has said it. To be freed. */
static char *digest_of(const ps_explain_parts *parts, ps_explain_source_kind kind)
{
    const ps_explain_source *source = ps_explain_source_at(&parts->sources, kind, 0);
    return ps_strdup(source ? source->said : "");
}

static char *digest_of_text(const char *text)
{
    char out[PS_DIGEST_TEXT];
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, text, strlen(text));
    ps_digest_end(&digest, out);
    return ps_strdup(out);
}

static ps_explanation_source *sources_of(const ps_explain_parts *parts, ps_explain_source_kind kind,
                                         size_t *n)
{
    ps_explanation_source *out = ps_alloc_array(parts->sources.n + 1, sizeof *out);
    const ps_explain_source *source;
    for (*n = 0; (source = ps_explain_source_at(&parts->sources, kind, *n)); ++*n)
        out[*n] = (ps_explanation_source){.name = ps_strdup(source->name),
                                          .said = ps_strdup(source->said)};
    return out;
}

/* The digest is the one that all workers have found (sources.h). */
static void put_checkpoints(const ps_explanation_of *of, ps_explanation *out)
{
    ps_job_other others[PS_JOB_OTHERS_MAX];
    const ps_explain_sources *s = &of->parts->sources;
    size_t n = ps_job_spec_others(of->job, others);
    out->checkpoints = ps_alloc_array(n + 1, sizeof *out->checkpoints);
    for (size_t i = 0; i < n; i++) {
        const char *version = ps_explain_other_version(of->task, others[i].name), *said = "";
        if (!*others[i].key)
            continue;
        for (size_t k = 0; k < s->n; k++)
            if (s->all[k].kind == PS_EXPLAIN_SOURCE_CHECKPOINT &&
                !strcmp(s->all[k].name, others[i].name))
                said = s->all[k].said;
        out->checkpoints[out->n_checkpoints++] =
            (ps_explanation_source){.name = ps_strdup(others[i].name),
                                    .said = ps_strdup(said),
                                    .version = ps_strdup(version ? version : "")};
    }
}

static void put_sources(const ps_explanation_of *of, ps_explanation *out)
{
    put_checkpoints(of, out);
    out->model_sha256 = digest_of(of->parts, PS_EXPLAIN_SOURCE_MODEL);
    out->other_sha256 = digest_of(of->parts, PS_EXPLAIN_SOURCE_OTHER);
    out->spec_sha256 = digest_of_text(of->job_file);
    out->files = sources_of(of->parts, PS_EXPLAIN_SOURCE_DATA, &out->n_files);
    out->workers = sources_of(of->parts, PS_EXPLAIN_SOURCE_WORKER, &out->n_workers);
}

void ps_explanation_make(const ps_explanation_of *of, ps_explanation *out)
{
    const ps_job_spec *job = of->job;
    const ps_spec_files *test = job->data.test;
    const char *path = !test ? "" : *test->tokens ? test->tokens : test->features;
    const char *contents = of->parts->rows.n ? of->parts->rows.arrays[0].name : "";
    *out = (ps_explanation){
        .job = of->job_id,
        .model = ps_strdup(job->model_name),
        .model_version = ps_strdup(of->version),
        .architecture = ps_strdup(of->model->architecture),
        .data = ps_strdup(path),
        .psd_version = ps_strdup(of->psd_version),
        .other = ps_strdup(ps_spec_explain_second(job->explain)),
        .other_version = ps_strdup(of->other_version),
        .seed = (uint64_t)job->explain->seed,
        .score = ps_strdup(ps_explain_score_name(job->explain->score)),
        .target = target_text(&job->explain->target),
        .baseline = baseline_text(&job->explain->baseline, ps_spec_model_is_language(of->model)),
        .classes = of->model->loss == PS_SPEC_CROSS_ENTROPY,
        .language = ps_spec_model_is_language(of->model),
        .contents = *contents ? ps_asprintf("rows/%s", contents) : ps_strdup(""),
        .n_results = of->parts->n_methods};
    put_tensors(of->layout, out);
    put_rows(of->parts, out);
    put_sources(of, out);
    out->results = ps_alloc_array(out->n_results ? out->n_results : 1, sizeof *out->results);
    for (size_t i = 0; i < out->n_results; i++)
        make_result(of, i, &out->results[i]);
    warn_all(of, out);
}

/* ---- the file of arrays ---- */

typedef struct listing {
    ps_safetensors_tensor *tensors;
    char **names;
    const ps_explain_array **arrays;
    size_t n;
} listing;

static void list_part(const ps_explain_part *part, const char *name, listing *l)
{
    for (size_t i = 0; i < part->n; i++) {
        const ps_explain_array *a = &part->arrays[i];
        l->names[l->n] = ps_asprintf("%s/%s", name, a->name);
        ps_safetensors_tensor *t = &l->tensors[l->n];
        *t = (ps_safetensors_tensor){
            .name = l->names[l->n], .dtype = PS_SAFETENSORS_F32, .n_dims = (uint32_t)a->rank};
        memcpy(t->shape, a->shape, (size_t)a->rank * sizeof *a->shape);
        l->arrays[l->n++] = a;
    }
}

static void list_all(const ps_spec_explain *spec, const ps_explain_parts *parts, listing *l)
{
    size_t n = parts->rows.n;
    for (size_t i = 0; i < parts->n_methods; i++)
        n += parts->methods[i].n;
    *l = (listing){.tensors = ps_alloc_array(n + 1, sizeof *l->tensors),
                   .names = ps_alloc_array(n + 1, sizeof *l->names),
                   .arrays = ps_alloc_array(n + 1, sizeof *l->arrays)};
    for (size_t i = 0; i < parts->n_methods; i++) {
        char *name = name_of(spec, i);
        list_part(&parts->methods[i], name, l);
        ps_free(&name);
    }
    list_part(&parts->rows, "rows", l);
}

static ps_status write_array(const ps_explain_array *a, ps_safetensors_writer *w)
{
    uint64_t n = ps_explain_array_count(a);
    ps_status st = PS_OK;
    if (a->floats)
        return ps_safetensors_writer_data(w, a->floats, n * sizeof(float));
    for (uint64_t i = 0; !st && i < n; i++) {
        float narrow = (float)a->doubles[i];
        st = ps_safetensors_writer_data(w, &narrow, sizeof narrow);
    }
    return st;
}

ps_status ps_explanation_arrays(const ps_spec_explain *spec, const ps_explain_parts *parts,
                                ps_safetensors_sink sink)
{
    static const ps_safetensors_pair about = {"psd_explain", "1"};
    listing l;
    ps_safetensors_writer *w = NULL;
    list_all(spec, parts, &l);
    ps_status st = ps_safetensors_writer_new(l.tensors, l.n, &about, 1, sink, &w);
    for (size_t i = 0; !st && i < l.n; i++)
        st = write_array(l.arrays[ps_safetensors_writer_order(w, i)], w);
    if (!st)
        st = ps_safetensors_writer_finish(&w);
    ps_safetensors_writer_free(&w);
    for (size_t i = 0; i < l.n; i++)
        ps_free(&l.names[i]);
    ps_free(&l.names);
    ps_free(&l.tensors);
    ps_free(&l.arrays);
    return st;
}
