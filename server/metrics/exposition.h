/* exposition: writes Prometheus' text format, version 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats), with the names that its conventions ask
 * for (prometheus.io/docs/practices/naming): base units, a counter ends in _total and nothing else
 * does. Pure; any thread.
 */
#ifndef PS_METRICS_EXPOSITION_H
#define PS_METRICS_EXPOSITION_H

#include "common/base/buf.h"

#include <stddef.h>

typedef struct ps_metric_label {
    const char *name, *value; /* the value is escaped; name NULL ends the list */
} ps_metric_label;
/* PS_LABELS({"state", "idle"}, {"kind", "train"}) */
#define PS_LABELS(...) ((const ps_metric_label[]){__VA_ARGS__, {0}})

/* The HELP and TYPE lines of a metric; type is "counter", "gauge" or "histogram". Once a name,
 * right before all its samples. */
void ps_metric_describe(ps_buf *out, const char *name, const char *type, const char *help);
/* One sample; labels may be NULL. */
void ps_metric_sample(ps_buf *out, const char *name, const ps_metric_label *labels, double value);
/* Both, for metrics without labels: a row each; NaN says that there is none. name NULL ends the
 * list. */
typedef struct ps_metric_row {
    const char *name, *type, *help;
    double value;
} ps_metric_row;
void ps_metric_put(ps_buf *out, const ps_metric_row *rows);

typedef struct ps_metric_histogram {
    const double *bounds;   /* upper ones, n_bounds of them, rising */
    const uint64_t *counts; /* n_bounds + 1: at [i] what fell between bound i - 1 and bound i */
    size_t n_bounds;
    double sum;
} ps_metric_histogram;
/* The samples of one histogram: NAME_bucket, cumulative, NAME_sum and NAME_count. */
void ps_metric_distribution(ps_buf *out, const char *name, const ps_metric_label *labels,
                            const ps_metric_histogram *histogram);

#endif
