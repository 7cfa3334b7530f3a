/* Columns stand in the order in which they are decided, from the last to the first, so that row a
 * of L says what column a's loss adds to those before it. Rows of weights go their way alone, some
 * at a time: within a block of columns a loss is added at once, to all that are left after the
 * block, as a product. Can fail for want of memory. */
#include "worker/compress/feedback.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/dense.h"
#include "worker/compress/factor.h"
#include "worker/compress/parts.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { BLOCK = PS_FEEDBACK_BLOCK, ROWS = 64 };
_Static_assert((int)BLOCK <= (int)PS_DENSE_BLOCK, "a block is one product");

typedef struct making {
    const ps_hessian *hessian;
    const ps_feedback *out;
    double mean, damp;
} making;

static double diagonal(const ps_hessian *h, uint64_t columns, uint64_t i)
{
    return fmax(0, (double)h->sums[i * columns + i]);
}

/* Of those that are not 0; 0: all are. */
static double mean_diagonal(const ps_hessian *h, uint64_t columns)
{
    double sum = 0;
    uint64_t alive = 0;
    for (uint64_t i = 0; i < columns; i++) {
        double d = diagonal(h, columns, i);
        sum += d;
        alive += d > 0;
    }
    return alive ? sum / (double)alive : 0;
}

typedef struct key {
    bool first;
    double diagonal;
    uint64_t column;
} key;

/* Who is first, last; of others the largest diagonal; of equals, the first column. */
static int by_diagonal(const void *a, const void *b)
{
    const key *x = a, *y = b;
    if (x->first != y->first)
        return x->first ? 1 : -1;
    if (x->diagonal != y->diagonal)
        return x->diagonal < y->diagonal ? -1 : 1;
    return x->column < y->column ? 1 : -1;
}

static ps_status make_order(const ps_compress_problem *p, const bool *first, uint64_t *order)
{
    uint64_t n = p->columns;
    key *keys = ps_try_alloc(n * sizeof *keys);
    if (!keys)
        return ps_fail(PS_NO_MEMORY, "tensor %s: order of columns", p->name);
    for (uint64_t i = 0; i < n; i++)
        keys[i] = (key){first && first[i], p->options.order ? diagonal(p->hessian, n, i) : 0, i};
    qsort(keys, n, sizeof *keys, by_diagonal);
    for (uint64_t i = 0; i < n; i++)
        order[i] = keys[i].column;
    ps_free(&keys);
    return PS_OK;
}

/* A row of H / mean + damp, in order, to the diagonal; of a column without input, a row of I. */
static void fill_row(void *user, uint64_t row)
{
    const making *m = user;
    uint64_t n = m->out->columns, i = m->out->order[row];
    bool alive = diagonal(m->hessian, n, i) > 0;
    double *to = m->out->l + row * n;
    for (uint64_t c = 0; c < row; c++) {
        uint64_t j = m->out->order[c], low = i < j ? i : j, high = i < j ? j : i;
        bool both = alive && diagonal(m->hessian, n, j) > 0;
        to[c] = both ? (double)m->hessian->sums[low * n + high] / m->mean : 0;
    }
    to[row] = (alive ? diagonal(m->hessian, n, i) / m->mean : 1) + m->damp;
}

static ps_status climb(const ps_compress_problem *p, ps_feedback *out, ps_compress_report *report,
                       bool *made)
{
    making m = {.hessian = p->hessian, .out = out, .damp = p->options.damp};
    m.mean = mean_diagonal(p->hessian, p->columns);
    *made = false;
    if (m.mean <= 0) {
        report->why = PS_REASON_NO_INPUT;
        return PS_OK;
    }
    for (;;) {
        ps_parts_run(p->options.threads, p->columns, fill_row, &m);
        ps_status st = ps_factor(out->l, p->columns, out->d, p->options.threads, made);
        if (st)
            return ps_wrap(st, "tensor %s", p->name);
        if (*made || m.damp >= 1)
            break;
        report->why = PS_REASON_NOT_POSITIVE;
        report->fallback = PS_STEP_DAMPED;
        m.damp = fmin(1, m.damp * 10);
    }
    report->damp = *made ? m.damp : 0;
    if (!*made)
        report->why = PS_REASON_NOT_POSITIVE;
    return PS_OK;
}

