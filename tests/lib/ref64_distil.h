/* ref64_distil: the loss of distillation in float64, as its definition says it (gpu/ops.h); its
 * gradient is what finite differences of it are. */
#ifndef PS_TEST_REF64_DISTIL_H
#define PS_TEST_REF64_DISTIL_H

#include "gpu/ops.h"
#include "tests/lib/ref64.h"

typedef struct ps_ref64_distil {
    double *logits, *teacher; /* [rows,n], [rows,teacher_n] */
    const int32_t *labels;    /* -1: left out */
    int rows, n, teacher_n;
    ps_divergence kind;
    double temperature, alpha;
    int top_k;
    /* found */
    double loss, divergence; /* means over rows that have a label */
    int correct;
} ps_ref64_distil;

/* What is minimised: (1-alpha)·loss + alpha·temperature²·divergence. context: the struct. */
double ps_ref64_distil_run(void *context);

#endif
