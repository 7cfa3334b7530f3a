/* Factors are x^a / w^(1 − a), or x^a alone, x being the size of each input and w that of the
 * weights it meets: AWQ's and SmoothQuant's. Where the power is searched for, each of 20 is tried
 * on some rows of every matrix, evenly apart: rounded, and what outputs lose by H is summed. What
 * is found has to be better than no factors with the method's own codes, too. Can fail for want of
 * memory. */
#include "worker/compress/scale.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/error.h"
#include "worker/compress/grid.h"

#include <math.h>
#include <string.h>

enum { POWERS = 20, ROWS_TRIED = 256 };
static const double MOST = 1e4;

/* Some rows of a matrix, as they are, scaled, and as they are read back. */
typedef struct trial {
    const ps_compress_problem *problem;
    uint64_t rows;
    float *w, *scaled, *is;
    uint8_t *bytes;
} trial;

static void trial_close(trial *t)
{
    ps_free(&t->w);
    ps_free(&t->scaled);
    ps_free(&t->is);
    ps_free(&t->bytes);
}

static ps_status trial_open(const ps_compress_problem *p, trial *out)
{
    uint64_t rows = p->rows < ROWS_TRIED ? p->rows : ROWS_TRIED, n = rows * p->columns;
    *out = (trial){.problem = p, .rows = rows};
    out->w = ps_try_alloc_raw(n * sizeof(float));
    out->scaled = ps_try_alloc_raw(n * sizeof(float));
    out->is = ps_try_alloc_raw(n * sizeof(float));
    out->bytes = ps_try_alloc_raw(rows * ps_form_row_bytes(p->form, p->columns));
    if (!out->w || !out->scaled || !out->is || !out->bytes) {
        trial_close(out);
        return ps_fail(PS_NO_MEMORY, "tensor %s: factors", p->name);
    }
    for (uint64_t r = 0; r < rows; r++)
        memcpy(out->w + r * p->columns, p->weights + r * p->rows / rows * p->columns,
               p->columns * sizeof(float));
    return PS_OK;
}

/* Adds what outputs lose with these factors, by rounding, or by `method` where what it is to see of
 * the inputs is there. */
static ps_status trial_run(trial *t, const float *scales, const ps_method *method,
                           const ps_hessian *seen, double *lost)
{
    const ps_compress_problem *p = t->problem;
    ps_compress_problem some = *p;
    ps_compress_report report;
    ps_status st = PS_OK;
    some.weights = t->scaled;
    some.rows = t->rows;
    memcpy(t->scaled, t->w, t->rows * p->columns * sizeof(float));
    ps_scale_columns(t->scaled, t->rows, p->columns, scales, false);
    if (seen) {
        some.hessian = seen;
        st = method->solve(&some, t->bytes, &report);
    } else {
        ps_grid_encode(&some, NULL, t->bytes);
    }
    if (st)
        return st;
    ps_form_decode(p->form, t->bytes, t->rows, p->columns, t->is);
    ps_scale_columns(t->is, t->rows, p->columns, scales, true);
    double one;
    st = ps_error_power(t->is, t->w, t->rows, p->columns, p->hessian, p->options.threads, &one);
    if (!st)
        *lost += one * (double)p->rows / (double)t->rows;
    return st;
}

typedef struct sizes {
    double *inputs, *weights; /* [columns] */
} sizes;

/* How large weights of each column are: the largest magnitude, over all matrices. */
static void weight_sizes(const ps_compress_problem *problems, size_t n, double *out)
{
    for (size_t k = 0; k < n; k++) {
        const ps_compress_problem *p = &problems[k];
        for (uint64_t i = 0; i < p->rows * p->columns; i++)
            out[i % p->columns] = fmax(out[i % p->columns], fabs((double)p->weights[i]));
    }
}

