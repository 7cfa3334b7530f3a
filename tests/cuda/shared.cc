/* Static shared arrays are thread-local variables: the one storage class besides static that a
 * local array of any function may have, templates included, and whose bounds can be learnt while
 * running (g++ ignores sections in templates). The program has others there, which no kernel
 * touches: they are put aside while a grid runs.
 *
 * Dynamic memory ends at a guard page, so an access past it is a fault. */
#include "tests/cuda/shared.h"

#include "tests/cuda/block.h"

#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <vector>

#define PAGE         4096u
#define DYNAMIC_ROOM (228u << 10) /* more than any device has */

static __thread volatile char anchor; /* one of the program's thread-local variables */
static char *fixed;                   /* all of them, of the thread that runs the grid */
static size_t fixed_size;
static std::vector<char> aside;

static char *room; /* a guard page, DYNAMIC_ROOM, a guard page */
static char *dynamic;
static size_t dynamic_size;

static int find_thread_local(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    char *start = (char *)info->dlpi_tls_data, *mine = (char *)&anchor;
    for (int i = 0; start && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_TLS || mine < start || mine >= start + p->p_memsz)
            continue;
        fixed = start;
        fixed_size = p->p_memsz;
        return 1;
    }
    return 0;
}

static void make_room(void)
{
    room =
        (char *)mmap(NULL, DYNAMIC_ROOM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED || mprotect(room + PAGE, DYNAMIC_ROOM, PROT_READ | PROT_WRITE) != 0) {
        perror("cuda shim: no shared memory");
        abort();
    }
}

void ps_shared_grid_begin(void)
{
    if (!room)
        make_room();
    anchor = 0; /* a library's are made when first touched */
    if (!dl_iterate_phdr(find_thread_local, NULL)) {
        (void)fprintf(stderr, "cuda shim: no thread-local variables found\n");
        abort();
    }
    aside.assign(fixed, fixed + fixed_size);
}

void ps_shared_grid_end(void)
{
    memcpy(fixed, aside.data(), fixed_size);
}

void ps_shared_begin(size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    dynamic = room + PAGE + DYNAMIC_ROOM - rounded;
    dynamic_size = size;
    memset(dynamic, 0xff, rounded);
    memset(fixed, 0xff, fixed_size);
}

void *ps_shim_dynamic_shared(void)
{
    return dynamic;
}

/* Places keep the address's rest by 16: a word is a word in both. */
static size_t dynamic_offset(void)
{
    return (fixed_size + 31) & ~(size_t)15;
}

bool ps_shared_find(const void *address, size_t *offset, size_t *left)
{
    const char *a = (const char *)address;
    if (a >= fixed && a < fixed + fixed_size) {
        *offset = ((uintptr_t)fixed & 15) + (size_t)(a - fixed);
        *left = fixed_size - (size_t)(a - fixed);
        return true;
    }
    if (a < room || a >= room + DYNAMIC_ROOM + 2 * PAGE)
        return false;
    *offset = dynamic_offset() + (size_t)(a - room);
    *left = a >= dynamic && a < dynamic + dynamic_size ? (size_t)(dynamic + dynamic_size - a) : 0;
    return true;
}

size_t ps_shared_size(void)
{
    return dynamic_offset() + DYNAMIC_ROOM + 2 * PAGE;
}
