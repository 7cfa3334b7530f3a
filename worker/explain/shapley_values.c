/* shapley: every feature's (group's, token's) share of f(x) − f(x′), where a coalition is worth f
 * of the row with the others as in the baseline (Shapley 1953; Lundberg and Lee 2017: baseline
 * Shapley). Exact, by all 2^M coalitions, where `samples` suffice for them; else by kernel SHAP
 * over `samples` of them. Shares add up to f(x) − f(x′) either way, and `residual` says to what.
 *
 * permutation_shapley: the mean over `permutations` orders of the features, each with its reverse
 * (Castro 2009; Mitchell 2022); beside it its standard error.
 *
 * Forward passes alone: a row and coalition each. */
#include "worker/explain/shapley.h"

#include "worker/explain/baseline.h"
#include "worker/explain/features.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

/* A row under way: which coalitions are asked for, and what they are worth. */
typedef struct game {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t item;
    ps_explain_groups groups;
    const uint8_t *members; /* [coalitions, players]; NULL: the coalition's bits are its number */
    double *values;         /* [coalitions] */
    double empty;           /* f of the baseline alone */
    float *shares;          /* [n, players] */
    float *errors;          /* likewise; NULL: there are none */
    float *residual;        /* [n] */
} game;

static bool is_in(const game *g, size_t coalition, size_t player)
{
    return g->members ? g->members[coalition * g->groups.n + player] : coalition >> player & 1;
}

static void make(void *user, size_t i, void *point, size_t *item)
{
    const game *g = user;
    float *out = point;
    size_t width = ps_explain_width(g->x, g->items), each = width / g->groups.features;
    memcpy(out, g->items->points + g->item * width, width * sizeof *out);
    for (size_t f = 0; f < g->groups.features; f++) {
        if (is_in(g, i, g->groups.of[f]))
            continue;
        for (size_t k = f * each; k < (f + 1) * each; k++)
            out[k] = ps_explain_baseline_at(g->x->baseline, k);
    }
    *item = g->item;
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    ((game *)user)->values[i] = score;
}

/* What `n` coalitions are worth, into g->values. */
static ps_status value_all(game *g, size_t n)
{
    const ps_explain_points points = {.n = n, .make = make, .take = take, .user = g};
    return ps_explain_evaluate(g->x, g->items, &points);
}

static ps_status value_empty(game *g)
{
    static const uint8_t nobody[PS_SHAPLEY_PLAYERS_MAX];
    double *values = g->values;
    g->members = nobody;
    g->values = &g->empty;
    ps_status st = value_all(g, 1);
    g->values = values;
    return st;
}

static void keep(game *g, const double *shares)
{
    size_t n = g->groups.n;
    double sum = 0, change = g->items->scores[g->item] - g->empty;
    for (size_t i = 0; i < n; i++) {
        g->shares[g->item * n + i] = (float)shares[i];
        sum += shares[i];
    }
    g->residual[g->item] = (float)(fabs(sum - change) / fmax(fabs(change), 1e-12));
}

/* ---- exact, and kernel ---- */

static ps_status solve_exact(game *g)
{
    double shares[PS_SHAPLEY_EXACT_MAX];
    size_t coalitions = (size_t)1 << g->groups.n;
    g->values = ps_try_alloc_raw(coalitions * sizeof *g->values);
    g->members = NULL;
    ps_status st =
        g->values ? value_all(g, coalitions) : ps_fail(PS_NO_MEMORY, "%zu coalitions", coalitions);
    if (!st) {
        g->empty = g->values[0];
        ps_shapley_exact(g->values, g->groups.n, shares);
        keep(g, shares);
    }
    ps_free(&g->values);
    return st;
}

static ps_status solve_plan(game *g, const ps_shapley_plan *plan)
{
    g->values = ps_try_alloc_raw(plan->count * sizeof *g->values);
    double *shares = ps_try_alloc_raw(plan->players * sizeof *shares);
    ps_status st =
        g->values && shares ? value_empty(g) : ps_fail(PS_NO_MEMORY, "%zu coalitions", plan->count);
    g->members = plan->members;
    if (!st)
        st = value_all(g, plan->count);
    if (!st)
        st = ps_shapley_solve(plan, g->empty, g->items->scores[g->item], g->values, g->x->check,
                              g->x->user, shares);
    if (!st)
        keep(g, shares);
    ps_free(&g->values);
    ps_free(&shares);
    return st;
}

static ps_status solve_kernel(game *g, size_t samples)
{
    ps_rng rng;
    ps_explain_rng(g->x, g->items->item[g->item], &rng);
    ps_shapley_plan plan;
    uint64_t players = g->groups.n; /* and with them the matrix, the slots of what was drawn */
    ps_status st = ps_explain_room(samples * (players + 64) + players * players * sizeof(double),
                                   "the coalitions of shapley", "lower its samples");
    if (!st)
        st = ps_shapley_plan_make(g->groups.n, samples, &rng, &plan);
    if (st)
        return st;
    st = solve_plan(g, &plan);
    ps_shapley_plan_free(&plan);
    return st;
}

static ps_status solve(game *g, const ps_spec_explain_method *spec)
{
    size_t n = g->groups.n, samples = (size_t)spec->samples;
    return n <= PS_SHAPLEY_EXACT_MAX && (size_t)1 << n <= samples ? solve_exact(g)
                                                                  : solve_kernel(g, samples);
}

