/* peak: what the processor can do at the most, by a loop of our own and never by the library that
 * is measured: fused multiply-adds in registers, AVX-512 or AVX2 where there is one. */
#ifndef PS_BENCH_PEAK_H
#define PS_BENCH_PEAK_H

typedef struct ps_bench_peak {
    double gflops;     /* float32, all threads together, by the clock: what neighbours leave */
    double gflops_cpu; /* of one second of processor time */
} ps_bench_peak;

/* Takes some 20 ms. threads >= 1 */
ps_bench_peak ps_bench_peak_take(int threads);

/* Seconds of processor time that this process has used, user and system, all its threads. */
double ps_bench_cpu_s(void);

#endif
