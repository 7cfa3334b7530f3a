/* conductance: how much of f(x) − f(x′) goes through each unit of each layer, or of a language
 * model through each token's stream behind each block (Dhamdhere, Sundararajan and Yan 2018): with
 * y the unit and the straight path from the baseline in steps,
 *
 *     Σ_k ½·(∂f/∂y_k + ∂f/∂y_{k+1})·(y_{k+1} − y_k).
 *
 * Every path from the input to f crosses every layer, so each layer adds up to f(x) − f(x′), and
 * with both ends among the points, and differences of y instead of its slope, few steps come near
 * it. So does each part of the path: where a row is not within the tolerance after `steps` even
 * ones, its path is cut into parts, and a part into halves where some layer does not add up to what
 * f changes by between its ends, until there have been steps_max points (as path_parts.h has it of
 * gradients). `residual` is of the layer that is furthest from adding up, of the whole path.
 *
 *     conductance [row, layer, unit or token]  NaN where a layer has fewer units than the widest
 *
 * steps + 1 points a part, forward and backward. On the host: a batch's y of all layers. */
#include "worker/explain/baseline.h"
#include "worker/explain/path_parts.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/models/tap.h"

#include <math.h>
#include <string.h>

enum { STEPS = 8 }; /* of a part, but for the whole path */

/* A layer as the passes go. */
typedef struct crossing {
    size_t wide;            /* numbers of a row there */
    size_t parts;           /* that are told: units, or tokens */
    float *y;               /* [batch, wide] */
    float *last_y, *last_g; /* [wide]: of the point before the batch */
    double *sums;           /* [n, parts]: of what holds */
    double *part;           /* [in_flight, parts]: of parts of the path that points come in of */
} crossing;

/* A part of a row's path. */
typedef struct stretch {
    size_t row;
    double from, to;       /* alpha at its ends, */
    double at_from, at_to; /* and f, when its points have been seen */
} stretch;

typedef struct conducting {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t width, batch;
    double tolerance;
    size_t most;         /* points of a row */
    stretch *now, *wait; /* being seen; to be cut: as many as `now`, at most */
    size_t n_now, n_wait;
    size_t steps, in_flight; /* of each now; how many a batch's points may be of */
    size_t pieces;           /* that one is cut into next; fewer than 2: it is not */
    ps_tap_kind kind;        /* where layers are crossed */
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

static double *part_of(const conducting *c, const crossing *at, size_t i)
{
    return at->part + i % c->in_flight * at->parts;
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
        double *sums = part_of(c, at, point / points);
        if (point % points)
            add_step(at, r ? y - at->wide : at->last_y, r ? g - at->wide : at->last_g, y, g, sums);
        else
            memset(sums, 0, at->parts * sizeof *sums);
    }
    memcpy(at->last_y, at->y + (rows - 1) * at->wide, at->wide * sizeof *at->last_y);
    memcpy(at->last_g, c->g + (rows - 1) * at->wide, at->wide * sizeof *at->last_g);
}

/* Point i: step i % (steps + 1) of part i / (steps + 1). */
static void make(void *user, size_t i, void *point, size_t *item)
{
    conducting *c = user;
    float *out = point;
    const stretch *s = &c->now[i / (c->steps + 1)];
    size_t step = i % (c->steps + 1);
    *item = s->row;
    const float *input = c->items->points + *item * c->width;
    double alpha =
        step == c->steps ? s->to : s->from + (s->to - s->from) * (double)step / (double)c->steps;
    for (size_t k = 0; k < c->width; k++) {
        double from = (double)ps_explain_baseline_at(c->x->baseline, k);
        out[k] = (float)(from + alpha * ((double)input[k] - from));
    }
    c->made = i + 1;
}

/* By how much the layer that is furthest off does not add up in part i. */
static double off_of(const conducting *c, size_t i)
{
    double change = c->now[i].at_to - c->now[i].at_from, most = 0;
    for (size_t layer = 0; layer < c->layers; layer++) {
        const double *part = part_of(c, &c->at[layer], i);
        double sum = 0;
        for (size_t k = 0; k < c->at[layer].parts; k++)
            sum += part[k];
        most = ps_explain_worse(most, fabs(sum - change));
    }
    return most;
}

/* Is it to be cut, and may its row have the points? A part may be off by its share of what the
 * whole may be off by, and a narrow one by a little more. */
static bool again(const conducting *c, size_t i)
{
    const stretch *s = &c->now[i];
    double wide = s->to - s->from, share = fmax(wide, 1.0 / PS_PATH_SHARE);
    double may = c->tolerance * fabs(c->to[s->row] - c->from[s->row]) * share;
    size_t more = c->pieces * (STEPS + 1);
    float *steps = &c->steps_used[s->row];
    if (c->pieces < 2 || off_of(c, i) <= may || wide <= PS_PATH_NARROWEST * s->to ||
        (size_t)*steps + more > c->most)
        return false;
    *steps += (float)more;
    return true;
}

