/* Happy path: one pass over the document; a row for each tensor that became codes, or lost
 * something (report_row.h), and below what it came to. */
#include "client/show/report_view.h"

#include "client/show/compare_view.h"
#include "client/show/human.h"
#include "client/show/json_fields.h"
#include "client/show/report_row.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { TEXT = PS_FIELD_TEXT, METRICS = 16 };

typedef struct metric {
    char name[40];
    double value;
} metric;

/* Parent, or new model. */
typedef struct side {
    char name[TEXT], sha256[TEXT];
    metric metrics[METRICS];
    size_t n_metrics;
} side;

typedef struct totals { /* NaN: not said */
    double parameters, parent_parameters, parent_bytes, bytes, bits;
    double calibration_rows, held_out_rows, calibration_job, seconds;
    double predicted, measured, measured_error;
    char range[TEXT];     /* of the prediction: "quadratic", or "beyond" */
    char importance[512]; /* the file that was calibrated by */
} totals;

typedef struct report {
    ps_json_reader json;
    ps_report_rows rows;
    side parent, model;
    totals total;
    ps_compared compared;
    char not_compared[TEXT]; /* what is said of it cannot be read: why */
    char refused[512];
    char overlap[TEXT]; /* why shared_rows is not there: "not checked" */
    bool has_tensors;   /* without them it is no report */
} report;

static ps_status read_metric(ps_json_reader *json, const char *key, void *into)
{
    side *s = into;
    if (s->n_metrics == METRICS)
        return ps_json_skip(json);
    metric *m = &s->metrics[s->n_metrics++];
    (void)snprintf(m->name, sizeof m->name, "%s", key);
    return ps_json_number_read(json, &m->value);
}

static ps_status read_side(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {PS_FIELD_WORDS("name", side, name),
                                           PS_FIELD_WORDS("sha256", side, sha256)};
    if (!strcmp(key, "test"))
        return ps_json_object_read(json, into, read_metric);
    return ps_json_field_read(json, key, fields, 2, into);
}

