/* rng: randomness that can be repeated. xoshiro256++ seeded by splitmix64 (Blackman and Vigna
 * 2019). Not for keys: those come from the TLS library. Not thread-safe: one a user (not asserted:
 * plain data, drawn from in inner loops). */
#ifndef PS_BASE_RNG_H
#define PS_BASE_RNG_H

#include <stdint.h>

typedef struct ps_rng {
    uint64_t s[4];
} ps_rng;

void ps_rng_seed(ps_rng *rng, uint64_t seed);
/* A stream of its own for a name ("layers.0.weight") under a seed. */
void ps_rng_seed_named(ps_rng *rng, uint64_t seed, const char *name);
uint64_t ps_rng_next(ps_rng *rng);
uint64_t ps_rng_below(ps_rng *rng, uint64_t n); /* uniform in [0, n), unbiased; n > 0 */
double ps_rng_uniform(ps_rng *rng);             /* [0, 1), 53 bits */
double ps_rng_normal(ps_rng *rng);              /* mean 0, deviation 1 */
/* A seed from the operating system, for what need not be repeated (ids, jitter). */
uint64_t ps_rng_entropy(void);

#endif
