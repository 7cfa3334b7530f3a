/* Happy path: the target leaves room for the smallest of all choices; of each group of tied tensors
 * bytes and losses are added up, and the knapsack is filled. Sizes are those of the file with the
 * longest header that its forms can make: so the file is never larger than was asked for. */
#include "common/compress/allocate.h"
#include "common/compress/parts.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { ALIGN = 8 };

static uint64_t bytes_in(const ps_plan_tensor *t, size_t choice)
{
    return ps_model_form_rows(&t->stored) *
           ps_form_row_bytes(t->choices[choice], ps_model_form_columns(&t->stored));
}

static uint64_t least_of(const ps_plan_tensor *t)
{
    uint64_t least = t->bytes;
    for (size_t i = 0; i < t->n_choices; i++)
        if (bytes_in(t, i) < least)
            least = bytes_in(t, i);
    return least;
}

/* How much longer the header may be than with the largest forms, whose rows take the most digits.
 */
static uint64_t longer_names(const ps_plan *plan)
{
    char text[PS_FORM_TEXT];
    uint64_t sum = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        size_t is = t->n_choices ? strlen(ps_form_text(t->stored.form, text)) : 0, most = is;
        for (size_t k = 0; k < t->n_choices; k++) {
            size_t len = strlen(ps_form_text(t->choices[k], text));
            most = len > most ? len : most;
        }
        sum += most - is;
    }
    return sum;
}

/* Numbers and bytes of the tensors that have choices. */
static void count(const ps_plan *plan, uint64_t *numbers, uint64_t *bytes)
{
    *numbers = *bytes = 0;
    for (size_t i = 0; i < plan->n_tensors; i++)
        if (plan->tensors[i].n_choices) {
            *numbers += ps_model_form_numbers(&plan->tensors[i].stored);
            *bytes += plan->tensors[i].bytes;
        }
}

static ps_status check_room(ps_plan *plan, uint64_t numbers, uint64_t fixed, uint64_t rest)
{
    const ps_plan_target *t = &plan->target;
    if (t->bytes < t->least)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.quantise.target: these forms make at least %" PRIu64
                       " bytes, %.4g bits a number, and the target is %" PRIu64 ", %.4g bits",
                       t->least + rest, 8 * (double)(t->least - fixed) / (double)numbers,
                       t->bytes + rest,
                       t->bytes > fixed ? 8 * (double)(t->bytes - fixed) / (double)numbers : 0);
    if ((double)plan->data < 0.99 * (double)t->bytes)
        ps_buf_printf(&plan->warnings,
                      "the target is more than the largest of these forms take: %" PRIu64
                      " bytes of %" PRIu64 "\n",
                      plan->data + rest, t->bytes + rest);
    return PS_OK;
}

ps_status ps_plan_find_target(ps_plan *plan, const ps_spec_quantise *q)
{
    ps_plan_target *t = &plan->target;
    uint64_t numbers, bytes;
    if (!t->asked)
        return PS_OK;
    count(plan, &numbers, &bytes);
    if (!numbers)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "compress.quantise.target: no tensor is left to choose a form for");
    uint64_t fixed = plan->data - bytes, rest = 0;
    for (size_t i = 0; i < plan->n_tensors; i++)
        t->least += least_of(&plan->tensors[i]);
    t->by_loss = *q->target->loss != '\0';
    if (t->by_loss)
        t->loss = ps_spec_target_loss(q->target, &t->share);
    else if (q->target->bits > 0)
        t->bytes = fixed + (uint64_t)(q->target->bits * (double)numbers / 8);
    else if (plan->file_bytes) {
        rest = plan->file_bytes - plan->data + longer_names(plan) + ALIGN;
        t->bytes = q->target->size > rest ? q->target->size - rest : 0;
    }
    if (t->by_loss || (q->target->size && !plan->file_bytes))
        return PS_OK;
    return check_room(plan, numbers, fixed, rest);
}

/* ---- what the data choose ---- */

typedef struct room {
    ps_choice (*choices)[PS_SPEC_SCHEMES]; /* of the items, [plan->n_tensors] */
    ps_item *items;
    size_t *item_of; /* of each tensor; SIZE_MAX: it has no choices */
    size_t *chosen, n;
    double fixed; /* bytes of what has none */
} room;

