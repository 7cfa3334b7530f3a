/* A sorted array: adding finds the ranges that the new one touches, and makes one of them. */
#include "server/params/row_set.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

void ps_row_set_free(ps_row_set *set)
{
    ps_free(&set->list);
    *set = (ps_row_set){0};
}

/* The first range that ends at `row` or later. */
static size_t find(const ps_row_set *set, uint64_t row)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->list[middle].end < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(ps_row_set *set, size_t at, ps_row_span span)
{
    if (set->n == set->capacity) {
        set->capacity = set->capacity ? 2 * set->capacity : 4;
        set->list = ps_realloc(set->list, set->capacity * sizeof *set->list);
    }
    memmove(set->list + at + 1, set->list + at, (set->n - at) * sizeof *set->list);
    set->list[at] = span;
    set->n++;
}

void ps_row_set_add(ps_row_set *set, uint64_t begin, uint64_t end)
{
    PS_REQUIRE(begin <= end);
    if (begin == end)
        return;
    size_t first = find(set, begin), after = first;
    while (after < set->n && set->list[after].begin <= end) {
        const ps_row_span *touched = &set->list[after++];
        begin = touched->begin < begin ? touched->begin : begin;
        end = touched->end > end ? touched->end : end;
        set->rows -= touched->end - touched->begin;
    }
    set->rows += end - begin;
    PS_REQUIRE(first == 0 || set->list[first - 1].end < begin); /* ascending, none touching */
    PS_REQUIRE(after == set->n || set->list[after].begin > end);
    if (after == first) {
        insert(set, first, (ps_row_span){begin, end});
        return;
    }
    set->list[first] = (ps_row_span){begin, end};
    memmove(set->list + first + 1, set->list + after, (set->n - after) * sizeof *set->list);
    set->n -= after - first - 1;
}

void ps_row_set_add_set(ps_row_set *set, const ps_row_set *other)
{
    for (size_t i = 0; i < other->n; i++)
        ps_row_set_add(set, other->list[i].begin, other->list[i].end);
}

bool ps_row_set_meets(const ps_row_set *set, uint64_t begin, uint64_t end)
{
    size_t at = find(set, begin + 1);
    return begin < end && at < set->n && set->list[at].begin < end;
}

uint64_t ps_row_set_first_gap(const ps_row_set *set, uint64_t begin)
{
    size_t at = find(set, begin + 1);
    return at < set->n && set->list[at].begin <= begin ? set->list[at].end : begin;
}

void ps_row_set_gaps(const ps_row_set *set, uint64_t begin, uint64_t end, ps_row_set *out)
{
    for (size_t at = find(set, begin + 1); begin < end; at++) {
        bool more = at < set->n && set->list[at].begin < end;
        uint64_t until = more ? set->list[at].begin : end;
        if (begin < until)
            ps_row_set_add(out, begin, until);
        begin = more ? set->list[at].end : end;
    }
}
