/* Happy path: of each layer as many units go, so that one model section says it; then tensors say
 * where they have such units, and what is known of their inputs if the rest is to be repaired. */
#include "common/compress/prune_row.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { USUAL_BLOCK = 32, PARTS = 8 };

#define ROW(upper, lower) &ps_prune_row_##lower,
static const ps_prune_row *const rows[] = {PS_PRUNE_REMOVED(ROW)};
#undef ROW

enum { ROWS = sizeof rows / sizeof *rows };

static const ps_prune_row *row_of(const ps_spec_prune *prune)
{
    PS_REQUIRE(prune->what < ROWS);
    return rows[prune->what];
}

size_t ps_prune_blocks(const ps_spec_model *parent)
{
    return (size_t)parent->num_layers;
}

/* Numbers of a block of the form that most matrices get; 0: of none. */
static uint64_t block_of(const ps_spec_quantise *q)
{
    if (!q)
        return 0;
    const ps_form form = ps_spec_quantise_form(q);
    return form.row->group ? form.row->group : form.group;
}

/* What is left are inputs of a product, whose rows are to be whole blocks where they were: a block
 * of the form if no more than what goes, else a power of two. */
static uint64_t multiple_of(uint64_t units, double gone, uint64_t block)
{
    if (block && units % block == 0 && (double)block <= gone)
        return block;
    uint64_t multiple = USUAL_BLOCK;
    while (multiple > 1 &&
           (units % multiple || multiple * PARTS > units || (double)multiple > gone))
        multiple /= 2;
    return multiple;
}

/* Of one layer's units, rounded up to a multiple. */
static ps_status left_of(const ps_spec_compress *c, uint64_t units, uint64_t *left)
{
    const ps_spec_prune *p = c->prune;
    const ps_prune_row *row = row_of(p);
    double gone = (double)units * p->ratio + 1e-6; /* 127.9999999 by the ratio's rounding is 128 */
    if (gone < 1)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.prune.ratio: %g of %" PRIu64 " %s is not one of them", p->ratio,
                       units, row->units);
    if (gone >= (double)units)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.prune.ratio: %g of %" PRIu64 " %s leaves none", p->ratio, units,
                       row->units);
    uint64_t multiple =
        row->single ? 1 : multiple_of(units, gone, block_of(c->quantise ? c->quantise : c->later));
    uint64_t stay = units - (uint64_t)gone;
    *left = (stay + multiple - 1) / multiple * multiple;
    PS_REQUIRE(*left && *left < units);
    return PS_OK;
}

static ps_status add_units(ps_plan *plan, const ps_spec_compress *c, uint64_t units)
{
    uint64_t left = 0;
    ps_status st = left_of(c, units, &left);
    if (!st)
        plan->units[plan->n_units] = (ps_plan_units){.layer = plan->n_units,
                                                     .units = units,
                                                     .left = left,
                                                     .named = row_of(c->prune)->single,
                                                     .moves = row_of(c->prune)->moves,
                                                     .input = PS_PLAN_NO_INPUT};
    plan->n_units += !st;
    return st;
}

static ps_status add_sets(ps_plan *plan, const ps_spec_compress *c, const ps_spec_model *m)
{
    const ps_prune_row *row = row_of(c->prune);
    size_t n = row->sets(m);
    ps_status st = PS_OK;
    plan->units = ps_alloc_array(n + 1, sizeof *plan->units);
    for (size_t i = 0; !st && i < n; i++)
        st = add_units(plan, c, row->count(m, i));
    return st;
}

/* The section with what is left, through its text: so that it is one that can be read. */
static ps_status make_section(ps_plan *plan, const ps_prune_row *row, const ps_spec_model *parent)
{
    ps_spec_model child = *parent;
    int64_t *layers = ps_alloc_array(parent->n_layers + 1, sizeof *layers);
    ps_buf text = PS_BUF_EMPTY;
    for (size_t i = 0; i < parent->n_layers; i++)
        layers[i] = parent->layers[i];
    child.layers = layers;
    row->shrink(plan, &child);
    ps_spec_model_format(&child, &text);
    plan->config = ps_strdup(ps_buf_cstr(&text));
    ps_status st = ps_spec_model_parse(ps_slice_str(plan->config), "the new model", &plan->model);
    ps_buf_free(&text);
    ps_free(&layers);
    return st;
}

static ps_status check_what(const ps_spec_prune *p, const ps_spec_model *m, const char *name)
{
    bool language = ps_spec_model_is_language(m);
    char allowed[96] = "";
    if (row_of(p)->language != language) {
        for (size_t i = 0; i < ROWS; i++)
            if (rows[i]->language == language)
                (void)snprintf(allowed + strlen(allowed), sizeof allowed - strlen(allowed), "%s%s",
                               *allowed ? ", " : "", ps_prune_what_words[i]);
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.prune.what: model %s, %s, has no %s; allowed: %s", name,
                       m->architecture, ps_prune_what_words[p->what], allowed);
    }
    const char *no = row_of(p)->no ? row_of(p)->no(m) : NULL;
    if (no)
        return ps_fail(PS_INVALID_ARGUMENT, "compress.prune.what: %s of model %s, %s: %s",
                       ps_prune_what_words[p->what], name, m->architecture, no);
    if (row_of(p)->sets(m) == 0)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.prune.what: model %s has no hidden layer to take rows from", name);
    return PS_OK;
}

