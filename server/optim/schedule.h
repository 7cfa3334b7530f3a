/* schedule: the learning rate by how far the job is. The warm-up counts steps, that is updates of
 * the whole model; after it the rate falls with the share of the job's rows that are done, so that
 * it arrives at its end with the last row, however many workers there were. Pure; any thread. */
#ifndef PS_OPTIM_SCHEDULE_H
#define PS_OPTIM_SCHEDULE_H

#include "common/base/status.h"

#include <stdint.h>

typedef enum ps_schedule_kind {
    PS_SCHEDULE_CONSTANT,
    PS_SCHEDULE_LINEAR, /* in a straight line down to final_factor */
    PS_SCHEDULE_COSINE, /* along half a cosine (Loshchilov and Hutter 2017) */
} ps_schedule_kind;

typedef struct ps_schedule {
    ps_schedule_kind kind;
    uint64_t warmup_steps; /* over which the rate climbs linearly: (step+1)/(warmup+1) */
    double final_factor;   /* share of the base rate, in [0, 1] */
} ps_schedule;

/* How far the job is before an update. */
typedef struct ps_schedule_point {
    uint64_t step;       /* from 0 */
    uint64_t rows;       /* that are done, of all epochs together, */
    uint64_t rows_warm;  /* that were when the warm-up had ended, */
    uint64_t rows_total; /* and that the job has: there linear and cosine are at final_factor; 0:
                            unknown, the rate is constant after the warm-up */
} ps_schedule_point;

PS_MUST_CHECK ps_status ps_schedule_check(const ps_schedule *schedule);
/* What the base rate is multiplied by. */
double ps_schedule_factor(const ps_schedule *schedule, const ps_schedule_point *at);

#endif
