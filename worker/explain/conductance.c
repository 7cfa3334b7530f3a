/* conductance: how much of f(x) − f(x′) goes through each unit of each layer, or of a language
 * model through each token's stream behind each block (Dhamdhere, Sundararajan and Yan 2018): with
 * y the unit and the straight path from the baseline in `steps` steps,
 *
 *     Σ_k ½·(∂f/∂y_k + ∂f/∂y_{k+1})·(y_{k+1} − y_k).
 *
 * Every path from the input to f crosses every layer, so each layer adds up to f(x) − f(x′), and
 * with both ends among the points, and differences of y instead of its slope, few steps come near
 * it. `residual` is of the layer that is furthest from it; as long as that is more than the
 * tolerance the steps of this row are doubled, up to steps_max.
 *
 *     conductance [row, layer, unit or token]  NaN where a layer has fewer units than the widest
 *
 * steps + 1 points a row, forward and backward. On the host: a batch's y of all layers. */
#include "worker/explain/baseline.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/models/tap.h"

#include <math.h>
#include <string.h>

/* A layer as the passes go. */
typedef struct crossing {
    size_t wide;            /* numbers of a row there */
    size_t parts;           /* that are told: units, or tokens */
    float *y;               /* [batch, wide] */
    float *last_y, *last_g; /* [wide]: of the point before the batch */
    double *sums;           /* [n, parts] */
} crossing;

typedef struct conducting {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t width, batch;
    size_t *open; /* rows that are not within the tolerance yet, */
    size_t n_open;
    size_t steps;     /* of these now */
    ps_tap_kind kind; /* where layers are crossed */
    size_t layers, widest_parts;
    crossing *at;
    size_t made;       /* points so far */
    float *g;          /* [batch, widest] */
    double *from, *to; /* [n]: f(x′), f(x) */
    float *values, *residual, *steps_used;
    ps_status failed;
} conducting;

/* ---- passes ---- */

static bool crosses(const conducting *c, ps_tap tap)
{
    return !c->failed && tap.kind == c->kind;
}

static void see(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    conducting *c = user;
    if (!crosses(c, tap))
        return;
    PS_REQUIRE((size_t)tap.layer < c->layers);
    PS_REQUIRE((size_t)(x.shape[0] * x.shape[1]) <= c->batch * c->at[tap.layer].wide);
    c->failed = ps_tap_read(ps_model_stream(c->x->model), x, ld, c->at[tap.layer].y);
}

/* What a step adds, part by part. */
static void add_step(const crossing *at, const float *y0, const float *g0, const float *y,
                     const float *g, double *sums)
{
    size_t each = at->wide / at->parts;
    for (size_t k = 0; k < at->wide; k++)
        sums[k / each] += ((double)g0[k] + (double)g[k]) / 2 * ((double)y[k] - (double)y0[k]);
}

static void go_back(void *user, ps_tap tap, ps_tensor dx, int64_t ld)
{
    conducting *c = user;
    if (!crosses(c, tap))
        return;
    crossing *at = &c->at[tap.layer];
    size_t rows = (size_t)(dx.shape[0] * dx.shape[1]) / at->wide, points = c->steps + 1;
    c->failed = ps_tap_read(ps_model_stream(c->x->model), dx, ld, c->g);
    for (size_t r = 0; !c->failed && r < rows; r++) {
        size_t point = c->made - rows + r;
        const float *y = at->y + r * at->wide, *g = c->g + r * at->wide;
        if (point % points)
            add_step(at, r ? y - at->wide : at->last_y, r ? g - at->wide : at->last_g, y, g,
                     at->sums + c->open[point / points] * at->parts);
    }
    memcpy(at->last_y, at->y + (rows - 1) * at->wide, at->wide * sizeof *at->last_y);
    memcpy(at->last_g, c->g + (rows - 1) * at->wide, at->wide * sizeof *at->last_g);
}

