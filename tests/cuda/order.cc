#include "tests/cuda/order.h"

#include "tests/cuda/shim.h"

#include <numeric>
#include <stdlib.h>
#include <string.h>

static ps_shim_order order;
static uint64_t state = 1;
static uint32_t stride = 1; /* of the blocks in random order */

void ps_shim_set_order(ps_shim_order wanted, uint64_t seed)
{
    order = wanted;
    state = seed * 0x9e3779b97f4a7c15u + 1;
    stride = (uint32_t)(state >> 32);
}

__attribute__((constructor)) static void from_environment(void)
{
    const char *name = getenv("PS_SHIM_ORDER"), *seed = getenv("PS_SHIM_SEED");
    if (name)
        ps_shim_set_order(strcmp(name, "backward") == 0 ? PS_SHIM_BACKWARD
                          : strcmp(name, "random") == 0 ? PS_SHIM_RANDOM
                                                        : PS_SHIM_FORWARD,
                          seed ? strtoull(seed, NULL, 10) : 1);
}

/* Knuth's MMIX generator: its upper half is random enough for an order. */
static uint32_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

unsigned ps_order_at(unsigned i, unsigned n)
{
    return order == PS_SHIM_BACKWARD ? n - 1 - i : i;
}

unsigned ps_order_pick(unsigned n)
{
    return order == PS_SHIM_RANDOM ? next_random() % n : 0;
}

uint32_t ps_order_block(uint32_t i, uint32_t n, uint32_t launch)
{
    if (order == PS_SHIM_BACKWARD)
        return n - 1 - i;
    if (order == PS_SHIM_FORWARD)
        return i;
    uint32_t step = stride % n | 1;
    while (std::gcd(step, n) != 1)
        step++;
    return (uint32_t)(((uint64_t)i * step + launch * 7u) % n);
}
