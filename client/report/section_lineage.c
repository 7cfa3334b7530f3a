/* Lineage: where what the page says comes from: what the model was made of, and what was made of
 * it, the job, and how to do it again. */
#include "client/report/change_text.h"
#include "client/report/html.h"
#include "client/report/section_rows.h"
#include "client/show/human.h"

#include <inttypes.h>
#include <string.h>

/* Generations above, models below, files and workers that are shown. */
enum { OLDEST = 16, CHILDREN = 24, SHOWN = 16 };

static bool present(const ps_report *r)
{
    return r->explanation != NULL;
}

static const Psd__V1__Model *find(const ps_report *r, const char *name)
{
    for (size_t i = 0; i < r->n_models; i++)
        if (!strcmp(r->models[i]->name, name))
            return r->models[i];
    return NULL;
}

/* ---- the tree ---- */

/* own: the model that the page is of. */
static void put_model(ps_buf *out, const ps_report *r, const Psd__V1__Model *m, bool own)
{
    const Psd__V1__Model *parent = find(r, m->parent);
    ps_html(out, own ? "<b>%s</b>" : "%s", m->name);
    if (m->job_id)
        ps_html(out, " <small>by job %" PRIu64 "</small>", m->job_id);
    else
        ps_buf_puts(out, " <small>imported</small>");
    if (*m->forms)
        ps_html(out, " <small>%s</small>", m->forms);
    if (m->has_test)
        ps_html(out, " <small>loss %s</small>", ps_human_value(m->test_loss).text);
    if (parent && strcmp(parent->version, m->parent_version) != 0)
        ps_html(out, " <small>of an older %s</small>", parent->name);
}

static void put_children(ps_buf *out, const ps_report *r)
{
    size_t count = 0;
    for (size_t i = 0; i < r->n_models; i++) {
        const Psd__V1__Model *m = r->models[i];
        if (strcmp(m->parent, r->model->name) != 0 || !strcmp(m->name, r->model->name))
            continue;
        if (count == 0)
            ps_buf_puts(out, "<ul class=\"tree\">\n");
        if (count++ >= CHILDREN)
            continue;
        ps_buf_puts(out, "<li>");
        put_model(out, r, m, false);
        ps_buf_puts(out, "</li>\n");
    }
    if (count > CHILDREN)
        ps_html(out, "<li>and %zu more</li>\n", count - CHILDREN);
    if (count)
        ps_buf_puts(out, "</ul>\n");
}

/* Names come again when models are replaced, so a model may be above itself: what was met ends the
 * way up. */
static size_t ancestors_of(const ps_report *r, const Psd__V1__Model *line[OLDEST])
{
    size_t n = 0;
    for (const Psd__V1__Model *at = r->model; at && n < OLDEST;) {
        for (size_t i = 0; i < n; i++)
            if (!strcmp(line[i]->name, at->name))
                return n;
        line[n++] = at;
        at = *at->parent ? find(r, at->parent) : NULL;
    }
    return n;
}

static void put_tree(ps_buf *out, const ps_report *r)
{
    const Psd__V1__Model *line[OLDEST];
    size_t n = ancestors_of(r, line), open = n;
    const Psd__V1__Model *oldest = line[n - 1];
    ps_buf_puts(out, "<h3>What the model was made of, and what was made of it</h3>\n");
    if (*oldest->parent && !find(r, oldest->parent)) {
        ps_html(out, "<ul class=\"tree\"><li>%s <small>%s</small>\n", oldest->parent,
                r->n_models ? "not stored any more" : "");
        open++;
    }
    for (size_t i = n; i-- > 0;) {
        ps_buf_puts(out, "<ul class=\"tree\"><li>");
        put_model(out, r, line[i], i == 0);
        ps_buf_puts(out, "\n");
    }
    put_children(out, r);
    for (size_t i = 0; i < open; i++)
        ps_buf_puts(out, "</li></ul>");
    ps_buf_puts(out, "\n");
}

/* ---- the job ---- */

