/* Conjugate gradients, with H's diagonal as preconditioner (Saad, Iterative Methods for Sparse
 * Linear Systems, algorithm 9.1): each row has zeros of its own, so a factor of H would be one a
 * row, and n³/3 multiplications each; a turn is n², of some rows at a time as a product. From what
 * SparseGPT has left few turns come near: it lets only numbers that follow help, and here all do.
 * Meng and others 2024 (ALPS, section 3.2) end likewise. */
#include "worker/compress/refit.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/dense.h"
#include "worker/compress/parts.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { ROWS = 32, TURNS = 64 };
static const double ENOUGH = 1e-8; /* of the first remainder's square */

typedef struct fitting {
    const ps_compress_problem *problem;
    const bool *zero;
    float *out;
    double *h; /* [columns, columns], H / mean + damp */
    double mean, damp;
    atomic_bool no_memory;
} fitting;

/* Rows of a part; each [ROWS, columns]. */
typedef struct some_rows {
    uint64_t first, count;
    double *x, *left, *step, *product;
    double size[ROWS]; /* left·left / diagonal */
} some_rows;

static double sum_at(const fitting *f, uint64_t i, uint64_t j)
{
    uint64_t low = i < j ? i : j, high = i < j ? j : i;
    return (double)f->problem->hessian->sums[low * f->problem->columns + high];
}

/* Of a column without input, a row of I. */
static void fill_row(void *user, uint64_t i)
{
    fitting *f = user;
    uint64_t n = f->problem->columns;
    bool alive = sum_at(f, i, i) > 0;
    for (uint64_t j = 0; j < n; j++)
        f->h[i * n + j] = alive && sum_at(f, j, j) > 0 ? sum_at(f, i, j) / f->mean : 0;
    f->h[i * n + i] = (alive ? f->h[i * n + i] : 1) + f->damp;
}

/* product = x·H */
static void multiply(const fitting *f, const double *x, uint64_t rows, double *product)
{
    uint64_t n = f->problem->columns;
    memset(product, 0, rows * n * sizeof *product);
    for (uint64_t k = 0, some; k < n; k += some) {
        some = n - k < PS_DENSE_BLOCK ? n - k : PS_DENSE_BLOCK;
        ps_dense_add(product, n, x + k, n, f->h + k * n, n, rows, n, some);
    }
}

/* What is left is −½ of the gradient. */
static void begin(const fitting *f, some_rows *s)
{
    uint64_t n = f->problem->columns;
    for (uint64_t i = 0; i < s->count * n; i++) {
        uint64_t at = s->first * n + i;
        s->x[i] = (double)f->out[at];
        s->step[i] = (double)f->problem->weights[at] - s->x[i];
    }
    multiply(f, s->step, s->count, s->left);
    for (uint64_t r = 0; r < s->count; r++) {
        s->size[r] = 0;
        for (uint64_t c = 0; c < n; c++) {
            double *left = &s->left[r * n + c];
            *left = f->zero[(s->first + r) * n + c] ? 0 : *left;
            s->step[r * n + c] = *left / f->h[c * n + c];
            s->size[r] += *left * s->step[r * n + c];
        }
    }
}

/* false: nothing is left of this row. */
static bool turn_row(const fitting *f, some_rows *s, uint64_t r)
{
    uint64_t n = f->problem->columns;
    const bool *zero = f->zero + (s->first + r) * n;
    double *x = s->x + r * n, *left = s->left + r * n, *step = s->step + r * n;
    const double *product = s->product + r * n;
    double curve = 0, size = 0;
    for (uint64_t c = 0; c < n; c++)
        curve += step[c] * product[c];
    if (!(curve > 0))
        return false;
    double far = s->size[r] / curve;
    for (uint64_t c = 0; c < n; c++) {
        x[c] += far * step[c];
        left[c] = zero[c] ? 0 : left[c] - far * product[c];
        size += left[c] * left[c] / f->h[c * n + c];
    }
    for (uint64_t c = 0; c < n; c++)
        step[c] = left[c] / f->h[c * n + c] + size / s->size[r] * step[c];
    s->size[r] = size;
    return true;
}

static void fit(const fitting *f, some_rows *s)
{
    double enough[ROWS];
    bool more = true;
    begin(f, s);
    for (uint64_t r = 0; r < s->count; r++)
        enough[r] = ENOUGH * s->size[r];
    for (int turn = 0; turn < TURNS && more; turn++) {
        more = false;
        multiply(f, s->step, s->count, s->product);
        for (uint64_t r = 0; r < s->count; r++)
            if (s->size[r] > enough[r])
                more |= turn_row(f, s, r);
    }
    for (uint64_t i = 0; i < s->count * f->problem->columns; i++)
        f->out[s->first * f->problem->columns + i] = (float)s->x[i];
}

static void part_work(void *user, uint64_t part)
{
    fitting *f = user;
    uint64_t all = ROWS * f->problem->columns, left = f->problem->rows - part * ROWS;
    double *room = ps_try_alloc_raw(4 * all * sizeof *room);
    if (!room) {
        atomic_store(&f->no_memory, true);
        return;
    }
    some_rows s = {.first = part * ROWS,
                   .count = left < ROWS ? left : ROWS,
                   .x = room,
                   .left = room + all,
                   .step = room + 2 * all,
                   .product = room + 3 * all};
    fit(f, &s);
    ps_free(&room);
}

static double mean_of_the_living(const fitting *f)
{
    double sum = 0, alive = 0;
    for (uint64_t i = 0; i < f->problem->columns; i++) {
        sum += fmax(0, sum_at(f, i, i));
        alive += sum_at(f, i, i) > 0;
    }
    return alive > 0 ? sum / alive : 1;
}

ps_status ps_refit(const ps_compress_problem *problem, double damp, const bool *zero, float *out)
{
    const ps_compress_problem *p = problem;
    PS_REQUIRE(p->hessian && !p->hessian->squares && damp > 0);
    fitting f = {.problem = p, .zero = zero, .out = out, .damp = damp};
    f.mean = mean_of_the_living(&f);
    f.h = ps_try_alloc_raw(p->columns * p->columns * sizeof *f.h);
    if (!f.h)
        return ps_fail(PS_NO_MEMORY, "tensor %s: a Hessian of %lu columns", p->name,
                       (unsigned long)p->columns);
    ps_parts_run(p->options.threads, p->columns, fill_row, &f);
    ps_parts_run(p->options.threads, (p->rows + ROWS - 1) / ROWS, part_work, &f);
    ps_free(&f.h);
    return atomic_load(&f.no_memory) ? ps_fail(PS_NO_MEMORY, "tensor %s: rows", p->name) : PS_OK;
}
