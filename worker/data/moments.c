/* Happy path: each value moves its column's mean a little, and adds what it is away from it. It
 * fails on a column of which nothing is known. */
#include "worker/data/moments.h"

#include "common/base/mem.h"

#include <float.h>
#include <math.h>

void ps_moments_init(ps_moments *m, size_t columns)
{
    *m = (ps_moments){.n = columns,
                      .count = ps_alloc_array(columns, sizeof *m->count),
                      .mean = ps_alloc_array(columns, sizeof *m->mean),
                      .spread = ps_alloc_array(columns, sizeof *m->spread)};
}

void ps_moments_free(ps_moments *m)
{
    ps_free(&m->count);
    ps_free(&m->mean);
    ps_free(&m->spread);
    m->n = 0;
}

void ps_moments_add(ps_moments *m, const double *values, const bool *missing)
{
    for (size_t i = 0; i < m->n; i++) {
        if (missing && missing[i])
            continue;
        double away = values[i] - m->mean[i];
        m->mean[i] += away / (double)++m->count[i];
        m->spread[i] += away * (values[i] - m->mean[i]);
    }
}

/* A deviation below the smallest normal number is none. */
static ps_status finish(ps_moments *m, size_t i)
{
    if (m->count[i] == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "no row has a value there, so there is no mean of it");
    double deviation = sqrt(m->spread[i] / (double)m->count[i]);
    if (!isfinite(m->mean[i]) || !isfinite(deviation))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its values are too far apart for a mean and a deviation");
    m->variance += deviation * deviation / (double)m->n;
    m->spread[i] = deviation < DBL_MIN ? 1 : deviation;
    return PS_OK;
}

ps_status ps_moments_finish(ps_moments *m, size_t *bad)
{
    for (size_t i = 0; i < m->n; i++) {
        ps_status st = finish(m, i);
        if (st) {
            *bad = i;
            return st;
        }
    }
    return PS_OK;
}
