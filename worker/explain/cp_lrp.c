/* cp_lrp: conservative relevance propagation through a language model (Ali et al. 2022): gradient
 * times embedding, where the way back takes for constants what only weighs: the weights of
 * attention (q and k get nothing), the deviation that a norm divides by, the gate of a gated mlp;
 * and an activation's slope is f(z)/z. Then every part of the model is linear in what it passes on,
 * and without biases and learnt positions the tokens' values add up to f(x), a logit: `residual`
 * says to what. Where a model has them `remainder` is theirs.
 *
 * One pass forward and backward a row. Of models without a gate f(z)/z of all blocks is kept on the
 * host: tokens of a batch × intermediate_size × blocks numbers. */
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/models/tap.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 0.01 /* that residual is to be within */

/* Of a task. */
typedef struct passes {
    ps_stream *stream;
    ps_model_hooks hooks;
    bool gated, adds_up; /* nothing in the model has a share but the tokens */
    int64_t units;       /* of an mlp */
    size_t blocks, tokens;
    float **ratio; /* [blocks][tokens, units]; NULL where it is gated */
    float *room;   /* [tokens, widest] */
    ps_status failed;
} passes;

/* ---- rules ---- */

static void see_ratio(passes *p, ps_tap tap, ps_tensor x, int64_t ld)
{
    float *ratio = p->ratio[tap.layer];
    size_t n = (size_t)(x.shape[0] * x.shape[1]);
    PS_REQUIRE((size_t)tap.layer < p->blocks && (size_t)x.shape[0] <= p->tokens);
    p->failed = ps_tap_read(p->stream, x, ld, tap.kind == PS_TAP_MLP_PRE ? ratio : p->room);
    if (p->failed || tap.kind == PS_TAP_MLP_PRE)
        return;
    for (size_t i = 0; i < n; i++)
        ratio[i] = ratio[i] == 0 ? 0 : p->room[i] / ratio[i];
}

static void see(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    passes *p = user;
    if (!p->failed && !p->gated && (tap.kind == PS_TAP_MLP_PRE || tap.kind == PS_TAP_MLP_POST))
        see_ratio(p, tap, x, ld);
}

static void stop(passes *p, ps_tensor dx, int64_t ld)
{
    memset(p->room, 0, (size_t)(dx.shape[0] * dx.shape[1]) * sizeof *p->room);
    p->failed = ps_tap_write(p->stream, dx, ld, p->room);
}

/* dx is the gradient behind an activation, and becomes that before it: what the model then makes of
 * it is not looked at. */
static void weigh(passes *p, ps_tap tap, ps_tensor dx, int64_t ld)
{
    float *ratio = p->ratio[tap.layer];
    size_t n = (size_t)(dx.shape[0] * dx.shape[1]);
    if (tap.kind == PS_TAP_MLP_PRE) {
        p->failed = ps_tap_write(p->stream, dx, ld, ratio);
        return;
    }
    p->failed = ps_tap_read(p->stream, dx, ld, p->room);
    for (size_t i = 0; !p->failed && i < n; i++)
        ratio[i] *= p->room[i];
}

static void go_back(void *user, ps_tap tap, ps_tensor dx, int64_t ld)
{
    passes *p = user;
    if (p->failed)
        return;
    if (tap.kind == PS_TAP_Q || tap.kind == PS_TAP_K || (p->gated && tap.kind == PS_TAP_MLP_PRE))
        stop(p, dx, ld);
    else if (!p->gated && (tap.kind == PS_TAP_MLP_PRE || tap.kind == PS_TAP_MLP_POST))
        weigh(p, tap, dx, ld);
}

/* ---- a task ---- */

static bool only_tokens(const ps_model *m)
{
    const ps_model_layout *layout = ps_model_parameters(m);
    for (size_t i = 0; i < layout->count; i++)
        if (strstr(layout->parameters[i].name, "bias"))
            return false;
    return !ps_model_tap_columns(m, (ps_tap){PS_TAP_POS_EMBED, 0});
}

static void free_state(void *state)
{
    passes *p = state;
    if (!p)
        return;
    for (size_t i = 0; p->ratio && i < p->blocks; i++)
        ps_free(&p->ratio[i]);
    ps_free(&p->ratio);
    ps_free(&p->room);
    ps_free(&p);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    passes *p = ps_new(passes);
    p->stream = ps_model_stream(x->model);
    p->gated = ps_model_tap_columns(x->model, (ps_tap){PS_TAP_MLP_PRE_LINEAR, 0}) > 0;
    p->units = ps_model_tap_columns(x->model, (ps_tap){PS_TAP_MLP_PRE, 0});
    p->adds_up = only_tokens(x->model);
    while (ps_model_tap_columns(x->model, (ps_tap){PS_TAP_MLP_PRE, (int64_t)p->blocks}))
        p->blocks++;
    p->ratio = p->gated ? NULL : ps_alloc_array(p->blocks, sizeof *p->ratio);
    p->hooks =
        (ps_model_hooks){.at = see, .gradient_at = go_back, .constant_rstd = true, .user = p};
    *state = p;
    return PS_OK;
}

