/* B is read once, in the order in which it lies. Stored by columns (op(B)ᵀ [n,k]) its rows and A's
 * are multiplied, a piece of them a thread; stored by rows [k,n] a thread adds up a piece of them,
 * and the pieces' sums are added at the end. Several rows of A use some of B's before the next. */
#include "gpu/cpu/gemm_few.h"

#include "gpu/cpu/cpu.h"
#include "gpu/cpu/few.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

#include <string.h>

enum {
    FEW = 8,    /* rows of A */
    DOTS = 256, /* rows of B a piece at most, where it is stored by columns */
    SUMS = 8,   /* pieces, where it is stored by rows */
    SOME = 16,  /* rows of B that several rows of A share */
};

typedef struct few_run {
    const ps_gemm *g;
    const float *a; /* [m,k] */
    int64_t ld_a;
    int64_t piece;  /* rows of B */
    float *scratch; /* dots: of a thread [m,DOTS]; sums: of a piece [m,n] */
} few_run;

bool ps_cpu_gemm_is_few(const ps_gemm *g)
{
    return g->m <= FEW && !g->transpose_a && g->beta == 0 && g->batch == 1;
}

static const void *row_of_b(const ps_gemm *g, int64_t row)
{
    return (const char *)ps_tensor_address(g->b) +
           (size_t)(row * g->ld_b) * ps_dtype_bytes(g->b.dtype);
}

/* ---- stored by columns ---- */

static void dots(const ps_gemm *g, float *y, const float *x, int64_t first, int64_t rows)
{
    if (g->b.dtype == PS_DTYPE_F32)
        ps_cpu_few_dots(y, x, row_of_b(g, first), g->ld_b, rows, g->k, g->alpha);
    else
        ps_cpu_few_dots_bf16(y, x, row_of_b(g, first), g->ld_b, rows, g->k, g->alpha);
}

static void dots_piece_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const few_run *r = context;
    const ps_gemm *g = r->g;
    float *scratch = r->scratch + (int64_t)slot * g->m * DOTS;
    int64_t some = g->m == 1 ? DOTS : SOME;
    for (int64_t j = begin; j < end; j += some) {
        int64_t n = end - j < some ? end - j : some;
        for (int64_t i = 0; i < g->m; i++) {
            float *y = ps_cpu_place(g->c, i * g->ld_c + j, scratch);
            dots(g, y, r->a + i * r->ld_a, j, n);
            ps_cpu_store(g->c, i * g->ld_c + j, n, y);
        }
    }
}

/* ---- stored by rows ---- */

static void sums(const ps_gemm *g, float *y, const float *x, int64_t first, int64_t rows)
{
    if (g->b.dtype == PS_DTYPE_F32)
        ps_cpu_few_sums(y, x, row_of_b(g, first), g->ld_b, rows, g->n);
    else
        ps_cpu_few_sums_bf16(y, x, row_of_b(g, first), g->ld_b, rows, g->n);
}

static void sums_piece_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const few_run *r = context;
    const ps_gemm *g = r->g;
    float *y = r->scratch + begin / r->piece * g->m * g->n;
    memset(y, 0, (size_t)(g->m * g->n) * sizeof *y);
    int64_t some = g->m == 1 ? r->piece : SOME;
    for (int64_t k = begin; k < end; k += some) {
        for (int64_t i = 0; i < g->m; i++)
            sums(g, y + i * g->n, r->a + i * r->ld_a + k, k, end - k < some ? end - k : some);
    }
}

PS_VECTOR
static void add(float *restrict y, const float *restrict x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* Always in the same order, so that it does not matter which thread had which piece. */
static void add_pieces(const few_run *r)
{
    const ps_gemm *g = r->g;
    for (int64_t k = r->piece, i = 1; k < g->k; k += r->piece, i++)
        add(r->scratch, r->scratch + i * g->m * g->n, g->m * g->n);
    for (int64_t i = 0; i < g->m; i++) {
        float *sum = r->scratch + i * g->n;
        float *y = ps_cpu_place(g->c, i * g->ld_c, sum);
        for (int64_t j = 0; j < g->n; j++)
            y[j] = g->alpha * sum[j];
        ps_cpu_store(g->c, i * g->ld_c, g->n, y);
    }
}

/* ---- both ---- */

/* Large enough to be worth a thread. */
static int64_t piece_of(const ps_gemm *g)
{
    int64_t least = ps_cpu_grain(g->transpose_b ? g->k : g->n);
    if (g->transpose_b)
        return least < DOTS ? least : DOTS;
    int64_t rows = (g->k + SUMS - 1) / SUMS;
    rows = (rows + SOME - 1) / SOME * SOME;
    return rows > least ? rows : least;
}

static size_t scratch_of(const ps_stream *s, const few_run *r)
{
    const ps_gemm *g = r->g;
    int64_t floats = g->transpose_b ? ps_cpu_threads(s) * g->m * DOTS
                                    : (g->k + r->piece - 1) / r->piece * g->m * g->n;
    return ps_cpu_padded(floats);
}

void ps_cpu_gemm_few(ps_stream *s, const ps_gemm *g)
{
    few_run r = {.g = g, .a = ps_tensor_address(g->a), .ld_a = g->ld_a, .piece = piece_of(g)};
    bool converts = g->a.dtype == PS_DTYPE_BF16;
    size_t floats = scratch_of(s, &r);
    r.scratch = ps_cpu_scratch(s, floats + (converts ? (size_t)(g->m * g->k) : 0));
    if (!r.scratch)
        return;
    if (converts) {
        float *a = r.scratch + floats;
        for (int64_t i = 0; i < g->m; i++)
            ps_cpu_from_bf16(a + i * g->k, (const uint16_t *)ps_tensor_address(g->a) + i * g->ld_a,
                             g->k);
        r.a = a;
        r.ld_a = g->k;
    }
    if (g->transpose_b) {
        ps_cpu_for(s, g->n, r.piece, dots_piece_cb, &r);
        return;
    }
    ps_cpu_for(s, g->k, r.piece, sums_piece_cb, &r);
    add_pieces(&r);
}
