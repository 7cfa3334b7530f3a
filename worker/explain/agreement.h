/* agreement: how far two orders agree: rank correlation, and how well a score finds what is to be
 * found. Pure, float64. */
#ifndef PS_EXPLAIN_AGREEMENT_H
#define PS_EXPLAIN_AGREEMENT_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Spearman's: the correlation of ranks, those of equals their mean. NaN: one side is all the same,
 * or fewer than two. PS_NO_MEMORY. Numbers are no NaN. */
PS_MUST_CHECK ps_status ps_spearman(const double *x, const double *y, size_t n, double *out);
/* Pearson's; NaN likewise. */
double ps_pearson(const double *x, const double *y, size_t n);
/* The share of pairs of one that is wanted and one that is not whose first has the higher score,
 * equals counting half: the area below the curve of hits against false alarms. NaN: one of the two
 * is missing. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_auc(const double *scores, const bool *wanted, size_t n, double *out);

#endif
