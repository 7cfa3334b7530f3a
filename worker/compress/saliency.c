#include "worker/compress/saliency.h"

#include "common/base/require.h"

double ps_saliency_loss(const ps_salient *s, const float *is, double examples)
{
    PS_REQUIRE(s->curvature);
    double sum = 0;
    for (uint64_t i = 0; i < s->rows * s->columns; i++) {
        double moved = (double)s->weights[i] - (is ? (double)is[i] : 0);
        sum += (double)s->curvature[i] * moved * moved;
    }
    return 0.5 * examples * sum;
}
