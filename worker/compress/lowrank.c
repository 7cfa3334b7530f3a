/* What outputs lose is least when the rows of weights are projected on the first eigenvectors U of
 * G = W·H·Wᵀ, the outputs' own second moment (Eckart and Young): W ≈ U·(Uᵀ·W). That is the SVD of
 * weights that H's root has whitened (SVD-LLM's), without taking the root, and with it no inverse
 * that H may not have. */
#include "worker/compress/lowrank.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/form/factors.h"
#include "worker/compress/dense.h"
#include "worker/compress/eigen.h"
#include "worker/compress/error.h"
#include "worker/compress/parts.h"

#include <string.h>

enum { BLOCK = PS_DENSE_BLOCK };

typedef struct room {
    double x[BLOCK * BLOCK], h[BLOCK * BLOCK], y[BLOCK * BLOCK];
} room;

typedef struct thinning {
    const ps_compress_problem *problem;
    uint32_t rank;
    double *outer; /* [rows, columns]: W·H */
    double *g;     /* [rows, rows]; then vectors */
    float *factors;
    room *rooms; /* of each part */
} thinning;

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static double sum_at(const ps_compress_problem *p, uint64_t i, uint64_t j)
{
    if (!p->hessian)
        return i == j;
    return (double)p->hessian->sums[i < j ? i * p->columns + j : j * p->columns + i];
}

/* Some rows of W·H. */
static void outer_work(void *user, uint64_t part)
{
    const thinning *t = user;
    const ps_compress_problem *p = t->problem;
    uint64_t row = part * BLOCK, rows = least(BLOCK, p->rows - row), n = p->columns;
    room *m = &t->rooms[part];
    for (uint64_t j = 0; j < n; j += BLOCK) {
        uint64_t nj = least(BLOCK, n - j);
        for (uint64_t i = 0; i < n; i += BLOCK) {
            uint64_t ni = least(BLOCK, n - i);
            if (!p->hessian && i != j)
                continue;
            for (uint64_t k = 0; k < rows; k++)
                for (uint64_t c = 0; c < ni; c++)
                    m->x[k * BLOCK + c] = (double)p->weights[(row + k) * n + i + c];
            for (uint64_t k = 0; k < ni; k++)
                for (uint64_t c = 0; c < nj; c++)
                    m->h[k * BLOCK + c] = sum_at(p, i + k, j + c);
            ps_dense_add(t->outer + row * n + j, n, m->x, BLOCK, m->h, BLOCK, rows, nj, ni);
        }
    }
}

/* Some rows of (W·H)·Wᵀ. */
static void gram_work(void *user, uint64_t part)
{
    const thinning *t = user;
    const ps_compress_problem *p = t->problem;
    uint64_t row = part * BLOCK, rows = least(BLOCK, p->rows - row), n = p->columns;
    room *m = &t->rooms[part];
    for (uint64_t j = 0; j < p->rows; j += BLOCK) {
        uint64_t nj = least(BLOCK, p->rows - j);
        for (uint64_t i = 0; i < n; i += BLOCK) {
            uint64_t ni = least(BLOCK, n - i);
            for (uint64_t k = 0; k < ni; k++)
                for (uint64_t c = 0; c < nj; c++)
                    m->h[k * BLOCK + c] = (double)p->weights[(j + c) * n + i + k];
            ps_dense_add(t->g + row * p->rows + j, p->rows, t->outer + row * n + i, n, m->h, BLOCK,
                         rows, nj, ni);
        }
    }
}

/* Both halves of a symmetric matrix that was made in two orders of sums. */
static void even_out(double *g, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < i; j++)
            g[i * n + j] = g[j * n + i] = (g[i * n + j] + g[j * n + i]) / 2;
}

/* Row k of R: vector k times W; and column k of L. */
static void right_work(void *user, uint64_t k)
{
    const thinning *t = user;
    const ps_compress_problem *p = t->problem;
    const double *u = t->g + k * p->rows;
    double *sum = t->outer + k * p->columns; /* not needed any more */
    memset(sum, 0, p->columns * sizeof *sum);
    for (uint64_t r = 0; r < p->rows; r++)
        for (uint64_t c = 0; c < p->columns; c++)
            sum[c] += u[r] * (double)p->weights[r * p->columns + c];
    for (uint64_t c = 0; c < p->columns; c++)
        t->factors[(p->rows + c) * t->rank + k] = (float)sum[c];
    for (uint64_t r = 0; r < p->rows; r++)
        t->factors[r * t->rank + k] = (float)u[r];
}

static ps_status thin(thinning *t, double *values)
{
    const ps_compress_problem *p = t->problem;
    uint64_t parts = (p->rows + BLOCK - 1) / BLOCK;
    ps_parts_run(p->options.threads, parts, outer_work, t);
    ps_parts_run(p->options.threads, parts, gram_work, t);
    even_out(t->g, p->rows);
    ps_status st = ps_eigen(t->g, p->rows, values, p->options.threads, NULL);
    if (!st)
        ps_parts_run(p->options.threads, t->rank, right_work, t);
    return st;
}

static ps_status measure(const thinning *t, ps_lowrank_report *report)
{
    const ps_compress_problem *p = t->problem;
    uint64_t n = p->rows * p->columns;
    float *is = ps_try_alloc_raw(n * sizeof *is);
    if (!is)
        return ps_fail(PS_NO_MEMORY, "tensor %s: low rank", p->name);
    ps_factors_rows(t->factors, t->rank, p->rows, p->columns, 0, p->rows, is);
    ps_status st = PS_OK;
    *report = (ps_lowrank_report){.error = -1, .held_out = -1};
    for (uint64_t i = 0; i < n; i++) {
        double moved = (double)is[i] - (double)p->weights[i];
        report->mse += moved * moved / (double)n;
    }
    if (p->hessian)
        st = ps_error_share(is, p->weights, p->rows, p->columns, p->hessian, p->options.threads,
                            &report->error);
    if (!st && p->held_out)
        st = ps_error_share(is, p->weights, p->rows, p->columns, p->held_out, p->options.threads,
                            &report->held_out);
    ps_free(&is);
    return st;
}

ps_status ps_lowrank(const ps_compress_problem *problem, uint32_t rank, float *factors,
                     ps_lowrank_report *report)
{
    const ps_compress_problem *p = problem;
    PS_REQUIRE(rank && rank <= least(p->rows, p->columns));
    PS_REQUIRE(!p->hessian || !p->hessian->squares);
    thinning t = {.problem = p, .rank = rank, .factors = factors};
    ps_lowrank_report done;
    t.outer = ps_try_alloc(p->rows * p->columns * sizeof(double));
    t.g = ps_try_alloc(p->rows * p->rows * sizeof(double));
    t.rooms = ps_try_alloc((p->rows + BLOCK - 1) / BLOCK * sizeof *t.rooms);
    double *values = ps_try_alloc(p->rows * sizeof *values);
    ps_status st = t.outer && t.g && t.rooms && values
                       ? thin(&t, values)
                       : ps_fail(PS_NO_MEMORY, "tensor %s: low rank", p->name);
    ps_free(&t.outer);
    ps_free(&t.g);
    ps_free(&t.rooms);
    ps_free(&values);
    if (!st)
        st = measure(&t, &done);
    if (!st)
        *report = done;
    return st;
}