/* Point i: step i % (steps + 1) of open row i / (steps + 1). */
static void make(void *user, size_t i, void *point, size_t *item)
{
    conducting *c = user;
    float *out = point;
    *item = c->open[i / (c->steps + 1)];
    const float *input = c->items->points + *item * c->width;
    double alpha = (double)(i % (c->steps + 1)) / (double)c->steps;
    for (size_t k = 0; k < c->width; k++) {
        double from = (double)ps_explain_baseline_at(c->x->baseline, k);
        out[k] = (float)(from + alpha * ((double)input[k] - from));
    }
    c->made = i + 1;
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const conducting *c = user;
    size_t step = i % (c->steps + 1), row = c->open[i / (c->steps + 1)];
    if (step == 0)
        c->from[row] = score;
    if (step == c->steps)
        c->to[row] = score;
}

/* ---- memory ---- */

static bool take_crossing(conducting *c, size_t layer)
{
    crossing *at = &c->at[layer];
    size_t columns = (size_t)ps_model_tap_columns(c->x->model, (ps_tap){c->kind, (int64_t)layer});
    at->wide = columns * (size_t)c->items->length;
    at->parts = c->x->language ? (size_t)c->items->length : columns;
    at->y = ps_try_alloc_raw(c->batch * at->wide * sizeof *at->y);
    at->last_y = ps_try_alloc_raw(at->wide * sizeof *at->last_y);
    at->last_g = ps_try_alloc_raw(at->wide * sizeof *at->last_g);
    at->sums = ps_try_alloc(c->items->n * at->parts * sizeof *at->sums);
    return at->y && at->last_y && at->last_g && at->sums;
}

/* For what all layers leave of a batch. */
static ps_status ask_room(const conducting *c)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < c->layers; i++) {
        uint64_t columns =
            (uint64_t)ps_model_tap_columns(c->x->model, (ps_tap){c->kind, (int64_t)i});
        uint64_t wide = columns * (uint64_t)c->items->length;
        uint64_t parts = c->x->language ? (uint64_t)c->items->length : columns;
        bytes += (c->batch + 2) * wide * sizeof(float) + c->items->n * parts * sizeof(double);
    }
    return ps_explain_room(bytes, "what the layers leave for conductance", "lower explain.batch");
}

static ps_status take_all(conducting *c)
{
    size_t n = c->items->n, widest = 0;
    bool whole = true;
    while (ps_model_tap_columns(c->x->model, (ps_tap){c->kind, (int64_t)c->layers}))
        c->layers++;
    if (!c->layers)
        return ps_fail(PS_INVALID_ARGUMENT, "conductance: the model has no hidden layer");
    ps_status st = ask_room(c);
    if (st)
        return st;
    c->at = ps_alloc_array(c->layers, sizeof *c->at);
    for (size_t i = 0; whole && i < c->layers; i++) {
        whole = take_crossing(c, i);
        widest = c->at[i].wide > widest ? c->at[i].wide : widest;
        c->widest_parts = c->at[i].parts > c->widest_parts ? c->at[i].parts : c->widest_parts;
    }
    c->g = ps_try_alloc_raw(c->batch * widest * sizeof *c->g);
    c->from = ps_try_alloc_raw(n * sizeof *c->from);
    c->to = ps_try_alloc_raw(n * sizeof *c->to);
    c->values = ps_try_alloc_raw(n * c->layers * c->widest_parts * sizeof *c->values);
    c->residual = ps_try_alloc_raw(n * sizeof *c->residual);
    c->steps_used = ps_try_alloc_raw(n * sizeof *c->steps_used);
    c->open = ps_try_alloc_raw(n * sizeof *c->open);
    return whole && c->g && c->from && c->to && c->values && c->residual && c->steps_used && c->open
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "what %zu rows leave in %zu layers; lower explain.batch",
                         c->batch, c->layers);
}

