/* process: the metrics of this process that every Prometheus client library has, by the names they
 * agreed on (prometheus.io/docs/instrumenting/writing_clientlibs, "Process metrics"). Any thread.
 */
#ifndef PS_METRICS_PROCESS_H
#define PS_METRICS_PROCESS_H

#include "common/base/buf.h"

/* A number that the system does not tell (no /proc) is left out. */
void ps_metric_process(ps_buf *out);

#endif
