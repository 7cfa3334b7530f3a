/* The factor is that of the warm-up first and of the decay after it. Nothing can fail but a
 * configuration that makes no sense. */
#include "server/optim/schedule.h"

#include "common/base/require.h"

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

/* Of what comes after the warm-up, in [0, 1]. */
static double share_done(const ps_schedule_point *at)
{
    if (at->rows <= at->rows_warm)
        return 0;
    if (at->rows >= at->rows_total)
        return 1;
    return (double)(at->rows - at->rows_warm) / (double)(at->rows_total - at->rows_warm);
}

static double factor_of(const ps_schedule *schedule, const ps_schedule_point *at)
{
    if (at->step < schedule->warmup_steps)
        return (double)(at->step + 1) / ((double)schedule->warmup_steps + 1);
    if (schedule->kind == PS_SCHEDULE_CONSTANT || at->rows_total == 0)
        return 1;
    double done = share_done(at);
    double left = schedule->kind == PS_SCHEDULE_COSINE ? (1 + cos(M_PI * done)) / 2 : 1 - done;
    return schedule->final_factor + (1 - schedule->final_factor) * left;
}

double ps_schedule_factor(const ps_schedule *schedule, const ps_schedule_point *at)
{
    double factor = factor_of(schedule, at);
    PS_REQUIRE(factor >= 0 && factor <= 1);
    return factor;
}
