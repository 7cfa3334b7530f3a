/* awq: weights that large inputs meet are made larger, and less is lost by rounding them (Lin and
 * others, AWQ, 2023): factors are the inputs' sizes to the power that loses least (scale.h), here
 * their root mean squares, which sums have, for the mean magnitudes. Then, for each block, its
 * range is cut, down to a half, where its share of the output loses less: Δw·H·Δwᵀ of the block's
 * own columns; of larger blocks than 512 numbers, and of one range, by the diagonal. Forms whose
 * blocks are more than a scale and a zero search by importance instead, and the report says so.
 *
 * smooth: the factors alone, of power a half, by the inputs' and the weights' sizes (Xiao and
 * others, SmoothQuant, 2022): inputs with outliers become easier to round to eight bits. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/grid.h"
#include "worker/compress/parts.h"
#include "worker/compress/rows.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { CUTS = 20, /* each 2.5 % more than the one before it */ BLOCK_MOST = 512 };

typedef struct cutting {
    const ps_compress_problem *problem;
    uint8_t *out;
    uint64_t row_bytes;
    atomic_bool no_memory;
} cutting;

/* Δw·H·Δwᵀ of columns from `from` on. */
static double output_error(const ps_compress_problem *p, uint64_t from, const double *lost,
                           uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        const float *h = p->hessian->sums + (from + i) * p->columns + from;
        double cross = (double)h[i] * lost[i] / 2;
        for (uint64_t j = i + 1; j < n; j++)
            cross += (double)h[j] * lost[j];
        sum += 2 * cross * lost[i];
    }
    return sum;
}

/* Writes a block for a share of its range; what its numbers lose. */
static void write_block(const ps_compress_problem *p, const float *w, uint32_t n, double low,
                        double high, uint8_t *out, double *lost)
{
    ps_grid_put(p->form, out, low, high);
    for (uint32_t i = 0; i < n; i++)
        lost[i] = (double)w[i] - (double)p->form.row->settle(out, n, i, (double)w[i]);
}

static void cut_row(void *user, uint64_t row)
{
    cutting *c = user;
    const ps_compress_problem *p = c->problem;
    uint32_t n = ps_form_block_numbers(p->form, p->columns);
    double *lost = ps_try_alloc(n * sizeof *lost);
    if (!lost) {
        atomic_store(&c->no_memory, true);
        return;
    }
    uint8_t *out = c->out + row * c->row_bytes;
    memset(out, 0, c->row_bytes);
    for (uint64_t from = 0; from < p->columns; from += n) {
        const float *w = p->weights + row * p->columns + from;
        double low = 0, high = 0, best = INFINITY, best_share = 1;
        for (uint32_t i = 0; i < n; i++) {
            low = fmin(low, (double)w[i]);
            high = fmax(high, (double)w[i]);
        }
        for (int k = 0; k <= CUTS; k++) {
            double share = 1 - 0.025 * k;
            write_block(p, w, n, low * share, high * share, out, lost);
            double error = output_error(p, from, lost, n);
            if (error < best) {
                best = error;
                best_share = share;
            }
        }
        write_block(p, w, n, low * best_share, high * best_share, out, lost);
        out += ps_form_block_bytes(p->form, p->columns);
    }
    ps_free(&lost);
}

static ps_status awq_solve(const ps_compress_problem *problem, uint8_t *out,
                           ps_compress_report *report)
{
    const ps_compress_problem *p = problem;
    if (!p->form.row->integer) {
        report->fallback = PS_STEP_DIAGONAL;
        report->why = p->form.row->plain ? PS_REASON_NO_GRID : PS_REASON_NO_RANGE;
        return ps_grid_encode_searched(p, out);
    }
    if (p->options.one_range || ps_form_block_numbers(p->form, p->columns) > BLOCK_MOST)
        return ps_grid_encode_searched(p, out);
    cutting c = {.problem = p, .out = out, .row_bytes = ps_form_row_bytes(p->form, p->columns)};
    ps_parts_run(p->options.threads, p->rows, cut_row, &c);
    return atomic_load(&c.no_memory) ? ps_fail(PS_NO_MEMORY, "tensor %s", p->name) : PS_OK;
}

static ps_status smooth_solve(const ps_compress_problem *problem, uint8_t *out,
                              ps_compress_report *report)
{
    (void)report;
    ps_grid_encode(problem, NULL, out);
    return PS_OK;
}

const ps_method ps_method_awq = {
    .name = "awq", .solve = awq_solve, .scales = true, .power = PS_METHOD_SEARCHED};
const ps_method ps_method_smooth = {
    .name = "smooth", .solve = smooth_solve, .scales = true, .power = 0.5, .weights = true};
