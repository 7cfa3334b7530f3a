/* Happy path: what is left of the model is known, forms are chosen, inputs found and put into
 * windows, and all is added up. */
#include "common/compress/plan.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/compress/parts.h"
#include "common/form/factors.h"

#include <stdlib.h>

/* What was rounded once is not to be rounded again by mistake. */
static ps_status check_parent(const ps_job_spec *spec, const ps_plan_parent *parent)
{
    bool rounded = false;
    for (size_t i = 0; !rounded && i < parent->n; i++)
        rounded = parent->tensors[i].form.row != NULL;
    if (!rounded || spec->compress->requantise)
        return PS_OK;
    ps_buf forms = PS_BUF_EMPTY;
    ps_model_forms_list(parent->tensors, parent->n, &forms);
    ps_status st = ps_fail(PS_FAILED_PRECONDITION,
                           "model %s is compressed already (%s); name the model it was made of, or "
                           "say compress.requantise: true",
                           parent->name, ps_buf_cstr(&forms));
    ps_buf_free(&forms);
    return st;
}

/* Copies the parent's tensors, with what they are to the architecture. The form that a peer says
 * may be any. */
static ps_status copy_tensors(const ps_plan_parent *parent, const ps_plan_parts *parts,
                              ps_model_form *out)
{
    char text[PS_FORM_TEXT];
    for (size_t i = 0; i < parent->n; i++) {
        ps_model_form *t = &out[i];
        *t = parent->tensors[i];
        if (!t->form.row)
            continue;
        const ps_plan_part *part = ps_plan_part_find(parts, t->name);
        t->transposed = part && part->transposed;
        bool fits =
            t->n_dims == 2 && (t->form.rank ? ps_factors_fit(t->form.rank, t->shape[0], t->shape[1])
                                            : ps_form_divides(t->form, ps_model_form_columns(t)));
        if (!fits)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s of model %s cannot be in form %s",
                           t->name, parent->name, ps_form_text(t->form, text));
    }
    return PS_OK;
}

static ps_status make(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parent *parent,
                      const ps_plan_parts *parts, uint64_t sum_bytes)
{
    ps_status st = spec->compress->prune ? ps_plan_prune(plan, spec, parent) : PS_OK;
    if (!st)
        st = ps_plan_choose(plan, spec, parent, parts);
    if (!st && spec->compress->prune)
        ps_plan_members(plan, spec, parent, parts);
    if (!st && spec->compress->lowrank)
        st = ps_plan_lowrank(plan, spec, parts);
    if (!st)
        st = ps_plan_measures(plan, spec);
    if (!st)
        st = ps_plan_inputs(plan, spec, parent, parts, sum_bytes ? sum_bytes : PS_PLAN_SUM_BYTES);
    return st ? st : ps_plan_totals(plan, spec, parent);
}

ps_status ps_plan_new(const ps_job_spec *spec, const ps_plan_parent *parent, uint64_t sum_bytes,
                      ps_plan **out)
{
    PS_REQUIRE(spec->compress);
    ps_status st = check_parent(spec, parent);
    if (st)
        return st;
    ps_plan *plan = ps_new(ps_plan);
    ps_plan_parts parts;
    ps_plan_parts_of(parent->model, &parts);
    plan->tensors = ps_alloc_array(parent->n + 1, sizeof *plan->tensors);
    ps_model_form *tensors = ps_alloc_array(parent->n + 1, sizeof *tensors);
    st = copy_tensors(parent, &parts, tensors);
    if (!st) {
        ps_plan_parent known = *parent;
        known.tensors = tensors;
        st = make(plan, spec, &known, &parts, sum_bytes);
    }
    ps_free(&tensors);
    ps_plan_parts_free(&parts);
    if (st)
        ps_plan_free(&plan);
    else
        *out = plan;
    return st;
}

void ps_plan_free(ps_plan **plan)
{
    ps_plan *p = *plan;
    if (!p)
        return;
    for (size_t i = 0; i < p->n_tensors; i++) {
        union {
            const char *kept;
            void *mine;
        } name = {.kept = p->tensors[i].stored.name};
        free(name.mine);
    }
    ps_free(&p->tensors);
    ps_free(&p->chosen);
    ps_free(&p->inputs);
    ps_free(&p->windows);
    ps_free(&p->units);
    ps_free(&p->config);
    if (p->model)
        ps_spec_model_free(&p->model);
    ps_buf_free(&p->warnings);
    ps_free(plan);
}

size_t ps_plan_window_layer(const ps_plan *plan, const ps_plan_window *window)
{
    PS_REQUIRE(window->first < window->end && window->end <= plan->n_inputs);
    return plan->inputs[window->end - 1].layer;
}
