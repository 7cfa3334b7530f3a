/* x·H·xᵀ of some rows x at a time: for each block of columns the product of x with that part of H
 * that lies above the diagonal's block, twice, and with the diagonal's block once. H is symmetric,
 * so half of it is read. PS_NO_MEMORY at the most. */
#include "worker/compress/error.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/dense.h"
#include "worker/compress/parts.h"

#include <stdatomic.h>
#include <string.h>

enum { ROWS = 64, BLOCK = PS_DENSE_BLOCK };

typedef struct power {
    const float *w, *minus;
    const ps_hessian *hessian;
    uint64_t rows, columns;
    double *of_part; /* what each part's rows sum to */
    atomic_bool no_memory;
} power;

/* Buffers of a part. */
typedef struct room {
    double x[ROWS * BLOCK];    /* some of the rows, at the columns of H's rows */
    double h[BLOCK * BLOCK];   /* a block of H */
    double y[ROWS * BLOCK];    /* x·H */
    double last[ROWS * BLOCK]; /* rows at the columns of the block */
} room;

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void read_rows(const power *p, uint64_t row, uint64_t rows, uint64_t from, uint64_t n,
                      double *out)
{
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t i = 0; i < n; i++) {
            uint64_t at = (row + r) * p->columns + from + i;
            out[r * BLOCK + i] = (double)p->w[at] - (p->minus ? (double)p->minus[at] : 0);
        }
}

/* H[i …, j …], twice where it is above the diagonal: for what lies below it as well. */
static void read_hessian(const power *p, uint64_t i, uint64_t ni, uint64_t j, uint64_t nj,
                         double *out)
{
    for (uint64_t r = 0; r < ni; r++)
        for (uint64_t c = 0; c < nj; c++) {
            uint64_t low = i + r < j + c ? i + r : j + c, high = i + r < j + c ? j + c : i + r;
            out[r * BLOCK + c] =
                (i == j ? 1 : 2) * (double)p->hessian->sums[low * p->columns + high];
        }
}

/* Of a diagonal. */
static double power_by_squares(const power *p, uint64_t row, uint64_t rows)
{
    double sum = 0;
    for (uint64_t r = row; r < row + rows; r++)
        for (uint64_t c = 0; c < p->columns; c++) {
            uint64_t at = r * p->columns + c;
            double x = (double)p->w[at] - (p->minus ? (double)p->minus[at] : 0);
            sum += (double)p->hessian->sums[c] * x * x;
        }
    return sum;
}

static void part_work(void *user, uint64_t part)
{
    power *p = user;
    uint64_t row = part * ROWS, rows = least(ROWS, p->rows - row);
    if (p->hessian->squares) {
        p->of_part[part] = power_by_squares(p, row, rows);
        return;
    }
    room *m = ps_try_alloc(sizeof *m);
    if (!m) {
        atomic_store(&p->no_memory, true);
        return;
    }
    double sum = 0;
    for (uint64_t j = 0; j < p->columns; j += BLOCK) {
        uint64_t nj = least(BLOCK, p->columns - j);
        memset(m->y, 0, sizeof m->y);
        for (uint64_t i = 0; i <= j; i += BLOCK) {
            uint64_t ni = least(BLOCK, p->columns - i);
            read_rows(p, row, rows, i, ni, m->x);
            read_hessian(p, i, ni, j, nj, m->h);
            ps_dense_add(m->y, BLOCK, m->x, BLOCK, m->h, BLOCK, rows, nj, ni);
        }
        read_rows(p, row, rows, j, nj, m->last);
        for (uint64_t r = 0; r < rows; r++)
            for (uint64_t c = 0; c < nj; c++)
                sum += m->y[r * BLOCK + c] * m->last[r * BLOCK + c];
    }
    p->of_part[part] = sum;
    ps_free(&m);
}

ps_status ps_error_power(const float *w, const float *minus, uint64_t rows, uint64_t columns,
                         const ps_hessian *hessian, size_t threads, double *out)
{
    PS_REQUIRE(rows && columns && hessian->sums);
    uint64_t parts = (rows + ROWS - 1) / ROWS;
    power p = {.w = w, .minus = minus, .hessian = hessian, .rows = rows, .columns = columns};
    p.of_part = ps_try_alloc(parts * sizeof *p.of_part);
    if (!p.of_part)
        return ps_fail(PS_NO_MEMORY, "error of %lu rows", (unsigned long)rows);
    ps_parts_run(threads, parts, part_work, &p);
    double sum = 0;
    for (uint64_t i = 0; i < parts; i++)
        sum += p.of_part[i];
    ps_free(&p.of_part);
    if (atomic_load(&p.no_memory))
        return ps_fail(PS_NO_MEMORY, "error of %lu rows", (unsigned long)rows);
    *out = sum;
    return PS_OK;
}

ps_status ps_error_share(const float *w, const float *was, uint64_t rows, uint64_t columns,
                         const ps_hessian *hessian, size_t threads, double *out)
{
    double lost, all;
    ps_status st = ps_error_power(w, was, rows, columns, hessian, threads, &lost);
    if (!st)
        st = ps_error_power(was, NULL, rows, columns, hessian, threads, &all);
    if (st)
        return st;
    *out = all > 0 ? lost / all : 0;
    return PS_OK;
}
