#include "common/explain/manifest.h"

#include "common/base/mem.h"
#include "common/json/json.h"

#include <math.h>
#include <string.h>

static void free_texts(char ***texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ps_free(&(*texts)[i]);
    ps_free(texts);
}

static void free_result(ps_explanation_result *r)
{
    for (size_t i = 0; i < r->n_arrays; i++) {
        ps_free(&r->arrays[i].name);
        ps_free(&r->arrays[i].array);
        ps_free(&r->arrays[i].axes);
        free_texts(&r->arrays[i].entries, r->arrays[i].n_entries);
    }
    ps_free(&r->arrays);
    ps_free(&r->kind);
    ps_free(&r->method);
    ps_free(&r->arguments);
}

static void free_sources(ps_explanation_source **sources, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ps_free(&(*sources)[i].name);
        ps_free(&(*sources)[i].said);
        ps_free(&(*sources)[i].version);
    }
    ps_free(sources);
}

void ps_explanation_free(ps_explanation *m)
{
    char **texts[] = {&m->model,        &m->model_version, &m->architecture,  &m->data,
                      &m->psd_version,  &m->score,         &m->target,        &m->baseline,
                      &m->contents,     &m->other,         &m->other_version, &m->model_sha256,
                      &m->other_sha256, &m->spec_sha256};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ps_free(texts[i]);
    for (size_t i = 0; i < m->n_results; i++)
        free_result(&m->results[i]);
    free_texts(&m->warnings, m->n_warnings);
    free_texts(&m->tensors, m->n_tensors);
    free_sources(&m->files, m->n_files);
    free_sources(&m->workers, m->n_workers);
    free_sources(&m->checkpoints, m->n_checkpoints);
    ps_free(&m->rows);
    ps_free(&m->left_out_rows);
    ps_free(&m->results);
    *m = (ps_explanation){0};
}

const ps_explanation_array *ps_explanation_find(const ps_explanation_result *result,
                                                const char *name)
{
    for (size_t i = 0; i < result->n_arrays; i++)
        if (!strcmp(result->arrays[i].name, name))
            return &result->arrays[i];
    return NULL;
}

static void write_texts(const char *key, char *const *texts, size_t n, ps_json_writer *w)
{
    ps_json_key(w, key);
    ps_json_array(w);
    for (size_t i = 0; i < n; i++)
        ps_json_string(w, texts[i]);
    ps_json_array_end(w);
}

/* Nothing is written of what is not known. */
static void write_digest(const char *key, const char *sha256, ps_json_writer *w)
{
    if (sha256 && *sha256)
        ps_json_put_string(w, key, sha256);
}

