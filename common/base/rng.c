#include "common/base/rng.h"

#include <stdlib.h>
#include <sys/random.h>

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void ps_rng_seed(ps_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix(&seed);
}

void ps_rng_seed_named(ps_rng *rng, uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    ps_rng_seed(rng, seed ^ splitmix(&hash));
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t ps_rng_next(ps_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t out = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return out;
}

uint64_t ps_rng_below(ps_rng *rng, uint64_t n)
{
    uint64_t reject_under = -n % n; /* 2^64 mod n */
    uint64_t x;
    do {
        x = ps_rng_next(rng);
    } while (x < reject_under);
    return x % n;
}

double ps_rng_uniform(ps_rng *rng)
{
    return (double)(ps_rng_next(rng) >> 11) * 0x1.0p-53;
}

uint64_t ps_rng_entropy(void)
{
    uint64_t x;
    if (getrandom(&x, sizeof x, 0) != sizeof x)
        abort();
    return x;
}