static void factors(const sizes *s, uint64_t columns, double power, bool weights, float *out)
{
    double least = INFINITY, most = 0;
    for (uint64_t c = 0; c < columns; c++) {
        double f = s->inputs[c] > 0 ? pow(s->inputs[c], power) : 0;
        if (weights)
            f = s->weights[c] > 0 ? f / pow(s->weights[c], 1 - power) : 0;
        out[c] = (float)f;
        if (f > 0) {
            least = fmin(least, (double)out[c]);
            most = fmax(most, (double)out[c]);
        }
    }
    double middle = most > 0 ? sqrt(least) * sqrt(most) : 1;
    for (uint64_t c = 0; c < columns; c++) {
        double f = out[c] > 0 ? (double)out[c] / middle : 1;
        out[c] = (float)fmin(fmax(f, 1 / MOST), MOST);
    }
}

/* Columns of one row are as large as all of them together. */
static void share_sizes(sizes *s, uint64_t columns, ps_scale_share share)
{
    uint64_t run = share.span * share.repeat;
    for (uint64_t first = 0; first < columns; first++) {
        if (first % run >= share.span)
            continue;
        double squares = 0, most = 0;
        for (uint64_t k = 0; k < share.repeat; k++) {
            double x = s->inputs[first + k * share.span];
            squares += x * x;
            most = fmax(most, s->weights[first + k * share.span]);
        }
        for (uint64_t k = 0; k < share.repeat; k++) {
            s->inputs[first + k * share.span] = sqrt(squares / (double)share.repeat);
            s->weights[first + k * share.span] = most;
        }
    }
}

typedef struct search {
    const ps_method *method;
    const ps_compress_problem *problems;
    size_t n;
    trial *trials;
    sizes sizes;
    float *scales; /* [columns], of a try */
} search;

static ps_status run_trials(search *s, double *lost)
{
    *lost = 0;
    ps_status st = PS_OK;
    for (size_t k = 0; k < s->n && !st; k++)
        st = trial_run(&s->trials[k], s->scales, s->method, NULL, lost);
    return st;
}

/* Likewise with the method's own codes. */
static ps_status solve_trials(search *s, const float *scales, double *lost)
{
    const ps_compress_problem *p = s->problems;
    size_t bytes = p->columns * p->columns * sizeof(float);
    float *sums = ps_try_alloc_raw(bytes);
    if (!sums)
        return ps_fail(PS_NO_MEMORY, "tensor %s: factors", p->name);
    memcpy(sums, p->hessian->sums, bytes);
    ps_scale_sums(sums, p->columns, scales);
    ps_hessian seen = *p->hessian;
    seen.sums = sums;
    *lost = 0;
    ps_status st = PS_OK;
    for (size_t k = 0; k < s->n && !st; k++)
        st = trial_run(&s->trials[k], scales, s->method, &seen, lost);
    ps_free(&sums);
    return st;
}

/* What rounding loses less by, cut ranges may lose more by. scales: what was found. */
static ps_status check_found(search *s, const float *scales, bool *better)
{
    const ps_compress_problem *p = s->problems;
    double with, without;
    for (uint64_t c = 0; c < p->columns; c++)
        s->scales[c] = 1;
    ps_status st = solve_trials(s, scales, &with);
    if (!st)
        st = solve_trials(s, s->scales, &without);
    *better = !st && with < without;
    return st;
}

static ps_status search_powers(search *s, double *best, double *power)
{
    const ps_compress_problem *p = s->problems;
    for (int k = 1; k < POWERS; k++) {
        double tried = s->method->power < 0 ? (double)k / POWERS : s->method->power, lost;
        factors(&s->sizes, p->columns, tried, s->method->weights, s->scales);
        ps_status st = run_trials(s, &lost);
        if (st)
            return st;
        if (s->method->power >= 0 || lost < *best) {
            *best = lost;
            *power = tried;
        }
        if (s->method->power >= 0)
            break;
    }
    return PS_OK;
}

