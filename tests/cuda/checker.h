/* checker: finds races and reads of memory that was never written, in kernels that are compiled
 * with -fsanitize=thread: the compiler then calls a function before every access, and checker.cc
 * has those functions. */
#ifndef PS_TEST_CUDA_CHECKER_H
#define PS_TEST_CUDA_CHECKER_H

#include <stddef.h>

/* The device's own copies and matrices: bytes now hold values. */
void ps_checker_written(const void *address, size_t size);

#endif