static void put_version(ps_buf *out, const char *what, const char *name, const char *version,
                        const char *sha256)
{
    if (!name || !*name)
        return;
    ps_html(out, "<dt>%s</dt><dd>%s, version <code>%s</code>", what, name, version ? version : "");
    if (sha256 && *sha256)
        ps_html(out, "<br>SHA-256 <code>%s</code>", sha256);
    ps_buf_puts(out, "</dd>\n");
}

static void put_checkpoints(ps_buf *out, const ps_explanation *m)
{
    for (size_t i = 0; i < m->n_checkpoints && i < SHOWN; i++)
        put_version(out, i ? "" : "Checkpoints", m->checkpoints[i].name, m->checkpoints[i].version,
                    m->checkpoints[i].said);
    if (m->n_checkpoints > SHOWN)
        ps_html(out, "<dt></dt><dd>and %zu more</dd>\n", m->n_checkpoints - SHOWN);
}

static void put_sources(ps_buf *out, const ps_explanation *m)
{
    for (size_t i = 0; i < m->n_files && i < SHOWN; i++)
        ps_html(out, "<dt>%s</dt><dd><code>%s</code><br>SHA-256 <code>%s</code></dd>\n",
                i ? "" : "Data", m->files[i].name, m->files[i].said);
    if (!m->n_files && *m->data)
        ps_html(out, "<dt>Data</dt><dd><code>%s</code></dd>\n", m->data);
    for (size_t i = 0; i < m->n_workers && i < SHOWN; i++)
        ps_html(out, "<dt>%s</dt><dd>%s, on %s, in float32</dd>\n", i ? "" : "Computed by",
                m->workers[i].name, m->workers[i].said);
    if (m->n_workers > SHOWN)
        ps_html(out, "<dt></dt><dd>and %zu more</dd>\n", m->n_workers - SHOWN);
}

static void put_job(ps_buf *out, const ps_report *r)
{
    const ps_explanation *m = r->explanation->manifest;
    ps_html(out,
            "<h3>How it was found</h3>\n<dl class=\"facts\">\n<dt>Job</dt><dd>%" PRIu64
            "</dd>\n<dt>Seed</dt><dd>%" PRIu64 "</dd>\n<dt>psd</dt><dd>%s</dd>\n",
            m->job, m->seed, m->psd_version);
    put_version(out, "Model", m->model, m->model_version, m->model_sha256);
    put_version(out, ps_change_any(r->explanation) ? "Compared with" : "Looked through", m->other,
                m->other_version, m->other_sha256);
    put_checkpoints(out, m);
    put_sources(out, m);
    if (*m->spec_sha256)
        ps_html(out, "<dt>Job file</dt><dd>SHA-256 <code>%s</code></dd>\n", m->spec_sha256);
    if (r->job_file)
        ps_html(out,
                "<dt>Again</dt><dd><code>psctl submit job.yaml --follow</code>, with the job file "
                "below as job.yaml: the same model, data and seed give the same numbers</dd>\n");
    ps_html(out, "<dt>This page again</dt><dd><code>%s</code></dd>\n</dl>\n", r->command);
}

static void draw(ps_report *r, ps_buf *out)
{
    ps_buf file = PS_BUF_EMPTY;
    if (r->model)
        put_tree(out, r);
    put_job(out, r);
    if (!r->job_file)
        return;
    ps_html(&file,
            "<details class=\"more\"><summary>The job file</summary><code "
            "class=\"yaml\">%s</code></details>\n",
            r->job_file);
    if (!ps_room_take(&r->room, &file, out))
        ps_room_left_out(&r->room, "the job file");
    ps_buf_free(&file);
}

static void style(const ps_report *r, ps_buf *out)
{
    ps_buf_puts(out, ".tree{list-style:none;margin:0;padding:0 0 0 .9rem;border-left:1px solid "
                     "var(--line)}\n.tree li{padding:.12rem 0;overflow-wrap:anywhere}\n.tree "
                     "small{color:var(--muted);margin-left:.5rem}\n.yaml{display:block;"
                     "white-space:pre-wrap;background:var(--soft);border-radius:9px;padding:.75rem "
                     ".95rem;margin:.6rem 0 0}\n");
}

const ps_report_section ps_section_lineage = {
    .id = "lineage", .title = "Lineage", .present = present, .draw = draw, .style = style};
