/* Quality: whether to believe the attributions: how soon the score moves when features change in
 * their order, how far the values are off, how they bear a small change of the row, and whether
 * they look at what was learned. */
#include "client/report/html.h"
#include "client/report/lines.h"
#include "client/report/numbers.h"
#include "client/report/section_rows.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *method;
    const char *numbers[5]; /* arrays of one number a row */
} measures[] = {{"deletion", {"auc", "random", "gain", "standard_error"}},
                {"insertion", {"auc", "random", "gain", "standard_error"}},
                {"infidelity", {"infidelity", "correlation", "standard_error", "beta"}},
                {"sensitivity", {"largest", "mean"}},
                {"randomisation", {"correlation"}}};
enum { MEASURES = sizeof measures / sizeof *measures };

static size_t measure_of(const ps_explanation_result *result)
{
    size_t i = 0;
    while (i < MEASURES && strcmp(measures[i].method, result->method) != 0)
        i++;
    return i;
}

static bool present(const ps_report *r)
{
    for (size_t i = 0; r->explanation && i < r->explanation->manifest->n_results; i++)
        if (measure_of(&r->explanation->manifest->results[i]) < MEASURES)
            return true;
    return false;
}

static const char *named(const ps_explanation_result *result, const char *name)
{
    const ps_explanation_array *array = ps_explanation_find(result, name);
    return array ? array->array : "";
}

/* ---- what it is about ---- */

/* The method's argument `of`; without one it is about the first attribution. To be freed. */
static char *about(const ps_explanation *m, const ps_explanation_result *result)
{
    ps_json_reader r;
    ps_json_token token;
    char *of = ps_strdup("");
    ps_json_reader_init(&r, ps_slice_str(result->arguments ? result->arguments : ""));
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        bool wanted = !strcmp((const char *)token.text.data, "of");
        st = wanted ? ps_json_next(&r, &token) : ps_json_skip(&r);
        if (st || !wanted || token.kind != PS_JSON_STRING)
            continue;
        ps_free(&of);
        of = ps_strdup((const char *)token.text.data);
    }
    ps_json_reader_free(&r);
    for (size_t i = 0; !*of && i < m->n_results; i++)
        if (!strcmp(m->results[i].kind, "attributions")) {
            ps_free(&of);
            of = ps_strdup(m->results[i].method);
        }
    return of;
}

/* ---- figures, a line a number ---- */

typedef struct spread {
    uint64_t n;
    double mean, least, most;
} spread;

static spread spread_of(const ps_numbers *numbers)
{
    spread s = {.least = INFINITY, .most = -INFINITY};
    for (uint64_t i = 0; numbers->data && i < numbers->n; i++) {
        double v = ps_number_at(numbers, i);
        if (!isfinite(v))
            continue;
        s.n++;
        s.mean += (v - s.mean) / (double)s.n;
        s.least = fmin(s.least, v);
        s.most = fmax(s.most, v);
    }
    return s;
}

static void put_value(ps_buf *out, double v)
{
    ps_html(out, "<td class=\"n\" data-v=\"%g\">%.4g</td>", v, v);
}

static const char *said(const char *number)
{
    return !strcmp(number, "auc")              ? "area under the curve"
           : !strcmp(number, "standard_error") ? "standard error"
                                               : number;
}

static void put_numbers(ps_buf *out, const ps_explain_view *v, const ps_explanation_result *result)
{
    const char *const *names = measures[measure_of(result)].numbers;
    char *of = about(v->manifest, result);
    for (size_t i = 0; names[i]; i++) {
        ps_numbers numbers = ps_numbers_whole(v, named(result, names[i]));
        spread s = spread_of(&numbers);
        if (!s.n)
            continue;
        ps_html(out, "<tr><td>%s</td><td>%s</td><td>%s</td>", result->method, of, said(names[i]));
        put_value(out, s.mean);
        put_value(out, s.least);
        put_value(out, s.most);
        ps_html(out, "<td class=\"n\">%" PRIu64 "</td></tr>\n", s.n);
    }
    ps_free(&of);
}

/* ---- curves ---- */

/* Of rows whose curve goes from one end to the other: 0 what the baseline has, 1 what the row has.
 */
static void mean_curve(const ps_explain_view *v, const char *array, bool insert, uint64_t n,
                       double *mean)
{
    uint64_t rows = ps_array_rows(v, array), counted = 0;
    for (uint64_t row = 0; row < rows; row++) {
        ps_numbers curve = ps_numbers_of(v, array, row);
        double first = ps_number_at(&curve, 0), last = ps_number_at(&curve, n - 1);
        double empty = insert ? first : last, whole = fabs(first - last);
        bool good = whole > 0;
        for (uint64_t i = 0; i < n; i++)
            good = good && isfinite(ps_number_at(&curve, i));
        counted += good;
        for (uint64_t i = 0; good && i < n; i++)
            mean[i] += ((ps_number_at(&curve, i) - empty) / whole - mean[i]) / (double)counted;
    }
    for (uint64_t i = 0; !counted && i < n; i++)
        mean[i] = NAN;
}

