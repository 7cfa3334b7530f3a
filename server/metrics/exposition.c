#include "server/metrics/exposition.h"

#include "common/base/require.h"
#include "common/base/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void ps_metric_describe(ps_buf *out, const char *name, const char *type, const char *help)
{
    PS_REQUIRE(ps_text_ends(name, "_total") == (strcmp(type, "counter") == 0));
    ps_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_value(ps_buf *out, double value)
{
    if (isnan(value))
        ps_buf_puts(out, "NaN\n");
    else if (isinf(value))
        ps_buf_puts(out, value > 0 ? "+Inf\n" : "-Inf\n");
    else
        ps_buf_printf(out, "%.17g\n", value);
}

static void put_escaped(ps_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n') {
            ps_buf_puts(out, "\\n");
            continue;
        }
        if (*text == '\\' || *text == '"')
            ps_buf_putc(out, '\\');
        ps_buf_putc(out, *text);
    }
}

static void put_label(ps_buf *out, const ps_metric_label *label, char before)
{
    ps_buf_printf(out, "%c%s=\"", before, label->name);
    put_escaped(out, label->value);
    ps_buf_putc(out, '"');
}

/* name + suffix, {labels and the last one, if it has a name}, value */
static void put_sample(ps_buf *out, const char *name, const char *suffix,
                       const ps_metric_label *labels, const ps_metric_label *last, double value)
{
    char before = '{';
    ps_buf_printf(out, "%s%s", name, suffix);
    for (; labels && labels->name; labels++, before = ',')
        put_label(out, labels, before);
    if (last) {
        put_label(out, last, before);
        before = ',';
    }
    ps_buf_puts(out, before == ',' ? "} " : " ");
    put_value(out, value);
}

void ps_metric_sample(ps_buf *out, const char *name, const ps_metric_label *labels, double value)
{
    put_sample(out, name, "", labels, NULL, value);
}

void ps_metric_put(ps_buf *out, const ps_metric_row *rows)
{
    for (; rows->name; rows++) {
        if (isnan(rows->value))
            continue;
        ps_metric_describe(out, rows->name, rows->type, rows->help);
        ps_metric_sample(out, rows->name, NULL, rows->value);
    }
}

void ps_metric_distribution(ps_buf *out, const char *name, const ps_metric_label *labels,
                            const ps_metric_histogram *h)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= h->n_bounds; i++) {
        char bound[32] = "+Inf";
        if (i < h->n_bounds)
            (void)snprintf(bound, sizeof bound, "%g", h->bounds[i]);
        PS_REQUIRE(i == 0 || i == h->n_bounds || h->bounds[i] > h->bounds[i - 1]);
        count += h->counts[i];
        put_sample(out, name, "_bucket", labels, &(ps_metric_label){"le", bound}, (double)count);
    }
    put_sample(out, name, "_sum", labels, NULL, h->sum);
    put_sample(out, name, "_count", labels, NULL, (double)count);
}
