/* Of the least of some numbers: a selection by sorting, as rows and blocks are short. Of all
 * numbers of a tensor: their saliencies' bits, of which the upper half is counted first and then
 * the lower one; so nothing is copied. */
#include "worker/compress/sparse.h"

#include "common/base/bits.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/compress/plan.h"
#include "worker/compress/error.h"
#include "worker/compress/feedback.h"
#include "worker/compress/refit.h"

#include <math.h>
#include <string.h>

enum { FOUR = 4, HALF_BITS = 16, HALVES = 1 << HALF_BITS };

typedef struct cost {
    double value;
    uint64_t at;
} cost;

/* Least first; of equals, the first. */
static int by_cost(const void *a, const void *b)
{
    const cost *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static uint64_t share_of(double ratio, uint64_t n)
{
    return (uint64_t)rint(ratio * (double)n);
}

/* Sorts so that those that go come first; how many they are, of n, or of each four. */
static void choose(cost *costs, uint64_t n, const ps_sparsity *want, bool *goes)
{
    uint64_t step = want->two_of_four ? FOUR : n;
    uint64_t go = want->two_of_four ? FOUR / 2 : share_of(want->ratio, n);
    for (uint64_t from = 0; from < n; from += step) {
        qsort(costs + from, step, sizeof *costs, by_cost);
        for (uint64_t i = 0; i < step; i++)
            goes[costs[from + i].at] = i < go;
    }
}

static void check(const ps_sparsity *want, uint64_t columns)
{
    PS_REQUIRE(!want->two_of_four || columns % FOUR == 0);
    PS_REQUIRE(want->two_of_four || (want->ratio >= 0 && want->ratio <= 1));
}

ps_status ps_sparse_rows(const ps_salient *tensor, const ps_sparsity *want, float *w)
{
    uint64_t n = tensor->columns;
    check(want, n);
    cost *costs = ps_try_alloc(n * sizeof *costs);
    bool *goes = ps_try_alloc(n * sizeof *goes);
    bool room = costs && goes;
    for (uint64_t r = 0; room && r < tensor->rows; r++) {
        for (uint64_t c = 0; c < n; c++)
            costs[c] = (cost){ps_saliency(tensor, r, c), c};
        choose(costs, n, want, goes);
        for (uint64_t c = 0; c < n; c++)
            w[r * n + c] = goes[c] ? 0 : w[r * n + c];
    }
    ps_free(&costs);
    ps_free(&goes);
    return room ? PS_OK : ps_fail(PS_NO_MEMORY, "order of %lu columns", (unsigned long)n);
}

/* Not negative, so that its bits are in the order of its values. */
static uint32_t bits_of(const ps_salient *t, uint64_t i)
{
    return ps_bits_of_float((float)ps_saliency(t, i / t->columns, i % t->columns));
}

void ps_sparse_count(const ps_salient *tensor, double *counts)
{
    memset(counts, 0, PS_PLAN_BINS * sizeof *counts);
    for (uint64_t r = 0; r < tensor->rows; r++)
        for (uint64_t c = 0; c < tensor->columns; c++)
            counts[ps_plan_bin_of((float)ps_saliency(tensor, r, c))]++;
}

/* Of what has these upper bits (upper), or of all: in which half of counts the number `rank` lies;
 * *rank becomes its rank in there. */
static uint32_t find_half(const ps_salient *t, const uint32_t *upper, uint64_t *rank)
{
    uint64_t *counts = ps_alloc_array(HALVES, sizeof *counts);
    for (uint64_t i = 0; i < t->rows * t->columns; i++) {
        uint32_t bits = bits_of(t, i);
        if (!upper)
            counts[bits >> HALF_BITS]++;
        else if (bits >> HALF_BITS == *upper)
            counts[bits % HALVES]++;
    }
    uint32_t half = 0;
    for (; *rank >= counts[half]; half++)
        *rank -= counts[half];
    ps_free(&counts);
    return half;
}

void ps_sparse_least(const ps_salient *tensor, uint64_t count, float *w)
{
    uint64_t n = tensor->rows * tensor->columns, equals = count;
    uint32_t cut = UINT32_MAX;
    PS_REQUIRE(count <= n);
    if (count < n) {
        uint32_t upper = find_half(tensor, NULL, &equals);
        cut = upper << HALF_BITS | find_half(tensor, &upper, &equals);
    }
    for (uint64_t i = 0; i < n; i++) { /* equals: that go, of those as salient as the first that
                                          stays */
        uint32_t bits = bits_of(tensor, i);
        if (bits < cut || (bits == cut && equals && equals--))
            w[i] = 0;
    }
}

typedef struct solving {
    const ps_sparsity *want;
    bool *goes; /* [rows, columns] */
    float *out;
    uint64_t columns;
} solving;

/* w²·d: what it costs that this number is 0 when all that are decided later help. */
static void look(void *user, uint64_t row, const uint64_t *columns, const double *values,
                 const double *d, size_t n)
{
    const solving *s = user;
    cost costs[PS_FEEDBACK_BLOCK];
    bool goes[PS_FEEDBACK_BLOCK];
    for (size_t i = 0; i < n; i++) /* the last is the first column */
        costs[n - 1 - i] = (cost){values[i] * values[i] * d[i], n - 1 - i};
    choose(costs, n, s->want, goes);
    for (size_t i = 0; i < n; i++)
        s->goes[row * s->columns + columns[i]] = goes[n - 1 - i];
}

static double decide(void *user, uint64_t row, uint64_t column, double value)
{
    const solving *s = user;
    uint64_t at = row * s->columns + column;
    s->out[at] = s->goes[at] ? 0 : (float)value;
    return (double)s->out[at];
}

/* Without a factor of H: by the squares of inputs, and nothing is made good. */
static ps_status by_squares(const ps_compress_problem *p, const ps_sparsity *want, float *out)
{
    float *squares = ps_try_alloc(p->columns * sizeof *squares);
    if (!squares)
        return ps_fail(PS_NO_MEMORY, "tensor %s: squares of inputs", p->name);
    for (uint64_t c = 0; c < p->columns; c++)
        squares[c] = fmaxf(0, p->hessian->sums[c * p->columns + c]);
    memcpy(out, p->weights, p->rows * p->columns * sizeof *out);
    ps_status st =
        ps_sparse_rows(&(ps_salient){p->weights, p->rows, p->columns, squares, NULL}, want, out);
    ps_free(&squares);
    return st;
}

static ps_status solve(const ps_compress_problem *p, solving *s, ps_compress_report *report)
{
    ps_compress_problem in_order = *p;
    ps_feedback feedback;
    bool made;
    in_order.options.order = false;
    ps_status st = ps_feedback_make(&in_order, NULL, &feedback, report, &made);
    if (st)
        return st;
    if (made) {
        st = ps_feedback_run(&feedback, p->weights, p->rows, p->options.threads,
                             &(ps_decider){.look = look, .decide = decide, .user = s});
    } else {
        report->fallback = PS_STEP_DIAGONAL;
        st = by_squares(p, s->want, s->out);
    }
    ps_feedback_clear(&feedback);
    return st || !made ? st : ps_refit(p, report->damp, s->goes, s->out);
}

ps_status ps_sparse_solve(const ps_compress_problem *problem, const ps_sparsity *want, float *out,
                          ps_compress_report *report)
{
    const ps_compress_problem *p = problem;
    check(want, p->columns);
    PS_REQUIRE(p->hessian && !p->hessian->squares);
    ps_compress_report done = {.error = -1, .held_out = -1};
    solving s = {.want = want, .out = out, .columns = p->columns};
    s.goes = ps_try_alloc(p->rows * p->columns * sizeof *s.goes);
    if (!s.goes)
        return ps_fail(PS_NO_MEMORY, "tensor %s: zeros", p->name);
    ps_status st = solve(p, &s, &done);
    ps_free(&s.goes);
    if (!st)
        st = ps_error_share(out, p->weights, p->rows, p->columns, p->hessian, p->options.threads,
                            &done.error);
    if (!st && p->held_out)
        st = ps_error_share(out, p->weights, p->rows, p->columns, p->held_out, p->options.threads,
                            &done.held_out);
    if (!st)
        *report = done;
    return st;
}
