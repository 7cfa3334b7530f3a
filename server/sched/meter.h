/* meter: rates and means over the last few seconds, from what workers report. Memory is fixed. */
#ifndef PS_SCHED_METER_H
#define PS_SCHED_METER_H

#include "common/format/metric_list.h"
#include "server/sched/task.h"

#include <stdbool.h>
#include <stdint.h>

enum { PS_METER_SECONDS = 32 };

typedef struct ps_meter {
    struct {
        uint64_t second;  /* since the clock's zero, + 1; 0: empty */
        uint64_t rows;    /* done */
        uint64_t samples; /* of the reports, for the means */
        double loss_sum;
        double metric_sums[PS_METRICS_MAX]; /* in the order of metrics */
    } buckets[PS_METER_SECONDS];
    uint64_t first_ns;      /* of the first report; 0: none yet */
    bool has_loss;          /* one was reported */
    double loss;            /* the last that was known, */
    ps_metric_list metrics; /* and these; none before one is reported */
} ps_meter;

void ps_meter_rows(ps_meter *meter, uint64_t now_ns, uint64_t rows);
/* Rows, and what the report says of its samples. */
void ps_meter_report(ps_meter *meter, uint64_t now_ns, uint64_t rows, const ps_task_report *report);
/* Rows a second over the last `seconds` (fewer than PS_METER_SECONDS), or since the first report.
 */
double ps_meter_rate(const ps_meter *meter, uint64_t now_ns, unsigned seconds);
/* Is the first report a second old? Until then a rate is too low to say what is to come. */
bool ps_meter_has_settled(const ps_meter *meter, uint64_t now_ns);
/* Sets meter->loss and metrics to the means of the last `seconds`, where there was any report. */
void ps_meter_means(ps_meter *meter, uint64_t now_ns, unsigned seconds);

#endif
