#include "worker/explain/quadrature.h"

#include <math.h>

/* P_n and its derivative at x, by the recurrence (k + 1)P_{k+1} = (2k + 1)xP_k − kP_{k−1}. */
static double legendre(size_t n, double x, double *slope)
{
    double before = 1, now = x;
    for (size_t k = 1; k < n; k++) {
        double next = ((2 * (double)k + 1) * x * now - (double)k * before) / ((double)k + 1);
        before = now;
        now = next;
    }
    *slope = (double)n * (x * now - before) / (x * x - 1);
    return now;
}

static double root(size_t n, size_t i, double *slope)
{
    double x = cos(M_PI * ((double)i + 0.75) / ((double)n + 0.5));
    for (int step = 0; step < 100; step++) {
        double dx = legendre(n, x, slope) / *slope;
        x -= dx;
        if (fabs(dx) < 1e-15) /* what is left is its square */
            break;
    }
    (void)legendre(n, x, slope);
    return x;
}

/* The i-th root from the right is the negative of the i-th from the left. */
void ps_gauss_legendre(size_t n, double *points, double *weights)
{
    for (size_t i = 0; 2 * i < n; i++) {
        double slope, x = root(n, i, &slope);
        if (n % 2 && i == n / 2)
            x = 0;
        points[n - 1 - i] = (1 + x) / 2;
        points[i] = (1 - x) / 2;
        weights[i] = weights[n - 1 - i] = 1 / ((1 - x * x) * slope * slope);
    }
}
