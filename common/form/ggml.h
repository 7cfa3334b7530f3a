/* ggml: how ggml finds the scales of its blocks, step for step: what is written has to be the very
 * bytes that ggml writes. So all is float32, summed in the order of the numbers, without fused
 * products (meson.build says so to the compiler). Private to common/form. Pure; any thread.
 *
 * Codes come as they are written, from 0 on. Weights are not negative.
 */
#ifndef PS_FORM_GGML_H
#define PS_FORM_GGML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Below this magnitude a block is zeros. */
#define PS_GGML_NOTHING 1e-15f

enum { PS_GGML_SEARCHED = 32 /* the most numbers that a search is for */ };

/* To the nearest whole number, ties to even: by adding 1.5·2^23. Beyond ±2^22 it is some number. */
int32_t ps_ggml_nearest(float v);
/* To the whole number on the way to zero. Beyond an int32, and of no number: its least. */
int32_t ps_ggml_truncated(float v);
static inline int32_t ps_ggml_clamped(int32_t v, int32_t least, int32_t most)
{
    return v < least ? least : v > most ? most : v;
}

/* The mean of x² over n numbers. */
float ps_ggml_mean_square(const float *x, size_t n);
/* weights[i] = importance[i]·√(sigma2 + x[i]²) */
void ps_ggml_weights(const float *importance, const float *x, float sigma2, size_t n,
                     float *weights);

/* x ≈ scale·(code − half), codes to 2·half − 1: nineteen scales about the largest magnitude / half,
 * the best by weights (NULL: x²). Returns the scale, which may be negative. */
float ps_ggml_scale(const float *x, const float *weights, int n, int half, uint8_t *codes);
/* Likewise, from one scale by changing one code after another, in five sweeps; weights x². */
float ps_ggml_scale_by_sweeps(const float *x, int n, int half, uint8_t *codes);
/* x ≈ scale·code, x not negative, codes to `most`. */
float ps_ggml_scale_of_positive(const float *x, const float *weights, int n, int most,
                                uint8_t *codes);

/* x ≈ scale·code − *under, under not negative, codes to `most`: scales (most + first + step·k) /
 * range are tried, k to `tries`, each with the weighted least squares of its codes. */
typedef struct ps_ggml_tries {
    int most;
    float first, step;
    int tries;
    bool absolute; /* what is least: the sum of errors, not of their squares */
} ps_ggml_tries;

/* Those for whom importance is known. */
#define PS_GGML_FINE(top)                                         \
    {                                                             \
        .most = (top), .first = -0.9f, .step = 0.05f, .tries = 36 \
    }

/* Of each of so many parts of n numbers, one after the other. */
void ps_ggml_scales_and_unders(const ps_ggml_tries *how, const float *x, const float *weights,
                               int n, int parts, uint8_t *codes, float *scales, float *unders);

#endif
