/* gptq: numbers are rounded column by column, each after what the ones before it lost is added to
 * it (Frantar, Ashkboos, Hoefler, Alistarh: GPTQ, 2022). Scales and zeros are fixed first, from the
 * weights as they are: so columns can be solved in any order, largest input first, and the codes
 * stay where they belong ("static groups"); and so any form that can round a number to its blocks'
 * grid can be solved for, ggml's as well as integers.
 *
 * A grid that is a range is the whole range of its block: numbers grow by what others lost, and
 * what a cut range saves when each is rounded by itself is lost many times over when they meet its
 * end; at 2 and 3 bits twice as much in all. ggml's blocks are searched with the inputs' mean
 * squares as importance.
 *
 * Where it cannot be done, the report names what was: more damping, up to the mean of H's diagonal;
 * else only that diagonal, which is the search; else rounding. A column whose input was always 0 is
 * rounded: other data may have an input there.
 */
#include "worker/compress/feedback.h"
#include "worker/compress/grid.h"
#include "worker/compress/rows.h"

typedef struct codes {
    const ps_compress_problem *problem;
    uint8_t *out;
    uint64_t row_bytes;
} codes;

static double settle(void *user, uint64_t row, uint64_t column, double value)
{
    const codes *c = user;
    return (double)ps_form_settle(c->problem->form, c->out + row * c->row_bytes,
                                  c->problem->columns, column, value);
}

static ps_status solve_columns(const ps_compress_problem *problem, uint8_t *out,
                               ps_compress_report *report)
{
    ps_feedback feedback;
    bool made;
    ps_status st = ps_feedback_make(problem, NULL, &feedback, report, &made);
    if (st)
        return st;
    codes c = {problem, out, ps_form_row_bytes(problem->form, problem->columns)};
    if (made)
        st = ps_feedback_run(&feedback, problem->weights, problem->rows, problem->options.threads,
                             &(ps_decider){.decide = settle, .user = &c});
    else
        report->fallback = report->why == PS_REASON_NO_INPUT ? PS_STEP_ROUNDED : PS_STEP_DIAGONAL;
    ps_feedback_clear(&feedback);
    return st;
}

static ps_status gptq_solve(const ps_compress_problem *problem, uint8_t *out,
                            ps_compress_report *report)
{
    if (problem->form.row->plain) {
        report->fallback = PS_STEP_ROUNDED;
        report->why = PS_REASON_NO_GRID;
        ps_grid_encode(problem, NULL, out);
        return PS_OK;
    }
    bool range = ps_grid_is_range(problem->form);
    ps_status st = PS_OK;
    if (range)
        ps_grid_encode(problem, NULL, out);
    else
        st = ps_grid_encode_searched(problem, out);
    if (!st)
        st = solve_columns(problem, out, report);
    if (!st && report->fallback == PS_STEP_DIAGONAL && range)
        st = ps_grid_encode_searched(problem, out);
    else if (!st && report->fallback == PS_STEP_ROUNDED && !range)
        ps_grid_encode(problem, NULL, out);
    return st;
}

const ps_method ps_method_gptq = {.name = "gptq", .solve = gptq_solve};
