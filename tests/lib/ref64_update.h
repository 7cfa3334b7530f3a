/* ref64_update: random bits and optimizers, written from their papers. */
#ifndef PS_TEST_REF64_UPDATE_H
#define PS_TEST_REF64_UPDATE_H

#include <stdint.h>

/* Philox 4x32 of ten rounds (Salmon 2011), one counter. */
void ps_ref64_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* What dropout makes of n ones, the first of which is element number `number` (gpu/ops.h,
 * ps_dropout). */
void ps_ref64_dropout(double *y, int64_t n, float rate, uint64_t seed, uint64_t number);

typedef struct ps_ref64_adamw {
    double rate, beta1, beta2, epsilon, decay;
} ps_ref64_adamw;
void ps_ref64_adamw_step(const ps_ref64_adamw *a, int step, int n, double *p, double *m, double *v,
                         const double *g);

#endif
