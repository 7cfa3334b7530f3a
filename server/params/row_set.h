/* row_set: rows of an epoch as a set of ranges, ascending, none touching the next. What workers do
 * comes in order but for the few that are under way, so there are few. Not thread-safe (not
 * asserted: plain data of whoever has it, and of its lock). */
#ifndef PS_PARAMS_ROW_SET_H
#define PS_PARAMS_ROW_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows [begin, end), never empty in a set. */
typedef struct ps_row_span {
    uint64_t begin, end;
} ps_row_span;

typedef struct ps_row_set {
    ps_row_span *list;
    size_t n, capacity;
    uint64_t rows; /* in all of them */
} ps_row_set;

void ps_row_set_free(ps_row_set *set); /* and empties it */
/* What was in it stays. begin <= end. */
void ps_row_set_add(ps_row_set *set, uint64_t begin, uint64_t end);
void ps_row_set_add_set(ps_row_set *set, const ps_row_set *other);
/* Is any row of [begin, end) in it? */
bool ps_row_set_meets(const ps_row_set *set, uint64_t begin, uint64_t end);
/* The first row from `begin` on that is not in it. */
uint64_t ps_row_set_first_gap(const ps_row_set *set, uint64_t begin);
/* Adds to `out` what of [begin, end) is not in the set. */
void ps_row_set_gaps(const ps_row_set *set, uint64_t begin, uint64_t end, ps_row_set *out);

#endif
