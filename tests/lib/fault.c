#include "tests/lib/fault.h"

#include "common/base/mem.h"

#include <stddef.h>

static void set(fault *f, unsigned long first, unsigned long last)
{
    atomic_store(&f->seen, 0);
    f->first = first;
    f->last = first ? last : 0;
}

void fault_at(fault *f, unsigned long k)
{
    set(f, k, k);
}

void fault_next(fault *f, unsigned long n)
{
    set(f, n != 0, n);
}

bool fault_strikes(fault *f)
{
    unsigned long now = atomic_fetch_add(&f->seen, 1) + 1;
    return f->first && f->first <= now && now <= f->last;
}

bool fault_struck(const fault *f)
{
    return f->first && f->first <= fault_seen(f);
}

unsigned long fault_seen(const fault *f)
{
    return atomic_load(&f->seen);
}

static bool strikes_cb(void *user)
{
    return fault_strikes(user);
}

void fault_memory(unsigned long k)
{
    static _Thread_local fault of_memory;
    fault_at(&of_memory, k);
    ps_mem_on_try(k ? strikes_cb : NULL, &of_memory);
}