ps_status ps_plan_prune(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parent *parent)
{
    const ps_spec_prune *p = spec->compress->prune;
    if (ps_spec_prune_is_zeros(p)) {
        ps_buf_printf(&plan->warnings,
                      "prune: %s: numbers become 0 and are stored and multiplied like any other: "
                      "the new model is neither smaller nor faster\n",
                      ps_prune_what_words[p->what]);
        return PS_OK;
    }
    ps_status st = check_what(p, parent->model, parent->name);
    if (!st)
        st = add_sets(plan, spec->compress, parent->model);
    if (st)
        return st;
    if (p->ratio > 0.5 && !spec->distil)
        ps_buf_puts(&plan->warnings,
                    "more than half of the units go: a repair alone will not make that good; train "
                    "the new model afterwards (distil)\n");
    return make_section(plan, row_of(p), parent->model);
}

/* ---- where they are ---- */

void ps_prune_add(ps_plan_tensor *tensor, size_t set, bool columns, ps_prune_place place)
{
    PS_REQUIRE(tensor->n_members < PS_PLAN_MEMBERS);
    tensor->members[tensor->n_members++] = (ps_plan_member){
        .units = set, .columns = columns, .begin = place.begin, .span = place.span};
}

void ps_prune_add_side(const ps_plan_part *part, ps_plan_tensor *tensor, size_t set,
                       ps_arch_side side, ps_prune_place place)
{
    for (uint32_t i = 0; i < part->n_dims; i++)
        if (part->sides[i] == side)
            ps_prune_add(tensor, set, part->n_dims == 2 && (i == 1) != part->transposed, place);
}

void ps_plan_axis(const ps_plan *plan, const ps_plan_tensor *tensor, bool columns, uint64_t *left,
                  uint64_t *all)
{
    *left = *all = 0;
    for (size_t i = 0; i < tensor->n_members; i++) {
        const ps_plan_member *m = &tensor->members[i];
        if (m->columns != columns)
            continue;
        *left += plan->units[m->units].left * m->span;
        *all += plan->units[m->units].units * m->span;
    }
}

static void say(const ps_plan *plan, ps_plan_tensor *t)
{
    char more[PS_PLAN_WHY];
    int n = 0;
    (void)snprintf(more, sizeof more, "%s", t->why);
    for (int columns = 0; columns < 2; columns++) {
        uint64_t left, all;
        ps_plan_axis(plan, t, columns, &left, &all);
        if (all)
            n += snprintf(t->why + n, sizeof t->why - (size_t)n, "%s%" PRIu64 " of %" PRIu64 " %s",
                          n ? ", " : "", left, all, columns ? "inputs" : "outputs");
    }
    if (*more && (size_t)n < sizeof t->why)
        (void)snprintf(t->why + n, sizeof t->why - (size_t)n, "; %.50s", more);
}

/* What has to be known of the inputs of a product, some of which go. */
static ps_method_needs needs_of(const ps_spec_prune *p)
{
    return p->repair == PS_PRUNE_REPAIR_SQUARES ? PS_METHOD_HESSIAN
           : p->by == PS_PRUNE_BY_ACTIVATION    ? PS_METHOD_SQUARES
                                                : PS_METHOD_NOTHING;
}

/* An embedding is no product; one that is the head as well is not repaired, for it would be another
 * embedding, but its input tells by how much the last norm changes. */
static ps_method_needs member_needs(const ps_spec_prune *p, const ps_plan_part *part)
{
    ps_method_needs needs = needs_of(p);
    if (part->role == PS_PLAN_MATRIX || part->role == PS_PLAN_HEAD)
        return needs;
    return part->tied && needs != PS_METHOD_NOTHING ? PS_METHOD_SQUARES : PS_METHOD_NOTHING;
}

static void set_zeros(ps_plan_tensor *t, const ps_spec_prune *p)
{
    uint64_t columns = ps_plan_from_columns(t);
    if (p->what == PS_PRUNE_2OF4 && columns % 4) {
        (void)snprintf(t->why, sizeof t->why, "rows of %" PRIu64 " are not whole fours", columns);
        return;
    }
    t->zeros = t->solves = true;
    t->needs = needs_of(p);
    static const char *const of[] = {"each row", "it", "all numbers"};
    (void)snprintf(t->why, sizeof t->why, "%g of %s become 0", p->ratio, of[p->over]);
    if (p->over == PS_PRUNE_OVER_TENSOR)
        t->n_zeros = (uint64_t)rint(p->ratio * (double)ps_model_form_numbers(&t->from));
}

void ps_plan_members(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parent *parent,
                     const ps_plan_parts *parts)
{
    const ps_spec_prune *p = spec->compress->prune;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        ps_plan_tensor *t = &plan->tensors[i];
        const ps_plan_part *part = ps_plan_part_find(parts, t->stored.name);
        if (part && part->role == PS_PLAN_MATRIX && ps_spec_prune_is_zeros(p))
            set_zeros(t, p);
        if (part && !ps_spec_prune_is_zeros(p))
            row_of(p)->members(plan, parent->model, part, t);
        for (size_t k = 0; k < t->n_members; k++)
            if (t->members[k].columns && member_needs(p, part) > t->needs)
                t->needs = member_needs(p, part);
        if (t->moves) {
            t->solves = true;
            (void)snprintf(t->why, sizeof t->why, "of a layer that stays");
        }
        if (!t->n_members)
            continue;
        t->solves = true;
        say(plan, t);
    }
}
