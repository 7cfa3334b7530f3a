/* place: what an address is that a kernel touches, and where the checker keeps what it knows of it.
 */
#ifndef PS_TEST_CUDA_PLACE_H
#define PS_TEST_CUDA_PLACE_H

#include <stddef.h>

typedef struct ps_word ps_word;

/* The shadow of the word that holds address, and those after it. NULL: nothing to keep (the
 * thread's own stack, its arguments, constants), or a finding: not all of size bytes are memory
 * that a kernel may touch. *shared: they are the block's shared memory. */
ps_word *ps_place_word(const void *address, size_t size, bool writes, const void *pc, bool *shared);
/* The same for device memory alone, unchecked; NULL for anything else. */
ps_word *ps_place_device_word(const void *address);
/* Allocations may have come and gone. */
void ps_place_forget(void);
void ps_place_describe(const void *address, char *out, size_t size);

#endif