/* ---- permutations ---- */

/* The coalitions that come to be as players come in that order, or in its reverse. */
static void fill_members(const uint32_t *order, size_t n, bool back, uint8_t *members)
{
    memset(members, 0, n * n);
    for (size_t k = 0; k < n; k++)
        for (size_t later = k; later < n; later++)
            members[later * n + order[back ? n - 1 - k : k]] = 1;
}

typedef struct orders_room {
    uint32_t *order;  /* [n] */
    uint8_t *members; /* [2n, n] */
    double *values;   /* [2n] */
} orders_room;

static ps_status add_order(game *g, const orders_room *room, ps_rng *rng, ps_shapley_orders *orders)
{
    size_t n = g->groups.n;
    ps_shapley_order(rng, n, room->order);
    fill_members(room->order, n, false, room->members);
    fill_members(room->order, n, true, room->members + n * n);
    g->members = room->members;
    g->values = room->values;
    ps_status st = value_all(g, 2 * n);
    if (!st)
        ps_shapley_orders_add(orders, room->order, g->empty, room->values, room->values + n);
    return st;
}

static ps_status solve_orders(game *g, const ps_spec_explain_method *spec, const orders_room *room)
{
    ps_rng rng;
    ps_explain_rng(g->x, g->items->item[g->item], &rng);
    ps_shapley_orders orders;
    ps_status st = ps_shapley_orders_make(g->groups.n, &orders);
    if (st)
        return st;
    st = value_empty(g);
    for (int64_t i = 0; !st && i < spec->permutations; i++)
        st = add_order(g, room, &rng, &orders);
    if (!st) {
        keep(g, orders.mean);
        for (size_t i = 0; i < g->groups.n; i++)
            g->errors[g->item * g->groups.n + i] = (float)ps_shapley_orders_error(&orders, i);
    }
    ps_shapley_orders_free(&orders);
    return st;
}

static ps_status solve_permutations(game *g, const ps_spec_explain_method *spec)
{
    size_t n = g->groups.n;
    orders_room room = {.order = ps_try_alloc_raw(n * sizeof *room.order),
                        .members = ps_try_alloc_raw(2 * n * n),
                        .values = ps_try_alloc_raw(2 * n * sizeof *room.values)};
    ps_status st = room.order && room.members && room.values
                       ? solve_orders(g, spec, &room)
                       : ps_fail(PS_NO_MEMORY, "orders of %zu players", n);
    ps_free(&room.order);
    ps_free(&room.members);
    ps_free(&room.values);
    return st;
}

/* ---- rows ---- */

static ps_status put(const game *g, ps_explain_part *out)
{
    const ps_explain_groups *groups = &g->groups;
    ps_status st = ps_explain_put_groups(g->x, groups, g->items->n, g->shares, out);
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", g->items->n, 0, NULL, g->residual);
    if (!st && g->errors)
        st = ps_explain_put_values(out, "standard_error", "group", g->items->n, groups->n,
                                   g->errors);
    return st;
}

typedef ps_status solver(game *g, const ps_spec_explain_method *spec);

static ps_status take_room(game *g, bool errors)
{
    size_t n = g->items->n * g->groups.n;
    g->shares = ps_try_alloc_raw(n * sizeof *g->shares);
    g->errors = errors ? ps_try_alloc_raw(n * sizeof *g->errors) : NULL;
    g->residual = ps_try_alloc_raw(g->items->n * sizeof *g->residual);
    return g->shares && g->residual && (g->errors || !errors)
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "shares of %zu players", g->groups.n);
}

static ps_status check_players(const ps_explain_groups *groups)
{
    if (groups->n >= 1 && groups->n <= PS_SHAPLEY_PLAYERS_MAX)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "shares of %zu features, or groups of them; at most %d "
                   "can be: group them by features.grid",
                   groups->n, PS_SHAPLEY_PLAYERS_MAX);
}

static ps_status play(ps_explaining *x, const ps_spec_explain_method *spec,
                      const ps_explain_items *items, solver *solve_row, bool errors,
                      ps_explain_part *out)
{
    game g = {.x = x, .items = items};
    ps_status st = ps_explain_groups_make(&spec->features, ps_explain_features(x, items),
                                          x->language, &g.groups);
    if (st)
        return st;
    st = check_players(&g.groups);
    if (!st)
        st = take_room(&g, errors);
    for (g.item = 0; !st && g.item < items->n; g.item++)
        st = solve_row(&g, spec);
    if (!st)
        st = put(&g, out);
    ps_free(&g.shares);
    ps_free(&g.errors);
    ps_free(&g.residual);
    ps_explain_groups_free(&g.groups);
    return st;
}

static ps_status run_shapley(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                             const ps_explain_items *items, ps_explain_part *out)
{
    return play(x, spec, items, solve, false, out);
}

static ps_status run_permutations(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                                  const ps_explain_items *items, ps_explain_part *out)
{
    return play(x, spec, items, solve_permutations, true, out);
}

const ps_explain_method ps_explain_method_shapley = {.name = "shapley", .run = run_shapley};
const ps_explain_method ps_explain_method_permutation_shapley = {.name = "permutation_shapley",
                                                                 .run = run_permutations};
