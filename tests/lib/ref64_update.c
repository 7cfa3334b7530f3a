#include "tests/lib/ref64_update.h"

#include <math.h>
#include <string.h>

void ps_ref64_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4], k[2] = {key[0], key[1]};
    memcpy(c, counter, sizeof c);
    for (int round = 0; round < 10; round++) {
        uint64_t left = UINT64_C(0xD2511F53) * c[0], right = UINT64_C(0xCD9E8D57) * c[2];
        uint32_t next[4] = {(uint32_t)(right >> 32) ^ c[1] ^ k[0], (uint32_t)right,
                            (uint32_t)(left >> 32) ^ c[3] ^ k[1], (uint32_t)left};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9; /* the golden ratio */
        k[1] += 0xBB67AE85; /* √3 - 1 */
    }
    memcpy(out, c, sizeof c);
}

static uint32_t dropout_word(uint64_t seed, uint64_t number)
{
    uint64_t at = number / 4;
    uint32_t counter[4] = {(uint32_t)at, (uint32_t)(at >> 32), 0, 0};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
    ps_ref64_philox(counter, key, out);
    return out[number % 4];
}

void ps_ref64_dropout(double *y, int64_t n, float rate, uint64_t seed, uint64_t number)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = dropout_word(seed, number + (uint64_t)i) < (double)rate * 4294967296
                   ? 0
                   : 1 / (1 - (double)rate);
}

void ps_ref64_adamw_step(const ps_ref64_adamw *a, int step, int n, double *p, double *m, double *v,
                         const double *g)
{
    for (int i = 0; i < n; i++) {
        p[i] -= a->rate * a->decay * p[i];
        m[i] = a->beta1 * m[i] + (1 - a->beta1) * g[i];
        v[i] = a->beta2 * v[i] + (1 - a->beta2) * g[i] * g[i];
        double mean = m[i] / (1 - pow(a->beta1, step)), square = v[i] / (1 - pow(a->beta2, step));
        p[i] -= a->rate * mean / (sqrt(square) + a->epsilon);
    }
}
