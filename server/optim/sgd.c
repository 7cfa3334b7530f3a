/* sgd: θ ← θ − η (s·g + λθ), with s the gradient's scale and λ the weight decay (as torch.optim.SGD
 * without momentum). */
#include "common/base/vector.h"
#include "server/optim/rows.h"

PS_VECTOR_CLONES
static void kernel(size_t n, const float *in, float *out, const ps_wire_float *g, float scale,
                   float rate, float decay)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] - rate * (scale * g[i] + decay * in[i]);
}

static void step(const ps_optimizer_config *config, const ps_optimizer_step *step,
                 const ps_optimizer_part *part)
{
    kernel(part->count, part->in, part->out, part->g, (float)step->gradient_scale,
           (float)step->rate, (float)config->weight_decay);
}

const ps_optimizer ps_optimizer_sgd = {
    .name = "sgd",
    .state_format = 0,
    .step = step,
};
