/* Happy path: tensors that are multiplied with the same input share its sums; inputs are put into
 * windows in the order of the forward pass, as many as psd has room for. */
#include "common/compress/parts.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* psd keeps a sum in a float32 and a double (server/params/sum_block.c). */
enum { SUM_BYTES = 12, ROWS_OF_TOKENS = 128, ROWS = 4096, COLUMNS_A_TOKEN = 8 };

/* A tensor and where its input comes in the pass. */
typedef struct use {
    size_t tensor, layer;
    unsigned input;
} use;

static int by_pass(const void *a, const void *b)
{
    const use *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    if (x->input != y->input)
        return x->input < y->input ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

static size_t find_uses(const ps_plan *plan, const ps_plan_parts *parts, use *out)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        if (t->needs == PS_METHOD_NOTHING)
            continue;
        const ps_plan_part *part = ps_plan_part_find(parts, t->stored.name);
        out[n++] = (use){.tensor = i, .layer = part->layer, .input = part->input};
    }
    qsort(out, n, sizeof *out, by_pass);
    return n;
}

static void add_input(ps_plan *plan, const ps_plan_tensor *t, size_t layer)
{
    plan->inputs[plan->n_inputs++] = (ps_plan_input){.name = t->stored.name,
                                                     .layer = layer,
                                                     .columns = ps_plan_from_columns(t),
                                                     .squares = true};
}

/* So does what is repaired. */
static bool inverts(const ps_plan_tensor *t)
{
    return t->needs == PS_METHOD_HESSIAN && (t->n_members || (t->method && t->method->inverts));
}

static void find_inputs(ps_plan *plan, const ps_plan_parts *parts)
{
    use *uses = ps_alloc_array(plan->n_tensors + 1, sizeof *uses);
    size_t n = find_uses(plan, parts, uses);
    plan->inputs = ps_alloc_array(n + 2, sizeof *plan->inputs);
    for (size_t i = 0; i < n; i++) {
        ps_plan_tensor *t = &plan->tensors[uses[i].tensor];
        if (!i || uses[i].layer != uses[i - 1].layer || uses[i].input != uses[i - 1].input)
            add_input(plan, t, uses[i].layer);
        t->input = plan->n_inputs - 1;
        plan->inputs[t->input].squares &= t->needs == PS_METHOD_SQUARES;
        plan->inputs[t->input].inverted |= inverts(t);
        for (size_t k = 0; k < t->n_members; k++)
            if (t->members[k].columns)
                plan->units[t->members[k].units].input = t->input;
    }
    for (size_t i = 0; i < plan->n_inputs; i++) { /* as much as the one that needs most */
        ps_plan_input *in = &plan->inputs[i];
        in->numbers = in->squares ? in->columns : in->columns * (in->columns + 1) / 2;
    }
    ps_free(&uses);
}

static int by_place(const void *a, const void *b)
{
    const use *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return x->input < y->input ? -1 : x->input > y->input;
}

/* Norms of what has been found, where they lose channels. */
static void find_feeds(ps_plan *plan, const ps_plan_parts *parts)
{
    use *uses = ps_alloc_array(plan->n_tensors + 1, sizeof *uses);
    size_t n = find_uses(plan, parts, uses);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        ps_plan_tensor *t = &plan->tensors[i];
        const ps_plan_part *norm = ps_plan_part_find(parts, t->stored.name);
        if (!norm || norm->role != PS_PLAN_NORM || !t->n_members)
            continue;
        const use key = {.layer = norm->layer, .input = norm->input};
        const use *reader = bsearch(&key, uses, n, sizeof *uses, by_place);
        if (reader)
            t->feeds = plan->tensors[reader->tensor].input;
    }
    ps_free(&uses);
}

/* No product's: the blocks themselves, up to the last. */
static void add_influence(ps_plan *plan)
{
    ps_plan_units *u = &plan->units[0];
    u->input = plan->n_inputs;
    plan->inputs[plan->n_inputs++] = (ps_plan_input){.name = "the layers",
                                                     .influence = true,
                                                     .squares = true,
                                                     .layer = (size_t)u->units - 1,
                                                     .columns = u->units,
                                                     .numbers = u->units};
}

static void count_rows(ps_plan *plan, const ps_job_spec *spec, const ps_spec_model *model)
{
    const ps_spec_calibrate *c = &spec->compress->calibrate;
    bool language = ps_spec_model_is_language(model);
    uint64_t rows = c->rows ? (uint64_t)c->rows : language ? ROWS_OF_TOKENS : ROWS;
    plan->from = (uint64_t)c->from;
    plan->importance = *spec->compress->importance != '\0';
    plan->tokens_a_row = 1;
    if (ps_plan_is_given(plan))
        return;
    plan->held_out_rows = (uint64_t)((double)rows * c->held_out);
    if (c->held_out > 0 && plan->held_out_rows == 0 && rows > 1)
        plan->held_out_rows = 1;
    plan->calibration_rows = rows - plan->held_out_rows;
    plan->rows_said = c->rows != 0;
    if (language)
        plan->tokens_a_row = (uint64_t)(spec->data.sequence_length ? spec->data.sequence_length
                                                                   : model->context_length);
}

