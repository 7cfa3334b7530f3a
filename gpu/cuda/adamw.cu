/* One step of AdamW. */
#include "gpu/cuda/map.h"

#include <math.h>

namespace
{
/* parameter, m and v from themselves and the gradient */
struct step {
    enum { inputs = 4, outputs = 3 };
    float beta1, beta2, kept, rate, epsilon;
    float correct1, correct2; /* 1 / (1 - β^step) */
    __device__ void operator()(float *y, const float *x) const
    {
        float g = x[3];
        y[1] = beta1 * x[1] + (1.0f - beta1) * g;
        y[2] = beta2 * x[2] + (1.0f - beta2) * g * g;
        y[0] = x[0] * kept - rate * (y[1] * correct1 / (sqrtf(y[2] * correct2) + epsilon));
    }
};

float correction(float beta, int64_t step)
{
    return (float)(1 / (1 - pow((double)beta, (double)step)));
}
} // namespace

void ps_cuda_adamw(ps_stream *s, const ps_adamw *a)
{
    step f = {a->beta1,
              a->beta2,
              (float)(1 - (double)a->rate * (double)a->decay),
              a->rate,
              a->epsilon,
              correction(a->beta1, a->step),
              correction(a->beta2, a->step)};
    float *p = ps_at<float>(a->parameter), *m = ps_at<float>(a->m), *v = ps_at<float>(a->v);
    ps_map<float, float, step> map = {
        {p, m, v}, {p, m, v, ps_at<float>(a->gradient)}, ps_tensor_count(a->parameter)};
    ps_map_run(s, "adamw", f, map);
}
