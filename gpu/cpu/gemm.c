/* Matrix products: cut into tiles, one at a time in each thread, by kernels of our own where there
 * are some for the processor, else by OpenBLAS. */
#include "gpu/cpu/gemm.h"

#include "gpu/cpu/cpu.h"
#include "gpu/cpu/gemm_few.h"
#include "gpu/cpu/gemm_panels.h"
#include "gpu/cpu/run.h"

#define SMALL   1000000 /* multiplications: less is not worth a second thread */
#define COPY    30      /* multiplications that copying an element costs */
#define HELD_UP 1.05    /* what waiting for another thread's only tile costs */

/* For BF16: how many rows and elements to ask for ahead of their use. */
enum { AHEAD = 16, LINE = 32 };

/* For BF16: how large a tile is, and how much of k it takes at a time. */
enum { TILE_M = 256, TILE_N = 512, TILE_K = 256 };

/* For panels: how large a tile is at most, and what copying an element costs. */
enum { PANELS_N = 1536, PANELS_COPY = 20 };

typedef struct gemm_run {
    const ps_gemm *g;
    const ps_panel_kernels *panels;
    int64_t tile_m, tile_n;   /* of C */
    int64_t tiles_m, tiles_n; /* a product */
    float *scratch;           /* panels, BF16 */
    size_t scratch_floats;    /* a thread */
} gemm_run;

/* Part [row, row + m) × [column, column + n) of C of product i. */
typedef struct tile {
    int64_t i, row, column, m, n;
} tile;

static tile tile_of(const gemm_run *r, int64_t unit)
{
    const ps_gemm *g = r->g;
    tile t = {.i = unit / (r->tiles_m * r->tiles_n)};
    unit %= r->tiles_m * r->tiles_n;
    t.row = unit % r->tiles_m * r->tile_m;
    t.column = unit / r->tiles_m * r->tile_n;
    t.m = g->m - t.row < r->tile_m ? g->m - t.row : r->tile_m;
    t.n = g->n - t.column < r->tile_n ? g->n - t.column : r->tile_n;
    return t;
}

/* The element where op(A)'s row and column `k` lie, and op(B)'s and C's. */
static int64_t at_a(const ps_gemm *g, const tile *t, int64_t k)
{
    return t->i * g->stride_a + (g->transpose_a ? k * g->ld_a + t->row : t->row * g->ld_a + k);
}

static int64_t at_b(const ps_gemm *g, const tile *t, int64_t k)
{
    return t->i * g->stride_b +
           (g->transpose_b ? t->column * g->ld_b + k : k * g->ld_b + t->column);
}

static int64_t at_c(const ps_gemm *g, const tile *t)
{
    return t->i * g->stride_c + t->row * g->ld_c + t->column;
}

static void tile_f32(const gemm_run *r, const tile *t)
{
    const ps_gemm *g = r->g;
    ps_cpu_product_run(&(ps_cpu_product){
        .transpose_a = g->transpose_a,
        .transpose_b = g->transpose_b,
        .m = t->m,
        .n = t->n,
        .k = g->k,
        .alpha = g->alpha,
        .beta = g->beta,
        .a = (const float *)ps_tensor_address(g->a) + at_a(g, t, 0),
        .b = (const float *)ps_tensor_address(g->b) + at_b(g, t, 0),
        .c = (float *)ps_tensor_address(g->c) + at_c(g, t),
        .ld_a = g->ld_a,
        .ld_b = g->ld_b,
        .ld_c = g->ld_c,
    });
}

/* Rows lie far apart: the processor does not see by itself which are next. */
static void prefetch_row(ps_tensor t, int64_t at, int64_t columns)
{
    const uint16_t *row = (const uint16_t *)ps_tensor_address(t) + at;
    for (int64_t i = 0; i < columns; i += LINE)
        __builtin_prefetch(row + i);
}

static void load_rows(ps_tensor t, int64_t at, int64_t ld, int64_t rows, int64_t columns,
                      float *out)
{
    for (int64_t i = 0; i < rows; i++) {
        if (i + AHEAD < rows)
            prefetch_row(t, at + (i + AHEAD) * ld, columns);
        (void)ps_cpu_load(t, at + i * ld, columns, out + i * columns);
    }
}

