/* Happy path: all products of an input are solved by a method that has factors, and what makes the
 * input gives as much of it as it is multiplied with: so it is divided, and nothing is left to do
 * when the model runs. Cannot fail: where it is not so, `why` of the products says what is in the
 * way. */
#include "common/compress/parts.h"

#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <stdio.h>
#include <string.h>

typedef struct folding {
    ps_plan *plan;
    const ps_spec_quantise *quantise;
    const ps_spec_model *model;
    const ps_plan_part **parts; /* [plan->n_tensors]; NULL: none of the architecture's */
    uint64_t sum_bytes;
} folding;

/* What makes an input: tensors of that part and layer, their rows from `from` on. */
typedef struct maker {
    ps_arch_part part;
    size_t layer;
    uint64_t from, span, repeat;
    const char *no; /* nothing does, because */
} maker;

static void say(ps_plan_tensor *t, const char *text, const char *more)
{
    size_t len = strlen(t->why);
    (void)snprintf(t->why + len, sizeof t->why - len, "%s%s%s", len ? "; " : "", text, more);
}

/* Several heads of queries look at one of values. */
static maker values(const ps_spec_model *m)
{
    bool apart = ps_arch_has(ps_arch_find(m->architecture), PS_PART_V);
    uint64_t heads = (uint64_t)m->num_heads, pairs = (uint64_t)m->num_kv_heads;
    return (maker){.part = apart ? PS_PART_V : PS_PART_QKV,
                   .span = (uint64_t)m->head_dim,
                   .repeat = heads / pairs};
}

static maker of_block(const ps_spec_model *m, const ps_plan_part *product)
{
    const ps_arch *arch = ps_arch_find(m->architecture);
    bool gated = ps_arch_has(arch, PS_PART_GATE);
    const char *no = arch->traits.gains_less_one ? "the gain that makes it is stored less 1" : NULL;
    switch (product->part) {
    case PS_PART_O:
        return values(m);
    case PS_PART_DOWN: /* act(gate) · up */
        return gated ? (maker){.part = PS_PART_UP, .span = 1, .repeat = 1}
                     : (maker){.no = ps_arch_act_of(arch, &m->choices) == PS_ACT_RELU
                                         ? "ReLU makes it"
                                         : "GELU makes it"};
    case PS_PART_GATE:
    case PS_PART_UP:
        return (maker){.part = PS_PART_NORM_MLP, .span = 1, .repeat = 1, .no = no};
    default:
        return (maker){.part = PS_PART_NORM_ATTENTION, .span = 1, .repeat = 1, .no = no};
    }
}

static maker of_layer(const ps_spec_model *m, const ps_plan_part *product)
{
    static const char *const no[] = {
        [PS_SPEC_RELU] = NULL, [PS_SPEC_GELU] = "GELU makes it", [PS_SPEC_TANH] = "tanh makes it"};
    if (product->layer == 0)
        return (maker){.no = "it is the data"};
    return (maker){.layer = product->layer - 1, .span = 1, .repeat = 1, .no = no[m->activation]};
}

static bool makes(const folding *f, const maker *m, size_t tensor)
{
    const ps_plan_part *part = f->parts[tensor];
    return part && part->layer == m->layer && part->part == m->part;
}

/* The last rows of a weight make the input, and so do those of its bias. */
static maker find_maker(const folding *f, const ps_plan_part *product, uint64_t columns)
{
    bool language = ps_spec_model_is_language(f->model);
    maker m = language ? of_block(f->model, product) : of_layer(f->model, product);
    if (language)
        m.layer = product->layer;
    for (size_t i = 0; !m.no && i < f->plan->n_tensors; i++) {
        const ps_plan_tensor *t = &f->plan->tensors[i];
        if (!makes(f, &m, i) || f->parts[i]->role == PS_PLAN_BIAS)
            continue;
        uint64_t rows = ps_plan_from_rows(t), made = columns / m.repeat;
        PS_REQUIRE(rows >= made);
        m.from = rows - made;
    }
    return m;
}

