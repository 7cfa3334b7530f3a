/* Device memory first, by a cache of the allocations last met; then shared memory, then what needs
 * no shadow. What remains is host memory: hardware would answer with an illegal address. */
#include "tests/cuda/place.h"

#include "tests/cuda/block.h"
#include "tests/cuda/memory.h"
#include "tests/cuda/report.h"
#include "tests/cuda/shared.h"
#include "tests/cuda/word.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define RECENT 64u

typedef struct ps_span {
    const char *start, *end;
} ps_span;

static ps_span recent[RECENT];
static ps_word *device_shadow, *shared_shadow;

static ps_word *reserve(size_t words)
{
    void *area = mmap(NULL, words * sizeof(ps_word), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) {
        perror("cuda shim: no room for the checker's shadow");
        abort();
    }
    return (ps_word *)area;
}

void ps_place_forget(void)
{
    for (ps_span &s : recent)
        s = {};
}

ps_word *ps_place_device_word(const void *address)
{
    if (!ps_memory_in_arena(address))
        return NULL;
    if (!device_shadow)
        device_shadow = reserve(ps_memory_arena_size() / 4);
    return device_shadow + ((uintptr_t)address - (uintptr_t)ps_memory_arena()) / 4;
}

static bool in_bounds(const char *at, size_t size, bool writes, const void *pc)
{
    ps_span *s = &recent[((uintptr_t)at >> 16) % RECENT];
    if (at >= s->start && at + size <= s->end)
        return true;
    const ps_allocation *a = ps_memory_find(at);
    const void *missing = ps_memory_missing(a, at, size);
    if (!missing) {
        *s = {a->start, a->start + a->size};
        return true;
    }
    char where[200];
    ps_memory_describe(missing, where, sizeof where);
    ps_report(pc, "%s out of bounds: %s", writes ? "writes" : "reads", where);
    return false;
}

static ps_word *shared_word(size_t offset, size_t left, size_t size, bool writes, const void *pc)
{
    if (left < size) {
        ps_report(pc, "%s out of the bounds of shared memory", writes ? "writes" : "reads");
        return NULL;
    }
    if (!shared_shadow)
        shared_shadow = reserve(ps_shared_size() / 4 + 1);
    return shared_shadow + offset / 4;
}

/* The thread's own, the kernel's arguments, and what is linked into the program. */
static bool needs_no_shadow(const char *at)
{
    const ps_shim_launch *l = ps_block_now.launch;
    const char *arguments = (const char *)l->arguments;
    if (ps_block_on_stack(at) || (at >= arguments && at < arguments + l->arguments_size))
        return true;
    static const char *page; /* of the last constant */
    const char *mine = (const char *)((uintptr_t)at & ~(uintptr_t)4095);
    Dl_info info;
    if (mine == page)
        return true;
    if (ps_memory_is_pinned(at) || !dladdr(at, &info))
        return ps_memory_is_pinned(at);
    page = mine;
    return true;
}

ps_word *ps_place_word(const void *address, size_t size, bool writes, const void *pc, bool *shared)
{
    const char *at = (const char *)address;
    if (ps_memory_in_arena(at))
        return in_bounds(at, size, writes, pc) ? ps_place_device_word(at) : NULL;
    size_t offset = 0, left = 0;
    *shared = ps_shared_find(at, &offset, &left);
    if (*shared)
        return shared_word(offset, left, size, writes, pc);
    if (!needs_no_shadow(at))
        ps_report(pc, "%s host memory, %p", writes ? "writes" : "reads", address);
    return NULL;
}

void ps_place_describe(const void *address, char *out, size_t size)
{
    size_t offset = 0, left = 0;
    if (ps_shared_find(address, &offset, &left))
        (void)snprintf(out, size, "shared memory");
    else
        ps_memory_describe(address, out, size);
}
