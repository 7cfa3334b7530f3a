/* Few active latents: the k largest of a row, lengths of rows, and how many numbers are above 0.
 *
 * The k-th largest is found bit by bit, from the top: bits of floats above 0 stand in the order of
 * the floats, and a count of those at or above a candidate, which vectorises, says whether its bit
 * is one. A row takes at most 31 such counts, whatever is in it, and nothing is sorted. */
#include "common/base/bits.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

#include <math.h>

enum { PIECES = 64, BITS = 31 };

/* ---- the k largest ---- */

typedef struct topk_run {
    const ps_topk *t;
    float *scratch; /* a row a thread: what is looked at, as bits; 0: it is not */
} topk_run;

static inline uint32_t bits_of(float x)
{
    return x > 0 ? ps_bits_of_float(x) : 0;
}

PS_VECTOR
static void take_bits(uint32_t *restrict bits, const float *restrict z,
                      const float *restrict left_out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        bits[i] = left_out && left_out[i] > 0 ? 0 : bits_of(z[i]);
}

PS_VECTOR
static int64_t count_from(const uint32_t *bits, uint32_t least, int64_t n)
{
    int32_t count = 0; /* a row has fewer than 2^31 */
    PS_SIMD_SUM(count)
    for (int64_t i = 0; i < n; i++)
        count += bits[i] >= least;
    return count;
}

/* The largest threshold that at least k reach; 1, the least above 0, where fewer are. */
static uint32_t threshold_of(const uint32_t *bits, int64_t k, int64_t n)
{
    uint32_t found = 0;
    if (count_from(bits, 1, n) <= k)
        return 1;
    for (int bit = BITS - 1; bit >= 0; bit--) {
        uint32_t candidate = found | 1u << bit;
        int64_t count = count_from(bits, candidate, n);
        if (count >= k)
            found = candidate;
        if (count == k)
            break;
    }
    return found;
}

static void topk_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const topk_run *r = context;
    int64_t n = r->t->z.shape[1], k = r->t->k;
    uint32_t *bits = (uint32_t *)(void *)(r->scratch + ps_cpu_padded(n) * (size_t)slot);
    const float *left_out =
        ps_tensor_present(r->t->left_out) ? ps_tensor_address(r->t->left_out) : NULL;
    for (int64_t row = begin; row < end; row++) {
        const float *z = (const float *)ps_tensor_address(r->t->z) + row * n;
        float *y = (float *)ps_tensor_address(r->t->y) + row * n;
        take_bits(bits, z, left_out, n);
        uint32_t least = threshold_of(bits, k, n);
        int64_t equals = k - count_from(bits, least + 1, n); /* of those so many stay */
        for (int64_t i = 0; i < n; i++) {
            bool stays = bits[i] > least || (bits[i] == least && equals-- > 0);
            bool none = isnan(z[i]) && !(left_out && left_out[i] > 0);
            y[i] = stays || none ? z[i] : 0;
        }
    }
}

void ps_cpu_topk(ps_stream *s, const ps_topk *t)
{
    int64_t n = t->z.shape[1];
    topk_run r = {.t = t,
                  .scratch = ps_cpu_scratch(s, ps_cpu_padded(n) * (size_t)ps_cpu_threads(s))};
    if (r.scratch)
        ps_cpu_for(s, t->z.shape[0], ps_cpu_grain(8 * n), topk_cb, &r);
}

/* ---- lengths of rows ---- */

typedef struct norms_run {
    float *norms, *dx;
    const float *x, *dnorms;
    int64_t n;
} norms_run;

static void norms_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const norms_run *r = context;
    for (int64_t row = begin; row < end; row++)
        r->norms[row] = (float)sqrt(ps_cpu_sum_of_squares(r->x + row * r->n, r->n));
}

void ps_cpu_row_norms(ps_stream *s, ps_tensor norms, ps_tensor x)
{
    norms_run r = {.norms = ps_tensor_address(norms), .x = ps_tensor_address(x), .n = x.shape[1]};
    ps_cpu_for(s, x.shape[0], ps_cpu_grain(r.n), norms_cb, &r);
}

static void norms_backward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const norms_run *r = context;
    for (int64_t row = begin; row < end; row++)
        if (r->norms[row] > 0)
            ps_cpu_add_scaled(r->dx + row * r->n, r->dnorms[row] / r->norms[row], r->x + row * r->n,
                              r->n);
}

void ps_cpu_row_norms_backward(ps_stream *s, ps_tensor dx, ps_tensor dnorms, ps_tensor norms,
                               ps_tensor x)
{
    norms_run r = {.norms = ps_tensor_address(norms),
                   .dx = ps_tensor_address(dx),
                   .x = ps_tensor_address(x),
                   .dnorms = ps_tensor_address(dnorms),
                   .n = x.shape[1]};
    ps_cpu_for(s, x.shape[0], ps_cpu_grain(2 * r.n), norms_backward_cb, &r);
}

/* ---- how many are above 0 ---- */

typedef struct count_run {
    const float *x;
    int64_t grain;
    int64_t counts[PIECES];
} count_run;

PS_VECTOR
static int64_t count_above(const float *x, int64_t n)
{
    int64_t count = 0;
    PS_SIMD_SUM(count)
    for (int64_t i = 0; i < n; i++)
        count += x[i] > 0;
    return count;
}

static void count_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    count_run *r = context;
    r->counts[begin / r->grain] = count_above(r->x + begin, end - begin);
}

void ps_cpu_count_positive(ps_stream *s, ps_tensor out, ps_tensor x)
{
    int64_t n = ps_tensor_count(x), count = 0, least = ps_cpu_grain(1);
    count_run r = {.x = ps_tensor_address(x), .grain = (n + PIECES - 1) / PIECES};
    r.grain = r.grain > least ? r.grain : least;
    ps_cpu_for(s, n, r.grain, count_cb, &r);
    for (int i = 0; i < PIECES; i++)
        count += r.counts[i];
    *(int32_t *)ps_tensor_address(out) = (int32_t)count;
}
