/* Happy path: one pass over the document; a row for each tensor that became codes, what else there
 * is below. */
#include "client/show/report_view.h"

#include "client/show/human.h"
#include "client/show/json_fields.h"
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

typedef struct tensor {
    char name[TEXT], form[TEXT], method[TEXT], why[TEXT], fallback[TEXT], reason[TEXT];
    double bits, error, held_out; /* NaN: not said */
} tensor;

typedef struct totals {
    double parameters, parent_bytes, bytes, bits, calibration_rows, held_out_rows, seconds;
} totals;

typedef struct report {
    ps_json_reader json;
    ps_table *table;
    side parent, model;
    totals total;
    char refused[512];
    size_t kept;      /* tensors that stayed as they were */
    bool has_tensors; /* without them it is no report */
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
                                           PS_FIELD_NUMBER(totals, seconds)};
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

static ps_status read_solved(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {
        PS_FIELD_NUMBER(tensor, error), PS_FIELD_NUMBER(tensor, held_out),
        PS_FIELD_WORDS("fallback", tensor, fallback), PS_FIELD_WORDS("why", tensor, reason)};
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

static ps_status read_tensor(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {
        PS_FIELD_WORDS("name", tensor, name), PS_FIELD_WORDS("form", tensor, form),
        PS_FIELD_WORDS("method", tensor, method), PS_FIELD_WORDS("why", tensor, why),
        PS_FIELD_NUMBER(tensor, bits)};
    if (!strcmp(key, "solved"))
        return ps_json_object_read(json, into, read_solved);
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

/* ---- what is shown ---- */

static void put_share(ps_table *t, double share)
{
    if (isfinite(share))
        ps_table_printf(t, "%.3g%%", 100 * share);
    else
        ps_table_text(t, "");
}

static void put_row(report *r, const tensor *t)
{
    bool stepped = *t->fallback && strcmp(t->fallback, "none") != 0;
    if (!*t->method) {
        r->kept++;
        return;
    }
    char *note =
        ps_asprintf("%s%s%s%s%s", stepped ? t->fallback : "", stepped && *t->reason ? ": " : "",
                    stepped ? t->reason : "", stepped && *t->why ? "; " : "", t->why);
    ps_table_text(r->table, t->name);
    ps_table_text(r->table, t->form);
    ps_table_printf(r->table, "%.3g", t->bits);
    ps_table_text(r->table, t->method);
    put_share(r->table, t->error);
    put_share(r->table, t->held_out);
    ps_table_color(r->table, stepped ? PS_COLOR_YELLOW : PS_COLOR_NONE, note);
    ps_free(&note);
}

static ps_status read_tensors(report *r)
{
    ps_json_token t;
    ps_status st = ps_json_expect(&r->json, PS_JSON_ARRAY, &t);
    r->has_tensors = true;
    while (!st && !(st = ps_json_next(&r->json, &t)) && t.kind != PS_JSON_ARRAY_END) {
        tensor own = {.bits = NAN, .error = NAN, .held_out = NAN};
        if (t.kind != PS_JSON_OBJECT)
            return ps_fail(PS_CORRUPT, "a tensor is no object");
        st = ps_json_members_read(&r->json, &own, read_tensor);
        if (!st)
            put_row(r, &own);
    }
    return st;
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

/* "1.66 instead of 1.6566 (+0.0034)" */
static void put_metrics(ps_table *t, const report *r)
{
    for (size_t i = 0; i < r->model.n_metrics; i++) {
        const metric *m = &r->model.metrics[i], *before = metric_of(&r->parent, m->name);
        char label[sizeof m->name];
        (void)snprintf(label, sizeof label, "%s", m->name);
        if (!strcmp(m->name, "samples"))
            ps_table_field(t, "measured on", "%.0f samples", m->value);
        else if (before)
            ps_table_field(t, label, "%s instead of %s (%+.3g)", ps_human_value(m->value).text,
                           ps_human_value(before->value).text, m->value - before->value);
        else
            ps_table_field(t, label, "%s", ps_human_value(m->value).text);
    }
}

static void put_side(ps_table *t, const char *label, const side *s)
{
    ps_table_field(t, label, "%s%s%.64s", s->name, *s->sha256 ? "  sha256 " : "", s->sha256);
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
    put_metrics(t, r);
    if (total->calibration_rows > 0)
        ps_table_field(t, "calibration", "%.0f rows, and %.0f to measure errors on",
                       total->calibration_rows, total->held_out_rows);
    if (r->kept)
        ps_table_field(t, "as it was", "%zu %s", r->kept, r->kept == 1 ? "tensor" : "tensors");
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

ps_status ps_report_text(ps_buf *out, const ps_style *style, ps_slice json)
{
    static const char *const headers[] = {"TENSOR", "FORM",      ">BITS", "METHOD",
                                          ">ERROR", ">HELD OUT", "NOTE",  NULL};
    report r = {.table = ps_table_new(headers)};
    ps_json_token t;
    ps_json_reader_init(&r.json, json);
    ps_status st = ps_json_object_read(&r.json, &r, read_top);
    if (!st)
        st = ps_json_expect(&r.json, PS_JSON_END, &t);
    if (!st && !r.has_tensors)
        st = ps_fail(PS_CORRUPT, "it names no tensors");
    ps_json_reader_free(&r.json);
    if (!st) {
        ps_table_render(r.table, style, out);
        ps_buf_putc(out, '\n');
        put_totals(&r, style, out);
    }
    ps_table_free(&r.table);
    return st;
}
