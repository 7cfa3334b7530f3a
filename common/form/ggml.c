/* Happy path of each search: codes for a first scale; then other scales, kept when the weighted
 * error is less. The order of every sum and product is ggml's (ggml-quants.c), not ours to choose.
 * Cannot fail; numbers beyond what a form takes give some codes. */
#include "common/form/ggml.h"

#include "common/base/bits.h"
#include "common/base/require.h"
#include "common/base/vector.h"

#include <float.h>
#include <math.h>
#include <string.h>

int32_t ps_ggml_nearest(float v)
{
    float shifted = v + 12582912.0f;
    return (int32_t)(ps_bits_of_float(shifted) & 0x7fffff) - 0x400000;
}

int32_t ps_ggml_truncated(float v)
{
    return v > -0x1p31f && v < 0x1p31f ? (int32_t)v : INT32_MIN;
}

float ps_ggml_mean_square(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum / (float)n;
}

void ps_ggml_weights(const float *importance, const float *x, float sigma2, size_t n,
                     float *weights)
{
    for (size_t i = 0; i < n; i++)
        weights[i] = importance[i] * sqrtf(sigma2 + x[i] * x[i]);
}

/* ---- one scale ---- */

/* Sums over numbers x and codes l about zero: what the best scale of these codes is made of. */
typedef struct sums {
    float lx, l2; /* Σ w·x·l, Σ w·l² */
} sums;

/* The number of largest magnitude; the first of several. */
static float largest(const float *x, int n)
{
    float most = 0, of = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > most) {
            most = fabsf(x[i]);
            of = x[i];
        }
    return of;
}

static int32_t code_about_zero(float inverse, float x, int half)
{
    return ps_ggml_clamped(ps_ggml_nearest(inverse * x), -half, half - 1);
}

static sums sums_of(const float *x, const float *weights, int n, int half, float inverse)
{
    sums s = {0, 0};
    for (int i = 0; i < n; i++) {
        float l = (float)code_about_zero(inverse, x[i], half);
        float w = weights ? weights[i] : x[i] * x[i];
        s.lx += w * x[i] * l;
        s.l2 += w * l * l;
    }
    return s;
}

static void put_codes(const float *x, int n, int half, float inverse, uint8_t *codes)
{
    for (int i = 0; i < n; i++)
        codes[i] = (uint8_t)(code_about_zero(inverse, x[i], half) + half);
}

float ps_ggml_scale(const float *x, const float *weights, int n, int half, uint8_t *codes)
{
    PS_REQUIRE(n > 0);
    float top = largest(x, n);
    memset(codes, 0, (size_t)n);
    if (fabsf(top) < PS_GGML_NOTHING)
        return 0;
    float inverse = (float)-half / top;
    sums s = sums_of(x, weights, n, half, inverse);
    put_codes(x, n, half, inverse, codes);
    float scale = s.l2 != 0 ? s.lx / s.l2 : 0, best = scale * s.lx;
    for (int k = -9; k <= 9; k++) {
        if (k == 0)
            continue;
        inverse = -((float)half + 0.1f * (float)k) / top;
        s = sums_of(x, weights, n, half, inverse);
        if (s.l2 > 0 && s.lx * s.lx > best * s.l2) {
            put_codes(x, n, half, inverse, codes);
            scale = s.lx / s.l2;
            best = scale * s.lx;
        }
    }
    return scale;
}

/* ---- code after code ---- */

/* What the sums would be with another code of number i; true: better, and it is taken. */
static bool take_code(sums *s, sums without, float wx, float w, float l)
{
    sums with = {without.lx + wx * l, without.l2 + w * l * l};
    if (!(with.l2 > 0) || !(with.lx * with.lx * s->l2 > s->lx * s->lx * with.l2))
        return false;
    *s = with;
    return true;
}

/* Codes l from least to most. positive: weights are given, and both sums have to stay above zero;
 * else weights are x². Returns whether any code changed. */
static bool sweep(const float *x, const float *weights, int n, int32_t least, int32_t most,
                  int32_t *l, sums *s)
{
    bool changed = false;
    for (int i = 0; i < n; i++) {
        float w = weights ? weights[i] : x[i] * x[i], was = (float)l[i];
        sums without = {s->lx - w * x[i] * was, s->l2 - w * was * was};
        if (!(without.lx > 0) || (weights && !(without.l2 > 0)))
            continue;
        int32_t code = ps_ggml_nearest(x[i] * without.l2 / without.lx);
        code = code > most ? most : code < least ? least : code;
        if (code != l[i] && take_code(s, without, w * x[i], w, (float)code)) {
            l[i] = code;
            changed = true;
        }
    }
    return changed;
}

enum { SWEEPS = 5 };

