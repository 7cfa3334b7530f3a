/* Pooling, plane by plane: each pass forward beside its gradient. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

#include <string.h>

typedef struct pool_run {
    const ps_pool *p;
    int64_t h, w, oh, ow;
    const float *x, *y;
    float *to;
    uint8_t *index;                 /* may be NULL */
    const ps_pool_kernels *kernels; /* never NULL */
} pool_run;

static void start(ps_stream *s, const ps_pool *p, ps_threads_cb body_cb, void *context)
{
    ps_cpu_for(s, p->x.shape[0] * p->x.shape[1], ps_cpu_grain(p->x.shape[2] * p->x.shape[3]),
               body_cb, context);
}

/* ---- the largest ---- */

/* A row of y, from the rows of x that begin at x; index may be NULL. */
static void largest(const pool_run *r, const float *x, float *y, uint8_t *index)
{
    const ps_pool *p = r->p;
    for (int64_t o = 0; o < r->ow; o++, x += p->stride) {
        float most = x[0];
        int64_t at = 0;
        for (int64_t i = 0; i < p->window_h; i++)
            for (int64_t j = 0; j < p->window_w; j++) {
                float v = x[i * r->w + j];
                if (!(v > most) && v == v)
                    continue;
                if (most != most)
                    continue;
                most = v;
                at = i * p->window_w + j;
            }
        y[o] = most;
        if (index)
            index[o] = (uint8_t)at;
    }
}

/* The same of windows of 2 × 2, side by side; without branches. */
PS_VECTOR
static void largest_of_four(const float *restrict x, const float *restrict below, float *restrict y,
                            uint8_t *restrict index, int64_t n)
{
    PS_SIMD
    for (int64_t o = 0; o < n; o++) {
        float a = x[2 * o], b = x[2 * o + 1], c = below[2 * o], d = below[2 * o + 1];
        int top = a >= b || a != a ? 0 : 1, low = c >= d || c != c ? 2 : 3;
        float t = top ? b : a, l = low == 3 ? d : c;
        int upper = t >= l || t != t;
        y[o] = upper ? t : l;
        index[o] = (uint8_t)(upper ? top : low);
    }
}

static void max_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const pool_run *r = context;
    const ps_pool *p = r->p;
    bool four = p->window_h == 2 && p->window_w == 2 && p->stride == 2 && r->index;
    for (int64_t row = begin * r->oh; row < end * r->oh; row++) {
        const float *x = r->x + row / r->oh * r->h * r->w + row % r->oh * p->stride * r->w;
        uint8_t *index = r->index ? r->index + row * r->ow : NULL;
        if (four)
            r->kernels->largest(x, x + r->w, r->to + row * r->ow, index, r->ow);
        else
            largest(r, x, r->to + row * r->ow, index);
    }
}

static void max_backward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const pool_run *r = context;
    const ps_pool *p = r->p;
    memset(r->to + begin * r->h * r->w, 0, (size_t)((end - begin) * r->h * r->w) * sizeof *r->to);
    for (int64_t row = begin * r->oh; row < end * r->oh; row++) {
        float *dx = r->to + row / r->oh * r->h * r->w + row % r->oh * p->stride * r->w;
        const float *dy = r->y + row * r->ow;
        const uint8_t *index = r->index + row * r->ow;
        for (int64_t o = 0; o < r->ow; o++, dx += p->stride)
            dx[index[o] / p->window_w * r->w + index[o] % p->window_w] += dy[o];
    }
}

/* Each row of dx is of one row of windows, so it is written once, in order. */
PS_VECTOR
static void spread_four(float *restrict dx, float *restrict below, const float *restrict dy,
                        const uint8_t *restrict index, int64_t n)
{
    PS_SIMD
    for (int64_t o = 0; o < n; o++) {
        float d = dy[o];
        int at = index[o];
        dx[2 * o] = at == 0 ? d : 0;
        dx[2 * o + 1] = at == 1 ? d : 0;
        below[2 * o] = at == 2 ? d : 0;
        below[2 * o + 1] = at == 3 ? d : 0;
    }
}

static void four_backward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const pool_run *r = context;
    for (int64_t row = begin * r->oh; row < end * r->oh; row++) {
        float *dx = r->to + row / r->oh * r->h * r->w + row % r->oh * 2 * r->w;
        r->kernels->spread(dx, dx + r->w, r->y + row * r->ow, r->index + row * r->ow, r->ow);
    }
}

/* ---- the mean ---- */

static void mean_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const pool_run *r = context;
    const ps_pool *p = r->p;
    float share = 1.0f / (float)(p->window_h * p->window_w);
    for (int64_t row = begin * r->oh; row < end * r->oh; row++) {
        const float *x = r->x + row / r->oh * r->h * r->w + row % r->oh * p->stride * r->w;
        for (int64_t o = 0; o < r->ow; o++, x += p->stride) {
            float sum = 0;
            for (int64_t i = 0; i < p->window_h; i++)
                for (int64_t j = 0; j < p->window_w; j++)
                    sum += x[i * r->w + j];
            r->to[row * r->ow + o] = sum * share;
        }
    }
}

static void mean_backward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const pool_run *r = context;
    const ps_pool *p = r->p;
    float share = 1.0f / (float)(p->window_h * p->window_w);
    memset(r->to + begin * r->h * r->w, 0, (size_t)((end - begin) * r->h * r->w) * sizeof *r->to);
    for (int64_t row = begin * r->oh; row < end * r->oh; row++) {
        float *dx = r->to + row / r->oh * r->h * r->w + row % r->oh * p->stride * r->w;
        for (int64_t o = 0; o < r->ow; o++, dx += p->stride) {
            float d = r->y[row * r->ow + o] * share;
            for (int64_t i = 0; i < p->window_h; i++)
                for (int64_t j = 0; j < p->window_w; j++)
                    dx[i * r->w + j] += d;
        }
    }
}

static pool_run run_of(const ps_stream *s, const ps_pool *p)
{
    static const ps_pool_kernels plain = {.largest = largest_of_four, .spread = spread_four};
    const ps_pool_kernels *own = ps_cpu_pool_kernels(s);
    return (pool_run){
        .p = p,
        .h = p->x.shape[2],
        .w = p->x.shape[3],
        .oh = p->y.shape[2],
        .ow = p->y.shape[3],
        .index = ps_tensor_present(p->index) ? ps_tensor_address(p->index) : NULL,
        .kernels = own ? own : &plain,
    };
}

void ps_cpu_pool(ps_stream *s, const ps_pool *p)
{
    pool_run r = run_of(s, p);
    r.x = ps_tensor_address(p->x);
    r.to = ps_tensor_address(p->y);
    start(s, p, p->kind == PS_POOL_MAX ? max_cb : mean_cb, &r);
}

void ps_cpu_pool_backward(ps_stream *s, const ps_pool *p)
{
    pool_run r = run_of(s, p);
    r.y = ps_tensor_address(p->y);
    r.to = ps_tensor_address(p->x);
    bool whole =
        p->window_h == 2 && p->window_w == 2 && p->stride == 2 && r.h % 2 == 0 && r.w % 2 == 0;
    start(s, p,
          p->kind != PS_POOL_MAX ? mean_backward_cb
          : whole                ? four_backward_cb
                                 : max_backward_cb,
          &r);
}
