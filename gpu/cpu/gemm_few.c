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
    SOME = 4,   /* of each quarter: rows of B that several rows of A share */
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

/* Rows [first, first + rows) of B as it is stored. */
static ps_few piece_of_b(const ps_gemm *g, int64_t first, int64_t rows)
{
    size_t offset = (size_t)(first * g->ld_b) * ps_dtype_bytes(g->b.dtype);
    return (ps_few){.dtype = g->b.dtype,
                    .m = (const char *)ps_tensor_address(g->b) + offset,
                    .ld = g->ld_b,
                    .rows = rows,
                    .n = g->transpose_b ? g->k : g->n};
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

typedef void (*some_cb)(const ps_gemm *g, const ps_few *piece, int64_t first, int64_t end,
                        const float *x, float *y);

/* Each row of A, from its number `column` on, and its y, with all rows of every quarter of a piece
 * (few.h), or with some that several rows of A share before the next. */
static void go_over(const few_run *r, const ps_few *piece, some_cb some, int64_t column,
                    float *const *y)
{
    int64_t first = 0, quarter = ps_cpu_few_quarter(piece);
    do {
        int64_t end = r->g->m == 1 ? quarter : least(first + SOME, quarter);
        for (int64_t i = 0; i < r->g->m; i++)
            some(r->g, piece, first, end, r->a + i * r->ld_a + column, y[i]);
        first = end;
    } while (first < quarter);
}

/* ---- stored by columns ---- */

static void dots_cb(const ps_gemm *g, const ps_few *piece, int64_t first, int64_t end,
                    const float *x, float *y)
{
    ps_cpu_few_dots(piece, first, end, g->alpha, x, y);
}

static float *dots_place(const few_run *r, int64_t i, int64_t begin, int slot)
{
    const ps_gemm *g = r->g;
    float *scratch = r->scratch + (slot * g->m + i) * DOTS;
    return ps_cpu_place(g->c, i * g->ld_c + begin, scratch);
}

static void dots_piece_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const few_run *r = context;
    const ps_gemm *g = r->g;
    ps_few piece = piece_of_b(g, begin, end - begin);
    float *y[FEW];
    for (int64_t i = 0; i < g->m; i++)
        y[i] = dots_place(r, i, begin, slot);
    go_over(r, &piece, dots_cb, 0, y);
    for (int64_t i = 0; i < g->m; i++)
        ps_cpu_store(g->c, i * g->ld_c + begin, end - begin, y[i]);
}

/* ---- stored by rows ---- */

static void sums_cb(const ps_gemm *g, const ps_few *piece, int64_t first, int64_t end,
                    const float *x, float *y)
{
    (void)g; /* alpha comes with the pieces' sums */
    ps_cpu_few_sums(piece, first, end, x, y);
}

static void sums_piece_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const few_run *r = context;
    const ps_gemm *g = r->g;
    ps_few piece = piece_of_b(g, begin, end - begin);
    float *sums = r->scratch + begin / r->piece * g->m * g->n, *y[FEW];
    memset(sums, 0, (size_t)(g->m * g->n) * sizeof *sums);
    for (int64_t i = 0; i < g->m; i++)
        y[i] = sums + i * g->n;
    go_over(r, &piece, sums_cb, begin, y);
}

/* Always in the same order, so that it does not matter which thread had which piece. */
static void add_pieces(const few_run *r)
{
    const ps_gemm *g = r->g;
    for (int64_t k = r->piece, i = 1; k < g->k; k += r->piece, i++)
        ps_cpu_add_scaled(r->scratch, 1, r->scratch + i * g->m * g->n, g->m * g->n);
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
    int64_t grain = ps_cpu_grain(g->transpose_b ? g->k : g->n);
    if (g->transpose_b)
        return least((grain + 31) / 32 * 32, DOTS);
    int64_t rows = (g->k + SUMS - 1) / SUMS;
    rows = (rows + 15) / 16 * 16;
    return rows > grain ? rows : grain;
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
