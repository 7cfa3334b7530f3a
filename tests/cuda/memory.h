/* memory: device memory and pinned host memory. Addresses are never used twice, allocations stand
 * apart by guard pages, and device memory can be touched only while the device runs. */
#ifndef PS_TEST_CUDA_MEMORY_H
#define PS_TEST_CUDA_MEMORY_H

#include <stddef.h>

typedef struct ps_allocation {
    char *pages; /* readable when open */
    size_t pages_size;
    char
        *start; /* what the caller got; 256-byte aligned, ends where the pages end or just before */
    size_t size;
    unsigned number; /* counts all allocations, from 1 */
    bool pinned, open, live;
} ps_allocation;

/* NULL: no memory within the cap. Contents are garbage (0xFF). */
void *ps_memory_new(size_t bytes, bool pinned);
/* false when start is not what ps_memory_new gave, of this kind. */
bool ps_memory_free(void *start, bool pinned);
/* Host memory of others that counts as pinned from now on. */
bool ps_memory_register(void *start, size_t bytes);
bool ps_memory_unregister(void *start);
bool ps_memory_is_pinned(const void *address);

/* The allocation, live or freed, that address belongs to, its surroundings included; or NULL. */
ps_allocation *ps_memory_find(const void *address);
bool ps_memory_in_arena(const void *address);
char *ps_memory_arena(void);
size_t ps_memory_arena_size(void);
int ps_memory_live(void);
/* The first of size bytes from start that a does not have; NULL: it has all. a may be NULL. */
const void *ps_memory_missing(const ps_allocation *a, const void *start, size_t bytes);
/* A live device allocation (pinned ones too) that holds bytes from start on; otherwise a finding,
 * "what: ...", and false. */
bool ps_memory_check(const void *start, size_t bytes, const char *what);
/* "memory 3 of 400 bytes, 12 past its end" */
void ps_memory_describe(const void *address, char *out, size_t size);
void ps_memory_use(size_t *free_bytes, size_t *total);

/* The device runs between the two; they nest. Memory is opened when it is first touched (fault.cc)
 * and closed by the last leave, which also finds what was written around allocations. */
void ps_device_enter(void);
void ps_device_leave(void);
bool ps_device_running(void);
/* Host code in between, however deep the device is entered. */
void ps_device_pause(void);
void ps_device_resume(void);
void ps_memory_open(ps_allocation *a);

#endif
