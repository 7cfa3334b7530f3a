/* spectrum: how a matrix stretches what it is multiplied with: its singular values, how many of
 * them count, and whether the large ones fall as a power law does, which trained matrices do more
 * than random ones (Martin, Peng and Mahoney 2021).
 *
 * Pure, float64: the same bits with any number of threads. */
#ifndef PS_EXPLAIN_SPECTRUM_H
#define PS_EXPLAIN_SPECTRUM_H

#include "common/base/status.h"
#include "worker/compress/eigen.h"

#include <stdbool.h>
#include <stddef.h>

/* Squares of the singular values of w[rows, columns], the largest first, into values[the smaller
 * side]; their sum is the sum of w²'s. Works in 16·m² bytes of its own, m the smaller side;
 * about m²·n + 9·m³ operations. threads 0: as many as there are cores. PS_NO_MEMORY.
 * PS_OUT_OF_RANGE: a number of w is not finite. As watch, which is asked now and then (eigen.h;
 * NULL: none). */
PS_MUST_CHECK ps_status ps_spectrum(const float *w, size_t rows, size_t columns, size_t threads,
                                    const ps_eigen_watch *watch, double *values);

/* Σσ²/σ₁² (Rudelson and Vershynin 2007), 1 to the rank; 0 of a matrix of zeros. */
double ps_spectrum_stable_rank(const double *values, size_t n);
/* exp of the entropy of σ²'s shares (Roy and Vetterli 2007), 1 to the rank; 0 of zeros. */
double ps_spectrum_effective_rank(const double *values, size_t n);

/* The density of σ² above `from` falls as its power -alpha. */
typedef struct ps_power_law {
    double alpha; /* 1 + tail/Σ ln(σ²/from), which is most likely (Clauset, Shalizi, Newman 2009) */
    double from;     /* the σ² that makes the distance least */
    double distance; /* Kolmogorov and Smirnov's, of the tail and the law: 0 is a perfect fit */
    size_t tail;     /* values from there on */
} ps_power_law;

/* false: fewer than two different values above 0. */
bool ps_power_law_fit(const double *values, size_t n, ps_power_law *out);

#endif
