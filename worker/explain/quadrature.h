/* quadrature: points and weights of Gauss and Legendre on [0, 1], which integrate a polynomial of
 * degree 2n − 1 exactly (Golub and Welsch 1969; here by Newton's steps on the polynomial). Pure. */
#ifndef PS_EXPLAIN_QUADRATURE_H
#define PS_EXPLAIN_QUADRATURE_H

#include <stddef.h>

/* n from 1; ascending points[n], weights[n] of sum 1. */
void ps_gauss_legendre(size_t n, double *points, double *weights);

#endif
