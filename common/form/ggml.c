/* Happy path of each search: codes for a first scale; then other scales, kept when the weighted
 * error is less. The order of every sum and product is ggml's (ggml-quants.c), not ours to choose.
 * Cannot fail; numbers beyond what a form takes give some codes. */
#include "common/form/ggml.h"

#include "common/base/require.h"

#include <float.h>
#include <math.h>
#include <string.h>

int32_t ps_ggml_nearest(float v)
{
    float shifted = v + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (int32_t)(bits & 0x7fffff) - 0x400000;
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

typedef struct span {
    float least, most, w, x; /* the range; Σ w and Σ w·x */
} span;

static span span_of(const float *x, const float *weights, int n)
{
    span s = {x[0], x[0], weights[0], weights[0] * x[0]};
    for (int i = 1; i < n; i++) {
        s.least = x[i] < s.least ? x[i] : s.least;
        s.most = x[i] > s.most ? x[i] : s.most;
        s.w += weights[i];
        s.x += weights[i] * x[i];
    }
    if (s.least > 0)
        s.least = 0;
    return s;
}

static float error_of(const float *x, const float *weights, int n, const uint8_t *codes,
                      float scale, float least, bool absolute)
{
    float sum = 0;
    for (int i = 0; i < n; i++) {
        float diff = scale * (float)codes[i] + least - x[i];
        sum += weights[i] * (absolute ? fabsf(diff) : diff * diff);
    }
    return sum;
}

static void put_codes_from(const float *x, int n, int most, float inverse, float least,
                           uint8_t *codes)
{
    for (int i = 0; i < n; i++)
        codes[i] = (uint8_t)ps_ggml_clamped(ps_ggml_nearest(inverse * (x[i] - least)), 0, most);
}

/* The weighted least squares of given codes. false: they are all alike. */
static bool fit(const span *s, const float *x, const float *weights, int n, const uint8_t *codes,
                float *scale, float *least)
{
    float sl = 0, sl2 = 0, sxl = 0;
    for (int i = 0; i < n; i++) {
        float l = (float)codes[i];
        sl += weights[i] * l;
        sl2 += weights[i] * l * l;
        sxl += weights[i] * l * x[i];
    }
    float d = s->w * sl2 - sl * sl;
    if (!(d > 0))
        return false;
    *scale = (s->w * sxl - s->x * sl) / d;
    *least = (sl2 * s->x - sl * sxl) / d;
    if (*least > 0) {
        *least = 0;
        *scale = sxl / sl2;
    }
    return true;
}

float ps_ggml_scale_and_under(const ps_ggml_tries *how, const float *x, const float *weights, int n,
                              uint8_t *codes, float *under)
{
    uint8_t tried[PS_GGML_SEARCHED];
    PS_REQUIRE(n > 0 && n <= PS_GGML_SEARCHED);
    span s = span_of(x, weights, n);
    memset(codes, 0, (size_t)n);
    *under = -s.least;
    if (s.most <= s.least)
        return 0;
    float inverse = (float)how->most / (s.most - s.least), best_scale = 1 / inverse;
    put_codes_from(x, n, how->most, inverse, s.least, codes);
    float best = error_of(x, weights, n, codes, best_scale, s.least, how->absolute);
    float from = s.least; /* what codes are counted from: the best so far */
    for (int k = 0; k <= how->tries; k++) {
        float scale, least;
        inverse = (how->first + how->step * (float)k + (float)how->most) / (s.most - from);
        put_codes_from(x, n, how->most, inverse, from, tried);
        if (!fit(&s, x, weights, n, tried, &scale, &least))
            continue;
        float error = error_of(x, weights, n, tried, scale, least, how->absolute);
        if (error < best) {
            memcpy(codes, tried, (size_t)n);
            best = error;
            best_scale = scale;
            from = least;
        }
    }
    *under = -from;
    return best_scale;
}
