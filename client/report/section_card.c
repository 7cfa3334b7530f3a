/* Card: what the model is, where it came from, how large it is, how good. */
#include "client/report/html.h"
#include "client/report/section_rows.h"
#include "client/show/human.h"
#include "common/base/mem.h"
#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool present(const ps_report *r)
{
    return (r->model && r->graph) || r->explanation;
}

/* "12.3 MB": the unit smaller than the number. */
static void put_tile(ps_buf *out, const char *label, const char *value)
{
    const char *space = strchr(value, ' ');
    ps_html(out, "<div><dt>%s</dt><dd>", label);
    if (space) {
        char *number = ps_asprintf("%.*s", (int)(space - value), value);
        ps_html(out, "%s <small>%s</small>", number, space + 1);
        ps_free(&number);
    } else {
        ps_html_text(out, value);
    }
    ps_buf_puts(out, "</dd></div>\n");
}

static void put_tiles(const ps_report *r, ps_buf *out)
{
    const ps_graph *g = r->graph;
    char value[32];
    ps_buf_puts(out, "<dl class=\"tiles\">\n");
    for (size_t i = 0; r->model->has_test && i < r->model->n_test_metrics; i++) {
        char *label = ps_asprintf("Test %s", r->model->test_metrics[i]->name);
        (void)snprintf(value, sizeof value, "%s",
                       ps_human_value(r->model->test_metrics[i]->value).text);
        put_tile(out, label, value);
        ps_free(&label);
    }
    if (r->model->has_test)
        put_tile(out, "Test loss", ps_human_value(r->model->test_loss).text);
    put_tile(out, "Parameters", ps_human_count((double)g->numbers).text);
    put_tile(out, "Size", ps_human_bytes((double)g->bytes).text);
    (void)snprintf(value, sizeof value, "%.3g",
                   g->numbers ? 8.0 * (double)g->bytes / (double)g->numbers : 0);
    put_tile(out, "Bits a parameter", value);
    put_tile(out, g->language ? "Work of a token" : "Work of a row", ps_flops_text(g->flops).text);
    ps_buf_puts(out, "</dl>\n");
}

static void put_fact(ps_buf *out, const char *label, const char *value)
{
    if (*value)
        ps_html(out, "<dt>%s</dt><dd>%s</dd>\n", label, value);
}

/* "1×28×28 → 32×14×14", of images */
static void put_convolutions(const ps_spec_model *m, ps_buf *out)
{
    ps_image_size s = m->n_image ? ps_spec_model_image(m) : (ps_image_size){0};
    for (size_t i = 0; i <= m->n_convolutions && m->n_image; i++) {
        ps_buf_printf(out, "%s%" PRId64 "×%" PRId64 "×%" PRId64, i ? " → " : "", s.channels,
                      s.height, s.width);
        if (i < m->n_convolutions)
            s = ps_convolution_pooled(&m->convolutions[i],
                                      ps_convolution_given(&m->convolutions[i], s));
    }
}

/* "30 blocks of 576 numbers a token; 9 heads of 64, 3 of keys and values; …" */
static char *shape_of(const ps_spec_model *m)
{
    if (ps_spec_model_is_lens(m))
        return ps_asprintf("%" PRId64 " translators, %" PRId64 " numbers wide, of %s",
                           m->num_layers, m->hidden_size, *m->base ? m->base : "no model yet");
    if (!ps_spec_model_reads_tokens(m)) {
        ps_buf widths = PS_BUF_EMPTY;
        put_convolutions(m, &widths);
        for (size_t i = 0; i < m->n_layers; i++)
            ps_buf_printf(&widths, "%s%" PRId64, widths.len ? " → " : "", m->layers[i]);
        char *text = ps_strdup(ps_buf_cstr(&widths));
        ps_buf_free(&widths);
        return text;
    }
    char *keys = m->num_kv_heads == m->num_heads
                     ? ps_strdup("")
                     : ps_asprintf(", %" PRId64 " of keys and values", m->num_kv_heads);
    char *text = ps_asprintf("%" PRId64 " blocks, %" PRId64 " numbers wide, %" PRId64
                             " heads of %" PRId64 "%s, MLPs of %" PRId64,
                             m->num_layers, m->hidden_size, m->num_heads, m->head_dim, keys,
                             m->intermediate_size);
    ps_free(&keys);
    return text;
}

static void put_shape(const ps_report *r, ps_buf *out)
{
    ps_spec_model *m = NULL;
    if (ps_spec_model_parse(ps_slice_str(r->model->config), "config", &m))
        return;
    char *shape = shape_of(m);
    put_fact(out, "Shape", shape);
    ps_free(&shape);
    if (ps_spec_model_reads_tokens(m))
        ps_html(out,
                "<dt>Text</dt><dd>%" PRId64 " tokens of context, a vocabulary of %" PRId64
                "%s%s</dd>\n",
                m->context_length, m->vocab_size, *m->tokenizer ? ", tokenizer " : "",
                m->tokenizer);
    if (m->n_classes) {
        ps_buf_puts(out, "<dt>Classes</dt><dd>");
        for (size_t i = 0; i < m->n_classes; i++)
            ps_html(out, "%s%s", i ? ", " : "", m->classes[i]);
        ps_buf_puts(out, "</dd>\n");
    }
    ps_spec_model_free(&m);
}

