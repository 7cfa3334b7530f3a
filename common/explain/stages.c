#include "common/explain/stages.h"

#include <inttypes.h>
#include <stdio.h>

static unsigned passes_of(const ps_spec_explain *explain)
{
    unsigned most = 1;
    for (size_t i = 0; i < ps_spec_explain_count(explain); i++)
        if (ps_spec_explain_row(explain, i)->passes > most)
            most = ps_spec_explain_row(explain, i)->passes;
    return most;
}

static bool shared(const ps_spec_explain *explain, size_t method)
{
    return ps_spec_explain_row(explain, method)->traits & PS_EXPLAIN_SHARED;
}

static bool any_by_rows(const ps_spec_explain *explain, unsigned pass)
{
    for (size_t i = 0; i < ps_spec_explain_count(explain); i++)
        if (!shared(explain, i) && ps_spec_explain_row(explain, i)->passes > pass)
            return true;
    return false;
}

static ps_explain_stage by_rows(const ps_spec_explain *explain, unsigned pass)
{
    uint64_t items = ps_spec_explain_items(explain);
    uint64_t each = (items + PS_EXPLAIN_PIECES - 1) / PS_EXPLAIN_PIECES;
    return (ps_explain_stage){.kind = PS_EXPLAIN_STAGE_ROWS,
                              .pass = pass,
                              .items = items,
                              .per_piece =
                                  each < PS_EXPLAIN_PIECE_LEAST ? PS_EXPLAIN_PIECE_LEAST : each};
}

/* Methods that explain by rows of data.train go by shares of these; what the chosen rows are is
 * told all the same. */
static bool any_told(const ps_spec_explain *explain, unsigned pass)
{
    return pass == 0 && explain->n_influence > 0;
}

/* Counts down to the stage that is wanted. */
static bool is_it(unsigned *left, unsigned number, ps_explain_stage *stage)
{
    stage->number = number;
    return (*left)-- == 0;
}

static bool find_in_pass(const ps_spec_explain *explain, unsigned pass, unsigned *left,
                         unsigned number, ps_explain_stage *out)
{
    if (any_by_rows(explain, pass) || any_told(explain, pass)) {
        *out = by_rows(explain, pass);
        if (is_it(left, number, out))
            return true;
    }
    for (size_t i = 0; i < ps_spec_explain_count(explain); i++) {
        if (!shared(explain, i) || ps_spec_explain_row(explain, i)->passes <= pass)
            continue;
        *out = (ps_explain_stage){.kind = PS_EXPLAIN_STAGE_SHARES,
                                  .pass = pass,
                                  .method = i,
                                  .items = PS_EXPLAIN_SHARES,
                                  .per_piece = 1};
        if (is_it(left, number, out))
            return true;
    }
    *out = (ps_explain_stage){
        .kind = PS_EXPLAIN_STAGE_MERGE, .pass = pass, .items = 1, .per_piece = 1};
    return is_it(left, number, out);
}

bool ps_explain_stage_at(const ps_spec_explain *explain, unsigned number, ps_explain_stage *out)
{
    unsigned left = number, passes = passes_of(explain);
    for (unsigned pass = 0; pass < passes; pass++)
        if (find_in_pass(explain, pass, &left, number, out)) {
            out->last = out->kind == PS_EXPLAIN_STAGE_MERGE && pass + 1 == passes;
            return true;
        }
    return false;
}

bool ps_explain_stage_runs(const ps_spec_explain *explain, const ps_explain_stage *stage,
                           size_t method)
{
    if (ps_spec_explain_row(explain, method)->passes <= stage->pass)
        return false;
    return stage->kind == PS_EXPLAIN_STAGE_SHARES ? method == stage->method
                                                  : !shared(explain, method);
}

void ps_explain_part_name(unsigned stage, uint64_t begin, char out[PS_EXPLAIN_FILE_NAME])
{
    (void)snprintf(out, PS_EXPLAIN_FILE_NAME, PS_EXPLAIN_PART_PREFIX "%u-%" PRIu64 ".safetensors",
                   stage, begin);
}

void ps_explain_pass_name(unsigned pass, char out[PS_EXPLAIN_FILE_NAME])
{
    (void)snprintf(out, PS_EXPLAIN_FILE_NAME, PS_EXPLAIN_PASS_PREFIX "%u.safetensors", pass);
}