/* With fewer rows than columns Σxxᵀ has no inverse, and what is solved fits these rows alone. */
static ps_status check_tokens(ps_plan *plan, const ps_plan *rows)
{
    uint64_t tokens = rows->calibration_rows * rows->tokens_a_row;
    const ps_plan_input *widest = NULL;
    size_t few = 0;
    for (size_t i = 0; i < plan->n_inputs; i++) {
        const ps_plan_input *in = &plan->inputs[i];
        if (!in->inverted)
            continue;
        few += tokens < in->columns;
        if (!widest || in->columns > widest->columns)
            widest = in;
    }
    if (!few)
        return PS_OK;
    if (tokens < widest->columns / COLUMNS_A_TOKEN)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.calibrate.rows: %" PRIu64 " %s are too few for the "
                       "%" PRIu64 " columns of %s, at least %" PRIu64 "; take more, or method "
                       "round",
                       tokens, rows->tokens_a_row > 1 ? "tokens" : "rows", widest->columns,
                       widest->name, widest->columns / COLUMNS_A_TOKEN);
    ps_buf_printf(&plan->warnings,
                  "calibration has %" PRIu64 " %s, fewer than columns of %zu inputs (%s has "
                  "%" PRIu64 "): on other data errors may be larger than by rounding\n",
                  tokens, rows->tokens_a_row > 1 ? "tokens" : "rows", few, widest->name,
                  widest->columns);
    return PS_OK;
}

static const ps_plan_input *find_input(const ps_plan *plan, const char *tensor)
{
    for (size_t i = 0; i < plan->n_tensors; i++)
        if (!strcmp(plan->tensors[i].stored.name, tensor))
            return plan->tensors[i].input == PS_PLAN_NO_INPUT
                       ? NULL
                       : &plan->inputs[plan->tensors[i].input];
    return NULL;
}

/* What does with the squares of an input that is needed whole. */
static const char *with_squares(const ps_plan *plan, size_t input)
{
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        if (t->input != input || t->needs != PS_METHOD_HESSIAN)
            continue;
        if (t->n_members || t->zeros)
            return "compress.prune.repair: none";
        if (t->rank)
            return "compress.lowrank.whiten: false, which looks at none";
    }
    return "method search";
}

ps_status ps_plan_check_kept(ps_plan *plan, const ps_plan *kept)
{
    PS_REQUIRE(plan->from && !kept->from);
    for (size_t i = 0; i < plan->n_inputs; i++) {
        const ps_plan_input *in = &plan->inputs[i], *there = find_input(kept, in->name);
        if (!there || there->columns != in->columns)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "compress.calibrate.from: job %" PRIu64 " has no sums of the inputs of "
                           "%s, which it left as it was; calibrate on data, or keep that tensor",
                           plan->from, in->name);
        if (there->squares && !in->squares)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "compress.calibrate.from: job %" PRIu64 " has kept only the squares of "
                           "the inputs of %s, and their products are needed; take %s, or "
                           "calibrate on data",
                           plan->from, in->name, with_squares(plan, i));
    }
    return check_tokens(plan, kept);
}

/* It has squares, and of products. */
static ps_status check_importance(const ps_plan *plan)
{
    for (size_t i = 0; plan->importance && i < plan->n_inputs; i++)
        if (!plan->inputs[i].squares || plan->inputs[i].influence)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "compress.importance: it has the squares of inputs alone, and %s needs "
                           "more; take %s, or calibrate on data",
                           plan->inputs[i].name, with_squares(plan, i));
    return PS_OK;
}

uint64_t ps_plan_bytes_of(const ps_plan *plan, uint64_t numbers)
{
    return numbers * SUM_BYTES * (ps_plan_holds_out(plan) ? 2 : 1);
}

/* Units that are removed are chosen when all tensors that have them are solved: their inputs are
 * summed at the same time. Those of an mlp are in two layers each, which makes all one. */
static bool together(const ps_plan *plan, size_t input, bool layers_apart)
{
    if (plan->inputs[input].with_last)
        return true; /* and so is what is folded into another: it fits */
    return plan->n_units &&
           (!layers_apart || plan->inputs[input].layer == plan->inputs[input - 1].layer);
}

