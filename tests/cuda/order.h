/* order: whose turn is next, as ps_shim_set_order said. */
#ifndef PS_TEST_CUDA_ORDER_H
#define PS_TEST_CUDA_ORDER_H

#include <stdint.h>

/* The i-th of n to be put in the queue. */
unsigned ps_order_at(unsigned i, unsigned n);
/* Which of the n that wait in the queue comes next. */
unsigned ps_order_pick(unsigned n);
/* The i-th of n blocks: a permutation that needs no memory. */
uint32_t ps_order_block(uint32_t i, uint32_t n, uint32_t launch);

#endif
