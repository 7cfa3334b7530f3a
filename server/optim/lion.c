/* lion: the sign of an interpolated momentum, with decoupled weight decay (Chen et al. 2023,
 * "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675, program 1):
 *
 *     c ← β1 m + (1 − β1) g
 *     θ ← θ − η (sign(c) + λθ)
 *     m ← β2 m + (1 − β2) g
 *
 * State: m, as floats. Every element moves by the rate, so that rates are three to ten times
 * smaller than adamw's. */
#include "common/base/vector.h"
#include "server/optim/rows.h"

typedef struct factors {
    float scale, keep, rate; /* of g; of θ: 1 − ηλ; η */
    float beta1, beta2, new1, new2;
} factors;

PS_VECTOR_CLONES
static void kernel(size_t n, const float *in, float *out, const ps_wire_float *g, float *m,
                   factors f)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        float slope = f.scale * g[i];
        float c = f.beta1 * m[i] + f.new1 * slope;
        float sign = (c > 0 ? 1.0f : 0.0f) - (c < 0 ? 1.0f : 0.0f);
        m[i] = f.beta2 * m[i] + f.new2 * slope;
        out[i] = f.keep * in[i] - f.rate * sign;
    }
}

static void step(const ps_optimizer_config *config, const ps_optimizer_step *step,
                 const ps_optimizer_part *part)
{
    factors f = {
        .scale = (float)step->gradient_scale,
        .keep = (float)(1 - step->rate * config->weight_decay),
        .rate = (float)step->rate,
        .beta1 = (float)config->beta1,
        .beta2 = (float)config->beta2,
        .new1 = (float)(1 - config->beta1),
        .new2 = (float)(1 - config->beta2),
    };
    kernel(part->count, part->in, part->out, part->g, ps_optimizer_floats(part, 0), f);
}

static size_t state_bytes(size_t elements)
{
    return elements * sizeof(float);
}

const ps_optimizer ps_optimizer_lion = {
    .name = "lion",
    .state_format = 4,
    .state_bytes = state_bytes,
    .step = step,
};
