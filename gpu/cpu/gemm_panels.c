/* C is made a block of columns at a time. For each, k is gone through in pieces for which all of A
 * fits in memory (where that is all of k, A is copied once for all blocks), and these in blocks for
 * which B's part is copied and multiplied with each panel of A. After Goto and van de Geijn,
 * "Anatomy of High-Performance Matrix Multiplication" (2008). */
#include "gpu/cpu/gemm_panels.h"

#include "common/base/require.h"

typedef struct run {
    const ps_panels_product *p;
    int64_t block_k, held_k; /* k of a block of B, and of what is held of A */
    uint32_t *a, *b;
    int64_t a_stride;           /* lanes of a panel */
    int64_t column, columns, k; /* where we are */
} run;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t lanes(const run *r, int64_t k)
{
    int64_t one = r->p->kernels->lane_k;
    return (k + one - 1) / one;
}

static const void *at(const void *base, int64_t element, int64_t lane_k)
{
    return (const char *)base + element * (4 / lane_k);
}

/* k in equal blocks, each of whole lanes. */
static void plan(run *r)
{
    const ps_panels_product *p = r->p;
    int64_t all = lanes(r, p->k), one = p->kernels->lane_k;
    int64_t blocks = (all + PS_PANELS_LANES - 1) / PS_PANELS_LANES;
    int64_t block = (all + blocks - 1) / blocks;
    int64_t rows = (p->m + PS_PANEL_A - 1) / PS_PANEL_A * PS_PANEL_A;
    int64_t held = least(blocks, PS_PANELS_HELD / rows / block);
    r->block_k = block * one;
    r->held_k = held * r->block_k;
    r->a_stride = held * block * PS_PANEL_A;
    r->a = (uint32_t *)(void *)p->scratch;
    r->b = r->a + PS_PANELS_HELD;
}

static void hold_a(const run *r)
{
    const ps_panels_product *p = r->p;
    p->kernels->copy(&(ps_panel_copy){
        .in = at(p->a, p->transpose_a ? r->k * p->ld_a : r->k, p->kernels->lane_k),
        .ld = p->ld_a,
        .by_rows = !p->transpose_a,
        .count = p->m,
        .k = least(r->held_k, p->k - r->k),
        .width = PS_PANEL_A,
        .out = r->a,
        .stride = r->a_stride,
    });
}

static void copy_b(const run *r, int64_t k, int64_t some)
{
    const ps_panels_product *p = r->p;
    int64_t from = p->transpose_b ? r->column * p->ld_b + k : k * p->ld_b + r->column;
    p->kernels->copy(&(ps_panel_copy){
        .in = at(p->b, from, p->kernels->lane_k),
        .ld = p->ld_b,
        .by_rows = p->transpose_b,
        .count = r->columns,
        .k = some,
        .width = PS_PANEL_B,
        .out = r->b,
        .stride = lanes(r, some) * PS_PANEL_B,
    });
}

static void multiply(const run *r, int64_t k, int64_t some)
{
    const ps_panels_product *p = r->p;
    ps_panel_product q = {.lanes = lanes(r, some), .alpha = p->alpha, .beta = k ? 1 : p->beta};
    int64_t into = lanes(r, k - r->k) * PS_PANEL_A;
    q.ld_c = p->ld_c;
    for (int64_t i = 0; i < p->m; i += PS_PANEL_A) {
        q.a = r->a + i / PS_PANEL_A * r->a_stride + into;
        q.m = least(PS_PANEL_A, p->m - i);
        for (int64_t j = 0; j < r->columns; j += PS_PANEL_B) {
            q.b = r->b + j * q.lanes;
            q.c = p->c + i * p->ld_c + r->column + j;
            q.n = least(PS_PANEL_B, r->columns - j);
            p->kernels->multiply(&q);
        }
    }
}

void ps_cpu_panels_run(const ps_panels_product *p)
{
    run r = {.p = p};
    PS_REQUIRE(p->m <= PS_PANELS_M && p->k > 0);
    plan(&r);
    for (; r.column < p->n; r.column += PS_PANELS_N) {
        r.columns = least(PS_PANELS_N, p->n - r.column);
        for (r.k = 0; r.k < p->k; r.k += r.held_k) {
            if (r.column == 0 || r.held_k < p->k)
                hold_a(&r);
            for (int64_t k = r.k; k < least(p->k, r.k + r.held_k); k += r.block_k) {
                int64_t some = least(r.block_k, p->k - k);
                copy_b(&r, k, some);
                multiply(&r, k, some);
            }
        }
    }
}
