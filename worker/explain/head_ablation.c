/* head_ablation: what the score loses when what one head gives is replaced, everywhere in the row
 * (Michel et al. 2019), `replace`:
 *
 *     zero      by zeros
 *     mean      by its mean over all tokens of all rows of the job, which a pass before finds
 *     resample  by what it gives for another row of the job, token by token, which is drawn by the
 *               item (of prompts among those of its length; where there is none, nothing is lost)
 *
 * `effect` [layer, head] of each row; positive: the head speaks for the score. Later blocks may
 * make up for it (self-repair; Rushing and Nanda 2024), so what is lost is less than what
 * direct_logits says, or of another sign.
 *
 * One pass forward a head, of all rows that are computed together, and one for what is put in. */
#include "worker/explain/look.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/selection.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/conf/explain_spec.h"

#include <string.h>

typedef struct ablation {
    ps_explaining *x;
    const ps_explain_items *items;
    const ps_selection *selection; /* resample, of rows of data */
    unsigned replace;
    size_t layers, heads, layer, head;
    const double *sums; /* mean: [layers, columns], */
    double tokens;      /* of so many */
    float *other;       /* resample: [layers, n · length, columns] */
    float *z;           /* [n · length, columns] */
    size_t columns;     /* of all heads */
    double *scores;     /* [n] */
    float *effect;      /* [n, layers, heads] */
    ps_status failed;
} ablation;

static size_t tokens_of(const ablation *a)
{
    return a->items->n * (size_t)a->items->length;
}

static ablation ablation_of(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                            const ps_explain_items *items)
{
    return (ablation){.x = x,
                      .items = items,
                      .selection = state,
                      .replace = spec->replace,
                      .layers = ps_explain_layers(x),
                      .heads = ps_explain_heads(x),
                      .columns = (size_t)ps_model_tap_columns(x->model, (ps_tap){PS_TAP_Z, 0})};
}

/* ---- the mean of all rows ---- */

typedef struct adding {
    ablation a;
    double *sums; /* [layers, columns] */
} adding;

static void add(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    adding *g = user;
    if (g->a.failed || tap.kind != PS_TAP_Z)
        return;
    g->a.failed = ps_tap_read(ps_model_stream(g->a.x->model), seen, ld, g->a.z);
    PS_REQUIRE((size_t)tap.layer < g->a.layers && (size_t)seen.shape[1] == g->a.columns);
    double *sums = g->sums + (size_t)tap.layer * g->a.columns;
    for (size_t i = 0; !g->a.failed && i < tokens_of(&g->a) * g->a.columns; i++)
        sums[i % g->a.columns] += (double)g->a.z[i];
}

static ps_status add_all(adding *g, ps_explain_part *out)
{
    const uint64_t shape[2] = {g->a.layers, g->a.columns}, one[1] = {1};
    const double tokens = (double)tokens_of(&g->a);
    g->a.z = ps_try_alloc_raw(tokens_of(&g->a) * g->a.columns * sizeof *g->a.z);
    g->sums = ps_try_alloc(g->a.layers * g->a.columns * sizeof *g->sums);
    ps_status st =
        g->a.z && g->sums
            ? ps_explain_look(g->a.x, g->a.items, &(ps_model_hooks){.at = add, .user = g})
            : ps_fail(PS_NO_MEMORY, "heads of %zu rows; lower explain.batch", g->a.items->n);
    if (!st)
        st = g->a.failed;
    if (!st)
        st = ps_explain_put_sums(out, "sums", "layer channel", 2, shape, g->sums);
    if (!st)
        st = ps_explain_put_sums(out, "tokens", "total", 1, one, &tokens);
    ps_free(&g->a.z);
    ps_free(&g->sums);
    return st;
}

/* What the pass before has left. */
static ps_status find_mean(ablation *a)
{
    const ps_explain_array *sums = a->x->before ? ps_explain_get(a->x->before, "sums") : NULL,
                           *tokens = a->x->before ? ps_explain_get(a->x->before, "tokens") : NULL;
    if (!sums || !tokens || !sums->doubles || !tokens->doubles ||
        ps_explain_array_count(sums) != a->layers * a->columns ||
        ps_explain_array_count(tokens) != 1)
        return ps_fail(PS_CORRUPT, "head_ablation: the sums of the pass before are missing");
    a->sums = sums->doubles;
    a->tokens = tokens->doubles[0];
    return PS_OK;
}

/* ---- another row ---- */

static bool fits(const ablation *a, size_t i, uint64_t own)
{
    const ps_spec_explain *spec = a->x->spec;
    return i != own && (!spec->n_prompts || spec->prompts[i].n_tokens == (size_t)a->items->length);
}

/* One of the job that is as long as `own`, and is another; own: there is none. */
static size_t draw_other(const ablation *a, uint64_t own)
{
    const ps_spec_explain *spec = a->x->spec;
    size_t there = spec->n_prompts ? spec->n_prompts : (size_t)a->selection->n, fit = 0;
    ps_rng rng;
    for (size_t i = 0; i < there; i++)
        fit += fits(a, i, own);
    ps_explain_rng(a->x, own, &rng);
    size_t left = fit ? (size_t)ps_rng_below(&rng, fit) : 0;
    for (size_t i = 0; fit && i < there; i++)
        if (fits(a, i, own) && left-- == 0)
            return i;
    return (size_t)own;
}

