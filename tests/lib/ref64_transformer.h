/* ref64_transformer: what transformers are made of, in float64 and as naively as can be: whole
 * matrices of scores, one number after the other. Gradients are checked against finite differences
 * by tests/unit/gpu/test_ref64.c. Row-major and dense. */
#ifndef PS_TEST_REF64_TRANSFORMER_H
#define PS_TEST_REF64_TRANSFORMER_H

#include <stdbool.h>
#include <stdint.h>

/* y, x [rows,n]; gain, bias [n]; mean, rstd [rows]. bias NULL: RMSNorm, and mean is 0. */
typedef struct ps_ref64_norm {
    int rows, n;
    double epsilon;
    const double *x, *gain, *bias;
    double *y, *mean, *rstd;
} ps_ref64_norm;
void ps_ref64_norm_forward(const ps_ref64_norm *r);
/* dbias NULL: RMSNorm. All three are overwritten. */
void ps_ref64_norm_backward(const ps_ref64_norm *r, const double *dy, double *dx, double *dgain,
                            double *dbias);

/* q, y [batch,queries,heads,head_dim]; k, v [batch,keys,kv_heads,head_dim]; lse
 * [batch,heads,queries], or NULL. Query t stands at keys - queries + t. What it sees, and softcap,
 * as gpu/ops.h has them; starts and ends [batch,queries], or NULL. */
typedef struct ps_ref64_attention {
    int batch, queries, keys, heads, kv_heads, head_dim;
    bool causal;
    double scale;
    const double *q, *k, *v;
    double *y, *lse;
    int window;
    double softcap;
    const int32_t *starts, *ends;
    const double *kept; /* what dropout makes of each weight, [batch,heads,queries,keys]; or NULL */
} ps_ref64_attention;
/* p[keys] = softmax of the scores of one query, before dropout; returns log Σ e^score. None seen: 0
 * and -infinity */
double ps_ref64_attention_weights(const ps_ref64_attention *r, int b, int t, int h, double *p);
void ps_ref64_attention_forward(const ps_ref64_attention *r);
void ps_ref64_attention_backward(const ps_ref64_attention *r, const double *dy, double *dq,
                                 double *dk, double *dv);

/* x [rows,heads,head_dim]: pairs (i, i + head_dim/2) turned by position · base^(-2i/head_dim) */
void ps_ref64_rope(double *x, int rows, int heads, int head_dim, const int32_t *positions,
                   double base, bool inverse);

#endif
