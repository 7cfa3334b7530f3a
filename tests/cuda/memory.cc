/* One reserved range, filled from its start: allocation, guard page, allocation, guard page. It
 * fails when the cap is reached, as a device does, or when the range is used up, which no test
 * should.
 *
 * Bytes of an allocation's pages before and behind it hold a canary, looked at whenever the memory
 * is closed. */
#include "tests/cuda/memory.h"

#include "tests/cuda/report.h"
#include "tests/cuda/shim.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <vector>

#define PAGE        4096ull
#define ARENA       (256ull << 30)
#define DEFAULT_CAP (8ull << 30)
#define CANARY      0xfb

static char *arena;
static size_t used;
static std::vector<ps_allocation> allocations; /* by address */
static std::vector<unsigned> opened;           /* their numbers */
static std::vector<ps_allocation> registered;
static size_t cap = DEFAULT_CAP, taken;
static int live, depth;

void ps_shim_set_memory(size_t bytes)
{
    cap = bytes ? bytes : DEFAULT_CAP;
}

int ps_memory_live(void)
{
    return live + (int)registered.size();
}

char *ps_memory_arena(void)
{
    if (arena)
        return arena;
    arena =
        (char *)mmap(NULL, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) {
        perror("cuda shim: no room for device memory");
        abort();
    }
    used = PAGE;
    return arena;
}

size_t ps_memory_arena_size(void)
{
    return ARENA;
}

static void protect(const ps_allocation *a, int how)
{
    if (mprotect(a->pages, a->pages_size, how) != 0) {
        perror("cuda shim: mprotect");
        abort();
    }
}

void *ps_memory_new(size_t bytes, bool pinned)
{
    if (!pinned && (bytes > cap || taken > cap - bytes))
        return NULL;
    size_t pages = (bytes + 255 + PAGE - 1) / PAGE * PAGE;
    char *from = ps_memory_arena() + used;
    if (bytes > ARENA / 2 || used + pages + PAGE > ARENA)
        return NULL;
    ps_allocation a = {};
    a.pages = from;
    a.pages_size = pages;
    a.start = from + ((pages - bytes) & ~(size_t)255);
    a.size = bytes;
    a.number = (unsigned)allocations.size() + 1;
    a.pinned = pinned;
    a.live = true;
    protect(&a, PROT_READ | PROT_WRITE);
    memset(a.pages, CANARY, a.pages_size);
    memset(a.start, 0xff, bytes);
    a.open = pinned;
    if (!pinned)
        protect(&a, PROT_NONE);
    used += pages + PAGE;
    taken += pinned ? 0 : bytes;
    live++;
    allocations.push_back(a);
    return a.start;
}

static void check_canary(const ps_allocation *a)
{
    const char *end = a->pages + a->pages_size;
    for (const char *c = a->pages; c < end; c++) {
        if (c == a->start)
            c += a->size;
        if (c < end && (unsigned char)*c != CANARY) {
            char where[200];
            ps_memory_describe(c, where, sizeof where);
            ps_report(NULL, "written out of bounds: %s", where);
            memset(a->pages, CANARY, (size_t)(a->start - a->pages));
            memset(a->start + a->size, CANARY, (size_t)(end - a->start) - a->size);
            return;
        }
    }
}

bool ps_memory_free(void *start, bool pinned)
{
    ps_allocation *a = ps_memory_find(start);
    if (!a || !a->live || a->start != start || a->pinned != pinned)
        return false;
    if (a->pinned)
        check_canary(a);
    a->live = false;
    a->open = false;
    taken -= pinned ? 0 : a->size;
    live--;
    protect(a, PROT_NONE);
    (void)madvise(a->pages, a->pages_size, MADV_DONTNEED);
    return true;
}

bool ps_memory_in_arena(const void *address)
{
    return arena && (const char *)address >= arena && (const char *)address < arena + used;
}

/* The last one that starts at or before address, by halving. */
ps_allocation *ps_memory_find(const void *address)
{
    if (!ps_memory_in_arena(address))
        return NULL;
    size_t low = 0, high = allocations.size();
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (allocations[middle].pages <= (const char *)address)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &allocations[low - 1] : NULL;
}

void ps_memory_describe(const void *address, char *out, size_t size)
{
    const ps_allocation *a = ps_memory_find(address);
    const char *at = (const char *)address;
    if (!a) {
        (void)snprintf(out, size, "%p, which is no device memory", address);
        return;
    }
    const char *kind = a->pinned ? "pinned memory" : "device memory";
    const char *freed = a->live ? "" : ", which is freed";
    if (at < a->start)
        (void)snprintf(out, size, "%s %u of %zu bytes%s, %zu before its start", kind, a->number,
                       a->size, freed, (size_t)(a->start - at));
    else if (at >= a->start + a->size)
        (void)snprintf(out, size, "%s %u of %zu bytes%s, %zu past its end", kind, a->number,
                       a->size, freed, (size_t)(at - a->start) - a->size);
    else
        (void)snprintf(out, size, "%s %u of %zu bytes%s, at %zu", kind, a->number, a->size, freed,
                       (size_t)(at - a->start));
}

const void *ps_memory_missing(const ps_allocation *a, const void *start, size_t bytes)
{
    const char *at = (const char *)start;
    if (!a || !a->live || at < a->start || at >= a->start + a->size)
        return at;
    return at + bytes > a->start + a->size ? a->start + a->size : NULL;
}

bool ps_memory_check(const void *start, size_t bytes, const char *what)
{
    const void *missing = bytes ? ps_memory_missing(ps_memory_find(start), start, bytes) : NULL;
    if (!missing)
        return true;
    char where[200];
    ps_memory_describe(missing, where, sizeof where);
    ps_report(NULL, "%s: %zu bytes from %p go out of bounds: %s", what, bytes, start, where);
    return false;
}

bool ps_memory_register(void *start, size_t bytes)
{
    if (ps_memory_is_pinned(start))
        return false;
    ps_allocation a = {};
    a.start = (char *)start;
    a.size = bytes;
    registered.push_back(a);
    return true;
}

bool ps_memory_unregister(void *start)
{
    for (size_t i = 0; i < registered.size(); i++)
        if (registered[i].start == start) {
            registered.erase(registered.begin() + (long)i);
            return true;
        }
    return false;
}

bool ps_memory_is_pinned(const void *address)
{
    const ps_allocation *a = ps_memory_find(address);
    if (a)
        return a->pinned;
    for (const ps_allocation &r : registered)
        if ((const char *)address >= r.start && (const char *)address < r.start + r.size)
            return true;
    return false;
}

void ps_memory_use(size_t *free_bytes, size_t *total)
{
    *free_bytes = cap > taken ? cap - taken : 0;
    *total = cap;
}

void ps_memory_open(ps_allocation *a)
{
    if (a->open)
        return;
    protect(a, PROT_READ | PROT_WRITE);
    a->open = true;
    opened.push_back(a->number);
}

bool ps_device_running(void)
{
    return depth > 0;
}

void ps_device_enter(void)
{
    depth++;
}

static void close_all(void)
{
    for (unsigned number : opened) {
        ps_allocation *a = &allocations[number - 1];
        if (!a->live)
            continue;
        check_canary(a);
        a->open = false;
        protect(a, PROT_NONE);
    }
    opened.clear();
}

void ps_device_leave(void)
{
    if (--depth == 0)
        close_all();
}

static int paused;

void ps_device_pause(void)
{
    paused = depth;
    depth = 0;
    close_all();
}

void ps_device_resume(void)
{
    depth = paused;
}
