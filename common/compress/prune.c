/* Happy path: of each layer as many units go, so that one model section says it; then tensors say
 * where they have such units, and what is known of their inputs if the rest is to be repaired. */
#include "common/compress/parts.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { USUAL_BLOCK = 32, PARTS = 8 };

/* What a message calls a unit. */
static const char *unit_text(ps_prune_what what)
{
    static const char *const texts[] = {[PS_PRUNE_FFN] = "FFN units", [PS_PRUNE_ROWS] = "units"};
    PS_REQUIRE((size_t)what < sizeof texts / sizeof *texts);
    return texts[what];
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
    const char *what = unit_text((ps_prune_what)p->what);
    double gone = (double)units * p->ratio + 1e-6; /* 127.9999999 by the ratio's rounding is 128 */
    if (gone < 1)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.prune.ratio: %g of %" PRIu64 " %s is not one of them", p->ratio,
                       units, what);
    uint64_t multiple = multiple_of(units, gone, block_of(c->quantise));
    uint64_t stay = gone < (double)units ? units - (uint64_t)gone : 1;
    *left = (stay + multiple - 1) / multiple * multiple;
    PS_REQUIRE(*left && *left < units);
    return PS_OK;
}

static ps_status add_units(ps_plan *plan, const ps_spec_compress *c, uint64_t units)
{
    uint64_t left = 0;
    ps_status st = left_of(c, units, &left);
    if (!st)
        plan->units[plan->n_units] = (ps_plan_units){
            .layer = plan->n_units, .units = units, .left = left, .input = PS_PLAN_NO_INPUT};
    plan->n_units += !st;
    return st;
}

static ps_status add_layers(ps_plan *plan, const ps_spec_compress *c, const ps_spec_model *m)
{
    bool rows = c->prune->what == PS_PRUNE_ROWS;
    size_t n = rows ? m->n_layers - 2 : (size_t)m->num_layers;
    ps_status st = PS_OK;
    plan->units = ps_alloc_array(n + 1, sizeof *plan->units);
    for (size_t i = 0; !st && i < n; i++)
        st = add_units(plan, c, (uint64_t)(rows ? m->layers[i + 1] : m->intermediate_size));
    return st;
}

/* The section with what is left, through its text: so that it is one that can be read. */
static ps_status make_section(ps_plan *plan, const ps_spec_model *parent)
{
    ps_spec_model child = *parent;
    int64_t *layers = ps_alloc_array(parent->n_layers + 1, sizeof *layers);
    ps_buf text = PS_BUF_EMPTY;
    if (ps_spec_model_is_language(parent)) {
        child.intermediate_size = (int64_t)plan->units[0].left;
    } else {
        memcpy(layers, parent->layers, parent->n_layers * sizeof *layers);
        for (size_t i = 0; i < plan->n_units; i++)
            layers[i + 1] = (int64_t)plan->units[i].left;
        child.layers = layers;
    }
    ps_spec_model_format(&child, &text);
    plan->config = ps_strdup(ps_buf_cstr(&text));
    ps_status st = ps_spec_model_parse(ps_slice_str(plan->config), "the new model", &plan->model);
    ps_buf_free(&text);
    ps_free(&layers);
    return st;
}

static ps_status check_what(const ps_spec_prune *p, const ps_spec_model *m, const char *name)
{
    bool rows = p->what == PS_PRUNE_ROWS;
    if (rows == ps_spec_model_is_language(m))
        return ps_fail(
            PS_INVALID_ARGUMENT, "compress.prune.what: model %s, %s, has no %s; allowed: %s", name,
            m->architecture, ps_prune_what_words[p->what],
            rows ? ps_prune_what_words[PS_PRUNE_FFN] : ps_prune_what_words[PS_PRUNE_ROWS]);
    if (rows && m->n_layers < 3)
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
        st = add_layers(plan, spec->compress, parent->model);
    if (st)
        return st;
    if (p->ratio > 0.5)
        ps_buf_puts(&plan->warnings,
                    "more than half of the units go: a repair alone will not make that good; train "
                    "the new model afterwards (distil)\n");
    return make_section(plan, parent->model);
}

/* ---- where they are ---- */

static void add_member(ps_plan_tensor *t, size_t units, bool columns, uint64_t begin, uint64_t span)
{
    PS_REQUIRE(t->n_members < PS_PLAN_MEMBERS);
    t->members[t->n_members++] =
        (ps_plan_member){.units = units, .columns = columns, .begin = begin, .span = span};
}

static void find_members(const ps_plan *plan, ps_plan_tensor *t, const ps_plan_part *part,
                         ps_prune_what what)
{
    bool bias = part->role == PS_PLAN_BIAS;
    if (what == PS_PRUNE_FFN) {
        if (part->part == PS_PART_UP || part->part == PS_PART_GATE)
            add_member(t, part->layer, false, 0, 1);
        else if (part->part == PS_PART_DOWN && !bias)
            add_member(t, part->layer, true, 0, 1);
        return;
    }
    if (part->layer < plan->n_units)
        add_member(t, part->layer, false, 0, 1);
    if (part->layer > 0 && !bias)
        add_member(t, part->layer - 1, true, 0, 1);
}

static void say(const ps_plan *plan, ps_plan_tensor *t)
{
    char more[PS_PLAN_WHY];
    int n = 0;
    (void)snprintf(more, sizeof more, "%s", t->why);
    for (size_t i = 0; i < t->n_members; i++) {
        const ps_plan_units *u = &plan->units[t->members[i].units];
        n += snprintf(t->why + n, sizeof t->why - (size_t)n, "%s%" PRIu64 " of %" PRIu64 " %s",
                      i ? ", " : "", u->left, u->units,
                      t->members[i].columns ? "inputs" : "outputs");
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

static void set_zeros(ps_plan_tensor *t, const ps_spec_prune *p)
{
    uint64_t columns = ps_plan_from_columns(t);
    if (p->what == PS_PRUNE_2OF4 && columns % 4) {
        (void)snprintf(t->why, sizeof t->why, "rows of %" PRIu64 " are not whole fours", columns);
        return;
    }
    t->zeros = t->solves = true;
    t->needs = needs_of(p);
    (void)snprintf(t->why, sizeof t->why, "%g of each row become 0", p->ratio);
}

void ps_plan_members(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parts *parts)
{
    const ps_spec_prune *p = spec->compress->prune;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        ps_plan_tensor *t = &plan->tensors[i];
        const ps_plan_part *part = ps_plan_part_find(parts, t->stored.name);
        if (part && part->role == PS_PLAN_MATRIX && ps_spec_prune_is_zeros(p))
            set_zeros(t, p);
        if (part && !ps_spec_prune_is_zeros(p))
            find_members(plan, t, part, (ps_prune_what)p->what);
        for (size_t k = 0; k < t->n_members; k++)
            if (t->members[k].columns && needs_of(p) > t->needs)
                t->needs = needs_of(p);
        if (!t->n_members)
            continue;
        t->solves = true;
        say(plan, t);
    }
}
