/* Happy path: each tensor is a part of its architecture, which says whether it becomes codes; its
 * rows are whole blocks of the form. What `keep` names stays, whatever it is. */
#include "common/compress/parts.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name, or what it is the weight or the bias of. */
static bool names(const char *pattern, const char *name)
{
    static const char *const ends[] = {".weight", ".bias"};
    size_t len = strlen(name);
    if (ps_text_fits(pattern, name, len))
        return true;
    for (size_t i = 0; i < 2; i++) {
        size_t end = strlen(ends[i]);
        if (len > end && !strcmp(name + len - end, ends[i]))
            return ps_text_fits(pattern, name, len - end);
    }
    return false;
}

const char *ps_plan_kept_by(const ps_spec_quantise *quantise, const char *name)
{
    const ps_spec_quantise *q = quantise;
    for (size_t i = 0; i < q->n_keep; i++)
        if (names(q->keep[i], name))
            return q->keep[i];
    return NULL;
}

/* A pattern that names nothing is a slip that nobody would see. */
static ps_status check_keep(const ps_spec_quantise *q, const ps_plan_parent *parent)
{
    for (size_t i = 0; i < q->n_keep; i++) {
        bool any = false;
        for (size_t k = 0; !any && k < parent->n; k++)
            any = names(q->keep[i], parent->tensors[k].name);
        if (!any)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "compress.quantise.keep: '%s' names no tensor of model %s", q->keep[i],
                           parent->name);
    }
    return PS_OK;
}

/* Of embeddings and head. */
static ps_form embedding_form(const ps_spec_quantise *q)
{
    const ps_form scheme = ps_spec_quantise_form(q);
    if (!strcmp(q->embeddings, "usual")) {
        if (scheme.row->bits >= 8)
            return scheme;
        const ps_form_row *row = ps_form_find(scheme.row->ggml >= 0 ? "q8_0" : "int8");
        return (ps_form){.row = row, .group = row->group};
    }
    const ps_form_row *row = ps_form_find(q->embeddings);
    bool grouped = row->group == 0 && row->bits < 8 && !row->plain;
    return (ps_form){.row = row, .group = grouped ? 128 : row->group};
}

static void keep(ps_plan_tensor *t, const char *why, const char *pattern)
{
    t->stored.form = (ps_form){0};
    t->stored.transposed = false;
    (void)snprintf(t->why, sizeof t->why, "%s%s", why, pattern);
}

static ps_status no_form(const ps_plan_tensor *t, ps_form asked)
{
    uint64_t columns = ps_model_form_columns(&t->stored);
    const char *other = "float16";
    for (size_t i = 0; ps_form_rows[i]; i++) {
        const ps_form form = {.row = ps_form_rows[i], .group = ps_form_rows[i]->group};
        if (!form.row->plain && form.row->zero == asked.row->zero && form.row->ggml < 0 &&
            ps_form_divides(form, columns)) {
            other = form.row->name;
            break;
        }
    }
    return ps_fail(PS_INVALID_ARGUMENT,
                   "tensor %s: rows of %" PRIu64 " numbers are no whole bytes in %s, in groups of "
                   "no size; %s would do, or keep the tensor (compress.quantise.keep)",
                   t->stored.name, columns, asked.row->name, other);
}

/* It becomes a form: as asked, or what takes its place. */
static ps_status set_form(ps_plan_tensor *t, ps_form asked, const char *role)
{
    char why[PS_PLAN_WHY];
    ps_form form;
    if (!strcmp(asked.row->name, "float32")) {
        keep(t, role, "");
        t->method = NULL;
        return PS_OK;
    }
    if (!ps_plan_form(asked, ps_model_form_columns(&t->stored), &form, why))
        return no_form(t, asked);
    t->stored.form = form;
    t->fell_back = why[0] != '\0';
    t->matrix = t->matrix && !t->fell_back && form.group == 0 && !form.row->plain;
    (void)snprintf(t->why, sizeof t->why, "%s%s%.90s", role, *role && *why ? "; " : "", why);
    return PS_OK;
}

/* "rows of 96 are not whole groups of 64; one of int2/32, int4/32" */
static void say_choices(ps_plan_tensor *t, const char *fallback)
{
    char text[PS_FORM_TEXT];
    ps_buf all = PS_BUF_EMPTY;
    ps_buf_printf(&all, "%s%sone of ", fallback, *fallback ? "; " : "");
    for (size_t i = 0; i < t->n_choices; i++)
        ps_buf_printf(&all, "%s%s", i ? ", " : "", ps_form_text(t->choices[i], text));
    (void)snprintf(t->why, sizeof t->why, "%.*s", (int)all.len, (const char *)all.data);
    ps_buf_free(&all);
}

