/* normaliser: what becomes of a row's numbers before a model sees them: (value * scale - mean) /
 * std in double, which only then is rounded to float32. Any thread. */
#ifndef PS_WORKER_DATA_NORMALISER_H
#define PS_WORKER_DATA_NORMALISER_H

#include <stddef.h>

typedef struct ps_normaliser {
    double scale, mean, std;
} ps_normaliser;

/* out: [n]. The first place whose result is not finite, or n. */
size_t ps_normaliser_apply(const ps_normaliser *normaliser, const double *values, size_t n,
                           float *out);

#endif