/* All layers of a part are there when its last point is. */
static void take(void *user, size_t i, double score, const float *gradient)
{
    conducting *c = user;
    size_t step = i % (c->steps + 1), part = i / (c->steps + 1);
    stretch *s = &c->now[part];
    if (step == 0)
        s->at_from = score;
    if (step < c->steps)
        return;
    s->at_to = score;
    if (s->to - s->from >= 1) {
        c->from[s->row] = s->at_from;
        c->to[s->row] = s->at_to;
    }
    if (again(c, part)) {
        c->wait[c->n_wait++] = *s;
        return;
    }
    for (size_t layer = 0; layer < c->layers; layer++) {
        const crossing *at = &c->at[layer];
        const double *sums = part_of(c, at, part);
        for (size_t k = 0; k < at->parts; k++)
            at->sums[s->row * at->parts + k] += sums[k];
    }
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
    at->part = ps_try_alloc_raw(c->in_flight * at->parts * sizeof *at->part);
    return at->y && at->last_y && at->last_g && at->sums && at->part;
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
        bytes += (c->batch + 2) * wide * sizeof(float) +
                 (c->items->n + c->in_flight) * parts * sizeof(double);
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
    c->now = ps_try_alloc_raw(n * sizeof *c->now);
    return whole && c->g && c->from && c->to && c->values && c->residual && c->steps_used && c->now
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
        ps_free(&c->at[i].part);
    }
    ps_free(&c->at);
    ps_free(&c->g);
    ps_free(&c->from);
    ps_free(&c->to);
    ps_free(&c->values);
    ps_free(&c->residual);
    ps_free(&c->steps_used);
    ps_free(&c->now);
    ps_free(&c->wait);
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

static ps_status conduct(conducting *c)
{
    const ps_model_hooks hooks = {.at = see, .gradient_at = go_back, .user = c};
    const ps_explain_points points = {.n = c->n_now * (c->steps + 1),
                                      .gradients = true,
                                      .make = make,
                                      .take = take,
                                      .user = c,
                                      .hooks = &hooks};
    ps_free(&c->wait);
    c->wait = ps_try_alloc_raw(c->n_now * sizeof *c->wait);
    if (!c->wait)
        return ps_fail(PS_NO_MEMORY, "%zu parts of a path", c->n_now);
    c->n_wait = 0;
    ps_status st = ps_explain_evaluate(c->x, c->items, &points);
    return st ? st : c->failed;
}

/* What waits is what is seen next, each in so many pieces. */
static ps_status cut(conducting *c)
{
    size_t pieces = c->pieces;
    stretch *now = ps_try_alloc_raw(c->n_wait * pieces * sizeof *now);
    if (!now)
        return ps_fail(PS_NO_MEMORY, "%zu parts of a path", c->n_wait * pieces);
    for (size_t i = 0; i < c->n_wait * pieces; i++) {
        const stretch *s = &c->wait[i / pieces];
        double wide = (s->to - s->from) / (double)pieces, k = (double)(i % pieces);
        bool last = i % pieces + 1 == pieces;
        now[i] = (stretch){.row = s->row,
                           .from = s->from + wide * k,
                           .to = last ? s->to : s->from + wide * (k + 1)};
    }
    ps_free(&c->now);
    c->now = now;
    c->n_now = c->n_wait * pieces;
    c->steps = STEPS;
    c->pieces = PS_PATH_HALVES;
    return PS_OK;
}

static ps_status solve(conducting *c)
{
    for (c->n_now = 0; c->n_now < c->items->n; c->n_now++) {
        c->now[c->n_now] = (stretch){.row = c->n_now, .to = 1};
        c->steps_used[c->n_now] = (float)c->steps;
    }
    ps_status st = conduct(c);
    while (!st && c->n_wait) {
        st = cut(c);
        if (!st)
            st = conduct(c);
    }
    for (size_t row = 0; !st && row < c->items->n; row++) {
        double most = 0;
        for (size_t layer = 0; layer < c->layers; layer++)
            most = ps_explain_worse(most, settle(c, row, layer));
        c->residual[row] = (float)most;
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

/* Of a whole path: with twice the steps that it has had, where there may be as many, an even one is
 * within the tolerance as a rule. */
static size_t first_pieces(const conducting *c)
{
    size_t twice = (2 * c->steps + STEPS - 1) / STEPS;
    size_t left = c->most > c->steps ? (c->most - c->steps) / (STEPS + 1) : 0;
    size_t pieces = twice > PS_PATH_CUTS ? twice : PS_PATH_CUTS;
    return pieces < left ? pieces : left;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    conducting c = {.x = x,
                    .items = items,
                    .width = ps_explain_width(x, items),
                    .batch = x->batch,
                    .tolerance = spec->tolerance,
                    .most = (size_t)spec->steps_max,
                    .steps = (size_t)spec->steps,
                    .kind = x->language ? PS_TAP_RESID_POST : PS_TAP_LAYER_POST};
    c.pieces = first_pieces(&c);
    /* those of a batch of the shortest parts that there are, and of its ends */
    c.in_flight = c.batch / (1 + (c.steps < STEPS ? c.steps : STEPS)) + 2;
    ps_status st = take_all(&c);
    if (!st)
        st = solve(&c);
    if (!st)
        st = put(&c, spec, out);
    free_all(&c);
    return st;
}

const ps_explain_method ps_explain_method_conductance = {.name = "conductance", .run = run};
