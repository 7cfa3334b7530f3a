/* ref64: the mathematics of layers and models in float64, written as naively as can be, to compare
 * backends and models with. Its own gradients are checked against finite differences by
 * tests/unit/worker/models/test_mlp.c. Row-major and dense unless leading dimensions are given. */
#ifndef PS_TEST_REF64_H
#define PS_TEST_REF64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

double *ps_ref64_from_f32(const float *x, size_t n); /* the caller frees */

/* c[m,n] = alpha·op(a)[m,k]·op(b)[k,n] + beta·c */
void ps_ref64_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha,
                   const double *a, int ld_a, const double *b, int ld_b, double beta, double *c,
                   int ld_c);

/* name: "relu", "gelu", "tanh", "gelu_tanh", "silu"; f(x) and f'(x) */
double ps_ref64_activation(const char *name, double x);
double ps_ref64_activation_slope(const char *name, double x);

void ps_ref64_softmax(double *y, const double *x, int rows, int n);
/* The mean over rows; dx, unless NULL, gets the gradient. A row whose label is -1 is left out, of
 * the mean too: loss and gradient are 0 where none is left. */
double ps_ref64_cross_entropy(double *dx, const double *x, const int32_t *labels, int rows, int n);
double ps_ref64_squared_error(double *dy, const double *y, const double *target, int count);

/* Linear layers with an activation between each two. parameters: weight [out,in] and bias [out] of
 * each layer in turn. labels: cross-entropy; else targets[rows,outputs]: squared error. */
typedef struct ps_ref64_mlp {
    const int64_t *sizes;
    int layers; /* sizes has one more */
    const char *activation;
    double **parameters; /* [2·layers] */
    double **gradients;  /* [2·layers]; NULL: forward alone */
    double *outputs;     /* [rows,sizes[layers]], unless NULL */
} ps_ref64_mlp;

double ps_ref64_mlp_run(const ps_ref64_mlp *m, const double *x, int rows, const int32_t *labels,
                        const double *targets);

/* A function of what context holds. */
typedef double (*ps_ref64_cb)(void *context);
/* slopes[n] of f along x[n], which f reads: central differences, off by some 1e-10 where f and its
 * third derivatives are about 1. */
void ps_ref64_differences(ps_ref64_cb f, void *context, double *x, size_t n, double *slopes);
double ps_ref64_dot(const double *a, const double *b, size_t n);

/* The largest |got - want|, over the largest |want| (or over 1e-30): NaN counts as infinite. */
double ps_ref64_error(const float *got, const double *want, size_t n);

#endif
