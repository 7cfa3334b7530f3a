/* axis: where the marks of an axis are, at 1, 2 or 5 times a power of ten. Pure; any thread. */
#ifndef PS_REPORT_AXIS_H
#define PS_REPORT_AXIS_H

#include "client/show/human.h"

typedef struct ps_axis {
    double least, most; /* of the axis: both are marks */
    double step;        /* above 0 */
    int steps;          /* so many from the least to the most, 1 to 10 */
} ps_axis;

/* That has both and all between. Whatever they are, it is one: what is not finite is 0. */
ps_axis ps_axis_of(double least, double most);
double ps_axis_mark(const ps_axis *axis, int i); /* 0 .. steps */
/* 0 the least, 1 the most. */
double ps_axis_place(const ps_axis *axis, double value);
/* "0.2", "-15k": a mark of this axis, with no more digits than tell marks apart. */
ps_human ps_axis_text(const ps_axis *axis, double mark);

#endif
