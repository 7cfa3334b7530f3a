/* Dropout by Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011): a counter and a key go through ten
 * rounds and come out as four random words. Element i belongs to number j = offset + i, whose word
 * is word j % 4 of the counter (j / 4, 0) under the key `seed`, low halves first; it is dropped
 * when its word is less than rate·2^32. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

enum { LANES = 16, ROUNDS = 10, BLOCK = 1024, COUNTERS = BLOCK / 4 + LANES };

/* LANES counters from `first` on, four words of each in turn */
PS_VECTOR
static void philox(uint32_t *restrict words, uint64_t first, uint64_t seed)
{
    uint32_t a[LANES], b[LANES], c[LANES], d[LANES];
    for (int i = 0; i < LANES; i++) {
        a[i] = (uint32_t)(first + (uint64_t)i);
        b[i] = (uint32_t)((first + (uint64_t)i) >> 32);
        c[i] = d[i] = 0;
    }
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < ROUNDS; round++) {
        PS_SIMD
        for (int i = 0; i < LANES; i++) {
            uint64_t x = (uint64_t)0xD2511F53u * a[i], y = (uint64_t)0xCD9E8D57u * c[i];
            a[i] = (uint32_t)(y >> 32) ^ b[i] ^ key0;
            b[i] = (uint32_t)y;
            c[i] = (uint32_t)(x >> 32) ^ d[i] ^ key1;
            d[i] = (uint32_t)x;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    for (int i = 0; i < LANES; i++) {
        words[4 * i] = a[i];
        words[4 * i + 1] = b[i];
        words[4 * i + 2] = c[i];
        words[4 * i + 3] = d[i];
    }
}

PS_VECTOR
static void apply(float *y, const float *x, const uint32_t *words, int64_t n, uint32_t limit,
                  float scale)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = words[i] < limit ? 0.0f : x[i] * scale;
}

static void drop_block(float *y, const float *x, int64_t n, float rate, uint64_t seed,
                       uint64_t number)
{
    uint32_t words[4 * COUNTERS];
    uint64_t first = number / 4, skipped = number % 4;
    for (uint64_t i = 0; 4 * i < skipped + (uint64_t)n; i += LANES)
        philox(words + 4 * i, first + i, seed);
    apply(y, x, words + skipped, n, (uint32_t)((double)rate * 4294967296.0), 1.0f / (1.0f - rate));
}

void ps_cpu_drop(float *y, const float *x, int64_t n, float rate, uint64_t seed, uint64_t number)
{
    for (int64_t i = 0; i < n; i += BLOCK)
        drop_block(y + i, x + i, n - i < BLOCK ? n - i : BLOCK, rate, seed, number + (uint64_t)i);
}

static void drop_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                    const void *context)
{
    const ps_dropout *d = context;
    ps_cpu_drop(out[0], in[0], n, d->rate, d->seed, d->offset + (uint64_t)at);
}

void ps_cpu_dropout(ps_stream *s, const ps_dropout *d)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {d->y}, .in = {d->x}, .body_cb = drop_cb, .context = d});
}