ps_status ps_feedback_make(const ps_compress_problem *problem, const bool *first, ps_feedback *out,
                           ps_compress_report *report, bool *made)
{
    uint64_t n = problem->columns;
    PS_REQUIRE(problem->hessian && !problem->hessian->squares);
    *out = (ps_feedback){.columns = n};
    out->order = ps_try_alloc(n * sizeof *out->order);
    out->d = ps_try_alloc(n * sizeof *out->d);
    out->l = ps_try_alloc_raw(n * n * sizeof *out->l);
    ps_status st = out->order && out->d && out->l
                       ? make_order(problem, first, out->order)
                       : ps_fail(PS_NO_MEMORY, "tensor %s: a Hessian of %lu columns", problem->name,
                                 (unsigned long)n);
    if (!st)
        st = climb(problem, out, report, made);
    if (st)
        ps_feedback_clear(out);
    return st;
}

void ps_feedback_clear(ps_feedback *feedback)
{
    ps_free(&feedback->order);
    ps_free(&feedback->l);
    ps_free(&feedback->d);
}

typedef struct running {
    const ps_feedback *f;
    const float *weights;
    uint64_t rows;
    const ps_decider *decider;
    atomic_bool no_memory;
} running;

/* Some rows: w is what they would best be, given what has been decided; [rows, columns]. */
typedef struct some_rows {
    uint64_t first, count;
    double *w;
    double lost[ROWS * BLOCK]; /* in the block: what was − what it became */
} some_rows;

/* What is added to the columns of a block, which begins at `from`, when one of them loses. */
static void hand_on(const ps_feedback *f, uint64_t a, uint64_t from, double lost, double *block)
{
    const double *l = f->l + a * f->columns + from;
    for (uint64_t b = 0; b < a - from; b++)
        block[b] += lost * l[b];
}

/* What all of a block's columns would best be together: w has what the columns before them have
 * lost, and of each what the others become is still to be added. */
static void look_at_block(const running *r, uint64_t row, const double *w, uint64_t from,
                          uint64_t n)
{
    const ps_feedback *f = r->f;
    double held[BLOCK];
    memcpy(held, w + from, n * sizeof *held);
    for (uint64_t a = from + n; a-- > from;)
        hand_on(f, a, from, (double)r->weights[row * f->columns + f->order[a]] - held[a - from],
                held);
    r->decider->look(r->decider->user, row, f->order + from, held, f->d + from, n);
}

static void decide_block(const running *r, some_rows *s, uint64_t from, uint64_t n)
{
    const ps_feedback *f = r->f;
    for (uint64_t k = 0; k < s->count; k++) {
        double *w = s->w + k * f->columns;
        uint64_t row = s->first + k;
        if (r->decider->look)
            look_at_block(r, row, w, from, n);
        for (uint64_t a = from + n; a-- > from;) {
            uint64_t column = f->order[a];
            double is = r->decider->decide(r->decider->user, row, column, w[a]);
            double lost = (double)r->weights[row * f->columns + column] - is;
            s->lost[k * BLOCK + a - from] = lost;
            hand_on(f, a, from, lost, w + from);
        }
    }
}

static void rows_work(void *user, uint64_t part)
{
    running *r = user;
    uint64_t n = r->f->columns, left = r->rows - part * ROWS;
    some_rows *s = ps_try_alloc(sizeof *s);
    double *w = ps_try_alloc_raw(ROWS * n * sizeof *w);
    if (s && w) {
        *s = (some_rows){.first = part * ROWS, .count = left < ROWS ? left : ROWS, .w = w};
        for (uint64_t k = 0; k < s->count; k++)
            for (uint64_t a = 0; a < n; a++)
                w[k * n + a] = (double)r->weights[(s->first + k) * n + r->f->order[a]];
        for (uint64_t end = n, some; end; end -= some) {
            some = end < BLOCK ? end : BLOCK;
            decide_block(r, s, end - some, some);
            ps_dense_add(w, n, s->lost, BLOCK, r->f->l + (end - some) * n, n, s->count, end - some,
                         some);
        }
    } else {
        atomic_store(&r->no_memory, true);
    }
    ps_free(&s);
    ps_free(&w);
}

ps_status ps_feedback_run(const ps_feedback *feedback, const float *weights, uint64_t rows,
                          size_t threads, const ps_decider *decider)
{
    PS_REQUIRE(feedback->l && decider->decide);
    running r = {.f = feedback, .weights = weights, .rows = rows, .decider = decider};
    ps_parts_run(threads, (rows + ROWS - 1) / ROWS, rows_work, &r);
    return atomic_load(&r.no_memory) ? ps_fail(PS_NO_MEMORY, "%lu rows", (unsigned long)rows)
                                     : PS_OK;
}
