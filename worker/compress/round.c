/* round: each number becomes the nearest that its form has, by the form's own rule (common/form).
 * search: likewise, but what an error counts is the mean square of the input it meets: a form that
 * heeds it gives up range, or tries other scales, where that loses less (ggml's importance matrix
 * is the same numbers). */
#include "worker/compress/grid.h"
#include "worker/compress/rows.h"

static ps_status round_solve(const ps_compress_problem *problem, uint8_t *out,
                             ps_compress_report *report)
{
    (void)report;
    ps_grid_encode(problem, NULL, out);
    return PS_OK;
}

static ps_status search_solve(const ps_compress_problem *problem, uint8_t *out,
                              ps_compress_report *report)
{
    (void)report;
    return ps_grid_encode_searched(problem, out);
}

const ps_method ps_method_round = {.name = "round", .solve = round_solve};
const ps_method ps_method_search = {.name = "search", .solve = search_solve};
