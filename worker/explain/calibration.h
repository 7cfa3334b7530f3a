/* calibration: whether a model that says 70 % is right in 70 of 100 rows, and what else its answers
 * to labelled rows come to: which classes it takes for which, and the sums of its errors. Sums
 * alone, which pieces of the rows add up to. Pure, float64. */
#ifndef PS_EXPLAIN_CALIBRATION_H
#define PS_EXPLAIN_CALIBRATION_H

#include <stddef.h>
#include <stdint.h>

enum { PS_CALIBRATION_BINS = 15 }; /* as Guo 2017 has it */

/* Rows whose largest probability is in (bin/15, (bin + 1)/15]. */
typedef struct ps_calibration_bin {
    double rows, confidence,
        correct; /* sums of the largest probability, and of whether it is right */
} ps_calibration_bin;

typedef struct ps_calibration {
    ps_calibration_bin bins[PS_CALIBRATION_BINS];
    double rows;
    double brier; /* Σ over rows and classes of (p − is)² (Brier 1950) */
    double nll;   /* Σ −ln p of the label */
} ps_calibration;

/* A row's probabilities[classes], which add up to 1. label < classes; loss: −ln of its probability,
 * which may be too small for a double. confusion[classes, classes], rows are labels, columns
 * answers (the first of equals): one more; NULL: not wanted. A row that is not finite is left out.
 */
void ps_calibration_add(ps_calibration *c, const double *probabilities, size_t classes,
                        size_t label, double loss, uint64_t *confusion);
void ps_calibration_merge(ps_calibration *into, const ps_calibration *other);

/* Σ rows/all · |share that is right − mean confidence|: the expected calibration error (Naeini
 * 2015), and the largest of a bin. 0 of no rows. */
double ps_calibration_ece(const ps_calibration *c);
double ps_calibration_mce(const ps_calibration *c);

#endif
