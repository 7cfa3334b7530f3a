/* adamw: the update itself, for the rules that differ in how they keep m and v only. Private to
 * this folder. Pure; any thread. */
#ifndef PS_OPTIM_ADAMW_H
#define PS_OPTIM_ADAMW_H

#include "server/optim/optimizer.h"

typedef struct ps_adamw_factors {
    float scale, keep; /* of g; of θ: 1 − ηλ */
    float beta1, beta2;
    float new1, new2; /* 1 − β */
    float root2;      /* 1 / √(1 − β2^t) */
    float epsilon;
    float rate1; /* η / (1 − β1^t) */
} ps_adamw_factors;

/* Once for an application. */
ps_adamw_factors ps_adamw_prepare(const ps_optimizer_config *config, const ps_optimizer_step *step);
/* n elements; m and v are updated where they are. in and out are the same or do not overlap. */
void ps_adamw_apply(size_t n, const float *in, float *out, const ps_wire_float *g, float *m,
                    float *v, ps_adamw_factors factors);

/* Of the variance of each g (optimizer.h): v without bias, less the square of m without bias, n
 * elements. out may be v. m is itself a mean of few gradients, and has a share S of that variance
 * in its square: S = (1 − β1)(1 + β1^t) / ((1 + β1)(1 − β1^t)), the sum of its weights' squares. By
 * so much it is too small, and is made larger; where S is above a half v alone is taken. Noise
 * cannot take more than nine tenths of v away. */
void ps_adamw_variance(const ps_optimizer_config *config, uint64_t count, size_t n, const float *m,
                       const float *v, float *out);

#endif
