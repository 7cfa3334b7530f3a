#include "tests/bench/read.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <pthread.h>

typedef struct part {
    const float *x;
    int64_t n;
    double sum;
} part;

/* In four places side by side, which is faster than in one; as many sums as hide the latency of
 * additions; the compiler makes vectors of them. */
#if defined(__x86_64__) && !defined(__clang__)
__attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4"), optimize("O3")))
#endif
static void
read_all(part *p)
{
    enum { AT_ONCE = 32 };
    float sums[4][AT_ONCE] = {0};
    int64_t quarter = p->n / 4;
    for (int64_t i = 0; i + AT_ONCE <= quarter; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++) {
            sums[0][j] += p->x[i + j];
            sums[1][j] += p->x[quarter + i + j];
            sums[2][j] += p->x[2 * quarter + i + j];
            sums[3][j] += p->x[3 * quarter + i + j];
        }
    }
    for (int j = 0; j < 4 * AT_ONCE; j++)
        p->sum += (double)sums[j / AT_ONCE][j % AT_ONCE];
}

static void *read_cb(void *context)
{
    read_all(context);
    return NULL;
}

double ps_bench_read_gbs(const float *x, int64_t n, int threads)
{
    part *parts = ps_alloc_array((size_t)threads, sizeof *parts);
    pthread_t *helpers = ps_alloc_array((size_t)threads, sizeof *helpers);
    for (int i = 0; i < threads; i++)
        parts[i] = (part){.x = x + n / threads * i, .n = n / threads};
    uint64_t start = ps_clock_ns(&ps_clock_system);
    int made = 1;
    while (made < threads && pthread_create(&helpers[made], NULL, read_cb, &parts[made]) == 0)
        made++;
    read_all(&parts[0]);
    for (int i = 1; i < made; i++)
        (void)pthread_join(helpers[i], NULL);
    double seconds = (double)(ps_clock_ns(&ps_clock_system) - start) / 1e9;
    volatile double sink = parts[0].sum;
    (void)sink;
    ps_free(&helpers);
    ps_free(&parts);
    return (double)(n / threads * made) * sizeof *x / seconds / 1e9;
}
