/* part_shapley: how what is explained is shared among parts of the model: `players`, the column
 * blocks of one matrix, attention and mlps of blocks, or heads (part_players.h). A coalition is
 * worth f of the row with all other parts giving zeros; exact, by all 2^k coalitions, k at most
 * PS_PART_PLAYERS_MAX.
 *
 *     shapley        [player]      a part's share; they add up to f less f without any of them
 *     leave_one_out  [player]      what is lost without it alone; of parts that stand in for each
 *                                  other next to nothing, whatever their shares are
 *     alone          [player]      what it brings by itself, where there is none of the others
 *     ends           [end]         f with all and with none
 *     players        [player, quantity]  which they are: kind (0 blocks, 1 layers, 2 heads), layer,
 *                                  number (of a layer's halves 0 is attention, 1 the mlp), and of
 *                                  blocks the tensor's, or NaN
 *
 * `residual`: how far shares are from adding up to that, as a share of it. 2^k passes forward a
 * row. */
#include "worker/explain/part_players.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/shapley.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/conf/explain_spec.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 1e-3

static const char *const end_names[] = {"all", "none", NULL};
static const char *const player_names[] = {"kind", "layer", "number", "tensor", NULL};
static const ps_explain_entries entries[] = {
    {"ends", end_names}, {"players", player_names}, {NULL, NULL}};
enum { QUANTITIES = 4 };

/* A row under way. */
typedef struct game {
    ps_explaining *x;
    const ps_explain_items *items;
    ps_part_players *players;
    size_t item, last;                /* last: coalition that was made last */
    size_t widest;                    /* columns of a tap */
    float *parts;                     /* of blocks: [blocks, length, outputs] */
    float *seen;                      /* [batch · length, widest] */
    double *values;                   /* [2^n] */
    float *shapley, *without, *alone; /* [items, n] */
    float *ends, *residual;           /* [items, 2], [items] */
    ps_status failed;                 /* of a hook */
} game;

/* ---- coalitions ---- */

static void make(void *user, size_t i, void *point, size_t *item)
{
    game *g = user;
    size_t length = (size_t)g->items->length, inputs = (size_t)g->x->inputs;
    if (g->items->tokens)
        memcpy(point, g->items->tokens + g->item * length, length * sizeof(int32_t));
    else
        memcpy(point, g->items->features + g->item * inputs, inputs * sizeof(float));
    PS_REQUIRE(i < (size_t)1 << g->players->n);
    g->last = i;
    *item = g->item;
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    ((game *)user)->values[i] = score;
}

/* The batch's rows are coalitions up to the one that was made last. */
static void leave_out(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    game *g = user;
    ps_stream *stream = ps_model_stream(g->x->model);
    size_t length = (size_t)g->items->length, rows = (size_t)seen.shape[0] / length,
           columns = (size_t)seen.shape[1];
    if (g->failed || !ps_part_players_at(g->players, tap))
        return;
    PS_REQUIRE(rows > 0 && rows <= g->x->batch && g->last + 1 >= rows);
    PS_REQUIRE(columns <= g->widest && rows * length == (size_t)seen.shape[0]);
    g->failed = ps_tap_read(stream, seen, ld, g->seen);
    for (size_t i = 0; !g->failed && i < rows; i++)
        ps_part_players_apply(g->players, g->last + 1 - rows + i, tap, g->parts,
                              g->seen + i * length * columns, length, columns);
    if (!g->failed)
        g->failed = ps_tap_write(stream, seen, ld, g->seen);
}

static void keep_parts(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    game *g = user;
    if (!g->failed && ps_tap_equal(tap, g->players->matrix.before))
        g->failed = ps_cut_matrix_parts(g->x, &g->players->matrix, seen, ld, g->parts);
}

/* A pass of n coalitions; of the first one alone, with nothing missing: `look`. */
static ps_status pass(game *g, size_t n, void (*at)(void *, ps_tap, ps_tensor, int64_t))
{
    const ps_model_hooks hooks = {.at = at, .user = g};
    const ps_explain_points points = {.n = n,
                                      .tokens = g->items->tokens != NULL,
                                      .make = make,
                                      .take = take,
                                      .user = g,
                                      .hooks = &hooks};
    ps_status st = ps_explain_evaluate(g->x, g->items, &points);
    return st ? st : g->failed;
}

/* ---- a row ---- */

static void share(game *g)
{
    size_t n = g->players->n, all = ((size_t)1 << n) - 1;
    const double *v = g->values;
    double shares[PS_PART_PLAYERS_MAX], sum = 0, change = g->items->scores[g->item] - v[0];
    PS_REQUIRE(n >= 1 && n <= PS_PART_PLAYERS_MAX && g->item < g->items->n);
    ps_shapley_exact(v, n, shares);
    for (size_t i = 0; i < n; i++) {
        size_t bit = (size_t)1 << i, at = g->item * n + i;
        g->shapley[at] = (float)shares[i];
        g->without[at] = (float)(v[all] - v[all ^ bit]);
        g->alone[at] = (float)(v[bit] - v[0]);
        sum += shares[i];
    }
    g->ends[2 * g->item] = (float)v[all];
    g->ends[2 * g->item + 1] = (float)v[0];
    g->residual[g->item] = (float)(fabs(sum - change) / fmax(fabs(change), 1e-12));
}

