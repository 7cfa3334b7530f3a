/* ranked: numbers in order, with where each stood. The orders are total, so that the same numbers
 * are in the same order on every machine: of equals the one that stood first comes first, a number
 * that is NaN comes last either way, and 0 and -0 are equal. For qsort; any thread. */
#ifndef PS_BASE_RANKED_H
#define PS_BASE_RANKED_H

#include <stddef.h>

typedef struct ps_ranked {
    double value;
    size_t at;
} ps_ranked;

/* Of ps_ranked: the least first; the greatest first. */
int ps_ranked_up(const void *a, const void *b);
int ps_ranked_down(const void *a, const void *b);
/* Of double: the least first, NaN last. */
int ps_number_up(const void *a, const void *b);

static inline size_t ps_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t ps_most(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
