/* Fails where there is no memory to sort. */
#include "worker/compress/units.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>
#include <string.h>

static void check(const ps_member *m, uint64_t length, uint64_t units)
{
    PS_REQUIRE(m->span && units && m->begin <= length && units <= (length - m->begin) / m->span);
}

void ps_units_importance(const ps_salient *tensor, const ps_member *member, uint64_t units,
                         double *importance)
{
    check(member, member->columns ? tensor->columns : tensor->rows, units);
    uint64_t end = member->begin + units * member->span;
    for (uint64_t r = 0; r < tensor->rows; r++)
        for (uint64_t c = 0; c < tensor->columns; c++) {
            uint64_t at = member->columns ? c : r;
            if (at >= member->begin && at < end)
                importance[(at - member->begin) / member->span] += ps_saliency(tensor, r, c);
        }
}

typedef struct ranked {
    double importance;
    uint64_t unit;
} ranked;

static int by_importance(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->importance != y->importance)
        return x->importance > y->importance ? -1 : 1;
    return x->unit < y->unit ? -1 : 1;
}

ps_status ps_units_keep(const double *importance, uint64_t units, uint64_t left, bool *keep)
{
    PS_REQUIRE(left && left <= units);
    ranked *all = ps_try_alloc(units * sizeof *all);
    if (!all)
        return ps_fail(PS_NO_MEMORY, "order of %lu units", (unsigned long)units);
    for (uint64_t i = 0; i < units; i++)
        all[i] = (ranked){importance[i], i};
    qsort(all, units, sizeof *all, by_importance);
    for (uint64_t i = 0; i < units; i++)
        keep[all[i].unit] = i < left;
    ps_free(&all);
    return PS_OK;
}

void ps_units_mark(const ps_member *member, uint64_t units, const bool *keep, bool *stays)
{
    PS_REQUIRE(member->span);
    for (uint64_t u = 0; u < units; u++)
        for (uint64_t i = 0; i < member->span && !keep[u]; i++)
            stays[member->begin + u * member->span + i] = false;
}

uint64_t ps_units_count(const bool *stays, uint64_t n)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < n; i++)
        count += stays[i];
    return count;
}

void ps_units_cut(const float *w, uint64_t rows, uint64_t columns, const bool *stay_rows,
                  const bool *stay_columns, float *out)
{
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < columns; c++)
            if ((!stay_rows || stay_rows[r]) && (!stay_columns || stay_columns[c]))
                *out++ = w[r * columns + c];
}
