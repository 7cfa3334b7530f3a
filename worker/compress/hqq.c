/* hqq: without data, a block's grid is moved so that what is left over is little for most numbers
 * and may be much for a few (Badri and Shaji, Half-Quadratic Quantization, 2023): with codes q and
 * what is given up, e, alternating, the grid is the least squares of w − e on q, and e what a
 * shrinking of the remainder leaves, for the norm p.
 *
 * There the zero is what moves, as a fraction, and the scale stays; here a zero is a whole number,
 * for which at 4 bits nothing would be won, and symmetric forms have none. So the scale moves with
 * it: both are solved for, the zero is rounded, and the scale solved for again. Remainders are
 * counted in steps of the scale, so that the shrinking is the same for small and large weights. The
 * best grid of all turns is kept, the one of the plain range among them.
 *
 * Forms whose blocks are not one scale are rounded, and the report says so.
 */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/grid.h"
#include "worker/compress/parts.h"
#include "worker/compress/rows.h"

#include <math.h>
#include <string.h>

enum { TURNS = 20 };
static const double NORM = 0.7, STIFF = 10, STIFFER = 1.01; /* p, β, κ */

typedef struct range {
    double scale;
    int zero, least, most; /* codes of the grid, the zero not yet subtracted */
} range;

typedef struct solving {
    const ps_compress_problem *problem;
    uint8_t *out;
    uint64_t row_bytes;
    const range *all; /* of one range */
} solving;

static range plain_range(ps_form form, const float *w, uint64_t n)
{
    int half = 1 << (form.row->bits - 1);
    double low = 0, high = 0;
    for (uint64_t i = 0; i < n; i++) {
        low = fmin(low, (double)w[i]);
        high = fmax(high, (double)w[i]);
    }
    if (!form.row->zero)
        return (range){.scale = fmax(-low, high) / (form.row->bits == 8 ? 127 : half - 0.5),
                       .least = form.row->bits == 8 ? 1 - half : -half,
                       .most = half - 1};
    double scale = (high - low) / (2 * half - 1);
    return (range){
        .scale = scale, .zero = scale > 0 ? (int)rint(-low / scale) : 0, .most = 2 * half - 1};
}

static double code_of(const range *r, double w)
{
    return fmin(fmax(rint(w / r->scale) + r->zero, r->least), r->most);
}

/* Σ |remainder|^p, in weights' units. */
static double loss_of(const range *r, const float *w, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += pow(fabs((double)w[i] - r->scale * (code_of(r, (double)w[i]) - r->zero)), NORM);
    return sum;
}

static double shrunk(double x, double stiff)
{
    double a = fabs(x);
    return a > 0 ? copysign(fmax(0, a - pow(a, NORM - 1) / stiff), x) : 0;
}

/* What a turn sums over numbers: q, and w with what is given up taken off. */
typedef struct sums {
    double q, v, qq, qv;
} sums;

/* The least squares of v on scale·(q − zero). */
static range turned(const range *r, const float *w, uint64_t n, double stiff)
{
    sums s = {0};
    range next = *r;
    for (uint64_t i = 0; i < n; i++) {
        double q = code_of(r, (double)w[i]);
        double steps = (double)w[i] / r->scale - (q - r->zero);
        double v = (double)w[i] - r->scale * shrunk(steps, stiff);
        s = (sums){s.q + q, s.v + v, s.qq + q * q, s.qv + q * v};
    }
    double m = (double)n, spread = s.qq * m - s.q * s.q;
    bool affine = r->least == 0;
    if (affine && spread > 0) {
        double slope = (s.qv * m - s.q * s.v) / spread;
        double zero = slope > 0 ? rint((s.q - s.v / slope) / m) : r->zero;
        next.zero = (int)fmin(fmax(zero, r->least), r->most);
    }
    double z = next.zero, square = s.qq - 2 * z * s.q + m * z * z;
    if (square > 0)
        next.scale = (s.qv - z * s.v) / square;
    return next;
}

static range best_range(ps_form form, const float *w, uint64_t n)
{
    range r = plain_range(form, w, n), best = r;
    double least = r.scale > 0 ? loss_of(&r, w, n) : 0, stiff = STIFF;
    for (int turn = 0; turn < TURNS && least > 0; turn++, stiff *= STIFFER) {
        r = turned(&r, w, n, stiff);
        if (!(r.scale > 0))
            break;
        double loss = loss_of(&r, w, n);
        if (loss < least) {
            least = loss;
            best = r;
        }
    }
    return best;
}

static void put_range(ps_form form, const range *r, uint8_t *block)
{
    if (form.row->zero)
        ps_grid_put(form, block, -r->scale * r->zero, r->scale * (r->most - r->zero));
    else
        ps_grid_put(form, block, 0, r->scale * (form.row->bits == 8 ? 127 : r->most + 0.5));
}

static void solve_row(void *user, uint64_t row)
{
    const solving *s = user;
    const ps_compress_problem *p = s->problem;
    uint64_t block = ps_form_block_numbers(p->form, p->columns);
    const float *w = p->weights + row * p->columns;
    uint8_t *out = s->out + row * s->row_bytes;
    memset(out, 0, s->row_bytes);
    for (uint64_t from = 0; from < p->columns; from += block) {
        range r = s->all ? *s->all : best_range(p->form, w + from, block);
        put_range(p->form, &r, out + from / block * ps_form_block_bytes(p->form, p->columns));
    }
    for (uint64_t i = 0; i < p->columns; i++)
        (void)ps_form_settle(p->form, out, p->columns, i, (double)w[i]);
}

static ps_status hqq_solve(const ps_compress_problem *problem, uint8_t *out,
                           ps_compress_report *report)
{
    if (!problem->form.row->integer) {
        report->fallback = PS_STEP_ROUNDED;
        report->why = problem->form.row->plain ? PS_REASON_NO_GRID : PS_REASON_NO_RANGE;
        ps_grid_encode(problem, NULL, out);
        return PS_OK;
    }
    solving s = {problem, out, ps_form_row_bytes(problem->form, problem->columns), NULL};
    range all;
    if (problem->options.one_range) {
        all = best_range(problem->form, problem->weights, problem->rows * problem->columns);
        s.all = &all;
    }
    ps_parts_run(problem->options.threads, problem->rows, solve_row, &s);
    return PS_OK;
}

const ps_method ps_method_hqq = {.name = "hqq", .solve = hqq_solve};
