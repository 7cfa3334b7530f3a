/* A row for each type of scaling: which keys it takes, and what becomes of the frequencies. */
#include "common/arch/rope.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

typedef struct pairs {
    const ps_rope_spec *rope;
    int64_t n;       /* numbers that are turned */
    double original; /* tokens */
    double *frequencies;
} pairs;

static int64_t half(const pairs *p)
{
    return p->n / 2;
}

/* Positions are divided (Chen 2023, arXiv 2306.15595). */
static void linear(const pairs *p)
{
    for (int64_t i = 0; i < half(p); i++)
        p->frequencies[i] /= p->rope->factor;
}

/* Llama 3.1: by the length of the wave, and in a smooth way from one to the other. */
static void llama3(const pairs *p)
{
    const ps_rope_spec *r = p->rope;
    for (int64_t i = 0; i < half(p); i++) {
        double f = p->frequencies[i], turns = p->original * f / (2 * PI);
        double smooth = (turns - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor);
        p->frequencies[i] = turns < r->low_freq_factor ? f / r->factor
                            : turns > r->high_freq_factor
                                ? f
                                : (1 - smooth) * f / r->factor + smooth * f;
    }
}

/* The pair, as a real number, that turns so often within the original context. */
static double pair_of(const pairs *p, double turns)
{
    return (double)p->n * log(p->original / (turns * 2 * PI)) / (2 * log(p->rope->theta));
}

/* YaRN (Peng 2023, arXiv 2309.00071, 3.2): a ramp over the pairs between both betas. */
static void yarn(const pairs *p)
{
    double low = fmax(floor(pair_of(p, p->rope->beta_fast)), 0);
    double high = fmin(ceil(pair_of(p, p->rope->beta_slow)), (double)(p->n - 1));
    double span = high - low == 0 ? 0.001 : high - low;
    for (int64_t i = 0; i < half(p); i++) {
        double stretched = fmin(fmax(((double)i - low) / span, 0), 1);
        double f = p->frequencies[i];
        p->frequencies[i] = f / p->rope->factor * stretched + f * (1 - stretched);
    }
}

enum { MOST_KEYS = 6 };

/* dynamic changes frequencies by how much longer than context_length a text is; none here is. */
static const struct {
    const char *keys[MOST_KEYS];
    void (*change)(const pairs *p);
    bool attention; /* cos and sin are scaled (YaRN, 3.4) */
} rows[PS_ROPE_TYPES] = {
    [PS_ROPE_DEFAULT] = {.keys = {NULL}},
    [PS_ROPE_LINEAR] = {.keys = {"rope_factor"}, .change = linear},
    [PS_ROPE_DYNAMIC] = {.keys = {"rope_factor"}},
    [PS_ROPE_LLAMA3] = {.keys = {"rope_factor", "rope_original_context", "rope_low_freq_factor",
                                 "rope_high_freq_factor"},
                        .change = llama3},
    [PS_ROPE_YARN] = {.keys = {"rope_factor", "rope_original_context", "rope_beta_fast",
                               "rope_beta_slow", "rope_attention_factor"},
                      .change = yarn,
                      .attention = true},
};

const char *const ps_rope_type_names[] = {"default", "linear", "dynamic", "llama3", "yarn", NULL};

bool ps_rope_takes(unsigned type, const char *key)
{
    for (size_t i = 0; i < MOST_KEYS && rows[type].keys[i]; i++)
        if (!strcmp(rows[type].keys[i], key))
            return true;
    return false;
}

int64_t ps_rope_turned(const ps_rope_spec *rope, int64_t head_dim)
{
    return rope->share > 0 ? (int64_t)((double)head_dim * rope->share) : head_dim;
}

/* The quotient may be a bit less, which would be one number less. */
double ps_rope_share(int64_t turned, int64_t head_dim)
{
    double share = (double)turned / (double)head_dim;
    while ((int64_t)((double)head_dim * share) < turned)
        share = nextafter(share, 1);
    return share;
}

ps_rope_spec ps_rope_local(const ps_rope_spec *rope)
{
    ps_rope_spec local = *rope;
    if (rope->local_theta > 0) {
        local.theta = rope->local_theta;
        local.type = PS_ROPE_DEFAULT;
    }
    return local;
}

void ps_rope_frequencies(const ps_rope_spec *rope, int64_t turned, int64_t context,
                         double *frequencies, double *scale)
{
    pairs p = {.rope = rope, .n = turned, .frequencies = frequencies};
    p.original = (double)(rope->original_context ? rope->original_context : context);
    for (int64_t i = 0; i < turned / 2; i++)
        frequencies[i] = pow(rope->theta, -2.0 * (double)i / (double)turned);
    if (rows[rope->type].change)
        rows[rope->type].change(&p);
    *scale = !rows[rope->type].attention  ? 1
             : rope->attention_factor > 0 ? rope->attention_factor
             : rope->factor > 1           ? 1 + 0.1 * log(rope->factor)
                                          : 1;
}

/* ---- llama.cpp's tensor ---- */

/* What the frequency of pair i of default is divided by. */
static double factor_of(const ps_rope_spec *rope, int64_t turned, double original, int64_t i)
{
    double plain = pow(rope->theta, -2.0 * (double)i / (double)turned);
    double f[1] = {plain};
    llama3(&(pairs){.rope = rope, .n = 2, .original = original, .frequencies = f});
    return plain / f[0];
}

void ps_rope_factors(const ps_rope_spec *rope, int64_t turned, int64_t context, float *factors)
{
    double original = (double)(rope->original_context ? rope->original_context : context);
    for (int64_t i = 0; i < turned / 2; i++)
        factors[i] = (float)factor_of(rope, turned, original, i);
}

bool ps_rope_gives(const ps_rope_spec *rope, const float *factors, int64_t turned)
{
    for (int64_t i = 0; i < turned / 2; i++) {
        double want = factor_of(rope, turned, (double)rope->original_context, i);
        if (!(fabs((double)factors[i] - want) <= 1e-6 * want))
            return false;
    }
    return true;
}

/* The shortest decimal that is this float. */
static double shortest(float value)
{
    char text[32];
    double v = (double)value;
    for (int digits = 1; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if ((float)strtod(text, NULL) == value)
            return strtod(text, NULL);
    }
    return v;
}

/* Published models have 4, and a power of two. */
bool ps_rope_of_factors(const float *factors, int64_t turned, ps_rope_spec *rope)
{
    ps_rope_spec r = *rope;
    r.type = PS_ROPE_LLAMA3;
    r.factor = shortest(factors[turned / 2 - 1]);
    r.low_freq_factor = 1;
    if (!(r.factor > 1 && r.factor <= 1e6))
        return false;
    for (int high = 2; high <= 8; high++)
        for (r.original_context = 8; r.original_context <= 1 << 20; r.original_context *= 2) {
            r.high_freq_factor = high;
            if (!ps_rope_gives(&r, factors, turned))
                continue;
            *rope = r;
            return true;
        }
    return false;
}