/* Forms that the data will choose from; as long as they have not, the largest. */
static ps_status set_choices(ps_plan_tensor *t, const ps_spec_quantise *q)
{
    uint64_t columns = ps_model_form_columns(&t->stored), largest = 0;
    char fallback[PS_PLAN_WHY] = "";
    for (size_t i = 0; i < q->n_scheme; i++) {
        char why[PS_PLAN_WHY];
        ps_form form;
        bool again = false;
        if (!ps_plan_form(ps_spec_quantise_choice(q, i), columns, &form, why))
            return no_form(t, ps_spec_quantise_choice(q, i));
        for (size_t k = 0; k < t->n_choices; k++)
            again |= ps_form_same(t->choices[k], form);
        if (again)
            continue;
        t->choices[t->n_choices++] = form;
        t->fell_back |= why[0] != '\0';
        if (why[0])
            memcpy(fallback, why, sizeof why);
        if (ps_form_row_bytes(form, columns) > largest) {
            largest = ps_form_row_bytes(form, columns);
            t->stored.form = form;
        }
    }
    say_choices(t, fallback);
    return PS_OK;
}

/* What llama.cpp has in a file of this kind. */
static void set_mix(ps_plan_tensor *t, const ps_plan_part *part, const ps_mix *mix,
                    const ps_spec_model *model, const char *role)
{
    const ps_form base = ps_mix_base(mix);
    const ps_mix_tensor tensor = {.part = part->part,
                                  .n_dims = t->stored.n_dims,
                                  .columns = ps_model_form_columns(&t->stored),
                                  .layer = part->layer,
                                  .layers = (uint64_t)model->num_layers,
                                  .heads = model->num_heads,
                                  .kv_heads = model->num_kv_heads,
                                  .head = part->tied || part->role == PS_PLAN_HEAD,
                                  .importance = t->method->needs != PS_METHOD_NOTHING};
    t->stored.form = ps_mix_form(mix, &tensor);
    t->fell_back = !ps_form_divides(base, tensor.columns);
    if (t->fell_back)
        (void)snprintf(t->why, sizeof t->why, "%s%srows of %" PRIu64 " are not whole blocks of %s",
                       role, *role ? "; " : "", tensor.columns, base.row->name);
    else if (*role || !ps_form_same(t->stored.form, base))
        (void)snprintf(t->why, sizeof t->why, "%s%s%s", role, *role ? "; " : "", ps_mix_name(mix));
}

static ps_status choose(ps_plan_tensor *t, const ps_plan_part *part, const ps_spec_quantise *q,
                        const ps_spec_model *model)
{
    static const char *const stay[] = {[PS_PLAN_NORM] = "norm",
                                       [PS_PLAN_BIAS] = "bias",
                                       [PS_PLAN_POSITIONS] = "positions",
                                       [PS_PLAN_OTHER] = "no part of the architecture"};
    ps_plan_role role = part ? part->role : PS_PLAN_OTHER;
    const char *pattern = ps_plan_kept_by(q, t->stored.name);
    t->stored.form = (ps_form){0};
    t->stored.transposed = false;
    if (role >= PS_PLAN_NORM || pattern) {
        keep(t, pattern ? "kept: " : stay[role], pattern ? pattern : "");
        return PS_OK;
    }
    t->stored.transposed = part->transposed;
    t->method = ps_method_row_find(role == PS_PLAN_MATRIX ? q->method : "round");
    t->matrix = role == PS_PLAN_MATRIX && q->group == PS_GROUP_MATRIX;
    if (role == PS_PLAN_MATRIX && q->target)
        return set_choices(t, q);
    const ps_mix *mix = ps_spec_quantise_mix(q);
    const char *word = role == PS_PLAN_MATRIX      ? ""
                       : part->tied                ? "embedding and head"
                       : role == PS_PLAN_EMBEDDING ? "embedding"
                                                   : "head";
    if (mix && (role == PS_PLAN_MATRIX || !strcmp(q->embeddings, "usual"))) {
        set_mix(t, part, mix, model, word);
        return PS_OK;
    }
    return set_form(t, role == PS_PLAN_MATRIX ? ps_spec_quantise_form(q) : embedding_form(q), word);
}

/* Codes of a plain form are not chosen: it is the same by every method. */
static void settle_method(ps_plan_tensor *t)
{
    if (t->method && t->stored.form.row->plain && !t->n_choices)
        t->method = ps_method_row_find("round");
}