static double mean_of(const ps_explain_view *v, const char *array)
{
    ps_numbers numbers = ps_numbers_whole(v, array);
    spread s = spread_of(&numbers);
    return s.n ? s.mean : NAN;
}

static void put_curve(ps_buf *out, const ps_explain_view *v, const ps_explanation_result *result,
                      const char *of)
{
    const char *array = named(result, "curve");
    uint64_t n = ps_array_last(v, array);
    bool insert = !strcmp(result->method, "insertion");
    ps_numbers first = ps_numbers_of(v, array, 0);
    if (n < 2 || n > PS_LINES_POINTS_MOST || first.n != n)
        return;
    double *mean = ps_alloc_array((size_t)n, sizeof *mean);
    double random = mean_of(v, named(result, "random"));
    mean_curve(v, array, insert, n, mean);
    char *title = ps_asprintf("%s, %s", insert ? "Insertion" : "Deletion", of);
    const ps_line lines[] = {
        {.name = "in the order of the values", .values = mean},
        {.name = "random orders, their mean height", .values = &random, .level = true}};
    ps_lines_html(out, &(ps_lines){.title = title,
                                   .across = insert ? "features as in the row, %"
                                                    : "features as in the baseline, %",
                                   .last = 100,
                                   .n = n,
                                   .lines = lines,
                                   .n_lines = 2});
    ps_free(&title);
    ps_free(&mean);
}

static void put_steps(ps_buf *out, const ps_explain_view *v, const ps_explanation_result *result,
                      const char *of)
{
    const char *array = named(result, "correlation");
    uint64_t n = ps_array_last(v, array), rows = ps_array_rows(v, array);
    ps_numbers first = ps_numbers_of(v, array, 0);
    if (!n || n > PS_LINES_POINTS_MOST || first.n != n)
        return;
    double *mean = ps_alloc_array((size_t)n, sizeof *mean);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t counted = 0;
        for (uint64_t row = 0; row < rows; row++) {
            ps_numbers numbers = ps_numbers_of(v, array, row);
            double value = ps_number_at(&numbers, i);
            if (isfinite(value))
                mean[i] += (value - mean[i]) / (double)++counted;
        }
        mean[i] = counted ? mean[i] : NAN;
    }
    char *title = ps_asprintf("Randomisation, %s", of);
    ps_lines_html(out, &(ps_lines){.title = title,
                                   .across = "layers drawn anew before this one, from the last",
                                   .last = (double)(n - 1),
                                   .n = n,
                                   .lines = &(ps_line){.name = "rank correlation with before",
                                                       .values = mean},
                                   .n_lines = 1});
    ps_free(&title);
    ps_free(&mean);
}

static void put_figure(ps_buf *out, const ps_explain_view *v, const ps_explanation_result *result)
{
    char *of = about(v->manifest, result);
    if (!strcmp(result->method, "randomisation"))
        put_steps(out, v, result, of);
    else
        put_curve(out, v, result, of);
    ps_free(&of);
}

static void draw(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    const ps_explanation *m = v->manifest;
    ps_buf figure = PS_BUF_EMPTY;
    size_t left_out = 0;
    ps_buf_puts(out,
                "<div class=\"scroll\"><table class=\"sort\"><thead><tr><th>Measure</th><th>Of"
                "</th><th>Number</th><th class=\"n\">Mean of rows</th><th class=\"n\">Least"
                "</th><th class=\"n\">Most</th><th class=\"n\">Rows</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < m->n_results; i++)
        if (measure_of(&m->results[i]) < MEASURES)
            put_numbers(out, v, &m->results[i]);
    ps_buf_puts(out, "</tbody></table></div>\n<div class=\"maps\">\n");
    for (size_t i = 0; i < m->n_results; i++)
        if (measure_of(&m->results[i]) < MEASURES) {
            put_figure(&figure, v, &m->results[i]);
            left_out += !ps_room_take(&r->room, &figure, out);
        }
    ps_buf_free(&figure);
    if (left_out)
        ps_room_left_out(&r->room, "%zu figures of quality", left_out);
    ps_buf_puts(
        out,
        "</div>\n<p class=\"note\">Curves are of scores, 0 the baseline's and 1 the row's (−1 "
        "where it is less), "
        "averaged "
        "over rows. By deletion a good order falls soon, by insertion it rises soon; gain is by "
        "how much it is better than random orders, above 0 where the values are worth something. "
        "Infidelity is 0 where values say what the score loses; sensitivity is small where a small "
        "change of the row changes little. Under randomisation the correlation should fall. What "
        "this does not say: a row with features as in the baseline is one that the model has never "
        "seen, so that a score may fall for that alone.</p>\n");
}

const ps_report_section ps_section_quality = {
    .id = "quality", .title = "Quality", .present = present, .draw = draw};