static ps_status search_run(search *s, float *scales, ps_scale_report *report)
{
    const ps_compress_problem *p = s->problems;
    double plain, best, power = 0, all = 0;
    ps_status st = PS_OK;
    for (uint64_t c = 0; c < p->columns; c++)
        s->scales[c] = 1;
    for (size_t k = 0; k < s->n && !st; k++) {
        double one = 0;
        st = ps_error_power(s->trials[k].w, NULL, s->trials[k].rows, p->columns, p->hessian,
                            p->options.threads, &one);
        all += one * (double)s->problems[k].rows / (double)s->trials[k].rows;
    }
    if (!st)
        st = run_trials(s, &plain);
    if (st)
        return st;
    best = plain;
    st = search_powers(s, &best, &power);
    if (st)
        return st;
    for (uint64_t c = 0; c < p->columns; c++)
        scales[c] = 1;
    if (power > 0)
        factors(&s->sizes, p->columns, power, s->method->weights, scales);
    bool better = true;
    if (power > 0 && s->method->power < 0)
        st = check_found(s, scales, &better);
    if (st)
        return st;
    for (uint64_t c = 0; c < p->columns && !better; c++)
        scales[c] = 1;
    power = better ? power : 0;
    best = better ? best : plain;
    *report = (ps_scale_report){
        .plain = all > 0 ? plain / all : 0, .scaled = all > 0 ? best / all : 0, .power = power};
    return PS_OK;
}

static ps_status open_search(search *s, size_t *opened)
{
    const ps_compress_problem *p = s->problems;
    s->trials = ps_alloc_array(s->n, sizeof *s->trials);
    s->sizes.inputs = ps_try_alloc(p->columns * sizeof(double));
    s->sizes.weights = ps_try_alloc(p->columns * sizeof(double));
    s->scales = ps_try_alloc(p->columns * sizeof(float));
    if (!s->sizes.inputs || !s->sizes.weights || !s->scales)
        return ps_fail(PS_NO_MEMORY, "tensor %s: factors", p->name);
    ps_status st = PS_OK;
    for (; *opened < s->n && !st; *opened += !st) {
        PS_REQUIRE(s->problems[*opened].columns == p->columns);
        st = ps_method_check(s->method, &s->problems[*opened]);
        if (!st)
            st = trial_open(&s->problems[*opened], &s->trials[*opened]);
    }
    return st;
}

ps_status ps_method_scale(const ps_method *method, const ps_compress_problem *problems, size_t n,
                          ps_scale_share share, float *scales, ps_scale_report *report)
{
    const ps_compress_problem *p = problems;
    PS_REQUIRE(method->scales && n && p->hessian && !p->hessian->squares);
    PS_REQUIRE(share.span && share.repeat && p->columns % (share.span * share.repeat) == 0);
    search s = {.method = method, .problems = problems, .n = n};
    size_t opened = 0;
    ps_status st = open_search(&s, &opened);
    if (!st) {
        for (uint64_t c = 0; c < p->columns; c++)
            s.sizes.inputs[c] = sqrt(fmax(0, (double)p->hessian->sums[c * p->columns + c]) /
                                     (double)p->hessian->tokens);
        weight_sizes(problems, n, s.sizes.weights);
        share_sizes(&s.sizes, p->columns, share);
        st = search_run(&s, scales, report);
    }
    while (opened)
        trial_close(&s.trials[--opened]);
    ps_free(&s.trials);
    ps_free(&s.sizes.inputs);
    ps_free(&s.sizes.weights);
    ps_free(&s.scales);
    return st;
}

void ps_scale_columns(float *w, uint64_t rows, uint64_t columns, const float *scales, bool divide)
{
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < columns; c++)
            w[r * columns + c] *= divide ? 1 / scales[c] : scales[c];
}

void ps_scale_rows(float *w, uint64_t from, uint64_t columns, ps_scale_share share,
                   const float *scales, uint64_t inputs)
{
    for (uint64_t i = 0; i < inputs; i++) {
        if (i / share.span % share.repeat)
            continue; /* its row was divided for the first of its inputs */
        float *row = w + (from + ps_scale_row(share, i)) * columns;
        for (uint64_t c = 0; c < columns; c++)
            row[c] /= scales[i];
    }
}

void ps_scale_sums(float *sums, uint64_t columns, const float *scales)
{
    for (uint64_t i = 0; i < columns; i++)
        for (uint64_t j = 0; j < columns; j++)
            sums[i * columns + j] =
                (float)((double)sums[i * columns + j] / ((double)scales[i] * (double)scales[j]));
}
