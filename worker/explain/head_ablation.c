/* head_ablation: what the score loses when what one head gives is replaced, everywhere in the row,
 * by zeros, or by its mean over all tokens of the rows that are computed together, which are others
 * with another explain.batch (Michel et al. 2019). `effect` [layer, head] of each row; positive:
 * the head speaks for the score. Later blocks may make up for it (self-repair; Rushing and Nanda
 * 2024), so what is lost is less than what direct_logits says, or of another sign.
 *
 * One pass forward a head, of all rows that are computed together. */
#include "worker/explain/look.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "common/conf/explain_spec.h"

#include <string.h>

typedef struct ablation {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t layers, heads, layer, head;
    bool mean;      /* else zeros */
    float *z;       /* [n · length, columns] */
    size_t columns; /* of all heads */
    double *scores; /* [n] */
    float *effect;  /* [n, layers, heads] */
    ps_status failed;
} ablation;

/* In place of a column its mean, or 0. */
static void replace(const ablation *a, size_t column)
{
    size_t n = a->items->n * (size_t)a->items->length;
    double sum = 0;
    for (size_t i = 0; a->mean && i < n; i++)
        sum += (double)a->z[i * a->columns + column];
    for (size_t i = 0; i < n; i++)
        a->z[i * a->columns + column] = (float)(sum / (double)n);
}

static void at(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    ablation *a = user;
    ps_stream *stream = ps_model_stream(a->x->model);
    size_t each = a->columns / a->heads;
    if (a->failed || tap.kind != PS_TAP_Z || (size_t)tap.layer != a->layer)
        return;
    a->failed = ps_tap_read(stream, seen, ld, a->z);
    if (a->failed)
        return;
    for (size_t k = a->head * each; k < (a->head + 1) * each; k++)
        replace(a, k);
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
    ps_status st = PS_OK;
    for (a->layer = 0; !st && a->layer < a->layers; a->layer++)
        for (a->head = 0; !st && a->head < a->heads; a->head++)
            st = ablate(a);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    ablation a = {.x = x,
                  .items = items,
                  .layers = ps_explain_layers(x),
                  .heads = ps_explain_heads(x),
                  .mean = spec->replace == PS_EXPLAIN_REPLACE_MEAN,
                  .columns = (size_t)ps_model_tap_columns(x->model, (ps_tap){PS_TAP_Z, 0})};
    const uint64_t shape[2] = {a.layers, a.heads};
    a.z = ps_try_alloc_raw(items->n * (size_t)items->length * a.columns * sizeof *a.z);
    a.scores = ps_try_alloc_raw(items->n * sizeof *a.scores);
    a.effect = ps_try_alloc_raw(items->n * a.layers * a.heads * sizeof *a.effect);
    ps_status st = a.z && a.scores && a.effect
                       ? ablate_all(&a)
                       : ps_fail(PS_NO_MEMORY, "heads of %zu rows; lower explain.batch", items->n);
    if (!st)
        st = ps_explain_put_rows(out, "effect", "layer head", items->n, 2, shape, a.effect);
    ps_free(&a.z);
    ps_free(&a.scores);
    ps_free(&a.effect);
    return st;
}

const ps_explain_method ps_explain_method_head_ablation = {.name = "head_ablation", .run = run};
