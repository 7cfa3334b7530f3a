/* The form does it; only a range for the whole matrix is made here, by showing the form a block
 * that has that range. */
#include "worker/compress/grid.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/parts.h"

#include <math.h>
#include <string.h>

enum { SHOWN = 8, /* numbers of a block that only shows its range */ BLOCK_MOST = 64, TRIES = 20 };

static const double LEAST_SHARE = 1e-4; /* of the mean of those that have inputs */

typedef struct encoding {
    const ps_compress_problem *problem;
    const float *importance;
    uint64_t row_bytes;
    uint8_t *out;
    const uint8_t *grid; /* of one range: the head of every block */
} encoding;

bool ps_grid_is_range(ps_form form)
{
    return !form.row->plain && form.row->group == 0;
}

static size_t head_bytes(const ps_form_row *row)
{
    return row->bytes(SHOWN) - (size_t)SHOWN * row->bits / 8;
}

void ps_grid_put(ps_form form, uint8_t *block, double least, double most)
{
    PS_REQUIRE(ps_grid_is_range(form) && least <= 0 && most >= 0);
    float shown[SHOWN] = {(float)least, (float)most};
    uint8_t bytes[BLOCK_MOST];
    PS_REQUIRE(form.row->bytes(SHOWN) <= sizeof bytes);
    form.row->encode(shown, NULL, SHOWN, SHOWN, bytes);
    memcpy(block, bytes, head_bytes(form.row));
}

/* Whoever has no input, or next to none, counts for something still: other data may have one there,
 * and of a block that counts for nothing a form may make what it likes. And the mean becomes about
 * 1, by a power of two, which changes no choice: forms compute in float32. */
static void even_out(double *squares, uint64_t n, float *out)
{
    double sum = 0, alive = 0;
    for (uint64_t i = 0; i < n; i++) {
        sum += squares[i];
        alive += squares[i] > 0;
    }
    double mean = alive > 0 ? sum / alive : 1, least = alive > 0 ? LEAST_SHARE * mean : 1;
    for (uint64_t i = 0; i < n; i++)
        out[i] = (float)ldexp(fmax(squares[i], least), -ilogb(mean));
}

float *ps_grid_importance(const ps_compress_problem *problem)
{
    const ps_hessian *h = problem->hessian;
    uint64_t n = problem->columns;
    double *squares = ps_try_alloc(n * sizeof *squares);
    float *out = ps_try_alloc(n * sizeof *out);
    for (uint64_t i = 0; squares && i < n; i++)
        squares[i] = fmax(0, (double)h->sums[h->squares ? i : i * n + i]) / (double)h->tokens;
    if (squares && out)
        even_out(squares, n, out);
    else
        ps_free(&out);
    ps_free(&squares);
    return out;
}

static void encode_row(void *user, uint64_t row)
{
    const encoding *e = user;
    const ps_compress_problem *p = e->problem;
    ps_form_encode(p->form, p->weights + row * p->columns, e->importance, 1, p->columns,
                   e->out + row * e->row_bytes);
}

static void settle_row(void *user, uint64_t row)
{
    const encoding *e = user;
    const ps_compress_problem *p = e->problem;
    uint8_t *out = e->out + row * e->row_bytes;
    size_t block = ps_form_block_bytes(p->form, p->columns);
    memset(out, 0, e->row_bytes);
    for (uint64_t at = 0; at < e->row_bytes; at += block)
        memcpy(out + at, e->grid, head_bytes(p->form.row));
    for (uint64_t i = 0; i < p->columns; i++)
        (void)ps_form_settle(p->form, out, p->columns, i, (double)p->weights[row * p->columns + i]);
}

/* Of all numbers on one grid. */
static double error_on(const ps_compress_problem *p, const float *importance, uint8_t *grid)
{
    double sum = 0;
    uint32_t block = ps_form_block_numbers(p->form, p->columns);
    for (uint64_t r = 0; r < p->rows; r++)
        for (uint64_t c = 0; c < p->columns; c++) {
            float w = p->weights[r * p->columns + c];
            float e = p->form.row->settle(grid, block < SHOWN ? block : SHOWN, 0, (double)w) - w;
            sum += (double)importance[c] * (double)e * (double)e;
        }
    return sum;
}

static void encode_one_range(encoding *e)
{
    const ps_compress_problem *p = e->problem;
    double least = 0, most = 0, best = INFINITY, best_share = 1;
    uint8_t grid[BLOCK_MOST] = {0};
    for (uint64_t i = 0; i < p->rows * p->columns; i++) {
        least = fmin(least, (double)p->weights[i]);
        most = fmax(most, (double)p->weights[i]);
    }
    for (int k = 0; e->importance && k < TRIES; k++) {
        double share = 1 - 0.025 * k;
        ps_grid_put(p->form, grid, least * share, most * share);
        double error = error_on(p, e->importance, grid);
        if (error < best) {
            best = error;
            best_share = share;
        }
    }
    ps_grid_put(p->form, grid, least * best_share, most * best_share);
    e->grid = grid;
    ps_parts_run(p->options.threads, p->rows, settle_row, e);
}

void ps_grid_encode(const ps_compress_problem *problem, const float *importance, uint8_t *out)
{
    encoding e = {.problem = problem,
                  .importance = importance,
                  .row_bytes = ps_form_row_bytes(problem->form, problem->columns),
                  .out = out};
    if (problem->options.one_range)
        encode_one_range(&e);
    else
        ps_parts_run(problem->options.threads, problem->rows, encode_row, &e);
}

ps_status ps_grid_encode_searched(const ps_compress_problem *problem, uint8_t *out)
{
    float *importance = ps_grid_importance(problem);
    if (!importance)
        return ps_fail(PS_NO_MEMORY, "tensor %s: importance", problem->name);
    ps_grid_encode(problem, importance, out);
    ps_free(&importance);
    return PS_OK;
}
