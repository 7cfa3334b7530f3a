/* One step of AdamW. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

typedef struct factors {
    float beta1, beta2, kept, rate, epsilon;
    float correct1, correct2; /* 1 / (1 - β^step) */
} factors;

PS_VECTOR
static void step(float *restrict p, float *restrict m, float *restrict v, const float *restrict g,
                 int64_t n, factors f)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float m1 = f.beta1 * m[i] + (1.0f - f.beta1) * g[i];
        float v1 = f.beta2 * v[i] + (1.0f - f.beta2) * g[i] * g[i];
        m[i] = m1;
        v[i] = v1;
        float change = m1 * f.correct1 / (sqrtf(v1 * f.correct2) + f.epsilon);
        p[i] = p[i] * f.kept - f.rate * change;
    }
}

static void step_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                    const void *context)
{
    (void)at;
    step(out[0], out[1], out[2], in[0], n, *(const factors *)context);
}

void ps_cpu_adamw(ps_stream *s, const ps_adamw *a)
{
    factors f = {
        .beta1 = a->beta1,
        .beta2 = a->beta2,
        .kept = (float)(1 - (double)a->rate * (double)a->decay),
        .rate = a->rate,
        .epsilon = a->epsilon,
        .correct1 = (float)(1 / (1 - pow((double)a->beta1, (double)a->step))),
        .correct2 = (float)(1 / (1 - pow((double)a->beta2, (double)a->step))),
    };
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {a->parameter, a->m, a->v},
                                    .in = {a->gradient},
                                    .body_cb = step_cb,
                                    .context = &f});
}