static void write_files(const ps_explanation *m, ps_json_writer *w)
{
    ps_json_key(w, "files");
    ps_json_array(w);
    for (size_t i = 0; i < m->n_files; i++) {
        ps_json_object(w);
        ps_json_put_string(w, "path", m->files[i].name);
        ps_json_put_string(w, "sha256", m->files[i].said);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
}

static void write_workers(const ps_explanation *m, ps_json_writer *w)
{
    ps_json_key(w, "workers");
    ps_json_array(w);
    for (size_t i = 0; i < m->n_workers; i++) {
        ps_json_object(w);
        ps_json_put_string(w, "name", m->workers[i].name);
        ps_json_put_string(w, "device", m->workers[i].said);
        ps_json_put_string(w, "precision", "float32");
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
}

static void write_model(const char *name, const char *version, const char *sha256,
                        ps_json_writer *w)
{
    ps_json_object(w);
    ps_json_put_string(w, "name", name);
    ps_json_put_string(w, "version", version);
    write_digest("sha256", sha256, w);
    ps_json_object_end(w);
}

static void write_checkpoints(const ps_explanation *m, ps_json_writer *w)
{
    ps_json_key(w, "checkpoints");
    ps_json_array(w);
    for (size_t i = 0; i < m->n_checkpoints; i++)
        write_model(m->checkpoints[i].name, m->checkpoints[i].version, m->checkpoints[i].said, w);
    ps_json_array_end(w);
}

static void write_lineage(const ps_explanation *m, ps_json_writer *w)
{
    ps_json_key(w, "lineage");
    ps_json_object(w);
    ps_json_key(w, "model");
    ps_json_object(w);
    ps_json_put_string(w, "name", m->model);
    ps_json_put_string(w, "version", m->model_version);
    write_digest("sha256", m->model_sha256, w);
    ps_json_put_string(w, "architecture", m->architecture);
    if (m->n_tensors)
        write_texts("tensors", m->tensors, m->n_tensors, w);
    ps_json_object_end(w);
    if (m->other && *m->other) {
        ps_json_key(w, "compared_with");
        write_model(m->other, m->other_version, m->other_sha256, w);
    }
    if (m->n_checkpoints)
        write_checkpoints(m, w);
    if (m->data && *m->data)
        ps_json_put_string(w, "data", m->data);
    if (m->n_files)
        write_files(m, w);
    if (m->n_workers)
        write_workers(m, w);
    write_digest("spec_sha256", m->spec_sha256, w);
    ps_json_put_string(w, "psd_version", m->psd_version);
    ps_json_put_uint(w, "seed", m->seed);
    ps_json_object_end(w);
}

static void write_axes(const char *axes, ps_json_writer *w)
{
    ps_json_key(w, "axes");
    ps_json_array(w);
    for (const char *at = axes; *at;) {
        size_t len = strcspn(at, " ");
        ps_json_string_n(w, ps_slice_of((const uint8_t *)at, len));
        at += len + (at[len] == ' ');
    }
    ps_json_array_end(w);
}

static void write_arrays(const ps_explanation_result *r, ps_json_writer *w)
{
    ps_json_key(w, "arrays");
    ps_json_array(w);
    for (size_t i = 0; i < r->n_arrays; i++) {
        ps_json_object(w);
        ps_json_put_string(w, "name", r->arrays[i].name);
        ps_json_put_string(w, "array", r->arrays[i].array);
        write_axes(r->arrays[i].axes, w);
        if (r->arrays[i].n_entries)
            write_texts("entries", r->arrays[i].entries, r->arrays[i].n_entries, w);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
}

static void write_residual(const ps_explanation_result *r, ps_json_writer *w)
{
    ps_json_key(w, "residual");
    ps_json_object(w);
    ps_json_put_double(w, "relative_median", r->relative_median);
    ps_json_put_double(w, "relative_max", r->relative_max);
    if (r->tolerance > 0) {
        ps_json_put_double(w, "tolerance", r->tolerance);
        ps_json_put_bool(w, "met", r->unmet == 0);
        ps_json_put_uint(w, "unmet", r->unmet);
    }
    ps_json_object_end(w);
}

static void write_result(const ps_explanation_result *r, ps_json_writer *w)
{
    ps_json_object(w);
    ps_json_put_string(w, "kind", r->kind);
    ps_json_put_string(w, "method", r->method);
    ps_json_key(w, "arguments");
    ps_json_embed(w, r->arguments);
    write_arrays(r, w);
    if (r->has_residual)
        write_residual(r, w);
    if (isfinite(r->standard_error))
        ps_json_put_double(w, "standard_error", r->standard_error);
    if (isfinite(r->steps_max)) {
        ps_json_key(w, "steps");
        ps_json_object(w);
        ps_json_put_double(w, "median", r->steps_median);
        ps_json_put_double(w, "max", r->steps_max);
        ps_json_object_end(w);
    }
    ps_json_put_uint(w, "evaluations", r->evaluations);
    ps_json_put_double(w, "seconds", r->seconds);
    ps_json_object_end(w);
}

static void write_row(const ps_explanation_row *r, ps_json_writer *w)
{
    ps_json_object(w);
    ps_json_put_uint(w, "row", r->row);
    if (r->label >= 0)
        ps_json_put_int(w, "label", r->label);
    ps_json_put_int(w, "prediction", r->prediction);
    ps_json_put_int(w, "target", r->target);
    ps_json_put_double(w, "confidence", r->confidence);
    ps_json_put_double(w, "score", r->score);
    ps_json_object_end(w);
}

static void write_rows(const ps_explanation *m, ps_json_writer *w)
{
    ps_json_key(w, "rows");
    ps_json_array(w);
    for (size_t i = 0; i < m->n_rows; i++)
        write_row(&m->rows[i], w);
    ps_json_array_end(w);
    ps_json_key(w, "left_out");
    ps_json_object(w);
    ps_json_put_uint(w, "count", m->left_out);
    ps_json_key(w, "rows");
    ps_json_array(w);
    for (size_t i = 0; i < m->n_left_out_rows; i++)
        ps_json_uint(w, m->left_out_rows[i]);
    ps_json_array_end(w);
    ps_json_object_end(w);
}

void ps_explanation_write(const ps_explanation *m, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_uint(&w, "psd_explain", PS_EXPLAIN_MANIFEST_VERSION);
    ps_json_put_uint(&w, "job", m->job);
    write_lineage(m, &w);
    ps_json_put_string(&w, "score", m->score);
    ps_json_put_string(&w, "target", m->target);
    ps_json_put_string(&w, "baseline", m->baseline);
    ps_json_put_bool(&w, "classes", m->classes);
    ps_json_put_bool(&w, "language", m->language);
    ps_json_key(&w, "results");
    ps_json_array(&w);
    for (size_t i = 0; i < m->n_results; i++)
        write_result(&m->results[i], &w);
    ps_json_array_end(&w);
    ps_json_put_string(&w, "contents", m->contents);
    write_rows(m, &w);
    write_texts("warnings", m->warnings, m->n_warnings, &w);
    ps_json_object_end(&w);
}
