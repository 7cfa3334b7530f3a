/* Cannot fail. */
#include "client/report/axis.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

enum { MARKS = 4 }; /* about so many steps */
#define LARGEST  1e30
#define SMALLEST 1e-4 /* a step below has powers of ten */
#define WIDEST   1e4  /* as its digits; larger numbers have a letter */

static double limited(double v)
{
    return isfinite(v) ? fmin(fmax(v, -LARGEST), LARGEST) : 0;
}

ps_axis ps_axis_of(double least, double most)
{
    least = limited(least);
    most = limited(most);
    if (!(most - least > 1e-12 * (fabs(least) + fabs(most)))) { /* none between that can be told */
        double around = least != 0 ? 0.5 * fabs(least) : 0.5;
        least -= around;
        most += around;
    }
    double rough = (most - least) / MARKS, power = pow(10, floor(log10(rough)));
    double times = rough / power, step = power * (times <= 1   ? 1
                                                  : times <= 2 ? 2
                                                  : times <= 5 ? 5
                                                               : 10);
    double first = floor(least / step + 1e-9), last = ceil(most / step - 1e-9);
    return (ps_axis){first * step, last * step, step, (int)(last - first)};
}

double ps_axis_mark(const ps_axis *a, int i)
{
    double v = a->least + i * a->step;
    return fabs(v) < 1e-9 * a->step ? 0 : v;
}

double ps_axis_place(const ps_axis *a, double value)
{
    return (value - a->least) / (a->most - a->least);
}

ps_human ps_axis_text(const ps_axis *a, double value)
{
    static const char letters[] = {'k', 'M', 'G', 'T'};
    double most = fmax(fabs(a->least), fabs(a->most)), by = 1;
    ps_human text;
    size_t letter = 0; /* 0: none */
    for (; most / by >= (letter ? 1000 : WIDEST) && letter < sizeof letters; by *= 1000)
        letter++;
    int places = (int)fmin(9, fmax(0, -floor(log10(a->step / by) + 1e-9)));
    bool small = value == 0 || a->step < SMALLEST;
    int n = small ? snprintf(text.text, sizeof text.text - 1, "%.3g", value)
                  : snprintf(text.text, sizeof text.text - 1, "%.*f", places, value / by);
    if (letter && value != 0)
        (void)snprintf(text.text + n, sizeof text.text - (size_t)n, "%c", letters[letter - 1]);
    return text;
}
