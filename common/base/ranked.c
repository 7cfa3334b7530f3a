/* NaN is put aside before any two numbers are compared; what is left of them is ordered as usual.
 */
#include "common/base/ranked.h"

#include <math.h>

/* -1, 0 or 1; up: 1, or -1 for the greatest first. */
static int compare(double x, double y, int up)
{
    if (isnan(x) || isnan(y))
        return !!isnan(x) - !!isnan(y);
    return up * ((x > y) - (x < y));
}

static int in_place(const ps_ranked *x, const ps_ranked *y, int up)
{
    int order = compare(x->value, y->value, up);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

int ps_ranked_up(const void *a, const void *b)
{
    return in_place(a, b, 1);
}

int ps_ranked_down(const void *a, const void *b)
{
    return in_place(a, b, -1);
}

int ps_number_up(const void *a, const void *b)
{
    return compare(*(const double *)a, *(const double *)b, 1);
}