static ps_status too_large(const ps_plan *plan, size_t first, size_t end, uint64_t sum_bytes)
{
    const ps_plan_input *in = &plan->inputs[first];
    uint64_t numbers = 0;
    for (size_t i = first; i < end; i++)
        numbers += plan->inputs[i].numbers;
    if (end == first + 1)
        return ps_fail(PS_RESOURCE_EXHAUSTED,
                       "sums of the %" PRIu64 " columns of %s take %" PRIu64
                       " MiB, and psd has %" PRIu64 " MiB for them; method search needs less",
                       in->columns, in->name, ps_plan_bytes_of(plan, numbers) >> 20,
                       sum_bytes >> 20);
    return ps_fail(
        PS_RESOURCE_EXHAUSTED,
        "sums over the inputs of %zu products from %s on take %" PRIu64 " MiB, and psd has %" PRIu64
        " MiB for them; they are pruned together: compress.prune.repair: none, or method "
        "search, need less",
        end - first, in->name, ps_plan_bytes_of(plan, numbers) >> 20, sum_bytes >> 20);
}

static ps_status make_windows(ps_plan *plan, bool sequential, bool layers_apart, uint64_t sum_bytes)
{
    plan->windows = ps_alloc_array(plan->n_inputs + 1, sizeof *plan->windows);
    for (size_t i = 0; i < plan->n_inputs; i++) {
        uint64_t numbers = plan->inputs[i].numbers;
        size_t end = i + 1;
        for (; end < plan->n_inputs && together(plan, end, layers_apart); end++)
            numbers += plan->inputs[end].numbers;
        ps_plan_window *w = plan->n_windows ? &plan->windows[plan->n_windows - 1] : NULL;
        if (ps_plan_bytes_of(plan, numbers) > sum_bytes)
            return too_large(plan, i, end, sum_bytes);
        bool fits = w && ps_plan_bytes_of(plan, w->numbers + numbers) <= sum_bytes &&
                    (!sequential || plan->inputs[i].layer == plan->inputs[w->first].layer);
        if (!fits) {
            w = &plan->windows[plan->n_windows++];
            *w = (ps_plan_window){.first = i};
        }
        w->end = end;
        w->numbers += numbers;
        i = end - 1;
        if (ps_plan_bytes_of(plan, w->numbers) > plan->sum_bytes)
            plan->sum_bytes = ps_plan_bytes_of(plan, w->numbers);
    }
    return PS_OK;
}

/* They are kept as they are at the end. */
static ps_status check_one_window(const ps_plan *plan, uint64_t sum_bytes)
{
    uint64_t numbers = 0;
    for (size_t i = 0; i < plan->n_inputs; i++)
        numbers += plan->inputs[i].numbers;
    if (plan->n_windows <= 1)
        return PS_OK;
    return ps_fail(PS_RESOURCE_EXHAUSTED,
                   "compress.calibrate.%s: all sums together take %" PRIu64
                   " MiB, and psd has %" PRIu64 " MiB for them; method search needs less",
                   plan->from ? "from" : "keep", ps_plan_bytes_of(plan, numbers) >> 20,
                   sum_bytes >> 20);
}

ps_status ps_plan_rows(const ps_plan *plan, uint64_t have, uint64_t *calibration,
                       uint64_t *held_out)
{
    uint64_t rows = plan->calibration_rows + plan->held_out_rows;
    *calibration = plan->calibration_rows;
    *held_out = plan->held_out_rows;
    if (have >= rows)
        return PS_OK;
    if (plan->rows_said || have == 0)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.calibrate.rows: %" PRIu64 ", but data.train has %" PRIu64
                       "; allowed: as many as there are",
                       rows, have);
    *held_out = (uint64_t)((double)have * (double)plan->held_out_rows / (double)rows);
    if (plan->held_out_rows && *held_out == 0 && have > 1)
        *held_out = 1;
    *calibration = have - *held_out;
    return PS_OK;
}

ps_status ps_plan_inputs(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parent *parent,
                         const ps_plan_parts *parts, uint64_t sum_bytes)
{
    find_inputs(plan, parts);
    find_feeds(plan, parts);
    if (plan->n_units && plan->units[0].moves)
        add_influence(plan);
    if (plan->n_inputs == 0)
        return PS_OK;
    count_rows(plan, spec, parent->model);
    ps_status st = ps_plan_is_given(plan) ? check_importance(plan) : check_tokens(plan, plan);
    if (spec->compress->quantise)
        ps_plan_fold(plan, spec->compress->quantise, parent, parts, sum_bytes);
    bool layers_apart = ps_spec_model_is_language(parent->model) && plan->n_units != 1;
    const ps_spec_calibrate *c = &spec->compress->calibrate;
    bool sequential = c->sequential && !ps_plan_is_given(plan) && (layers_apart || !plan->n_units);
    if (!st)
        st =
            make_windows(plan, sequential, layers_apart, plan->importance ? UINT64_MAX : sum_bytes);
    if (plan->importance)
        plan->sum_bytes = 0;
    return !st && (c->keep || plan->from) ? check_one_window(plan, sum_bytes) : st;
}