static ps_status play(game *g)
{
    ps_status st = g->parts ? pass(g, 1, keep_parts) : PS_OK;
    if (!st)
        st = pass(g, (size_t)1 << g->players->n, leave_out);
    if (!st)
        share(g);
    return st;
}

/* ---- rows ---- */

static size_t widest(const game *g)
{
    size_t most = 0;
    for (size_t i = 0; i < g->players->n; i++) {
        size_t columns = (size_t)ps_model_tap_columns(g->x->model, g->players->player[i].tap);
        most = columns > most ? columns : most;
    }
    return most > g->players->matrix.outputs ? most : g->players->matrix.outputs;
}

static ps_status take_room(game *g)
{
    size_t n = g->items->n * g->players->n, length = (size_t)g->items->length;
    size_t parts = g->players->matrix.blocks * length * g->players->matrix.outputs;
    g->widest = widest(g);
    size_t seen = g->x->batch * length * g->widest;
    ps_status st = ps_explain_room((parts + seen) * sizeof(float), "the parts of a row",
                                   "lower explain.batch");
    if (st)
        return st;
    g->parts = parts ? ps_try_alloc_raw(parts * sizeof *g->parts) : NULL;
    g->seen = ps_try_alloc_raw(seen * sizeof *g->seen);
    g->values = ps_try_alloc_raw(sizeof *g->values << g->players->n);
    g->shapley = ps_try_alloc_raw(n * sizeof *g->shapley);
    g->without = ps_try_alloc_raw(n * sizeof *g->without);
    g->alone = ps_try_alloc_raw(n * sizeof *g->alone);
    g->ends = ps_try_alloc_raw(2 * g->items->n * sizeof *g->ends);
    g->residual = ps_try_alloc_raw(g->items->n * sizeof *g->residual);
    bool whole = (g->parts || !parts) && g->seen && g->values && g->shapley && g->without &&
                 g->alone && g->ends && g->residual;
    return whole ? PS_OK : ps_fail(PS_NO_MEMORY, "shares of %zu parts", g->players->n);
}

static void give_back(game *g)
{
    ps_free(&g->parts);
    ps_free(&g->seen);
    ps_free(&g->values);
    ps_free(&g->shapley);
    ps_free(&g->without);
    ps_free(&g->alone);
    ps_free(&g->ends);
    ps_free(&g->residual);
}

static ps_status put_players(const ps_part_players *p, ps_explain_part *out)
{
    const uint64_t shape[2] = {p->n, QUANTITIES};
    float about[PS_PART_PLAYERS_MAX * QUANTITIES];
    bool blocks = p->kind == PS_EXPLAIN_PLAYERS_BLOCKS;
    for (size_t i = 0; i < p->n; i++) {
        float *of = about + i * QUANTITIES;
        of[0] = (float)p->kind;
        of[1] = (float)p->player[i].of_layer;
        of[2] = (float)p->player[i].number;
        of[3] = blocks ? (float)p->matrix.parameter : NAN;
    }
    return ps_explain_put_result(out, "players", "player quantity", 2, shape, about);
}

static ps_status put(const game *g, ps_explain_part *out)
{
    size_t n = g->items->n;
    ps_status st = ps_explain_put_values(out, "shapley", "player", n, g->players->n, g->shapley);
    if (!st)
        st = ps_explain_put_values(out, "leave_one_out", "player", n, g->players->n, g->without);
    if (!st)
        st = ps_explain_put_values(out, "alone", "player", n, g->players->n, g->alone);
    if (!st)
        st = ps_explain_put_values(out, "ends", "end", n, 2, g->ends);
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", n, 0, NULL, g->residual);
    if (!st)
        st = put_players(g->players, out);
    out->tolerance = TOLERANCE;
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    ps_part_players players;
    game g = {.x = x, .items = items, .players = &players};
    ps_status st = ps_part_players_open(x, spec, &players);
    if (!st)
        st = take_room(&g);
    for (g.item = 0; !st && g.item < items->n; g.item++)
        st = play(&g);
    if (!st)
        st = put(&g, out);
    give_back(&g);
    ps_part_players_free(x, &players);
    return st;
}

/* What the entry asks for is there: before any row is computed. */
static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    ps_part_players players;
    ps_status st = ps_part_players_open(x, spec, &players);
    ps_part_players_free(x, &players);
    return st;
}

const ps_explain_method ps_explain_method_part_shapley = {
    .name = "part_shapley", .entries = entries, .prepare = prepare, .run = run};
