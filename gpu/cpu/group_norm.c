/* GroupNorm: a group of an image lies in one piece, and stays in the first cache between the passes
 * over it. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/moments.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

#include <string.h>

/* y = (x - mean)·scale + bias */
PS_VECTOR
static void normalise(float *restrict y, const float *restrict x, int64_t n, float mean,
                      float scale, float bias)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale + bias;
}

typedef struct forward_run {
    const ps_group_norm *n;
    int64_t pixels; /* of a channel */
    int64_t each;   /* channels of a group */
} forward_run;

static int64_t pixels_of(ps_tensor x)
{
    return ps_tensor_count(x) / (x.shape[0] * x.shape[1]);
}

static void forward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const forward_run *r = context;
    const ps_group_norm *n = r->n;
    int64_t size = r->each * r->pixels;
    const float *gain = ps_tensor_address(n->gain), *bias = ps_tensor_address(n->bias);
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)ps_tensor_address(n->x) + i * size;
        float *y = (float *)ps_tensor_address(n->y) + i * size;
        int64_t channel = i % n->groups * r->each;
        ps_cpu_moments m = ps_cpu_moments_of(x, size, n->epsilon);
        ((float *)ps_tensor_address(n->mean))[i] = m.mean;
        ((float *)ps_tensor_address(n->rstd))[i] = m.rstd;
        for (int64_t k = 0; k < r->each; k++)
            normalise(y + k * r->pixels, x + k * r->pixels, r->pixels, m.mean,
                      m.rstd * gain[channel + k], bias[channel + k]);
    }
}

void ps_cpu_group_norm(ps_stream *s, const ps_group_norm *n)
{
    forward_run r = {.n = n, .pixels = pixels_of(n->x), .each = n->x.shape[1] / n->groups};
    ps_cpu_for(s, n->x.shape[0] * n->groups, ps_cpu_grain(r.each * r.pixels), forward_cb, &r);
}

/* ---- backward ---- */

/* Of a channel of an image: sums of dy, and of dy·(x - mean)·rstd. */
typedef struct channel_sums {
    float dy, dyh;
} channel_sums;

PS_VECTOR
static channel_sums sums_of(const float *dy, const float *x, int64_t n, ps_cpu_moments m)
{
    float sum = 0, with = 0;
    PS_SIMD_SUMS(sum, with)
    for (int64_t i = 0; i < n; i++) {
        sum += dy[i];
        with += dy[i] * (x[i] - m.mean);
    }
    return (channel_sums){.dy = sum, .dyh = with * m.rstd};
}

/* dx = rstd·(dy·gain - mean(g) - h·mean(g·h)) as a·dy + b·x + c; dx may be dy's memory */
PS_VECTOR
static void gradient(float *dx, const float *dy, const float *x, int64_t n, float a, float b,
                     float c)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        dx[i] = a * dy[i] + (b * x[i] + c);
}

enum { PIECES_MAX = 32 };

/* Images in pieces, each with sums of its own, which are added in their order. */
typedef struct backward_run {
    const ps_group_norm_backward *n;
    int64_t pixels, each, images;
    size_t floats; /* [2][channels] */
    float *sums;
} backward_run;

/* A group of an image; bias and gain: what its channels add to their gradients. */
static void backward_group(const backward_run *r, int64_t i, float *gain_sums, float *bias_sums)
{
    const ps_group_norm_backward *n = r->n;
    int64_t size = r->each * r->pixels, channel = i % n->groups * r->each;
    const float *x = (const float *)ps_tensor_address(n->x) + i * size;
    const float *dy = (const float *)ps_tensor_address(n->dy) + i * size;
    const float *gain = (const float *)ps_tensor_address(n->gain) + channel;
    float *dx = (float *)ps_tensor_address(n->dx) + i * size;
    ps_cpu_moments m = {.mean = ((const float *)ps_tensor_address(n->mean))[i],
                        .rstd = ((const float *)ps_tensor_address(n->rstd))[i]};
    float g = 0, gh = 0;
    for (int64_t k = 0; k < r->each; k++) {
        channel_sums sums = sums_of(dy + k * r->pixels, x + k * r->pixels, r->pixels, m);
        gain_sums[channel + k] += sums.dyh;
        bias_sums[channel + k] += sums.dy;
        g += sums.dy * gain[k];
        gh += sums.dyh * gain[k];
    }
    float b = -m.rstd * m.rstd * gh / (float)size, c = -m.rstd * g / (float)size - b * m.mean;
    for (int64_t k = 0; k < r->each; k++)
        gradient(dx + k * r->pixels, dy + k * r->pixels, x + k * r->pixels, r->pixels,
                 m.rstd * gain[k], b, c);
}

static void backward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const backward_run *r = context;
    int64_t channels = r->n->x.shape[1], groups = r->n->groups;
    for (int64_t piece = begin; piece < end; piece++) {
        float *sums = r->sums + (size_t)piece * r->floats;
        int64_t first = piece * r->images, last = first + r->images;
        last = last < r->n->x.shape[0] ? last : r->n->x.shape[0];
        memset(sums, 0, r->floats * sizeof *sums);
        for (int64_t i = first * groups; i < last * groups; i++)
            backward_group(r, i, sums, sums + channels);
    }
}

static void put_sums(ps_tensor d, float beta, const float *sums, size_t step, int64_t pieces)
{
    float *to = ps_tensor_address(d);
    for (int64_t i = 0; i < ps_tensor_count(d); i++) {
        float sum = 0;
        for (int64_t p = 0; p < pieces; p++)
            sum += sums[(size_t)p * step + (size_t)i];
        to[i] = beta == 0 ? sum : sum + beta * to[i];
    }
}

void ps_cpu_group_norm_backward(ps_stream *s, const ps_group_norm_backward *n)
{
    int64_t images = n->x.shape[0], channels = n->x.shape[1];
    backward_run r = {.n = n,
                      .pixels = pixels_of(n->x),
                      .each = channels / n->groups,
                      .images = (images + PIECES_MAX - 1) / PIECES_MAX,
                      .floats = ps_cpu_padded(2 * channels)};
    int64_t pieces = (images + r.images - 1) / r.images;
    r.sums = ps_cpu_scratch(s, r.floats * (size_t)pieces);
    if (!r.sums)
        return;
    ps_cpu_for(s, pieces, 1, backward_cb, &r);
    if (!ps_tensor_present(n->dgain))
        return;
    put_sums(n->dgain, n->beta, r.sums, r.floats, pieces);
    put_sums(n->dbias, n->beta, r.sums + channels, r.floats, pieces);
}
