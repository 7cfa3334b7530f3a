/* normaliser: what becomes of a row's numbers before a model sees them: (value * scale - mean) /
 * std or, with numbers of each feature, (value - mean) / std; in double, which only then is rounded
 * to float32. Any thread. */
#ifndef PS_WORKER_DATA_NORMALISER_H
#define PS_WORKER_DATA_NORMALISER_H

#include <stddef.h>

typedef struct ps_normaliser {
    double scale, mean, std;
    const double *means, *stds; /* of each feature; stds NULL: the same for all */
} ps_normaliser;

/* values, out: [n], of features first to first + n - 1. The first place whose result is not finite,
 * or n. */
size_t ps_normaliser_apply(const ps_normaliser *normaliser, const double *values, size_t first,
                           size_t n, float *out);

#endif