/* A tile of C that was made in memory of its own, [m,n]. */
static void store_tile(const ps_gemm *g, const tile *t, const float *c)
{
    for (int64_t i = 0; i < t->m; i++)
        ps_cpu_store(g->c, at_c(g, t) + i * g->ld_c, t->n, c + i * t->n);
}

/* Converts a block of A and of B, multiplies, and so on along k; C, if it is BF16, at the end. */
static void tile_bf16(const gemm_run *r, const tile *t, float *scratch)
{
    const ps_gemm *g = r->g;
    float *a = scratch, *b = a + TILE_M * TILE_K, *c = b + TILE_K * TILE_N;
    bool direct = g->c.dtype == PS_DTYPE_F32;
    int64_t ld_c = direct ? g->ld_c : t->n;
    if (direct)
        c = (float *)ps_tensor_address(g->c) + at_c(g, t);
    else if (g->beta != 0)
        load_rows(g->c, at_c(g, t), g->ld_c, t->m, t->n, c);
    for (int64_t k = 0; k < g->k; k += TILE_K) {
        int64_t some = g->k - k < TILE_K ? g->k - k : TILE_K;
        int64_t columns_a = g->transpose_a ? t->m : some, columns_b = g->transpose_b ? some : t->n;
        load_rows(g->a, at_a(g, t, k), g->ld_a, g->transpose_a ? some : t->m, columns_a, a);
        load_rows(g->b, at_b(g, t, k), g->ld_b, g->transpose_b ? t->n : some, columns_b, b);
        ps_cpu_product_run(&(ps_cpu_product){.transpose_a = g->transpose_a,
                                             .transpose_b = g->transpose_b,
                                             .m = t->m,
                                             .n = t->n,
                                             .k = some,
                                             .alpha = g->alpha,
                                             .beta = k ? 1 : g->beta,
                                             .a = a,
                                             .b = b,
                                             .c = c,
                                             .ld_a = columns_a,
                                             .ld_b = columns_b,
                                             .ld_c = ld_c});
    }
    if (!direct)
        store_tile(g, t, c);
}

/* C, if it is BF16, is made in float32 and rounded once. */
static void tile_panels(const gemm_run *r, const tile *t, float *scratch)
{
    const ps_gemm *g = r->g;
    bool direct = g->c.dtype == PS_DTYPE_F32;
    float *c = scratch + PS_PANELS_SCRATCH;
    if (!direct && g->beta != 0)
        load_rows(g->c, at_c(g, t), g->ld_c, t->m, t->n, c);
    size_t element = ps_dtype_bytes(g->a.dtype);
    ps_cpu_panels_run(&(ps_panels_product){
        .kernels = r->panels,
        .transpose_a = g->transpose_a,
        .transpose_b = g->transpose_b,
        .m = t->m,
        .n = t->n,
        .k = g->k,
        .alpha = g->alpha,
        .beta = g->beta,
        .a = (const char *)ps_tensor_address(g->a) + (size_t)at_a(g, t, 0) * element,
        .b = (const char *)ps_tensor_address(g->b) + (size_t)at_b(g, t, 0) * element,
        .c = direct ? (float *)ps_tensor_address(g->c) + at_c(g, t) : c,
        .ld_a = g->ld_a,
        .ld_b = g->ld_b,
        .ld_c = direct ? g->ld_c : t->n,
        .scratch = scratch,
    });
    if (!direct)
        store_tile(g, t, c);
}

static void tiles_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const gemm_run *r = context;
    for (int64_t unit = begin; unit < end; unit++) {
        tile t = tile_of(r, unit);
        float *scratch = r->scratch + r->scratch_floats * (size_t)slot;
        if (r->panels)
            tile_panels(r, &t, scratch);
        else if (r->scratch)
            tile_bf16(r, &t, scratch);
        else
            tile_f32(r, &t);
    }
}

/* How long the product takes, in multiplications of one thread, when it is cut into rows × columns
 * tiles: a tile's parts of A and B are copied first, and a thread's last tile is waited for. */
