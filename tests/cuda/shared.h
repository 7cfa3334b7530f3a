/* shared: a block's shared memory, static and dynamic. */
#ifndef PS_TEST_CUDA_SHARED_H
#define PS_TEST_CUDA_SHARED_H

#include <stddef.h>

/* Around a grid, on the thread that runs it. */
void ps_shared_grid_begin(void);
void ps_shared_grid_end(void);
/* A new block: all of it is garbage (0xFF). dynamic: bytes that the launch asked for. */
void ps_shared_begin(size_t dynamic);
/* Whether address is in it; *offset: its place, static memory first; *left: bytes from address to
 * the end of what may be touched, 0 in the pages around dynamic memory. */
bool ps_shared_find(const void *address, size_t *offset, size_t *left);
/* Bytes of both parts at most. */
size_t ps_shared_size(void);

#endif
