/* Happy path: one pass, whose stream is kept, then row by row the head for each layer: of one row
 * at a time, so that memory is that of layers · vocabulary. */
#include "worker/explain/lens.h"

#include "worker/explain/look.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 1e-4

typedef struct lens {
    ps_explaining *x;
    const ps_explain_items *items;
    const ps_lens_way *way;
    size_t layers, top; /* layers: those of the blocks, and the answer */
    float *stream;      /* [layers, n, hidden] */
    float *vectors;     /* [layers, hidden] of a row */
    float *logits;      /* [layers, outputs] of it */
    double *p, *last;   /* [outputs], log p of a layer and of the last */
    float *rank, *log_probability, *entropy, *divergence; /* [n, layers] */
    float *best, *best_log_probability;                   /* [n, layers, top] */
    float *residual;                                      /* [n] */
    ps_status failed;                                     /* of the hook */
} lens;

/* ---- the stream ---- */

static void see(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    lens *l = user;
    size_t each = l->items->n * (size_t)l->x->inputs, layer = (size_t)tap.layer;
    bool last = tap.kind == PS_TAP_RESID_POST && layer + 2 == l->layers;
    if (l->failed || (tap.kind != PS_TAP_RESID_PRE && !last))
        return;
    l->failed = ps_explain_last(l->x, l->items, seen, ld, l->stream + (layer + last) * each);
}

/* ---- an answer ---- */

/* False: of NaN, or infinity, there is none, and all of it is NaN. */
static bool log_softmax(const float *z, size_t n, double *out)
{
    double all = ps_explain_log_sum(z, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        out[i] = isfinite(all) ? (double)z[i] - all : NAN;
    return isfinite(all);
}

static float rank_of(const float *z, size_t n, size_t target)
{
    size_t rank = 1;
    for (size_t i = 0; i < n; i++)
        rank += z[i] > z[target] || (z[i] == z[target] && i < target);
    return (float)rank;
}

/* The largest of z behind those that are there, by insertion: top is small. */
static void take_top(const float *z, size_t n, const double *p, size_t top, float *best,
                     float *best_log_probability)
{
    size_t there = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = there < top ? there : top;
        while (at > 0 && z[i] > z[(size_t)best[at - 1]])
            at--;
        if (at == top)
            continue;
        there += there < top;
        memmove(best + at + 1, best + at, (there - at - 1) * sizeof *best);
        best[at] = (float)i;
    }
    for (size_t k = 0; k < top; k++)
        best_log_probability[k] = (float)p[(size_t)best[k]];
}

/* KL(last || layer), and the entropy of the layer. */
static void compare(const lens *l, float *divergence, float *entropy)
{
    double kl = 0, h = 0;
    for (size_t i = 0; i < (size_t)l->x->outputs; i++) {
        double last = exp(l->last[i]), p = exp(l->p[i]);
        kl += last > 0 ? last * (l->last[i] - l->p[i]) : 0;
        h -= p > 0 ? p * l->p[i] : 0;
    }
    *divergence = isnan(l->last[0]) ? NAN : (float)kl;
    *entropy = (float)h;
}

/* A translator, or a block, has overflown: there is no likeliest token. */
static void say_none(lens *l, size_t at)
{
    l->rank[at] = l->log_probability[at] = l->divergence[at] = l->entropy[at] = NAN;
    for (size_t k = 0; k < l->top; k++)
        l->best[at * l->top + k] = l->best_log_probability[at * l->top + k] = NAN;
}

static void measure(lens *l, size_t row, size_t layer)
{
    size_t n = (size_t)l->x->outputs, at = row * l->layers + layer;
    size_t target = (size_t)l->items->goals[row].target;
    const float *z = l->logits + layer * n;
    if (!log_softmax(z, n, l->p)) {
        say_none(l, at);
        return;
    }
    l->rank[at] = rank_of(z, n, target);
    l->log_probability[at] = (float)l->p[target];
    compare(l, &l->divergence[at], &l->entropy[at]);
    take_top(z, n, l->p, l->top, l->best + at * l->top, l->best_log_probability + at * l->top);
}

