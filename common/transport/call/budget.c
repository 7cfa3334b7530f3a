/* Happy path: an atomic counter; buffers of the one large class (a 1 MiB chunk and its head) are
 * kept in a short list, so that a stream of chunks touches the same warm memory again and again.
 * Smaller ones are the allocator's business, larger ones are rare. Failure: over the limit. */
#include "common/transport/call/budget.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"

#include <stdatomic.h>

#define CLASS_MIN  (64u << 10)
#define CLASS_SIZE ((1u << 20) + (8u << 10))
#define KEPT_MAX   32

struct ps_budget {
    atomic_uint refs;
    atomic_size_t used;
    size_t limit;
    ps_mutex lock; /* kept */
    uint8_t *kept[KEPT_MAX];
    unsigned n_kept;
};

void ps_budget_create(size_t limit, ps_budget **out)
{
    ps_budget *budget = ps_new(ps_budget);
    atomic_store(&budget->refs, 1);
    budget->limit = limit;
    ps_mutex_init(&budget->lock);
    *out = budget;
}

void ps_budget_ref(ps_budget *budget)
{
    atomic_fetch_add(&budget->refs, 1);
}

void ps_budget_unref(ps_budget **pointer)
{
    ps_budget *budget = *pointer;
    *pointer = NULL;
    if (!budget || atomic_fetch_sub(&budget->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < budget->n_kept; i++)
        free(budget->kept[i]);
    ps_mutex_destroy(&budget->lock);
    free(budget);
}

bool ps_budget_take(ps_budget *budget, size_t bytes)
{
    size_t used = atomic_load(&budget->used);
    do {
        if (bytes > budget->limit || used > budget->limit - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&budget->used, &used, used + bytes));
    return true;
}

void ps_budget_charge(ps_budget *budget, size_t bytes)
{
    atomic_fetch_add(&budget->used, bytes);
}

void ps_budget_give(ps_budget *budget, size_t bytes)
{
    size_t before = atomic_fetch_sub(&budget->used, bytes);
    PS_REQUIRE(before >= bytes);
}

size_t ps_budget_used(const ps_budget *budget)
{
    return atomic_load(&budget->used);
}

size_t ps_budget_left(const ps_budget *budget)
{
    size_t used = atomic_load(&budget->used);
    return used < budget->limit ? budget->limit - used : 0;
}

uint8_t *ps_budget_buffer(ps_budget *budget, size_t bytes, size_t *capacity)
{
    if (bytes < CLASS_MIN || bytes > CLASS_SIZE) {
        *capacity = bytes;
        return ps_try_alloc_raw(bytes);
    }
    uint8_t *buffer = NULL;
    ps_mutex_lock(&budget->lock);
    if (budget->n_kept > 0)
        buffer = budget->kept[--budget->n_kept];
    ps_mutex_unlock(&budget->lock);
    *capacity = CLASS_SIZE;
    return buffer ? buffer : ps_try_alloc_raw(CLASS_SIZE);
}

void ps_budget_buffer_give(ps_budget *budget, uint8_t *buffer, size_t capacity)
{
    PS_REQUIRE(capacity > 0);
    if (capacity == CLASS_SIZE) {
        ps_mutex_lock(&budget->lock);
        if (budget->n_kept < KEPT_MAX) {
            budget->kept[budget->n_kept++] = buffer;
            buffer = NULL;
        }
        ps_mutex_unlock(&budget->lock);
    }
    free(buffer);
}
