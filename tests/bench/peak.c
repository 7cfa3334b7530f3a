#include "tests/bench/peak.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#define LOOPS 4000000

/* One x = x·a + b after the other in each of twelve registers: more than a processor has under way
 * (two a cycle, four or five cycles each). They go to b / (1 - a). The empty asm keeps the compiler
 * from knowing that. Returns the floating-point operations done. */
enum { REGISTERS = 12 };

#define FMA_LOOP(name, width, attributes)                                                     \
    attributes static double name(void)                                                       \
    {                                                                                         \
        typedef float vector __attribute__((vector_size((width)*4)));                         \
        vector a = (vector){0} + 0.5f, b = (vector){0} + 1.0f, sum = {0};                     \
        vector x[REGISTERS];                                                                  \
        for (int r = 0; r < REGISTERS; r++)                                                   \
            x[r] = (vector){0} + (float)r;                                                    \
        for (int64_t i = 0; i < LOOPS; i++) {                                                 \
            _Pragma("GCC unroll 12") for (int r = 0; r < REGISTERS; r++) x[r] = x[r] * a + b; \
            __asm__ volatile("" : REGISTER(a));                                               \
        }                                                                                     \
        for (int r = 0; r < REGISTERS; r++)                                                   \
            sum += x[r];                                                                      \
        __asm__ volatile("" : REGISTER(sum));                                                 \
        return 2.0 * LOOPS * REGISTERS * (width);                                             \
    }

#if defined(__x86_64__)
#define REGISTER(v) "+x"(v)
FMA_LOOP(fma_avx512, 16, __attribute__((target("avx512f"))))
FMA_LOOP(fma_avx2, 8, __attribute__((target("avx2,fma"))))
#elif defined(__aarch64__)
#define REGISTER(v) "+w"(v)
#else
#define REGISTER(v) "+m"(v)
#endif
FMA_LOOP(fma_plain, 4, )

static double fma_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return fma_avx512();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return fma_avx2();
#endif
    return fma_plain();
}

static void *fma_cb(void *flops)
{
    *(double *)flops = fma_best();
    return NULL;
}

double ps_bench_cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* In nanoseconds, which getrusage does not have. */
static double cpu_of_process(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

ps_bench_peak ps_bench_peak_take(int threads)
{
    double *flops = ps_alloc_array((size_t)threads, sizeof *flops), all = 0;
    pthread_t *helpers = ps_alloc_array((size_t)threads, sizeof *helpers);
    double cpu = cpu_of_process();
    uint64_t start = ps_clock_ns(&ps_clock_system);
    int made = 1;
    while (made < threads && pthread_create(&helpers[made], NULL, fma_cb, &flops[made]) == 0)
        made++;
    (void)fma_cb(&flops[0]);
    for (int i = 1; i < made; i++)
        (void)pthread_join(helpers[i], NULL);
    double seconds = (double)(ps_clock_ns(&ps_clock_system) - start) / 1e9;
    cpu = cpu_of_process() - cpu;
    for (int i = 0; i < made; i++)
        all += flops[i];
    ps_free(&helpers);
    ps_free(&flops);
    return (ps_bench_peak){.gflops = all / seconds / 1e9, .gflops_cpu = all / cpu / 1e9};
}
