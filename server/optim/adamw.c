/* adamw: Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2; as
 * torch.optim.AdamW). With t the count of this block's updates:
 *
 *     θ ← θ − ηλθ
 *     m ← β1 m + (1 − β1) g,    v ← β2 v + (1 − β2) g²
 *     θ ← θ − η (m / (1 − β1^t)) / (√v / √(1 − β2^t) + ε)
 *
 * State: m, then v, as floats. Seven streams of memory and one division and root for each element:
 * bound by memory when the loop is vector code. */
#include "server/optim/adamw.h"

#include "common/base/require.h"
#include "common/base/vector.h"
#include "server/optim/rows.h"

#include <math.h>

PS_VECTOR_CLONES
void ps_adamw_apply(size_t n, const float *in, float *out, const ps_wire_float *g, float *m,
                    float *v, ps_adamw_factors f)
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

ps_adamw_factors ps_adamw_prepare(const ps_optimizer_config *config, const ps_optimizer_step *step)
{
    PS_REQUIRE(step->count > 0); /* at 0 the corrections of bias divide by 0 */
    PS_REQUIRE(config->beta1 < 1 && config->beta2 < 1 && config->epsilon > 0);
    double t = (double)step->count;
    return (ps_adamw_factors){
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
}

static void step(const ps_optimizer_config *config, const ps_optimizer_step *step,
                 const ps_optimizer_part *part)
{
    ps_adamw_apply(part->count, part->in, part->out, part->g, ps_optimizer_floats(part, 0),
                   ps_optimizer_floats(part, 1), ps_adamw_prepare(config, step));
}

static size_t state_bytes(size_t elements)
{
    return 2 * elements * sizeof(float);
}

void ps_adamw_variance(const ps_optimizer_config *config, uint64_t count, size_t n, const float *m,
                       const float *v, float *out)
{
    PS_REQUIRE(count > 0);
    double left1 = pow(config->beta1, (double)count), left2 = pow(config->beta2, (double)count);
    double share = (1 - config->beta1) / (1 + config->beta1) * (1 + left1) / (1 - left1);
    for (size_t i = 0; i < n; i++) {
        double square = (double)v[i] / (1 - left2), mean = (double)m[i] / (1 - left1);
        double variance = fmax(square - mean * mean, square / 10) / (1 - share);
        out[i] = (float)(share > 0.5 ? square : variance);
    }
}

static void second_moment(const ps_optimizer_config *config, const void *state, size_t elements,
                          uint64_t count, float *out)
{
    ps_adamw_variance(config, count, elements, state, (const float *)state + elements, out);
}

const ps_optimizer ps_optimizer_adamw = {
    .name = "adamw",
    .state_format = 2,
    .state_bytes = state_bytes,
    .step = step,
    .second_moment = second_moment,
};
