/* shared: a block's shared memory, static and dynamic. */
#ifndef PS_TEST_CUDA_SHARED_H
#define PS_TEST_CUDA_SHARED_H

#include <stddef.h>

/* A new block: all of it is garbage (0xFF). dynamic: bytes that the launch asked for. */
void ps_shared_begin(size_t dynamic);
/* address's place in shared memory: 0 <= *offset; false when it is not in it. Static memory comes
 * first, dynamic memory after it. *left: bytes from address to the end of its part. */
bool ps_shared_find(const void *address, size_t *offset, size_t *left);
/* Bytes of both parts at most. */
size_t ps_shared_size(void);
/* Whether address is in the pages around dynamic memory. */
bool ps_shared_guard_holds(const void *address);

#endif
