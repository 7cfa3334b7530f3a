/* exposition: writes Prometheus' text format, version 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats). Pure; any thread. */
#ifndef PS_METRICS_EXPOSITION_H
#define PS_METRICS_EXPOSITION_H

#include "common/base/buf.h"

/* The HELP and TYPE lines of a metric; type is "counter" or "gauge". Once a name, before its
 * samples. */
void ps_metric_describe(ps_buf *out, const char *name, const char *type, const char *help);
/* One sample; label may be NULL, otherwise name{label="value"} with the value escaped. */
void ps_metric_sample(ps_buf *out, const char *name, const char *label, const char *label_value,
                      double value);
/* Both, for a metric without labels. */
void ps_metric_counter(ps_buf *out, const char *name, const char *help, double value);
void ps_metric_gauge(ps_buf *out, const char *name, const char *help, double value);

#endif
