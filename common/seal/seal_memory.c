#include "common/seal/seal_memory.h"

#include "common/base/require.h"
#include "common/seal/stream.h"

#include <stdatomic.h>

static atomic_uint_fast64_t most = PS_SEAL_MEMORY_MOST, held;

void ps_seal_memory_set_most(uint64_t bytes)
{
    atomic_store(&most, bytes);
}

uint64_t ps_seal_memory_held(void)
{
    return atomic_load(&held);
}

static bool try_take(size_t slots, uint64_t limit)
{
    const uint64_t bytes = (uint64_t)slots * PS_SEAL_SEGMENT;
    uint_fast64_t now = atomic_load(&held);
    while (now + bytes <= limit)
        if (atomic_compare_exchange_weak(&held, &now, now + bytes))
            return true;
    return false;
}

ps_status ps_seal_memory_take(size_t wanted, size_t *slots)
{
    PS_REQUIRE(wanted);
    const uint64_t limit = atomic_load(&most);
    *slots = wanted;
    if (try_take(wanted, limit / 2))
        return PS_OK;
    *slots = 1;
    if (try_take(1, limit))
        return PS_OK;
    return ps_fail(
        PS_RESOURCE_EXHAUSTED,
        "sealed files that are open hold %llu MiB already, as many as they may; try again "
        "when others are closed",
        (unsigned long long)(atomic_load(&held) >> 20));
}

void ps_seal_memory_count(size_t slots)
{
    atomic_fetch_add(&held, (uint64_t)slots * PS_SEAL_SEGMENT);
}

void ps_seal_memory_give(size_t slots)
{
    uint64_t before = atomic_fetch_sub(&held, (uint64_t)slots * PS_SEAL_SEGMENT);
    PS_REQUIRE(before >= (uint64_t)slots * PS_SEAL_SEGMENT);
}
