/* adamw: Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2; as
 * torch.optim.AdamW). With t the count of this block's updates:
 *
 *     θ ← θ − ηλθ
 *     m ← β1 m + (1 − β1) g,    v ← β2 v + (1 − β2) g²
 *     θ ← θ − η (m / (1 − β1^t)) / (√v / √(1 − β2^t) + ε)
 *
 * Two slots: m and v. Seven streams of memory and one division and root for each element: bound by
 * memory when the loop is vector code. */
#include "common/base/vector.h"
#include "server/optim/rows.h"

#include <math.h>

typedef struct factors {
    float scale, keep; /* of g; of θ: 1 − ηλ */
    float beta1, beta2;
    float new1, new2; /* 1 − β */
    float root2;      /* 1 / √(1 − β2^t) */
    float epsilon;
    float rate1; /* η / (1 − β1^t) */
} factors;

PS_VECTOR_CLONES
static void kernel(size_t n, const float *in, float *out, const ps_wire_float *g, float *m,
                   float *v, factors f)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        float slope = f.scale * g[i];
        float first = f.beta1 * m[i] + f.new1 * slope;
        float second = f.beta2 * v[i] + f.new2 * (slope * slope);
        m[i] = first;
        v[i] = second;
        out[i] = f.keep * in[i] - f.rate1 * first / (sqrtf(second) * f.root2 + f.epsilon);
    }
}

static void step(const ps_optimizer_config *config, const ps_optimizer_step *step, size_t n,
                 const float *in, float *out, const ps_wire_float *g,
                 float *slot[PS_OPTIMIZER_SLOTS_MAX])
{
    double t = (double)step->count;
    factors f = {
        .scale = (float)step->gradient_scale,
        .keep = (float)(1 - step->rate * config->weight_decay),
        .beta1 = (float)config->beta1,
        .beta2 = (float)config->beta2,
        .new1 = (float)(1 - config->beta1),
        .new2 = (float)(1 - config->beta2),
        .root2 = (float)(1 / sqrt(1 - pow(config->beta2, t))),
        .epsilon = (float)config->epsilon,
        .rate1 = (float)(step->rate / (1 - pow(config->beta1, t))),
    };
    kernel(n, in, out, g, slot[0], slot[1], f);
}

static ps_status check(const ps_optimizer_config *config)
{
    const double betas[] = {config->beta1, config->beta2};
    for (int i = 0; i < 2; i++)
        if (!(betas[i] >= 0 && betas[i] < 1))
            return ps_fail(PS_INVALID_ARGUMENT, "optimizer: beta%d %g, must be in 0..1 and below 1",
                           i + 1, betas[i]);
    if (!(config->epsilon > 0) || isinf(config->epsilon))
        return ps_fail(PS_INVALID_ARGUMENT, "optimizer: epsilon %g, must be above 0",
                       config->epsilon);
    return ps_optimizer_check_common(config);
}

const ps_optimizer ps_optimizer_adamw = {
    .name = "adamw",
    .slots = 2,
    .check = check,
    .step = step,
};
