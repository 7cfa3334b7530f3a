/* read: how fast memory is read at the most, by a loop that only adds up what it reads. */
#ifndef PS_BENCH_READ_H
#define PS_BENCH_READ_H

#include <stdint.h>

/* GB/s of all threads together over n floats, more than caches hold. */
double ps_bench_read_gbs(const float *x, int64_t n, int threads);

#endif
