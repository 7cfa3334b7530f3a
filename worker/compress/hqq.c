/* hqq: without data, a block's grid is moved so that what is left over is little for most numbers
 * and may be much for a few (Badri and Shaji, Half-Quadratic Quantization, 2023): with codes q and
 * what is given up, e, alternating, the grid is the least squares of w − e on q, and e what a
 * shrinking of the remainder leaves, for the norm p.
 *
 * As there, the zero is what moves, as a fraction, and the scale stays: one that moves as well cuts
 * the range, which costs a model more at 2 and 3 bits than rounding does. Symmetric forms have no
 * zero, and the scale moves. Forms whose blocks are not one scale are rounded, and the report says
 * so.
 *
 * Remainders are counted in steps of the scale, so that the shrinking is the same for small and
 * large weights. The best grid of all turns is kept, the one of the plain range among them.
 */
#include "common/base/half.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/grid.h"
#include "worker/compress/parts.h"
#include "worker/compress/rows.h"

#include <math.h>
#include <string.h>

enum {
    TURNS = 20,
    WHOLE_FROM = 4 /* bits: a zero begins as a whole number, so that 0 is a code */
};
static const double NORM = 0.7, STIFF = 10, STIFFER = 1.01; /* p, β, κ */
static const double PARTS = 256;                            /* of a zero, that can be written */

typedef struct range {
    double scale, zero;
    int least, most; /* codes of the grid */
    bool affine;     /* the zero moves; else the scale */
} range;

typedef struct solving {
    const ps_compress_problem *problem;
    uint8_t *out;
    uint64_t row_bytes;
    const range *all; /* of one range */
} solving;

/* What of a zero can be written. */
static double written(const range *r, double zero)
{
    return rint(fmin(fmax(zero, r->least), r->most) * PARTS) / PARTS;
}

static range affine_range(ps_form form, const float *w, uint64_t n)
{
    range r = {.most = (1 << form.row->bits) - 1, .affine = true};
    double low = 0, high = 0;
    for (uint64_t i = 0; i < n; i++) {
        low = fmin(low, (double)w[i]);
        high = fmax(high, (double)w[i]);
    }
    r.scale = (double)ps_f16_value(ps_f16_of((float)((high - low) / r.most)));
    double zero = r.scale > 0 ? -low / r.scale : 0;
    r.zero = written(&r, form.row->bits < WHOLE_FROM ? zero : rint(zero));
    return r;
}

static range symmetric_range(ps_form form, const float *w, uint64_t n)
{
    int half = 1 << (form.row->bits - 1);
    double high = 0;
    for (uint64_t i = 0; i < n; i++)
        high = fmax(high, fabs((double)w[i]));
    return (range){.scale = high / (form.row->bits == 8 ? 127 : half - 0.5),
                   .least = form.row->bits == 8 ? 1 - half : -half,
                   .most = half - 1};
}

static double code_of(const range *r, double w)
{
    return fmin(fmax(rint(w / r->scale + r->zero), r->least), r->most);
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

/* w / scale with what is given up taken off. */
static double kept(const range *r, double w, double code, double stiff)
{
    double steps = w / r->scale;
    return steps - shrunk(steps - (code - r->zero), stiff);
}

/* The zero, or the scale, with which the codes are nearest to what is kept. */
static void turn_zero(range *r, const float *w, uint64_t n, double stiff)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        double q = code_of(r, (double)w[i]);
        sum += q - kept(r, (double)w[i], q, stiff);
    }
    r->zero = written(r, sum / (double)n);
}

static void turn_scale(range *r, const float *w, uint64_t n, double stiff)
{
    double square = 0, product = 0;
    for (uint64_t i = 0; i < n; i++) {
        double q = code_of(r, (double)w[i]);
        square += q * q;
        product += q * kept(r, (double)w[i], q, stiff);
    }
    r->scale *= square > 0 ? product / square : 1;
}

static range best_range(ps_form form, const float *w, uint64_t n)
{
    range r = form.row->zero ? affine_range(form, w, n) : symmetric_range(form, w, n), best = r;
    double least = r.scale > 0 ? loss_of(&r, w, n) : 0, stiff = STIFF;
    for (int turn = 0; turn < TURNS && least > 0; turn++, stiff *= STIFFER) {
        if (r.affine)
            turn_zero(&r, w, n, stiff);
        else
            turn_scale(&r, w, n, stiff);
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
    if (r->affine)
        ps_form_zero_put(form, block, r->scale, r->zero);
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
    const ps_form_row *row = problem->form.row;
    if (!row->integer) {
        report->fallback = PS_STEP_ROUNDED;
        report->why = row->plain ? PS_REASON_NO_GRID : PS_REASON_NO_RANGE;
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
