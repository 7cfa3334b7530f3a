/* Happy path: one loop that a compiler makes vectors of, and one that looks at the results. */
#include "worker/data/normaliser.h"

#include <math.h>

size_t ps_normaliser_apply(const ps_normaliser *s, const double *values, size_t first, size_t n,
                           float *out)
{
    if (s->stds)
        for (size_t i = 0; i < n; i++)
            out[i] = (float)((values[i] - s->means[first + i]) / s->stds[first + i]);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (float)((values[i] * s->scale - s->mean) / s->std);
    size_t finite = 0;
    while (finite < n && isfinite(out[finite]))
        finite++;
    return finite;
}