static void put_model(const ps_report *r, ps_buf *out)
{
    const Psd__V1__Model *m = r->model;
    put_shape(r, out);
    put_fact(out, "Stored as", m->forms);
    if (m->job_id)
        ps_html(out, "<dt>Trained by</dt><dd>job %" PRIu64 "</dd>\n", m->job_id);
    else
        put_fact(out, "Trained by", "somebody else: it was imported");
    if (*m->parent)
        ps_html(out, "<dt>Made of</dt><dd>%s%s<code>%s</code></dd>\n", m->parent,
                *m->parent_version ? ", version " : "", m->parent_version);
    ps_html(out, "<dt>Version</dt><dd><code>%s</code></dd>\n", m->version);
    if (*m->owner)
        ps_html(out, "<dt>Owner</dt><dd><code>%s</code></dd>\n", m->owner);
    put_fact(out, "Created", ps_human_time(m->created_ms).text);
    ps_html(out,
            "<dt>Tensors</dt><dd><span class=\"ok\">all %zu are there, of the shapes that "
            "the configuration says</span></dd>\n",
            r->graph->n_tensors);
}

/* ---- what was found out ---- */

/* A line a method whose sum can be checked. */
static void put_residuals(ps_buf *out, const ps_explanation *m)
{
    for (size_t i = 0; i < m->n_results; i++) {
        const ps_explanation_result *result = &m->results[i];
        if (!result->has_residual || !(result->tolerance > 0))
            continue;
        ps_html(out, "<dt>Sums</dt><dd><span class=\"%s\">%s: ", result->unmet ? "bad" : "ok",
                result->method);
        if (result->unmet)
            ps_html(out, "%" PRIu64 " of %zu rows are not within %g of what they should be",
                    result->unmet, m->n_rows, result->tolerance);
        else
            ps_html(out, "all rows are within %g of what they should be", result->tolerance);
        ps_buf_puts(out, "</span></dd>\n");
    }
}

static void put_warning(ps_buf *out, const char *warning)
{
    ps_html(out, "<span class=\"bad\">%s</span>", warning);
}

/* Many are folded, so that the card is not all warnings. */
static void put_warnings(ps_buf *out, const ps_explanation *m)
{
    enum { SHOWN = 3 };
    for (size_t i = 0; i < m->n_warnings && i < SHOWN; i++) {
        ps_buf_puts(out, "<dt>Warning</dt><dd>");
        put_warning(out, m->warnings[i]);
        ps_buf_puts(out, "</dd>\n");
    }
    if (m->n_warnings <= SHOWN)
        return;
    ps_html(out, "<dt></dt><dd><details><summary>%zu warnings more</summary>\n",
            m->n_warnings - SHOWN);
    for (size_t i = SHOWN; i < m->n_warnings; i++) {
        put_warning(out, m->warnings[i]);
        ps_buf_puts(out, "<br>\n");
    }
    ps_buf_puts(out, "</details></dd>\n");
}

static void put_explanation(ps_buf *out, const ps_explanation *m)
{
    ps_html(out, "<dt>Explained</dt><dd>the %s of the target (%s), against the baseline %s</dd>\n",
            m->score, m->target, m->baseline);
    ps_html(out, "<dt>By</dt><dd>job %" PRIu64 ", seed %" PRIu64 ", psd %s</dd>\n", m->job, m->seed,
            m->psd_version);
    if (*m->data)
        ps_html(out, "<dt>Data</dt><dd><code>%s</code></dd>\n", m->data);
    put_residuals(out, m);
    if (m->left_out)
        ps_html(out,
                "<dt>Left out</dt><dd><span class=\"bad\">%" PRIu64
                " rows, whose score is no finite number</span></dd>\n",
                m->left_out);
    put_warnings(out, m);
}

static void draw(ps_report *r, ps_buf *out)
{
    bool model = r->model && r->graph;
    if (model)
        put_tiles(r, out);
    ps_buf_puts(out, "<dl class=\"facts\">\n");
    if (r->explanation)
        put_explanation(out, r->explanation->manifest);
    if (model)
        put_model(r, out);
    ps_buf_puts(out, "</dl>\n");
    if (model && r->graph->context)
        ps_html(out,
                "<p class=\"note\">FLOPs are those of the last token of a full context, %u tokens: "
                "two for each multiplication and addition of a product, one for each number that "
                "anything else makes.</p>\n",
                r->graph->context);
}

const ps_report_section ps_section_card = {
    .id = "card", .title = "Card", .present = present, .draw = draw};
