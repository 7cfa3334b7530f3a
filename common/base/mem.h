/* mem: allocation in two kinds.
 *
 * ps_new, ps_alloc, ps_strdup: small, bounded by our own code; they abort when memory is out and so
 * never return NULL. ps_try_alloc: sized by a peer, a file or a tensor; NULL is an answer the
 * caller turns into PS_NO_MEMORY. Tests make the k-th ps_try_alloc fail. Any thread.
 */
#ifndef PS_BASE_MEM_H
#define PS_BASE_MEM_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void *ps_alloc(size_t bytes);               /* zeroed */
void *ps_alloc_array(size_t n, size_t one); /* zeroed; aborts on overflow */
void *ps_realloc(void *p, size_t bytes);
char *ps_strdup(const char *s); /* NULL stays NULL */
char *ps_asprintf(const char *format, ...) PS_PRINTF(1, 2);

#define ps_new(T) ((T *)ps_alloc(sizeof(T)))

/* Zeroed; 64-byte aligned, so that vector code and tensors may use it; NULL when out of memory. */
void *ps_try_alloc(size_t bytes);
/* Not zeroed, otherwise as ps_try_alloc: for buffers that are written whole. */
void *ps_try_alloc_raw(size_t bytes);

/* Frees what any of the above returned and clears the pointer: ps_free(&p). */
#define ps_free(pointer)                       \
    do {                                       \
        __typeof__(pointer) ps_at = (pointer); \
        free(*ps_at);                          \
        *ps_at = NULL;                         \
    } while (0)

/* Overwrites secrets so that the compiler cannot drop it. */
void ps_wipe(void *p, size_t bytes);

/* Test hook, of this thread: ps_try_alloc returns NULL when fails says so; NULL: never. */
void ps_mem_on_try(bool (*fails)(void *user), void *user);

#endif