static double cost_of(const ps_gemm *g, int64_t rows, int64_t columns, int threads, double copy)
{
    double m = (double)((g->m + rows - 1) / rows), n = (double)((g->n + columns - 1) / columns);
    int64_t turns = (rows * columns + threads - 1) / threads;
    return (double)turns * (double)g->k * (m * n + copy * (m + n));
}

static bool is_whole(const ps_gemm *g, int threads)
{
    return threads == 1 || g->batch >= 2 * threads || g->m * g->n * g->k < SMALL;
}

static int64_t part(int64_t all, int64_t parts, int64_t of)
{
    return ((all + parts - 1) / parts + of - 1) / of * of;
}

/* One tile a thread, or two, so that a thread that is held up loses less; of these the cheapest. */
static void cut_f32(gemm_run *r, int threads)
{
    const ps_gemm *g = r->g;
    r->tile_m = g->m;
    r->tile_n = g->n;
    if (is_whole(g, threads))
        return;
    double best = 0;
    for (int tiles = threads; tiles <= 2 * threads; tiles += threads) {
        for (int rows = 1; rows <= tiles; rows++) {
            double cost = cost_of(g, rows, tiles / rows, threads, COPY);
            cost *= tiles == threads ? HELD_UP : 1;
            if (best == 0 || cost < best) {
                best = cost;
                r->tile_m = part(g->m, rows, 16);
                r->tile_n = part(g->n, tiles / rows, 16);
            }
        }
    }
}

/* Likewise, but no larger than a thread's memory, and finer, as copying is cheaper: a thread that
 * works for the network meanwhile leaves its last tiles to the others. Far more tiles than there
 * must be, or threads, are never the cheapest: with many threads, looking at them all would take
 * longer than the product. */
static void cut_panels(gemm_run *r, int threads)
{
    const ps_gemm *g = r->g;
    int64_t rows_least = (g->m + PS_PANELS_M - 1) / PS_PANELS_M;
    int64_t columns_least = (g->n + PANELS_N - 1) / PANELS_N;
    int64_t more = is_whole(g, threads) ? 1 : 4 * threads;
    int64_t most = 2 * rows_least * columns_least + more;
    double best = 0;
    for (int64_t rows = rows_least; rows < rows_least + more; rows++) {
        for (int64_t columns = columns_least;
             columns < columns_least + more && rows * columns <= most; columns++) {
            double cost = cost_of(g, rows, columns, threads, PANELS_COPY);
            cost *= 1 + (HELD_UP - 1) * threads / (double)(rows * columns);
            if (best == 0 || cost < best) {
                best = cost;
                r->tile_m = part(g->m, rows, PS_PANEL_A);
                r->tile_n = part(g->n, columns, PS_PANEL_B);
            }
        }
    }
}

static size_t floats_of_tile(const gemm_run *r)
{
    size_t c = r->g->c.dtype == PS_DTYPE_F32 ? 0 : (size_t)(r->tile_m * r->tile_n);
    if (r->panels)
        return ps_cpu_padded((int64_t)(PS_PANELS_SCRATCH + c));
    if (r->g->a.dtype == PS_DTYPE_F32)
        return 0;
    return TILE_M * TILE_K + TILE_K * TILE_N + TILE_M * TILE_N;
}

void ps_cpu_gemm(ps_stream *s, const ps_gemm *g)
{
    gemm_run r = {.g = g, .panels = ps_cpu_panels(s, g->a.dtype), .tile_m = TILE_M};
    r.tile_n = TILE_N;
    if (ps_cpu_gemm_is_few(g)) {
        ps_cpu_gemm_few(s, g);
        return;
    }
    int threads = ps_cpu_threads(s);
    if (r.panels)
        cut_panels(&r, threads);
    else if (g->a.dtype == PS_DTYPE_F32)
        cut_f32(&r, threads);
    r.scratch_floats = floats_of_tile(&r);
    r.scratch = r.scratch_floats ? ps_cpu_scratch(s, r.scratch_floats * (size_t)threads) : NULL;
    if (r.scratch_floats && !r.scratch)
        return;
    r.tiles_m = (g->m + r.tile_m - 1) / r.tile_m;
    r.tiles_n = (g->n + r.tile_n - 1) / r.tile_n;
    ps_cpu_for(s, r.tiles_m * r.tiles_n * g->batch, 1, tiles_cb, &r);
}
