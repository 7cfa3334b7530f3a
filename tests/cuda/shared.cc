/* Static shared arrays lie in a section of their own, whose ends the linker names. Dynamic memory
 * ends at a guard page, so an access past it is a fault. */
#include "tests/cuda/shared.h"

#include "tests/cuda/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern "C" char __start_ps_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_ps_shared[] __attribute__((weak, visibility("hidden")));

#define PAGE         4096u
#define DYNAMIC_ROOM (228u << 10) /* more than any device has */

static char *room; /* a guard page, DYNAMIC_ROOM, a guard page */
static char *dynamic;
static size_t dynamic_size;

static void make_room(void)
{
    room =
        (char *)mmap(NULL, DYNAMIC_ROOM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED || mprotect(room + PAGE, DYNAMIC_ROOM, PROT_READ | PROT_WRITE) != 0) {
        perror("cuda shim: no shared memory");
        abort();
    }
}

void ps_shared_begin(size_t size)
{
    if (!room)
        make_room();
    size_t rounded = (size + 15) & ~(size_t)15;
    dynamic = room + PAGE + DYNAMIC_ROOM - rounded;
    dynamic_size = size;
    memset(dynamic, 0xff, rounded);
    if (__start_ps_shared)
        memset(__start_ps_shared, 0xff, (size_t)(__stop_ps_shared - __start_ps_shared));
}

void *ps_shim_dynamic_shared(void)
{
    return dynamic;
}

bool ps_shared_find(const void *address, size_t *offset, size_t *left)
{
    const char *a = (const char *)address;
    size_t fixed = __start_ps_shared ? (size_t)(__stop_ps_shared - __start_ps_shared) : 0;
    if (fixed && a >= __start_ps_shared && a < __stop_ps_shared) {
        *offset = (size_t)(a - __start_ps_shared);
        *left = fixed - *offset;
        return true;
    }
    if (!room || a < room + PAGE || a >= room + PAGE + DYNAMIC_ROOM)
        return false;
    *offset = ((fixed + 15) & ~(size_t)15) + (size_t)(a - room - PAGE);
    *left = a >= dynamic && a < dynamic + dynamic_size ? (size_t)(dynamic + dynamic_size - a) : 0;
    return true;
}

size_t ps_shared_size(void)
{
    return (size_t)(__stop_ps_shared - __start_ps_shared) + 16 + DYNAMIC_ROOM;
}

bool ps_shared_guard_holds(const void *address)
{
    const char *a = (const char *)address;
    return room && a >= room && a < room + DYNAMIC_ROOM + 2 * PAGE;
}