static ps_status read_total(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {PS_FIELD_NUMBER(totals, parameters),
                                           PS_FIELD_NUMBER(totals, parent_bytes),
                                           PS_FIELD_NUMBER(totals, bytes),
                                           PS_FIELD_NUMBER(totals, bits),
                                           PS_FIELD_NUMBER(totals, calibration_rows),
                                           PS_FIELD_NUMBER(totals, held_out_rows),
                                           PS_FIELD_NUMBER(totals, calibration_job),
                                           PS_FIELD_NUMBER(totals, parent_parameters),
                                           PS_FIELD_NUMBER(totals, predicted),
                                           PS_FIELD_NUMBER(totals, measured_error),
                                           PS_FIELD_NUMBER(totals, measured),
                                           PS_FIELD_WORDS("range", totals, range),
                                           PS_FIELD_WORDS("importance", totals, importance),
                                           PS_FIELD_NUMBER(totals, seconds)};
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

static ps_status read_tensors(report *r)
{
    ps_json_token t;
    ps_slice one;
    ps_status st = ps_json_expect(&r->json, PS_JSON_ARRAY, &t);
    r->has_tensors = true;
    while (ps_json_element(&r->json, &one, &st))
        ps_report_row(&r->rows, one);
    return st;
}

/* A worker's own words, as in report_row.c. */
static ps_status read_compared(report *r)
{
    ps_slice bytes;
    ps_json_reader own;
    ps_status st = ps_json_value(&r->json, &bytes);
    if (st)
        return st;
    ps_json_reader_init(&own, bytes);
    if (ps_compared_read(&own, &r->compared)) {
        (void)snprintf(r->not_compared, sizeof r->not_compared, "%s", ps_error_message());
        r->compared = ps_compared_nothing;
    }
    ps_json_reader_free(&own);
    return PS_OK;
}

static ps_status read_top(ps_json_reader *json, const char *key, void *into)
{
    report *r = into; /* json is its own */
    if (!strcmp(key, "parent"))
        return ps_json_object_read(json, &r->parent, read_side);
    if (!strcmp(key, "model"))
        return ps_json_object_read(json, &r->model, read_side);
    if (!strcmp(key, "total"))
        return ps_json_object_read(json, &r->total, read_total);
    if (!strcmp(key, "compared"))
        return read_compared(r);
    if (!strcmp(key, "overlap"))
        return ps_json_text_read(json, r->overlap, sizeof r->overlap);
    if (!strcmp(key, "refused"))
        return ps_json_text_read(json, r->refused, sizeof r->refused);
    return strcmp(key, "tensors") != 0 ? ps_json_skip(json) : read_tensors(r);
}

static const metric *metric_of(const side *s, const char *name)
{
    for (size_t i = 0; i < s->n_metrics; i++)
        if (!strcmp(s->metrics[i].name, name))
            return &s->metrics[i];
    return NULL;
}

/* "1.6600 instead of 1.6566 (+0.0034 ± 0.0002)" */
static void put_metric(ps_table *t, const ps_style *style, const report *r, const metric *m)
{
    const metric *before = metric_of(&r->parent, m->name);
    double error = strcmp(m->name, "loss") ? NAN : r->compared.loss_difference_error;
    char bars[32] = "";
    if (isfinite(error))
        (void)snprintf(bars, sizeof bars, " %s %.2g", style->utf8 ? "±" : "+-", error);
    if (!strcmp(m->name, "samples")) {
        ps_table_field(t, "measured on", "%.0f samples", m->value);
        ps_table_field(t, "  sha256", "%.64s", r->compared.test_sha256);
    } else if (before)
        ps_table_field(t, m->name, "%s instead of %s (%+.3g%s)", ps_human_value(m->value).text,
                       ps_human_value(before->value).text, m->value - before->value, bars);
    else
        ps_table_field(t, m->name, "%s", ps_human_value(m->value).text);
}

static void put_rate(ps_table *t, const char *label, double now, double before)
{
    if (now > 0 && before > 0 && isfinite(now) && isfinite(before))
        ps_table_field(t, label, "%s instead of %s (%.2f times)", ps_human_count(now).text,
                       ps_human_count(before).text, now / before);
}

/* What lies between the two, and how fast they were, on one worker. */
static void put_compared(ps_table *t, const ps_style *style, const report *r)
{
    const ps_compared *c = &r->compared;
    if (*r->not_compared) {
        ps_table_field(t, "compared", "cannot be read: %s", r->not_compared);
        return;
    }
    ps_compared_field(t, style, "divergence", c->divergence, c->divergence_error, false);
    if (isfinite(c->same_top))
        ps_table_field(t, "same top", "%.2f%%", 100 * c->same_top);
    put_rate(t, "generated/s", c->other.generated_a_second, c->model.generated_a_second);
    put_rate(t, "tokens/s", c->other.tokens_a_second, c->model.tokens_a_second);
    put_rate(t, "rows/s", c->other.rows_a_second, c->model.rows_a_second);
}

/* It is of second order, and marked where that does not do, or did not. */
static void put_prediction(ps_table *t, const totals *total)
{
    const double near = 0.3, errors = 2; /* what psd calls `agrees` */
    double measured = total->measured, error = total->measured_error;
    double off = fabs(total->predicted - measured) / fabs(measured);
    bool beyond = *total->range && strcmp(total->range, "quadratic") != 0;
    bool same = fabs(total->predicted - measured) <= errors * error, far = !(off <= near || same);
    ps_buf text = PS_BUF_EMPTY;
    if (!isfinite(total->predicted))
        return;
    ps_buf_printf(&text, "%+.3g of loss", total->predicted);
    if (isfinite(measured))
        ps_buf_printf(&text, "; measured %+.3g", measured);
    if (isfinite(measured) && isfinite(error))
        ps_buf_printf(&text, " ± %.1g", error);
    if (isfinite(measured) && far)
        ps_buf_printf(&text, ": off by %.0f%%", 100 * off);
    else if (isfinite(measured))
        ps_buf_puts(&text, off <= near ? ", within 30%" : ": no more apart than chance");
    if (beyond)
        ps_buf_puts(&text, "; so large a change is beyond what can be predicted");
    ps_table_color(t, PS_COLOR_DIM, "predicted");
    ps_table_color(t, beyond || (isfinite(measured) && far) ? PS_COLOR_YELLOW : PS_COLOR_NONE,
                   ps_buf_cstr(&text));
    ps_buf_free(&text);
}

static void put_side(ps_table *t, const char *label, const side *s)
{
    ps_table_field(t, label, "%s", s->name);
    ps_table_field(t, "  sha256", "%.64s", s->sha256); /* a line of its own: it is 64 wide */
}

static void put_count(ps_table *t, const char *label, size_t n)
{
    if (n)
        ps_table_field(t, label, "%zu %s", n, n == 1 ? "tensor" : "tensors");
}

static void put_totals(const report *r, const ps_style *style, ps_buf *out)
{
    const totals *total = &r->total;
    ps_table *t = ps_table_new(NULL);
    put_side(t, "model", &r->model);
    put_side(t, "made of", &r->parent);
    if (total->bytes > 0)
        ps_table_field(t, "size", "%s instead of %s, %.3g bits a parameter",
                       ps_human_bytes(total->bytes).text, ps_human_bytes(total->parent_bytes).text,
                       total->bits);
    if (total->parent_parameters > total->parameters)
        ps_table_field(t, "parameters", "%s instead of %s", ps_human_count(total->parameters).text,
                       ps_human_count(total->parent_parameters).text);
    for (size_t i = 0; i < r->model.n_metrics; i++)
        put_metric(t, style, r, &r->model.metrics[i]);
    put_prediction(t, total);
    put_compared(t, style, r);
    if (total->calibration_rows > 0)
        ps_table_field(t, "calibration", "%.0f rows, and %.0f to measure errors on",
                       total->calibration_rows, total->held_out_rows);
    if (total->calibration_job > 0)
        ps_table_field(t, "calibration", "the sums of job %.0f", total->calibration_job);
    ps_table_field(t, "calibration", "%s", total->importance);
    ps_table_field(t, "  sha256", "%.64s", r->compared.calibration_sha256);
    if (r->compared.shared_rows > 0)
        ps_table_field(t, "  shared", "%.0f rows with the test data", r->compared.shared_rows);
    if (*r->overlap)
        ps_table_field(t, "shared rows", "%s", r->overlap);
    put_count(t, "as it was", r->rows.kept);
    put_count(t, "folded", r->rows.folded);
    if (total->seconds > 0)
        ps_table_field(t, "took", "%s", ps_human_duration(total->seconds).text);
    ps_table_render(t, style, out);
    ps_table_free(&t);
    if (*r->refused) {
        ps_buf_puts(out, "not published: ");
        ps_put_text(out, style, PS_COLOR_RED, r->refused);
        ps_buf_putc(out, '\n');
    }
}

static void put_table(ps_buf *out, const ps_style *style, const ps_table *table)
{
    if (!ps_table_rows(table))
        return;
    ps_table_render(table, style, out);
    ps_buf_putc(out, '\n');
}

ps_status ps_report_text(ps_buf *out, const ps_style *style, ps_slice json)
{
    report r = {.total = {.predicted = NAN, .measured = NAN, .measured_error = NAN},
                .compared = ps_compared_nothing};
    ps_json_token t;
    ps_report_rows_init(&r.rows);
    ps_json_reader_init(&r.json, json);
    ps_status st = ps_json_object_read(&r.json, &r, read_top);
    if (!st)
        st = ps_json_expect(&r.json, PS_JSON_END, &t);
    if (!st && !r.has_tensors)
        st = ps_fail(PS_CORRUPT, "it names no tensors");
    ps_json_reader_free(&r.json);
    if (!st) {
        put_table(out, style, r.rows.coded);
        put_table(out, style, r.rows.pruned);
        put_table(out, style, r.rows.thin);
        put_totals(&r, style, out);
    }
    ps_report_rows_clear(&r.rows);
    return st;
}
