/* checker: finds races, reads of what was never written and accesses that hardware may let pass, in
 * kernels that are compiled with -fsanitize=thread: the compiler then calls a function of tsan.cc
 * before every access.
 *
 * Two accesses of a word race when one of them writes, not both are atomic, and nothing orders
 * them: no barrier of the block or, within a warp, of the warp lies between, or they are of two
 * blocks of one launch. Blocks are ordered when one fences and does an atomic and the other does
 * one later. Launches are taken as ordered: streams see to those (stream.h). */
#ifndef PS_TEST_CUDA_CHECKER_H
#define PS_TEST_CUDA_CHECKER_H

#include <stddef.h>

typedef enum ps_access_kind { PS_ACCESS_READ, PS_ACCESS_WRITE, PS_ACCESS_ATOMIC } ps_access_kind;

/* There are such kernels in the program. */
void ps_checker_enable(void);
/* The running thread is about to do it, at instruction pc. Nothing when no kernel is running. */
void ps_checker_access(const void *address, size_t size, ps_access_kind kind, const void *pc);
/* A finding when address is not a multiple of size, as loads and stores of the device must be. */
void ps_checker_aligned(const void *address, size_t size, const void *pc);
/* The device's own copies and matrices: bytes now hold values. */
void ps_checker_written(const void *address, size_t size);
/* A grid begins. */
void ps_checker_launch(void);

#endif