static void add_tensor(const ps_plan *plan, size_t i, const double *losses, room *r)
{
    const ps_plan_tensor *t = &plan->tensors[i];
    r->item_of[i] = SIZE_MAX;
    if (!t->n_choices) {
        r->fixed += (double)t->bytes;
        return;
    }
    PS_REQUIRE(losses && t->tie <= i);
    if (t->tie == i) {
        r->items[r->n] = (ps_item){.choices = r->choices[r->n], .count = t->n_choices};
        r->n++;
    }
    r->item_of[i] = t->tie == i ? r->n - 1 : r->item_of[t->tie];
    ps_choice *c = r->choices[r->item_of[i]];
    for (size_t k = 0; k < t->n_choices; k++) {
        double bytes = (double)bytes_in(t, k);
        PS_REQUIRE(isfinite(losses[k]) && losses[k] >= 0);
        c[k].cost += plan->target.by_loss ? losses[k] : bytes;
        c[k].loss += plan->target.by_loss ? bytes : losses[k];
    }
}

static double most_of(const ps_plan *plan, double parent_loss, double fixed)
{
    const ps_plan_target *t = &plan->target;
    if (!t->by_loss)
        return (double)t->bytes - fixed;
    return t->share ? t->loss * parent_loss : t->loss;
}

static ps_status fill_target(const ps_plan *plan, const double *const *losses, double parent_loss,
                             uint32_t *chosen)
{
    size_t n = plan->n_tensors + 1;
    room r = {.choices = ps_alloc_array(n, sizeof *r.choices),
              .items = ps_alloc_array(n, sizeof *r.items),
              .item_of = ps_alloc_array(n, sizeof *r.item_of),
              .chosen = ps_alloc_array(n, sizeof *r.chosen)};
    ps_allocation found;
    for (size_t i = 0; i < plan->n_tensors; i++)
        add_tensor(plan, i, losses[i], &r);
    ps_status st = ps_allocate(r.items, r.n, most_of(plan, parent_loss, r.fixed), r.chosen, &found);
    if (st && plan->target.by_loss)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "compress.quantise.target.loss: the largest of these forms are predicted to "
                     "add more to the loss");
    for (size_t i = 0; !st && i < plan->n_tensors; i++)
        chosen[i] = r.item_of[i] == SIZE_MAX ? 0 : (uint32_t)r.chosen[r.item_of[i]];
    ps_free(&r.choices);
    ps_free(&r.items);
    ps_free(&r.item_of);
    ps_free(&r.chosen);
    return st;
}

ps_status ps_plan_allocate(const ps_plan *plan, const double *const *measured, double parent_loss,
                           uint32_t *chosen)
{
    PS_REQUIRE(plan->measures);
    return plan->target.asked ? fill_target(plan, measured, parent_loss, chosen)
                              : ps_plan_share_zeros(plan, measured, chosen);
}

/* The largest that may be chosen of it. */
static uint64_t most_of_choice(const ps_plan_tensor *t)
{
    if (t->n_choices)
        return t->n_choices - 1;
    return t->n_measures ? ps_model_form_numbers(&t->from) : 0;
}

ps_status ps_plan_settle(ps_plan *plan, const uint32_t *chosen, size_t n)
{
    PS_REQUIRE(!plan->chosen);
    bool ours = n == plan->n_tensors && plan->measures;
    for (size_t i = 0; ours && i < n; i++)
        ours = chosen[i] <= most_of_choice(&plan->tensors[i]);
    if (!ours)
        return ps_fail(PS_INVALID_ARGUMENT, "choices of other tensors than the plan has");
    plan->data = 0;
    plan->chosen = ps_alloc_array(n + 1, sizeof *plan->chosen);
    for (size_t i = 0; i < n; i++) {
        ps_plan_tensor *t = &plan->tensors[i];
        plan->chosen[i] = chosen[i];
        if (t->n_choices) {
            t->stored.form = t->choices[chosen[i]];
            t->bytes = ps_model_form_bytes(&t->stored);
            if (t->stored.form.row->plain && !t->method->scales) /* whose input has factors */
                t->method = ps_method_row_find("round");
        } else if (t->n_measures) {
            t->n_zeros = chosen[i];
        }
        plan->data += t->bytes;
    }
    return ps_plan_file_bytes(plan);
}