/* For sequences of that length: those of a run before may have been shorter. */
static ps_status take_room(passes *p, const ps_explaining *x, const ps_explain_items *items)
{
    size_t tokens = items->n * (size_t)items->length;
    int64_t q = ps_model_tap_columns(x->model, (ps_tap){PS_TAP_Q, 0});
    size_t widest = (size_t)(q > p->units ? q : p->units);
    if (tokens <= p->tokens)
        return PS_OK;
    size_t kept = p->gated ? 0 : p->blocks * (size_t)p->units;
    ps_status st = ps_explain_room(tokens * (widest + kept) * sizeof(float),
                                   "what the layers leave for cp_lrp", "lower explain.batch");
    if (st)
        return st;
    p->tokens = 0;
    ps_free(&p->room);
    p->room = ps_try_alloc_raw(tokens * widest * sizeof *p->room);
    bool whole = p->room;
    for (size_t i = 0; !p->gated && i < p->blocks; i++) {
        ps_free(&p->ratio[i]);
        p->ratio[i] = ps_try_alloc_raw(tokens * (size_t)p->units * sizeof **p->ratio);
        whole = whole && p->ratio[i];
    }
    if (!whole)
        return ps_fail(PS_NO_MEMORY, "what %zu tokens leave in %zu blocks; lower explain.batch",
                       tokens, p->blocks);
    p->tokens = tokens;
    return PS_OK;
}

/* ---- a run ---- */

typedef struct relevance {
    ps_explaining *x;
    const ps_explain_items *items;
    double *wide;  /* [width] */
    float *values; /* [n, tokens] */
    float *remainder, *residual;
} relevance;

static void make(void *user, size_t i, void *point, size_t *item)
{
    const relevance *r = user;
    size_t width = ps_explain_width(r->x, r->items);
    memcpy(point, r->items->points + i * width, width * sizeof(float));
    *item = i;
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const relevance *r = user;
    size_t width = ps_explain_width(r->x, r->items);
    const float *input = r->items->points + i * width;
    double sum = 0;
    for (size_t k = 0; k < width; k++) {
        r->wide[k] = (double)input[k] * (double)gradient[k];
        sum += r->wide[k];
    }
    ps_explain_fold(r->x, r->items, r->wide, r->values + i * (size_t)r->items->length);
    r->remainder[i] = (float)(score - sum);
    r->residual[i] = (float)(fabs(score - sum) / fmax(fabs(score), 1e-12));
}

static ps_status put(const passes *p, const relevance *r, ps_explain_part *out)
{
    size_t n = r->items->n;
    ps_status st =
        ps_explain_put_values(out, "values", "token", n, (uint64_t)r->items->length, r->values);
    if (!st && !p->adds_up)
        st = ps_explain_put_rows(out, "remainder", "", n, 0, NULL, r->remainder);
    if (st || !p->adds_up)
        return st;
    out->tolerance = TOLERANCE;
    return ps_explain_put_rows(out, "residual", "", n, 0, NULL, r->residual);
}

static ps_status propagate(passes *p, relevance *r, ps_explain_part *out)
{
    const ps_explain_points points = {.n = r->items->n,
                                      .gradients = true,
                                      .make = make,
                                      .take = take,
                                      .user = r,
                                      .hooks = &p->hooks};
    ps_status st = take_room(p, r->x, r->items);
    if (!st)
        st = ps_explain_evaluate(r->x, r->items, &points);
    if (!st)
        st = p->failed;
    return st ? st : put(p, r, out);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    size_t n = items->n;
    relevance r = {.x = x,
                   .items = items,
                   .wide = ps_try_alloc_raw(ps_explain_width(x, items) * sizeof *r.wide),
                   .values = ps_try_alloc_raw(n * (size_t)items->length * sizeof *r.values),
                   .remainder = ps_try_alloc_raw(n * sizeof *r.remainder),
                   .residual = ps_try_alloc_raw(n * sizeof *r.residual)};
    ps_status st = r.wide && r.values && r.remainder && r.residual
                       ? propagate(state, &r, out)
                       : ps_fail(PS_NO_MEMORY, "relevance of %zu rows", n);
    ps_free(&r.wide);
    ps_free(&r.values);
    ps_free(&r.remainder);
    ps_free(&r.residual);
    return st;
}

const ps_explain_method ps_explain_method_cp_lrp = {
    .name = "cp_lrp", .prepare = prepare, .run = run, .free = free_state};
