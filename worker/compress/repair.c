/* The columns that go are decided first, and are 0; the others follow and stay what the feedback
 * makes of them: given all before it, each is then what loses least, and so are all together. */
#include "worker/compress/repair.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/error.h"
#include "worker/compress/feedback.h"
#include "worker/compress/units.h"

#include <math.h>

typedef struct repairing {
    const bool *stays;
    bool *goes; /* those that do not stay */
    float *w;   /* [rows, columns], with those that go */
    uint64_t columns;
} repairing;

static double decide(void *user, uint64_t row, uint64_t column, double value)
{
    const repairing *r = user;
    float *w = &r->w[row * r->columns + column];
    *w = r->stays[column] ? (float)value : 0;
    return r->stays[column] ? value : 0;
}

/* *damp: at least what is given; 0: nothing was made. */
static ps_status feed_back(const ps_compress_problem *p, repairing *r, double *damp,
                           ps_compress_reason *why)
{
    ps_feedback feedback;
    ps_compress_problem damped = *p;
    ps_compress_report made_by = {0};
    bool made;
    damped.options.damp = *damp;
    ps_status st = ps_feedback_make(&damped, r->goes, &feedback, &made_by, &made);
    if (st)
        return st;
    if (made)
        st = ps_feedback_run(&feedback, p->weights, p->rows, p->options.threads,
                             &(ps_decider){.decide = decide, .user = r});
    ps_feedback_clear(&feedback);
    *damp = made_by.damp;
    *why = made ? PS_REASON_NONE : made_by.why;
    return st;
}

static ps_status measure(const ps_compress_problem *p, const float *w, double *lost,
                         double *held_out)
{
    size_t threads = p->options.threads;
    ps_status st = ps_error_share(w, p->weights, p->rows, p->columns, p->hessian, threads, lost);
    *held_out = -1;
    if (!st && p->held_out)
        st = ps_error_share(w, p->weights, p->rows, p->columns, p->held_out, threads, held_out);
    return st;
}

static ps_status cut(const ps_compress_problem *p, repairing *r, float *out,
                     ps_repair_report *report)
{
    for (uint64_t i = 0; i < p->rows * p->columns; i++)
        r->w[i] = r->stays[i % p->columns] ? p->weights[i] : 0;
    ps_units_cut(r->w, p->rows, p->columns, NULL, r->stays, out);
    ps_status st = measure(p, r->w, &report->cut, &report->held_out_cut);
    report->repaired = report->cut;
    report->held_out = report->held_out_cut;
    return st;
}

/* With more damping each time, if there is something to tell which is better. */
static ps_status repair(const ps_compress_problem *p, repairing *r, float *out,
                        ps_repair_report *report)
{
    ps_status st = cut(p, r, out, report);
    report->why = p->held_out ? PS_REASON_NO_BETTER : PS_REASON_NONE;
    for (double damp = p->options.damp; !st; damp = fmin(1, 10 * damp)) {
        double lost, held_out;
        ps_compress_reason why;
        st = feed_back(p, r, &damp, &why);
        if (!st && damp == 0)
            report->why = why;
        if (st || damp == 0)
            break;
        st = measure(p, r->w, &lost, &held_out);
        if (!st && (!p->held_out || held_out < report->held_out)) {
            ps_units_cut(r->w, p->rows, p->columns, NULL, r->stays, out);
            *report = (ps_repair_report){.cut = report->cut,
                                         .repaired = lost,
                                         .held_out_cut = report->held_out_cut,
                                         .held_out = held_out,
                                         .damp = damp};
        }
        if (!p->held_out || damp >= 1)
            break;
    }
    return st;
}

ps_status ps_repair_columns(const ps_compress_problem *problem, const bool *stays, float *out,
                            ps_repair_report *report)
{
    const ps_compress_problem *p = problem;
    PS_REQUIRE(p->hessian && !p->hessian->squares && ps_units_count(stays, p->columns));
    repairing r = {.stays = stays, .columns = p->columns};
    ps_repair_report done = {0};
    r.goes = ps_try_alloc(p->columns * sizeof *r.goes);
    r.w = ps_try_alloc_raw(p->rows * p->columns * sizeof *r.w);
    for (uint64_t c = 0; r.goes && c < p->columns; c++)
        r.goes[c] = !stays[c];
    ps_status st = r.goes && r.w ? repair(p, &r, out, &done)
                                 : ps_fail(PS_NO_MEMORY, "tensor %s: repair", p->name);
    if (!st)
        *report = done;
    ps_free(&r.goes);
    ps_free(&r.w);
    return st;
}
