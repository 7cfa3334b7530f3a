/* moments: mean and standard deviation of each column of numbers, one row after the other (Welford
 * 1962, "Note on a method for calculating corrected sums of squares and products"): a large mean
 * costs no digits of a small deviation. One thread (not asserted: plain data of whoever has it). */
#ifndef PS_WORKER_DATA_MOMENTS_H
#define PS_WORKER_DATA_MOMENTS_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_moments {
    size_t n;        /* columns */
    uint64_t *count; /* [n] of values */
    double *mean;    /* [n] of them */
    double *spread;  /* [n] sum of squares of (value - mean); after finish the deviation */
    double variance; /* after finish: the mean of all columns' */
} ps_moments;

void ps_moments_init(ps_moments *moments, size_t columns);
void ps_moments_free(ps_moments *moments);
/* values: [n], finite. missing: [n], those that are not there; NULL: all are. */
void ps_moments_add(ps_moments *moments, const double *values, const bool *missing);
/* Deviations of the values that there were (their squares' mean, so of all of them and not of a
 * sample); 1 where all are the same. PS_INVALID_ARGUMENT: *bad is a column without a value, or
 * whose numbers are beyond doubles. */
PS_MUST_CHECK ps_status ps_moments_finish(ps_moments *moments, size_t *bad);

#endif
