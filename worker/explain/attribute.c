/* Happy path: the method takes the items as any others, into a part of its own, whose `values` are
 * handed on. */
#include "worker/explain/attribute.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/explain/features.h"

#include <string.h>

/* values[n, features] of groups, each divided by the features of its group. */
static ps_status share_out(const ps_explaining *x, const ps_spec_explain_method *spec,
                           const ps_explain_items *items, double *values)
{
    size_t features = ps_explain_features(x, items);
    ps_explain_groups groups;
    ps_status st = ps_explain_groups_make(&spec->features, features, x->language, &groups);
    if (st)
        return st;
    size_t *sizes = ps_try_alloc(groups.n * sizeof *sizes);
    for (size_t f = 0; sizes && f < features; f++)
        sizes[groups.of[f]]++;
    for (size_t i = 0; sizes && i < items->n * features; i++)
        values[i] /= (double)sizes[groups.of[i % features]];
    if (!sizes)
        st = ps_fail(PS_NO_MEMORY, "sizes of %zu groups", groups.n);
    ps_free(&sizes);
    ps_explain_groups_free(&groups);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec,
                     const ps_explain_items *items, ps_explain_part *out)
{
    const ps_explain_method *method = ps_explain_method_find(spec->method);
    void *state = NULL;
    PS_REQUIRE(method);
    ps_status st = method->prepare ? method->prepare(x, spec, &state) : PS_OK;
    if (!st)
        st = method->run(x, spec, state, items, out);
    if (state && method->free)
        method->free(state);
    else
        ps_free(&state);
    return st;
}

static void hand_on(const ps_explaining *x, const ps_explain_items *items,
                    const ps_explain_part *part, double *values)
{
    const ps_explain_array *a = ps_explain_get(part, "values");
    size_t n = items->n * ps_explain_features(x, items);
    PS_REQUIRE(a && a->floats && ps_explain_array_count(a) == n); /* what an attribution leaves */
    for (size_t i = 0; i < n; i++)
        values[i] = (double)a->floats[i];
}

ps_status ps_explain_attribute(ps_explaining *x, const ps_spec_explain_method *spec,
                               const ps_explain_items *items, bool shared, double *values)
{
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    size_t asking = x->method, of = 0;
    PS_REQUIRE(ps_spec_explain_of(x->spec, spec, &of) && x->pass == 0);
    const ps_spec_explain_method *its = ps_spec_explain_at(x->spec, of);
    x->method = of; /* whose streams it draws from */
    ps_status st = run(x, its, items, &part);
    x->method = asking;
    if (!st)
        hand_on(x, items, &part, values);
    if (!st && shared && its->features.n_grid)
        st = share_out(x, its, items, values);
    ps_explain_part_free(&part);
    return st ? ps_wrap(st, "of %s", its->method) : PS_OK;
}

/* ---- other points ---- */

ps_status ps_explain_move(ps_explaining *x, const ps_explain_items *items, const float *points,
                          ps_explain_moved *out)
{
    size_t outputs = (size_t)x->outputs;
    *out = (ps_explain_moved){.items = *items,
                              .logits = ps_try_alloc_raw(items->n * outputs * sizeof(float)),
                              .scores = ps_try_alloc_raw(items->n * sizeof(double))};
    ps_model_point *at = ps_try_alloc_raw(items->n * sizeof *at);
    ps_status st =
        out->logits && out->scores && at ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu rows", items->n);
    for (size_t i = 0; !st && i < items->n; i++)
        at[i] = (ps_model_point){.row = (int64_t)i, .position = items->length - 1};
    const ps_model_batch batch = {.rows = (int64_t)items->n,
                                  .length = items->length,
                                  .features = x->language ? NULL : points,
                                  .embeddings = x->language ? points : NULL};
    if (!st)
        st = ps_model_forward(x->model, &batch, NULL);
    if (!st)
        st = ps_model_outputs_at(x->model, at, items->n, out->logits);
    for (size_t i = 0; !st && i < items->n; i++)
        out->scores[i] =
            ps_explain_score_of(&items->goals[i], out->logits + i * outputs, x->outputs);
    x->evaluations += items->n;
    out->items.points = points;
    out->items.features = x->language ? NULL : points;
    out->items.logits = out->logits;
    out->items.scores = out->scores;
    ps_free(&at);
    return st;
}

void ps_explain_moved_free(ps_explain_moved *moved)
{
    ps_free(&moved->logits);
    ps_free(&moved->scores);
}