static ps_status read_other(const ablation *a, uint64_t item, int32_t *labels, int32_t *tokens)
{
    const ps_spec_explain *spec = a->x->spec;
    size_t other = draw_other(a, item);
    PS_REQUIRE(spec->n_prompts ? other < spec->n_prompts : a->selection != NULL);
    if (!spec->n_prompts) {
        uint64_t row = ps_selection_row(a->selection, other);
        return ps_dataset_read(a->x->test, &row, 1, tokens, labels);
    }
    for (size_t t = 0; t < (size_t)a->items->length; t++)
        tokens[t] = (int32_t)spec->prompts[other].tokens[t];
    return PS_OK;
}

static void keep_other(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    ablation *a = user;
    if (!a->failed && tap.kind == PS_TAP_Z)
        a->failed = ps_tap_read(ps_model_stream(a->x->model), seen, ld,
                                a->other + (size_t)tap.layer * tokens_of(a) * a->columns);
}

static ps_status see_other(ablation *a)
{
    size_t length = (size_t)a->items->length, numbers = a->layers * tokens_of(a) * a->columns;
    ps_status st = ps_explain_room(numbers * sizeof *a->other, "what heads give for other rows",
                                   "lower explain.batch");
    if (st)
        return st;
    int32_t *tokens = ps_try_alloc_raw((a->items->n + 1) * length * sizeof *tokens);
    a->other = ps_try_alloc_raw(numbers * sizeof *a->other);
    if (!tokens || !a->other)
        st = ps_fail(PS_NO_MEMORY, "heads of %zu rows; lower explain.batch", a->items->n);
    for (size_t i = 0; !st && i < a->items->n; i++)
        st = read_other(a, a->items->item[i], tokens + a->items->n * length, tokens + i * length);
    const ps_explain_items others = {
        .n = a->items->n, .tokens = tokens, .length = a->items->length};
    if (!st)
        st = ps_explain_look(a->x, &others, &(ps_model_hooks){.at = keep_other, .user = a});
    ps_free(&tokens);
    return st ? st : a->failed;
}

/* ---- without a head ---- */

static float instead(const ablation *a, size_t token, size_t column)
{
    if (a->replace == PS_EXPLAIN_REPLACE_MEAN)
        return (float)(a->sums[a->layer * a->columns + column] / a->tokens);
    return a->replace == PS_EXPLAIN_REPLACE_ZERO
               ? 0
               : a->other[(a->layer * tokens_of(a) + token) * a->columns + column];
}

static void at(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    ablation *a = user;
    ps_stream *stream = ps_model_stream(a->x->model);
    size_t each = a->columns / a->heads;
    PS_REQUIRE(a->head < a->heads && a->columns % a->heads == 0);
    if (a->failed || tap.kind != PS_TAP_Z || (size_t)tap.layer != a->layer)
        return;
    a->failed = ps_tap_read(stream, seen, ld, a->z);
    if (a->failed)
        return;
    for (size_t t = 0; t < tokens_of(a); t++)
        for (size_t k = a->head * each; k < (a->head + 1) * each; k++)
            a->z[t * a->columns + k] = instead(a, t, k);
    a->failed = ps_tap_write(stream, seen, ld, a->z);
}

static ps_status ablate(ablation *a)
{
    ps_status st =
        ps_explain_look_scores(a->x, a->items, &(ps_model_hooks){.at = at, .user = a}, a->scores);
    if (!st)
        st = a->failed;
    for (size_t i = 0; !st && i < a->items->n; i++)
        a->effect[(i * a->layers + a->layer) * a->heads + a->head] =
            (float)(a->items->scores[i] - a->scores[i]);
    return st;
}

static ps_status ablate_all(ablation *a)
{
    ps_status st = a->replace == PS_EXPLAIN_REPLACE_RESAMPLE ? see_other(a)
                   : a->replace == PS_EXPLAIN_REPLACE_MEAN   ? find_mean(a)
                                                             : PS_OK;
    for (a->layer = 0; !st && a->layer < a->layers; a->layer++)
        for (a->head = 0; !st && a->head < a->heads; a->head++)
            st = ablate(a);
    return st;
}

static ps_status run_ablation(ablation *a, ps_explain_part *out)
{
    const uint64_t shape[2] = {a->layers, a->heads};
    size_t n = a->items->n;
    a->z = ps_try_alloc_raw(tokens_of(a) * a->columns * sizeof *a->z);
    a->scores = ps_try_alloc_raw(n * sizeof *a->scores);
    a->effect = ps_try_alloc_raw(n * a->layers * a->heads * sizeof *a->effect);
    ps_status st = a->z && a->scores && a->effect
                       ? ablate_all(a)
                       : ps_fail(PS_NO_MEMORY, "heads of %zu rows; lower explain.batch", n);
    if (!st)
        st = ps_explain_put_rows(out, "effect", "layer head", n, 2, shape, a->effect);
    ps_free(&a->z);
    ps_free(&a->other);
    ps_free(&a->scores);
    ps_free(&a->effect);
    return st;
}

/* In the first pass there is something to do for the mean alone. */
static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    ablation a = ablation_of(x, spec, state, items);
    if (x->pass)
        return run_ablation(&a, out);
    return a.replace == PS_EXPLAIN_REPLACE_MEAN ? add_all(&(adding){.a = a}, out) : PS_OK;
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    if (spec->replace != PS_EXPLAIN_REPLACE_RESAMPLE || x->spec->n_prompts)
        return PS_OK;
    ps_selection *selection = *state = ps_try_alloc(sizeof *selection);
    return selection ? ps_selection_make(x->spec, ps_dataset_rows(x->test), selection)
                     : ps_fail(PS_NO_MEMORY, "rows of a job");
}

static void free_state(void *state)
{
    ps_selection *selection = state;
    if (selection)
        ps_selection_free(selection);
    ps_free(&selection);
}

const ps_explain_method ps_explain_method_head_ablation = {
    .name = "head_ablation", .prepare = prepare, .run = run, .free = free_state};
