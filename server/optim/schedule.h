/* schedule: the learning rate by the number of updates. Pure; any thread. */
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
    uint64_t warmup_steps; /* updates over which the rate climbs linearly: (t+1)/(warmup+1) */
    uint64_t total_steps;  /* where linear and cosine arrive at final_factor and stay; 0: unknown,
                              the rate is constant after the warm-up */
    double final_factor;   /* share of the base rate, in [0, 1] */
} ps_schedule;

PS_MUST_CHECK ps_status ps_schedule_check(const ps_schedule *schedule);
/* What the base rate is multiplied by at update t, counted from 0. */
double ps_schedule_factor(const ps_schedule *schedule, uint64_t t);

#endif
