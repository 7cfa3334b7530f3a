#include "worker/data/shuffle.h"

#include "common/base/require.h"
#include "common/base/rng.h"

/* splitmix64's finaliser: every bit of the input moves about half of the output's. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

ps_shuffle ps_shuffle_make(uint64_t rows, uint64_t seed, uint64_t epoch)
{
    ps_shuffle s = {.rows = rows, .half_bits = 1};
    while (s.half_bits < 32 && UINT64_C(1) << (2 * s.half_bits) < rows)
        s.half_bits++;
    PS_REQUIRE(s.half_bits == 32 || rows <= UINT64_C(1) << (2 * s.half_bits)); /* the domain */
    s.mask = (UINT64_C(1) << s.half_bits) - 1;
    ps_rng rng;
    ps_rng_seed(&rng, mix(seed) + epoch);
    for (int i = 0; i < PS_SHUFFLE_ROUNDS; i++)
        s.keys[i] = ps_rng_next(&rng);
    return s;
}

static uint64_t encrypt(const ps_shuffle *s, uint64_t x)
{
    uint64_t left = x >> s->half_bits, right = x & s->mask;
    for (int i = 0; i < PS_SHUFFLE_ROUNDS; i++) {
        uint64_t next = left ^ (mix(right + s->keys[i]) & s->mask);
        left = right;
        right = next;
    }
    return left << s->half_bits | right;
}

/* The domain is less than four times as large as rows, so few steps land outside. */
uint64_t ps_shuffle_at(const ps_shuffle *shuffle, uint64_t position)
{
    PS_REQUIRE(position < shuffle->rows);
    uint64_t x = position;
    do
        x = encrypt(shuffle, x);
    while (x >= shuffle->rows);
    return x;
}
