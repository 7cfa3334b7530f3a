/* meter: rates and means over the last few seconds, from what workers report. Memory is fixed. */
#ifndef PS_SCHED_METER_H
#define PS_SCHED_METER_H

#include <stdint.h>

enum { PS_METER_SECONDS = 32 };

typedef struct ps_meter {
    struct {
        uint64_t second;  /* since the clock's zero, + 1; 0: empty */
        uint64_t rows;    /* done */
        uint64_t samples; /* of the reports, for the means */
        double loss_sum;
        uint64_t correct;
    } buckets[PS_METER_SECONDS];
    uint64_t first_ns;     /* of the first report; 0: none yet */
    double loss, accuracy; /* the last that were known */
} ps_meter;

void ps_meter_add(ps_meter *meter, uint64_t now_ns, uint64_t rows, uint64_t samples,
                  double loss_sum, uint64_t correct);
/* Rows a second over the last `seconds` (fewer than PS_METER_SECONDS), or since the first report.
 */
double ps_meter_rate(const ps_meter *meter, uint64_t now_ns, unsigned seconds);
/* Sets meter->loss and accuracy to the means of the last `seconds`, where there was any report. */
void ps_meter_means(ps_meter *meter, uint64_t now_ns, unsigned seconds);

#endif
