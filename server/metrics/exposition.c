#include "server/metrics/exposition.h"

#include <math.h>

void ps_metric_describe(ps_buf *out, const char *name, const char *type, const char *help)
{
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

void ps_metric_sample(ps_buf *out, const char *name, const char *label, const char *label_value,
                      double value)
{
    ps_buf_puts(out, name);
    if (label) {
        ps_buf_printf(out, "{%s=\"", label);
        put_escaped(out, label_value);
        ps_buf_puts(out, "\"}");
    }
    ps_buf_putc(out, ' ');
    put_value(out, value);
}

void ps_metric_counter(ps_buf *out, const char *name, const char *help, double value)
{
    ps_metric_describe(out, name, "counter", help);
    ps_metric_sample(out, name, NULL, NULL, value);
}

void ps_metric_gauge(ps_buf *out, const char *name, const char *help, double value)
{
    ps_metric_describe(out, name, "gauge", help);
    ps_metric_sample(out, name, NULL, NULL, value);
}