static float residual_of(const float *z, const float *answer, size_t n)
{
    double apart = 0, largest = 1e-12;
    for (size_t i = 0; i < n; i++) {
        apart = ps_explain_worse(apart, fabs((double)z[i] - (double)answer[i]));
        largest = fmax(largest, fabs((double)answer[i]));
    }
    return (float)(apart / largest);
}

static ps_status read_row(lens *l, size_t row)
{
    size_t hidden = (size_t)l->x->inputs, n = (size_t)l->x->outputs;
    for (size_t layer = 0; layer < l->layers; layer++)
        memcpy(l->vectors + layer * hidden, l->stream + (layer * l->items->n + row) * hidden,
               hidden * sizeof *l->vectors);
    ps_status st = l->way->translate ? l->way->translate(l->way->user, l->vectors) : PS_OK;
    if (!st)
        st = ps_model_read_out(l->x->model, l->vectors, l->layers, l->logits);
    if (st)
        return st;
    const float *last = l->logits + (l->layers - 1) * n;
    (void)log_softmax(last, n, l->last);
    l->residual[row] = residual_of(last, l->items->logits + row * n, n);
    for (size_t layer = 0; layer < l->layers; layer++)
        measure(l, row, layer);
    return PS_OK;
}

/* ---- all of them ---- */

static ps_status take_room(lens *l)
{
    size_t n = l->items->n, hidden = (size_t)l->x->inputs, outputs = (size_t)l->x->outputs;
    size_t each = n * l->layers;
    l->stream = ps_try_alloc_raw(each * hidden * sizeof(float));
    l->vectors = ps_try_alloc_raw(l->layers * hidden * sizeof(float));
    l->logits = ps_try_alloc_raw(l->layers * outputs * sizeof(float));
    l->p = ps_try_alloc_raw(2 * outputs * sizeof *l->p);
    l->rank = ps_try_alloc_raw((4 * each + 2 * each * l->top + n) * sizeof(float));
    if (!l->stream || !l->vectors || !l->logits || !l->p || !l->rank)
        return ps_fail(PS_NO_MEMORY,
                       "answers of %zu layers, %zu rows at a time; lower "
                       "explain.batch",
                       l->layers, n);
    l->last = l->p + outputs;
    l->log_probability = l->rank + each;
    l->entropy = l->log_probability + each;
    l->divergence = l->entropy + each;
    l->best = l->divergence + each;
    l->best_log_probability = l->best + each * l->top;
    l->residual = l->best_log_probability + each * l->top;
    return PS_OK;
}

static ps_status put(const lens *l, ps_explain_part *out)
{
    const uint64_t n = l->items->n, shape[2] = {l->layers, l->top};
    ps_status st = ps_explain_put_values(out, "rank", "layer", n, l->layers, l->rank);
    if (!st)
        st = ps_explain_put_values(out, "log_probability", "layer", n, l->layers,
                                   l->log_probability);
    if (!st)
        st = ps_explain_put_values(out, "entropy", "layer", n, l->layers, l->entropy);
    if (!st)
        st = ps_explain_put_values(out, "divergence", "layer", n, l->layers, l->divergence);
    if (!st)
        st = ps_explain_put_rows(out, "top", "layer top", n, 2, shape, l->best);
    if (!st)
        st = ps_explain_put_rows(out, "top_log_probability", "layer top", n, 2, shape,
                                 l->best_log_probability);
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", n, 0, NULL, l->residual);
    out->tolerance = TOLERANCE;
    return st;
}

ps_status ps_lens_read(ps_explaining *x, const ps_spec_explain_method *spec, const ps_lens_way *way,
                       const ps_explain_items *items, ps_explain_part *out)
{
    lens l = {.x = x, .items = items, .way = way, .layers = ps_explain_layers(x) + 1};
    l.top = (size_t)(spec->top < x->outputs ? spec->top : x->outputs);
    ps_status st = take_room(&l);
    if (!st)
        st = ps_explain_look(x, items, &(ps_model_hooks){.at = see, .user = &l});
    if (!st)
        st = l.failed;
    for (size_t row = 0; !st && row < items->n; row++)
        st = read_row(&l, row);
    if (!st)
        st = put(&l, out);
    ps_free(&l.stream);
    ps_free(&l.vectors);
    ps_free(&l.logits);
    ps_free(&l.p);
    ps_free(&l.rank);
    return st;
}