/* Until it is chosen from, a tensor's input is summed for that, too. */
static ps_method_needs needs_of(const ps_plan_tensor *t, const ps_spec_compress *c)
{
    ps_method_needs needs = t->method ? t->method->needs : PS_METHOD_NOTHING;
    bool looks = t->n_choices && ps_spec_compress_saliency(c) == PS_SALIENCY_ACTIVATIONS;
    return looks && needs == PS_METHOD_NOTHING ? PS_METHOD_SQUARES : needs;
}

/* Those of one input get the same choice: loaders that fuse them want it. */
typedef struct tied {
    size_t layer, n_choices, tensor;
    unsigned input;
} tied;

static int by_input(const void *a, const void *b)
{
    const tied *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    if (x->input != y->input)
        return x->input < y->input ? -1 : 1;
    return x->n_choices < y->n_choices ? -1 : x->n_choices > y->n_choices;
}

static int by_input_and_tensor(const void *a, const void *b)
{
    const tied *x = a, *y = b;
    int order = by_input(a, b);
    return order ? order : x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

static void tie_all(ps_plan *plan, const ps_plan_parts *parts)
{
    tied *list = ps_alloc_array(plan->n_tensors + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        ps_plan_tensor *t = &plan->tensors[i];
        const ps_plan_part *part = ps_plan_part_find(parts, t->stored.name);
        t->tie = i;
        if (t->n_choices)
            list[n++] = (tied){
                .layer = part->layer, .input = part->input, .n_choices = t->n_choices, .tensor = i};
    }
    qsort(list, n, sizeof *list, by_input_and_tensor);
    for (size_t i = 1; i < n; i++)
        if (by_input(&list[i], &list[i - 1]) == 0)
            plan->tensors[list[i].tensor].tie = plan->tensors[list[i - 1].tensor].tie;
    ps_free(&list);
}

static ps_status check_shape(const ps_model_form *t, const ps_plan_part *part)
{
    bool same = t->n_dims == part->n_dims && t->shape[0] == part->shape[0] &&
                (t->n_dims < 2 || t->shape[1] == part->shape[1]);
    return same ? PS_OK
                : ps_fail(PS_INVALID_ARGUMENT,
                          "tensor %s has not the shape that its architecture gives it", t->name);
}

/* Where there are child's parts, shapes are theirs. */
static ps_status choose_one(ps_plan_tensor *t, const ps_plan_part *part, const ps_plan_parts *child,
                            const ps_spec_quantise *q, const ps_spec_model *model)
{
    ps_status st = PS_OK;
    t->from = t->stored;
    t->from.transposed = part && part->transposed;
    t->stored.form = (ps_form){0};
    t->stored.transposed = false;
    const ps_plan_part *is = part && child ? ps_plan_part_find(child, t->stored.name) : NULL;
    if (is)
        memcpy(t->stored.shape, is->shape, t->stored.n_dims * sizeof *is->shape);
    if (q)
        st = choose(t, part, q, model);
    if (st)
        return st;
    settle_method(t);
    t->solves = t->stored.form.row || t->from.form.row; /* what is codes becomes others, or none */
    t->bytes = ps_model_form_bytes(&t->stored);
    return PS_OK;
}

ps_status ps_plan_choose(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parent *parent,
                         const ps_plan_parts *parts)
{
    const ps_spec_quantise *q = spec->compress->quantise;
    ps_plan_parts child = {0};
    if (plan->model)
        ps_plan_parts_of(plan->model, &child);
    ps_status st = q ? check_keep(q, parent) : PS_OK;
    for (size_t i = 0; !st && i < parent->n; i++) {
        ps_plan_tensor *t = &plan->tensors[plan->n_tensors];
        const ps_plan_part *part = ps_plan_part_find(parts, parent->tensors[i].name);
        if (part && plan->model && !ps_plan_part_find(&child, part->name))
            continue; /* of a layer that the new model does not have */
        t->stored = parent->tensors[i];
        t->stored.name = ps_strdup(parent->tensors[i].name);
        plan->n_tensors++;
        t->input = t->folds = t->feeds = PS_PLAN_NO_INPUT;
        if (part)
            st = check_shape(&t->stored, part);
        if (!st)
            st = choose_one(t, part, plan->model ? &child : NULL, q, parent->model);
        if (st)
            break;
        t->needs = needs_of(t, spec->compress);
        t->room = t->bytes;
    }
    if (!st)
        tie_all(plan, parts);
    ps_plan_parts_free(&child);
    return st;
}
