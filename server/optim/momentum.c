/* momentum: g' = s·g + λθ; u ← μu + g'; θ ← θ − ηu, or with Nesterov's θ ← θ − η(g' + μu), as
 * torch.optim.SGD(momentum=μ, dampening=0) (Sutskever et al. 2013). State: u, as floats. */
#include "common/base/vector.h"
#include "server/optim/rows.h"

typedef struct factors {
    float scale, rate, decay, momentum;
    float ahead; /* of u in the step: 1, with Nesterov μ */
    float now;   /* of g' in the step: 0, with Nesterov 1 */
} factors;

PS_VECTOR_CLONES
static void kernel(size_t n, const float *in, float *out, const ps_wire_float *g, float *u,
                   factors f)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        float slope = f.scale * g[i] + f.decay * in[i];
        float moved = f.momentum * u[i] + slope;
        u[i] = moved;
        out[i] = in[i] - f.rate * (f.now * slope + f.ahead * moved);
    }
}

static void step(const ps_optimizer_config *config, const ps_optimizer_step *step,
                 const ps_optimizer_part *part)
{
    factors f = {
        .scale = (float)step->gradient_scale,
        .rate = (float)step->rate,
        .decay = (float)config->weight_decay,
        .momentum = (float)config->momentum,
        .ahead = config->nesterov ? (float)config->momentum : 1,
        .now = config->nesterov ? 1 : 0,
    };
    kernel(part->count, part->in, part->out, part->g, ps_optimizer_floats(part, 0), f);
}

static size_t state_bytes(size_t elements)
{
    return elements * sizeof(float);
}

const ps_optimizer ps_optimizer_momentum = {
    .name = "momentum",
    .state_format = 1,
    .state_bytes = state_bytes,
    .step = step,
};
