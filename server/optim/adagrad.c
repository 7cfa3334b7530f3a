/* adagrad: each parameter's rate falls with the gradients that it has had (Duchi, Hazan and Singer
 * 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12,
 * the diagonal form of figure 1; as torch.optim.Adagrad with lr_decay=0). With s the gradient's
 * scale:
 *
 *     g' = s·g + λθ
 *     a ← a + g'²
 *     θ ← θ − η g' / (√a + ε)
 *
 * State: a, as floats, which begins at initial_accumulator. The sum never falls, so that rates are
 * larger than adamw's: 0.01 is usual. */
#include "common/base/vector.h"
#include "server/optim/rows.h"

#include <math.h>

typedef struct factors {
    float scale, rate, decay, epsilon;
} factors;

PS_VECTOR_CLONES
static void kernel(size_t n, const float *in, float *out, const ps_wire_float *g, float *a,
                   factors f)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        float slope = f.scale * g[i] + f.decay * in[i];
        float sum = a[i] + slope * slope;
        a[i] = sum;
        out[i] = in[i] - f.rate * slope / (sqrtf(sum) + f.epsilon);
    }
}

static void step(const ps_optimizer_config *config, const ps_optimizer_step *step,
                 const ps_optimizer_part *part)
{
    factors f = {
        .scale = (float)step->gradient_scale,
        .rate = (float)step->rate,
        .decay = (float)config->weight_decay,
        .epsilon = (float)config->epsilon,
    };
    kernel(part->count, part->in, part->out, part->g, ps_optimizer_floats(part, 0), f);
}

static size_t state_bytes(size_t elements)
{
    return elements * sizeof(float);
}

static void state_init(const ps_optimizer_config *config, void *state, size_t elements)
{
    for (size_t i = 0; i < elements; i++)
        ((float *)state)[i] = (float)config->initial_accumulator;
}

/* Its sum is of all updates; what it began with is none. */
static void second_moment(const ps_optimizer_config *config, const void *state, size_t elements,
                          uint64_t count, float *out)
{
    const float *sum = state;
    for (size_t i = 0; i < elements; i++)
        out[i] = (sum[i] - (float)config->initial_accumulator) / (float)count;
}

const ps_optimizer ps_optimizer_adagrad = {
    .name = "adagrad",
    .state_format = 5,
    .state_bytes = state_bytes,
    .state_init = state_init,
    .step = step,
    .second_moment = second_moment,
};
