/* metrics: the lists of Metric in answers, as text and as JSON. A name that is none (metric_list.h)
 * is left out. Pure. */
#ifndef PS_SHOW_METRICS_H
#define PS_SHOW_METRICS_H

#include "client/show/table.h"
#include "psd/v1/jobs.pb-c.h"

typedef struct ps_metrics {
    Psd__V1__Metric *const *list;
    size_t n;
} ps_metrics;

const Psd__V1__Metric *ps_metrics_first(ps_metrics metrics); /* NULL: none */
/* What a test came to in one cell: the first metric, or "loss 0.3211" where there is none. */
void ps_metrics_test_cell(ps_table *table, ps_metrics metrics, double loss);
/* "test accuracy  0.8840": a field a metric; prefix "" or "test ". */
void ps_metrics_fields(ps_table *table, const char *prefix, ps_metrics metrics);
/* "test_accuracy":0.884: a key a metric; prefix "" or "test_". */
void ps_metrics_json(ps_json_writer *w, const char *prefix, ps_metrics metrics);

#endif
