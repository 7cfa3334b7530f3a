/* Every value in turn as the first of the tail; the one whose tail is nearest to its law. */
#include "worker/explain/spectrum.h"

#include <math.h>

/* The largest distance between the law and the share of the tail that is below each value. The
 * tail's k-th smallest is values[tail - 1 - k]. */
static double distance(const double *values, size_t tail, double from, double alpha)
{
    double most = 0;
    for (size_t k = 0; k < tail; k++) {
        double law = 1 - pow(values[tail - 1 - k] / from, 1 - alpha);
        most = fmax(most, fabs(law - (double)k / (double)tail));
    }
    return most;
}

bool ps_power_law_fit(const double *values, size_t n, ps_power_law *out)
{
    double logs = 0; /* Σ ln of the values before the last of the tail, and it */
    bool found = false;
    for (size_t tail = 1; tail <= n && values[tail - 1] > 0; tail++) {
        double from = values[tail - 1], spread;
        logs += log(from);
        spread = logs - (double)tail * log(from);
        if (tail < 2 || !(spread > 0))
            continue;
        double alpha = 1 + (double)tail / spread, d = distance(values, tail, from, alpha);
        if (!found || d < out->distance)
            *out = (ps_power_law){.alpha = alpha, .from = from, .distance = d, .tail = tail};
        found = true;
    }
    return found;
}
