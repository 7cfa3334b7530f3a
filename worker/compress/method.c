/* The problem is looked at, solved by the row, and what came out is measured: the bytes are read
 * back, so that the report is of what was written. */
#include "worker/compress/method.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/conf/compress_rows.h"
#include "worker/compress/error.h"
#include "worker/compress/grid.h"
#include "worker/compress/rows.h"

#include <math.h>
#include <string.h>

#define ROW(name) &ps_method_##name,
const ps_method *const ps_methods[] = {PS_SOLVERS(ROW) NULL};
#undef ROW

enum { COLUMNS_A_TOKEN = 8 }; /* with more columns than this a token, H says next to nothing */

const ps_method *ps_method_find(const char *name)
{
    for (const ps_method *const *row = ps_methods; *row; row++)
        if (strcmp((*row)->name, name) == 0)
            return *row;
    return NULL;
}

const char *ps_compress_step_text(ps_compress_step step)
{
    static const char *const texts[] = {
#define X(name, text) text,
        PS_COMPRESS_STEPS(X)
#undef X
    };
    PS_REQUIRE((size_t)step < sizeof texts / sizeof *texts);
    return texts[step];
}

const char *ps_compress_reason_text(ps_compress_reason reason)
{
    static const char *const texts[] = {
#define X(name, text) text,
        PS_COMPRESS_REASONS(X)
#undef X
    };
    PS_REQUIRE((size_t)reason < sizeof texts / sizeof *texts);
    return texts[reason];
}

static ps_status check_weights(const ps_compress_problem *p)
{
    for (uint64_t i = 0; i < p->rows * p->columns; i++) {
        float w = p->weights[i];
        unsigned long row = i / p->columns, column = i % p->columns;
        if (!isfinite(w))
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: weight [%lu, %lu] is not finite",
                           p->name, row, column);
        if (fabsf(w) >= p->form.row->limit)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "tensor %s: weight [%lu, %lu] is %g, more than %s has a number for; "
                           "keep this tensor as it is",
                           p->name, row, column, (double)w, p->form.row->name);
    }
    return PS_OK;
}

static ps_status check_hessian(const ps_compress_problem *p, const ps_hessian *h, const char *what)
{
    if (!h)
        return PS_OK;
    PS_REQUIRE(h->sums);
    if (h->tokens == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: %s is of no tokens", p->name, what);
    for (uint64_t r = 0; r < p->columns; r++)
        for (uint64_t c = r; c < (h->squares ? r + 1 : p->columns); c++)
            if (!isfinite(h->sums[h->squares ? r : r * p->columns + c]))
                return ps_fail(PS_INVALID_ARGUMENT,
                               "tensor %s: %s: the sum of activations [%lu, %lu] is not finite",
                               p->name, what, (unsigned long)r, (unsigned long)c);
    return PS_OK;
}

static ps_status check_tokens(const ps_method *method, const ps_compress_problem *p)
{
    const ps_method_row *row = ps_method_row_find(method->name);
    PS_REQUIRE(row);
    if (row->needs == PS_METHOD_NOTHING)
        return PS_OK;
    if (!p->hessian || (row->needs == PS_METHOD_HESSIAN && p->hessian->squares))
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: method %s needs a calibration", p->name,
                       method->name);
    if (row->inverts && p->hessian->tokens < p->columns / COLUMNS_A_TOKEN)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: method %s: %lu tokens of calibration for %lu columns, at least "
                       "%lu; give it more rows",
                       p->name, method->name, (unsigned long)p->hessian->tokens,
                       (unsigned long)p->columns, (unsigned long)(p->columns / COLUMNS_A_TOKEN));
    return PS_OK;
}

ps_status ps_method_check(const ps_method *method, const ps_compress_problem *problem)
{
    const ps_compress_problem *p = problem;
    ps_status st = check_weights(p);
    if (!st)
        st = check_hessian(p, p->hessian, "calibration");
    if (!st)
        st = check_hessian(p, p->held_out, "held-out rows");
    return st ? st : check_tokens(method, p);
}

static ps_status measure(const ps_compress_problem *p, const uint8_t *bytes,
                         ps_compress_report *report)
{
    uint64_t n = p->rows * p->columns;
    size_t threads = p->options.threads;
    ps_status st = PS_OK;
    float *is = ps_try_alloc_raw(n * sizeof *is);
    if (!is)
        return ps_fail(PS_NO_MEMORY, "tensor %s: %lu numbers", p->name, (unsigned long)n);
    ps_form_decode(p->form, bytes, p->rows, p->columns, is);
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (!isfinite(is[i]))
            st = ps_fail(PS_INVALID_ARGUMENT,
                         "tensor %s: number [%lu, %lu] is not finite in %s; keep this tensor as it "
                         "is",
                         p->name, (unsigned long)(i / p->columns), (unsigned long)(i % p->columns),
                         p->form.row->name);
        sum += ((double)is[i] - (double)p->weights[i]) * ((double)is[i] - (double)p->weights[i]);
    }
    report->mse = sum / (double)n;
    if (!st && p->hessian)
        st = ps_error_share(is, p->weights, p->rows, p->columns, p->hessian, threads,
                            &report->error);
    if (!st && p->held_out)
        st = ps_error_share(is, p->weights, p->rows, p->columns, p->held_out, threads,
                            &report->held_out);
    ps_free(&is);
    return st;
}

ps_status ps_method_solve(const ps_method *method, const ps_compress_problem *problem, uint8_t *out,
                          ps_compress_report *report)
{
    const ps_compress_options *options = &problem->options;
    PS_REQUIRE(method && problem->rows && ps_form_divides(problem->form, problem->columns));
    PS_REQUIRE(options->damp > 0 && options->damp <= 1);
    PS_REQUIRE(!options->one_range || ps_grid_is_range(problem->form));
    uint64_t began = ps_clock_ns(&ps_clock_system);
    ps_compress_report done = {.error = -1, .held_out = -1};
    ps_status st = ps_method_check(method, problem);
    if (!st)
        st = method->solve(problem, out, &done);
    if (!st)
        st = measure(problem, out, &done);
    if (st)
        return st;
    done.few_tokens = problem->hessian && problem->hessian->tokens < problem->columns;
    done.seconds = (double)(ps_clock_ns(&ps_clock_system) - began) * 1e-9;
    *report = done;
    return PS_OK;
}