float ps_ggml_scale_by_sweeps(const float *x, int n, int half, uint8_t *codes)
{
    int32_t l[PS_GGML_SEARCHED];
    PS_REQUIRE(n > 0 && n <= PS_GGML_SEARCHED);
    float top = largest(x, n);
    memset(codes, 0, (size_t)n);
    if (fabsf(top) < PS_GGML_NOTHING)
        return 0;
    float inverse = (float)-half / top;
    for (int i = 0; i < n; i++)
        l[i] = code_about_zero(inverse, x[i], half);
    sums s = sums_of(x, NULL, n, half, inverse);
    for (int k = 0; k < SWEEPS && sweep(x, NULL, n, -half, half - 1, l, &s); k++)
        ;
    for (int i = 0; i < n; i++)
        codes[i] = (uint8_t)(l[i] + half);
    return s.l2 > 0 ? s.lx / s.l2 : 0;
}

static float squares_of(const float *x, const float *weights, int n, int most, float inverse)
{
    float sum = 0, scale = 1 / inverse;
    for (int i = 0; i < n; i++) {
        int32_t l = ps_ggml_nearest(inverse * x[i]);
        float diff = x[i] - scale * (float)(l > most ? most : l);
        sum += weights[i] * diff * diff;
    }
    return sum;
}

/* The inverse of the scale whose plain rounding errs least. */
static float best_inverse(const float *x, const float *weights, int n, int most, float top)
{
    float inverse = (float)most / top;
    float least = squares_of(x, weights, n, UINT8_MAX, inverse);
    float best = inverse;
    for (int k = -4; k <= 4; k++) {
        inverse = (0.1f * (float)k + (float)most) / top;
        float error = k ? squares_of(x, weights, n, most, inverse) : least;
        if (error < least) {
            least = error;
            best = inverse;
        }
    }
    return best;
}