static void free_all(conducting *c)
{
    for (size_t i = 0; c->at && i < c->layers; i++) {
        ps_free(&c->at[i].y);
        ps_free(&c->at[i].last_y);
        ps_free(&c->at[i].last_g);
        ps_free(&c->at[i].sums);
    }
    ps_free(&c->at);
    ps_free(&c->g);
    ps_free(&c->from);
    ps_free(&c->to);
    ps_free(&c->values);
    ps_free(&c->residual);
    ps_free(&c->steps_used);
    ps_free(&c->open);
}

/* ---- what is left ---- */

/* How far the layer is from adding up. */
static double settle(const conducting *c, size_t row, size_t layer)
{
    const crossing *at = &c->at[layer];
    float *out = c->values + (row * c->layers + layer) * c->widest_parts;
    double sum = 0, change = c->to[row] - c->from[row];
    for (size_t k = 0; k < c->widest_parts; k++) {
        out[k] = k < at->parts ? (float)at->sums[row * at->parts + k] : NAN;
        sum += k < at->parts ? at->sums[row * at->parts + k] : 0;
    }
    return fabs(sum - change) / fmax(fabs(change), 1e-12);
}

/* Rows that need more steps stay open. */
static void close_rows(conducting *c, double tolerance)
{
    size_t left = 0;
    for (size_t i = 0; i < c->n_open; i++) {
        size_t row = c->open[i];
        double most = 0;
        for (size_t layer = 0; layer < c->layers; layer++)
            most = ps_explain_worse(most, settle(c, row, layer));
        c->residual[row] = (float)most;
        c->steps_used[row] = (float)c->steps;
        if (!(most <= tolerance))
            c->open[left++] = row;
    }
    c->n_open = left;
}

static ps_status conduct(conducting *c)
{
    const ps_model_hooks hooks = {.at = see, .gradient_at = go_back, .user = c};
    const ps_explain_points points = {.n = c->n_open * (c->steps + 1),
                                      .gradients = true,
                                      .make = make,
                                      .take = take,
                                      .user = c,
                                      .hooks = &hooks};
    for (size_t i = 0; i < c->layers; i++)
        for (size_t k = 0; k < c->n_open; k++)
            memset(c->at[i].sums + c->open[k] * c->at[i].parts, 0,
                   c->at[i].parts * sizeof *c->at[i].sums);
    ps_status st = ps_explain_evaluate(c->x, c->items, &points);
    return st ? st : c->failed;
}

static ps_status solve(conducting *c, const ps_spec_explain_method *spec)
{
    ps_status st = PS_OK;
    for (c->n_open = 0; c->n_open < c->items->n; c->n_open++)
        c->open[c->n_open] = c->n_open;
    for (c->steps = (size_t)spec->steps; !st && c->n_open; c->steps *= 2) {
        st = conduct(c);
        if (!st)
            close_rows(c, spec->tolerance);
        if (2 * c->steps > (size_t)spec->steps_max)
            break;
    }
    return st;
}

static ps_status put(const conducting *c, const ps_spec_explain_method *spec, ps_explain_part *out)
{
    const uint64_t shape[] = {c->layers, c->widest_parts};
    size_t n = c->items->n;
    ps_status st = ps_explain_put_rows(
        out, "conductance", c->x->language ? "layer token" : "layer unit", n, 2, shape, c->values);
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", n, 0, NULL, c->residual);
    if (!st)
        st = ps_explain_put_rows(out, "steps", "", n, 0, NULL, c->steps_used);
    out->tolerance = spec->tolerance;
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    conducting c = {.x = x,
                    .items = items,
                    .width = ps_explain_width(x, items),
                    .batch = x->batch,
                    .kind = x->language ? PS_TAP_RESID_POST : PS_TAP_LAYER_POST};
    ps_status st = take_all(&c);
    if (!st)
        st = solve(&c, spec);
    if (!st)
        st = put(&c, spec, out);
    free_all(&c);
    return st;
}

const ps_explain_method ps_explain_method_conductance = {.name = "conductance", .run = run};
