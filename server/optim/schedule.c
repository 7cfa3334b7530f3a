/* The factor is that of the warm-up first and of the decay after it. Nothing can fail but a
 * configuration that makes no sense. */
#include "server/optim/schedule.h"

#include <math.h>

ps_status ps_schedule_check(const ps_schedule *schedule)
{
    if (schedule->kind > PS_SCHEDULE_COSINE)
        return ps_fail(PS_INVALID_ARGUMENT, "schedule: unknown kind %d", (int)schedule->kind);
    if (!(schedule->final_factor >= 0 && schedule->final_factor <= 1))
        return ps_fail(PS_INVALID_ARGUMENT, "schedule: final_factor %g, must be in 0..1",
                       schedule->final_factor);
    return PS_OK;
}

double ps_schedule_factor(const ps_schedule *schedule, uint64_t t)
{
    if (t < schedule->warmup_steps)
        return (double)(t + 1) / ((double)schedule->warmup_steps + 1);
    if (schedule->kind == PS_SCHEDULE_CONSTANT || schedule->total_steps <= schedule->warmup_steps)
        return 1;
    if (t >= schedule->total_steps)
        return schedule->final_factor;
    double done = (double)(t - schedule->warmup_steps) /
                  (double)(schedule->total_steps - schedule->warmup_steps);
    double left = schedule->kind == PS_SCHEDULE_COSINE ? (1 + cos(M_PI * done)) / 2 : 1 - done;
    return schedule->final_factor + (1 - schedule->final_factor) * left;
}