float ps_ggml_scale_of_positive(const float *x, const float *weights, int n, int most,
                                uint8_t *codes)
{
    int32_t l[PS_GGML_SEARCHED];
    PS_REQUIRE(n > 0 && n <= PS_GGML_SEARCHED);
    float top = 0;
    for (int i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    memset(codes, 0, (size_t)n);
    if (top < PS_GGML_NOTHING)
        return 0;
    float inverse = best_inverse(x, weights, n, most, top);
    sums s = {0, 0};
    for (int i = 0; i < n; i++) {
        l[i] = ps_ggml_nearest(inverse * x[i]);
        l[i] = l[i] > most ? most : l[i];
        s.lx += weights[i] * x[i] * (float)l[i];
        s.l2 += weights[i] * (float)l[i] * (float)l[i];
    }
    for (int k = 0; k < SWEEPS && sweep(x, weights, n, INT32_MIN, most, l, &s); k++)
        ;
    for (int i = 0; i < n; i++)
        codes[i] = (uint8_t)l[i];
    return s.l2 > 0 ? s.lx / s.l2 : 0;
}

/* ---- a scale and what is taken off ---- */

/* Parts are searched side by side, each in a lane: a lane's sums are made in ggml's order, and
 * eight cost little more than one. */
enum { LANES = 8 };

typedef struct side {
    int n;
    float x[PS_GGML_SEARCHED][LANES], weights[PS_GGML_SEARCHED][LANES];
    float least[LANES], most[LANES], w[LANES], wx[LANES]; /* the range; Σ w and Σ w·x */
} side;

/* Codes as numbers, the scale and least number by which they are nearest, and the error. */
typedef struct tried {
    float codes[PS_GGML_SEARCHED][LANES];
    float scale[LANES], least[LANES], error[LANES];
    bool fits[LANES]; /* false: codes are all alike */
} tried;

/* Of parts [0, count), the last one again for lanes that have none. */
static void take_parts(side *s, const float *x, const float *weights, int n, int count)
{
    s->n = n;
    for (int i = 0; i < n; i++)
        for (int p = 0; p < LANES; p++) {
            int at = (p < count ? p : count - 1) * n + i;
            s->x[i][p] = x[at];
            s->weights[i][p] = weights[at];
        }
}

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t whole __attribute__((vector_size(LANES * sizeof(int32_t))));

#define PUT(to, vector)   memcpy((to), &(vector), sizeof(lanes))
#define GET(vector, from) memcpy(&(vector), (from), sizeof(lanes))

static void find_span(side *s)
{
    for (int p = 0; p < LANES; p++) {
        s->least[p] = s->most[p] = s->x[0][p];
        s->w[p] = s->weights[0][p];
        s->wx[p] = s->weights[0][p] * s->x[0][p];
        for (int i = 1; i < s->n; i++) {
            float x = s->x[i][p], w = s->weights[i][p];
            s->least[p] = x < s->least[p] ? x : s->least[p];
            s->most[p] = x > s->most[p] ? x : s->most[p];
            s->w[p] += w;
            s->wx[p] += w * x;
        }
        s->least[p] = s->least[p] > 0 ? 0 : s->least[p];
    }
}

/* ps_ggml_nearest of each lane, and clamped. */
PS_VECTOR_CLONES static void put_codes_from(const side *s, int most, const float *inverse,
                                            const float *from, tried *t)
{
    lanes by, below, x;
    GET(by, inverse);
    GET(below, from);
    for (int i = 0; i < s->n; i++) {
        GET(x, s->x[i]);
        lanes shifted = by * (x - below) + 12582912.0f;
        whole q;
        memcpy(&q, &shifted, sizeof q);
        q = (q & 0x7fffff) - 0x400000;
        q &= ~(q < 0);
        q = (q & ~(q > most)) | ((q > most) & most);
        lanes code = __builtin_convertvector(q, lanes);
        PUT(t->codes[i], code);
    }
}

/* The weighted least squares of given codes. */
PS_VECTOR_CLONES static void fit(const side *s, tried *t)
{
    lanes sl = {0}, sl2 = {0}, sxl = {0}, l, w, x, all_w, all_wx;
    for (int i = 0; i < s->n; i++) {
        GET(l, t->codes[i]);
        GET(w, s->weights[i]);
        GET(x, s->x[i]);
        lanes wl = w * l;
        sl += wl;
        sl2 += wl * l;
        sxl += wl * x;
    }
    GET(all_w, s->w);
    GET(all_wx, s->wx);
    lanes d = all_w * sl2 - sl * sl, least = (sl2 * all_wx - sl * sxl) / d;
    lanes scale = (all_w * sxl - all_wx * sl) / d, alone = sxl / sl2;
    for (int p = 0; p < LANES; p++) {
        t->fits[p] = d[p] > 0;
        t->scale[p] = least[p] > 0 ? alone[p] : scale[p];
        t->least[p] = least[p] > 0 ? 0 : least[p];
    }
}

PS_VECTOR_CLONES static void find_error(const side *s, bool absolute, tried *t)
{
    lanes sum = {0}, scale, least, l, w, x;
    GET(scale, t->scale);
    GET(least, t->least);
    for (int i = 0; i < s->n; i++) {
        GET(l, t->codes[i]);
        GET(w, s->weights[i]);
        GET(x, s->x[i]);
        lanes diff = scale * l + least - x;
        whole bits;
        memcpy(&bits, &diff, sizeof bits);
        bits &= 0x7fffffff;
        lanes size = diff * diff;
        if (absolute)
            memcpy(&size, &bits, sizeof size);
        sum += w * size;
    }
    PUT(t->error, sum);
}

static void take_lane(tried *best, const tried *t, int n, int p)
{
    for (int i = 0; i < n; i++)
        best->codes[i][p] = t->codes[i][p];
    best->scale[p] = t->scale[p];
    best->least[p] = t->least[p];
    best->error[p] = t->error[p];
}

/* best's least is what codes are counted from. */
static void search(const ps_ggml_tries *how, const side *s, tried *best)
{
    float inverse[LANES];
    tried t;
    for (int p = 0; p < LANES; p++) {
        inverse[p] = (float)how->most / (s->most[p] - s->least[p]);
        best->scale[p] = 1 / inverse[p];
        best->least[p] = s->least[p];
    }
    put_codes_from(s, how->most, inverse, best->least, best);
    find_error(s, how->absolute, best);
    for (int k = 0; k <= how->tries; k++) {
        for (int p = 0; p < LANES; p++)
            inverse[p] = (how->first + how->step * (float)k + (float)how->most) /
                         (s->most[p] - best->least[p]);
        put_codes_from(s, how->most, inverse, best->least, &t);
        fit(s, &t);
        find_error(s, how->absolute, &t);
        for (int p = 0; p < LANES; p++)
            if (t.fits[p] && t.error[p] < best->error[p])
                take_lane(best, &t, s->n, p);
    }
}

void ps_ggml_scales_and_unders(const ps_ggml_tries *how, const float *x, const float *weights,
                               int n, int parts, uint8_t *codes, float *scales, float *unders)
{
    PS_REQUIRE(n > 0 && n <= PS_GGML_SEARCHED && parts > 0);
    for (int first = 0; first < parts; first += LANES) {
        int count = parts - first < LANES ? parts - first : LANES;
        side s;
        tried best;
        take_parts(&s, x + first * n, weights + first * n, n, count);
        find_span(&s);
        search(how, &s, &best);
        for (int p = 0; p < count; p++) {
            bool none = s.most[p] <= s.least[p];
            scales[first + p] = none ? 0 : best.scale[p];
            unders[first + p] = -(none ? s.least[p] : best.least[p]);
            for (int i = 0; i < n; i++)
                codes[(first + p) * n + i] = none ? 0 : (uint8_t)best.codes[i][p];
        }
    }
}
