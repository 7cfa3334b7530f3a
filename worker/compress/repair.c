/* The columns that go are decided first, and are 0; the others follow and stay what the feedback
 * makes of them: given all before it, each is then what loses least, and so are all together. */
#include "worker/compress/repair.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/error.h"
#include "worker/compress/feedback.h"
#include "worker/compress/units.h"

#include <string.h>

typedef struct repairing {
    const bool *stays;
    float *w; /* [rows, columns], with those that go */
    uint64_t columns;
} repairing;

static double decide(void *user, uint64_t row, uint64_t column, double value)
{
    const repairing *r = user;
    float *w = &r->w[row * r->columns + column];
    *w = r->stays[column] ? (float)value : 0;
    return r->stays[column] ? value : 0;
}

static ps_status feed_back(const ps_compress_problem *p, repairing *r, const bool *goes,
                           ps_repair_report *report)
{
    ps_feedback feedback;
    ps_compress_report made_by = {0};
    bool made;
    ps_status st = ps_feedback_make(p, goes, &feedback, &made_by, &made);
    if (st)
        return st;
    if (made)
        st = ps_feedback_run(&feedback, p->weights, p->rows, p->options.threads,
                             &(ps_decider){.decide = decide, .user = r});
    ps_feedback_clear(&feedback);
    report->damp = made_by.damp;
    report->why = made ? PS_REASON_NONE : made_by.why;
    return st;
}

static ps_status repair(const ps_compress_problem *p, repairing *r, bool *goes,
                        ps_repair_report *report)
{
    size_t threads = p->options.threads;
    for (uint64_t i = 0; i < p->rows * p->columns; i++)
        r->w[i] = r->stays[i % p->columns] ? p->weights[i] : 0;
    ps_status st =
        ps_error_share(r->w, p->weights, p->rows, p->columns, p->hessian, threads, &report->cut);
    for (uint64_t c = 0; c < p->columns; c++)
        goes[c] = !r->stays[c];
    if (!st)
        st = feed_back(p, r, goes, report);
    if (!st)
        st = ps_error_share(r->w, p->weights, p->rows, p->columns, p->hessian, threads,
                            &report->repaired);
    return st;
}

ps_status ps_repair_columns(const ps_compress_problem *problem, const bool *stays, float *out,
                            ps_repair_report *report)
{
    const ps_compress_problem *p = problem;
    PS_REQUIRE(p->hessian && !p->hessian->squares && ps_units_count(stays, p->columns));
    repairing r = {.stays = stays, .columns = p->columns};
    bool *goes = ps_try_alloc(p->columns * sizeof *goes);
    ps_repair_report done = {0};
    r.w = ps_try_alloc_raw(p->rows * p->columns * sizeof *r.w);
    ps_status st = goes && r.w ? repair(p, &r, goes, &done)
                               : ps_fail(PS_NO_MEMORY, "tensor %s: repair", p->name);
    if (!st) {
        ps_units_cut(r.w, p->rows, p->columns, NULL, stays, out);
        *report = done;
    }
    ps_free(&goes);
    ps_free(&r.w);
    return st;
}