/* What is in the way of folding into what makes input i, or NULL. */
static const char *maker_no(const folding *f, const maker *m, size_t input, bool *with_last)
{
    *with_last = false;
    for (size_t i = 0; i < f->plan->n_tensors; i++) {
        const ps_plan_tensor *t = &f->plan->tensors[i];
        if (!makes(f, m, i))
            continue;
        if (ps_plan_kept_by(f->quantise, t->stored.name))
            return "what makes it is kept";
        if (t->matrix)
            return "what makes it has one scale";
        if (t->n_members)
            return "what makes it loses units";
        if (t->input == PS_PLAN_NO_INPUT)
            continue;
        PS_REQUIRE(t->input + 1 == input);
        *with_last = true;
    }
    return NULL;
}

/* All that is multiplied with it has its factors, or none has. */
static bool all_scale(const folding *f, const ps_plan_part *product, size_t input)
{
    for (size_t i = 0; i < f->plan->n_tensors; i++) {
        const ps_plan_part *part = f->parts[i];
        const ps_plan_tensor *t = &f->plan->tensors[i];
        if (part && part->role == PS_PLAN_MATRIX && part->layer == product->layer &&
            part->input == product->input &&
            (t->input != input || t->n_members || !t->method || !t->method->scales))
            return false;
    }
    return true;
}

/* Do the sums of this input and of those that it must be with fit into a window? */
static bool fit(const folding *f, size_t input)
{
    uint64_t numbers = f->plan->inputs[input].numbers;
    for (size_t i = input; i--;) {
        numbers += f->plan->inputs[i].numbers;
        if (!f->plan->inputs[i].with_last)
            break;
    }
    return ps_plan_bytes_of(f->plan, numbers) <= f->sum_bytes;
}

static void fold_into(folding *f, const maker *m, size_t input)
{
    for (size_t i = 0; i < f->plan->n_tensors; i++) {
        ps_plan_tensor *t = &f->plan->tensors[i];
        if (!makes(f, m, i))
            continue;
        t->solves = true;
        t->folds = input;
        t->folds_from = m->from;
        say(t, "divided by the factors of what follows", "");
    }
}

static void fold_input(folding *f, size_t input)
{
    ps_plan_input *in = &f->plan->inputs[input];
    const ps_plan_part *product = NULL;
    bool scales = false, with_last = false;
    for (size_t i = 0; i < f->plan->n_tensors; i++)
        if (f->plan->tensors[i].input == input) {
            product = f->parts[i];
            scales |= f->plan->tensors[i].method && f->plan->tensors[i].method->scales;
        }
    if (!scales)
        return;
    maker m = find_maker(f, product, in->columns);
    const char *no = m.no;
    if (!no && !all_scale(f, product, input))
        no = "not all that it goes into has them";
    if (!no)
        no = maker_no(f, &m, input, &with_last);
    if (!no && with_last && !fit(f, input))
        no = "psd has no room for sums of both";
    for (size_t i = 0; no && i < f->plan->n_tensors; i++)
        if (f->plan->tensors[i].input == input)
            say(&f->plan->tensors[i], "no factors for its input: ", no);
    if (no)
        return;
    in->factors = true;
    in->with_last = with_last;
    in->span = m.span;
    in->repeat = m.repeat;
    fold_into(f, &m, input);
}

void ps_plan_fold(ps_plan *plan, const ps_spec_quantise *quantise, const ps_plan_parent *parent,
                  const ps_plan_parts *parts, uint64_t sum_bytes)
{
    folding f = {
        .plan = plan, .quantise = quantise, .model = parent->model, .sum_bytes = sum_bytes};
    f.parts = ps_alloc_array(plan->n_tensors + 1, sizeof *f.parts);
    for (size_t i = 0; i < plan->n_tensors; i++)
        f.parts[i] = ps_plan_part_find(parts, plan->tensors[i].stored.name);
    for (size_t i = 0; i < plan->n_inputs; i++)
        fold_input(&f, i);
    ps_free(&f.parts);
}
