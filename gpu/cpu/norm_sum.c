/* The norm of all elements, clipping by it, and the search for NaN and infinity. Each thread sums
 * up pieces, whose sums are added in their order: the result is the same for any number of threads.
 */
#include "common/base/bits.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

#include <stdatomic.h>

#define PIECES 64

typedef struct norm_run {
    const float *x;
    int64_t grain;
    double sums[PIECES];
    atomic_bool bad;
} norm_run;

static void start_run(norm_run *r, ps_tensor x)
{
    int64_t n = ps_tensor_count(x), grain = (n + PIECES - 1) / PIECES, least = ps_cpu_grain(1);
    *r = (norm_run){.x = ps_tensor_address(x), .grain = grain > least ? grain : least};
}

PS_VECTOR
double ps_cpu_sum_of_squares(const float *x, int64_t n)
{
    double sum = 0;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

static void squares_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    norm_run *r = context;
    r->sums[begin / r->grain] = ps_cpu_sum_of_squares(r->x + begin, end - begin);
}

void ps_cpu_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x, bool add)
{
    norm_run r;
    start_run(&r, x);
    ps_cpu_for(s, ps_tensor_count(x), r.grain, squares_cb, &r);
    float *norm = ps_tensor_address(out);
    double sum = add ? (double)*norm : 0;
    for (int i = 0; i < PIECES; i++)
        sum += r.sums[i];
    *norm = (float)sum;
}

void ps_cpu_clip_norm(ps_stream *s, ps_tensor x, ps_tensor squared_norm, float limit)
{
    float norm = sqrtf(*(const float *)ps_tensor_address(squared_norm));
    if (norm <= limit)
        return;
    ps_cpu_scale(s, x, limit / norm); /* a NaN spreads: it is not to be hidden */
}

/* NaN and infinity are the numbers whose exponent is all ones. */
PS_VECTOR
static bool has_bad(const float *x, int64_t n)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        bad |= (ps_bits_of_float(x[i]) & 0x7F800000u) == 0x7F800000u;
    }
    return bad != 0;
}

static void bad_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    norm_run *r = context;
    if (has_bad(r->x + begin, end - begin))
        atomic_store_explicit(&r->bad, true, memory_order_relaxed);
}

void ps_cpu_all_finite(ps_stream *s, ps_tensor out, ps_tensor x)
{
    norm_run r;
    start_run(&r, x);
    ps_cpu_for(s, ps_tensor_count(x), r.grain, bad_cb, &r);
    *(int32_t *)ps_tensor_address(out) = !atomic_load(&r.bad);
}
