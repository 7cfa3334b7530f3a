/* Happy path: what arrives mostly follows what arrived before it, and so only lengthens the last
 * range. Cannot fail. */
#include "worker/exchange/ranges.h"

#include "common/base/require.h"

#include <string.h>

static void remove_at(ps_ranges *r, uint32_t i)
{
    PS_REQUIRE(i < r->count);
    memmove(&r->list[i], &r->list[i + 1], (r->count - i - 1) * sizeof *r->list);
    r->count--;
}

static void insert_at(ps_ranges *r, uint32_t i, ps_range range)
{
    PS_REQUIRE(i <= r->count && r->count <= PS_RANGES_MAX);
    memmove(&r->list[i + 1], &r->list[i], (r->count - i) * sizeof *r->list);
    r->list[i] = range;
    r->count++;
}

static void take_in_smallest_gap(ps_ranges *r)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i + 1 < r->count; i++)
        if (r->list[i + 1].begin - r->list[i].end < r->list[best + 1].begin - r->list[best].end)
            best = i;
    r->list[best].end = r->list[best + 1].end;
    remove_at(r, best + 1);
}

void ps_ranges_add(ps_ranges *r, uint64_t begin, uint64_t end)
{
    PS_REQUIRE(begin <= end);
    if (begin == end)
        return;
    uint32_t i = r->count; /* the first that ends at begin or later */
    while (i && r->list[i - 1].end >= begin)
        i--;
    ps_range *at = &r->list[i];
    if (i == r->count || at->begin > end) {
        insert_at(r, i, (ps_range){begin, end});
        if (r->count > PS_RANGES_MAX)
            take_in_smallest_gap(r);
        return;
    }
    at->begin = at->begin < begin ? at->begin : begin;
    at->end = at->end > end ? at->end : end;
    while (i + 1 < r->count && r->list[i + 1].begin <= at->end) {
        if (r->list[i + 1].end > at->end)
            at->end = r->list[i + 1].end;
        remove_at(r, i + 1);
    }
}
