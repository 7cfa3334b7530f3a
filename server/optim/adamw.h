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

#endif
