/* Happy path: a share's rows are walked through in batches, scored by the method, and of each query
 * the best are kept; a share leaves these, and self-influence of all its rows:
 *
 *     best_K [query, side, rank, 2]   row and score; side 0 helps, 1 hurts
 *     self_K, labels_K [row]          of the share's rows
 *     scores_K [query, row]           with `scores`
 *     named_K [row], contents_K [row, feature]  what is in those that may be shown
 *
 * with K the share's number; finish makes one of all. */
#include "worker/explain/train_scores.h"

#include "worker/explain/best_rows.h"
#include "worker/explain/room.h"

#include "common/base/bits.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HELPS, HURTS, SIDES, PAIR = PS_BEST_PAIR };

/* ---- a share ---- */

static ps_status take_share(ps_train_scores *s)
{
    uint64_t rows = ps_dataset_rows(s->x->train);
    if (rows > PS_TRAIN_ROWS_MAX)
        return ps_fail(PS_OUT_OF_RANGE, "data.train has %" PRIu64 " rows, more than %d", rows,
                       PS_TRAIN_ROWS_MAX);
    s->begin = rows * s->x->share / PS_EXPLAIN_SHARES;
    s->end = rows * (s->x->share + 1) / PS_EXPLAIN_SHARES;
    size_t n = (size_t)(s->end - s->begin), all = n * (s->queries.n + 2) + 1;
    ps_status st = ps_explain_room(all * sizeof *s->scores, "scores of rows of data.train",
                                   "explain fewer rows");
    if (st)
        return st;
    s->rows = ps_alloc_array(s->x->batch, sizeof *s->rows);
    s->odd = ps_alloc_array(s->queries.n + 1, sizeof *s->odd);
    s->scores = ps_try_alloc(all * sizeof *s->scores);
    if (!s->scores)
        return ps_fail(PS_NO_MEMORY, "scores of %zu × %" PRIu64 " rows; explain fewer rows", n,
                       s->queries.n);
    s->self = s->scores + n * s->queries.n;
    s->labels = s->self + n;
    return PS_OK;
}

ps_status ps_train_scores_open(ps_explaining *x, const ps_spec_explain_method *spec,
                               ps_train_scores *out)
{
    PS_REQUIRE(x->train && x->test && x->share < PS_EXPLAIN_SHARES);
    *out = (ps_train_scores){.x = x, .spec = spec};
    ps_status st = ps_row_gradients_open(x, &out->gradients);
    if (!st)
        st = ps_selection_make(x->spec, ps_dataset_rows(x->test), &out->queries);
    return st ? st : take_share(out);
}

void ps_train_scores_close(ps_train_scores *s)
{
    ps_row_gradients_close(&s->gradients);
    ps_selection_free(&s->queries);
    ps_free(&s->rows);
    ps_free(&s->odd);
    ps_free(&s->scores);
}

ps_status ps_train_scores_model(ps_train_scores *s, size_t i)
{
    PS_REQUIRE(i < ps_train_scores_models(s->spec));
    PS_REQUIRE(s->x->become || !s->spec->n_checkpoints);
    return s->spec->n_checkpoints ? s->x->become(s->x->user, &s->spec->checkpoints[i]) : PS_OK;
}

ps_status ps_train_scores_each_query(ps_train_scores *s, ps_gradient_of of, ps_train_scores_fn each,
                                     void *user)
{
    ps_status st = PS_OK;
    for (size_t first = 0; !st && first < s->queries.n; first += s->x->batch) {
        size_t left = s->queries.n - first, n = left < s->x->batch ? left : s->x->batch;
        for (size_t i = 0; i < n; i++)
            s->rows[i] = ps_selection_row(&s->queries, first + i);
        st = ps_row_gradients_take(&s->gradients, s->x->test, s->rows, n, of);
        for (size_t i = 0; !st && i < n; i++)
            s->odd[first + i] |= s->gradients.odd[i];
        if (!st)
            st = each(user, first, n);
        if (!st)
            st = s->x->check(s->x->user);
    }
    return st;
}

ps_status ps_train_scores_each_row(ps_train_scores *s, ps_gradient_of of, ps_train_scores_fn each,
                                   void *user)
{
    ps_status st = PS_OK;
    size_t all = (size_t)(s->end - s->begin);
    for (size_t first = 0; !st && first < all; first += s->x->batch) {
        size_t n = all - first < s->x->batch ? all - first : s->x->batch;
        for (size_t i = 0; i < n; i++)
            s->rows[i] = s->begin + first + i;
        st = ps_row_gradients_take(&s->gradients, s->x->train, s->rows, n, of);
        if (!st)
            memcpy(s->labels + first, s->gradients.labels, n * sizeof *s->labels);
        if (!st)
            st = each(user, first, n);
        if (!st)
            st = s->x->check(s->x->user);
    }
    return st;
}

/* ---- the best ---- */

static void name_of(const char *what, unsigned share, char out[PS_EXPLAIN_NAME])
{
    (void)snprintf(out, PS_EXPLAIN_NAME, "%s_%u", what, share);
}

static ps_status put_part(const ps_train_scores *s, ps_explain_part *out, const char *what,
                          const char *axes, int rank, const uint64_t *shape, const float *values)
{
    char name[PS_EXPLAIN_NAME];
    name_of(what, s->x->share, name);
    return ps_explain_put_result(out, name, axes, rank, shape, values);
}

/* Of each query both sides; and behind them of self-influence one. */
static void find_best(const ps_train_scores *s, float *pairs)
{
    size_t n = (size_t)(s->end - s->begin), top = (size_t)s->spec->top;
    for (size_t q = 0; q < s->queries.n; q++) {
        ps_best_rows helps = ps_best_rows_in(pairs + (q * SIDES + HELPS) * top * PAIR, top),
                     hurts = ps_best_rows_in(pairs + (q * SIDES + HURTS) * top * PAIR, top);
        for (size_t i = 0; i < n; i++) {
            float score = isnan(s->self[i]) ? NAN : s->scores[q * n + i];
            ps_best_rows_offer(&helps, (float)(s->begin + i), score);
            ps_best_rows_offer(&hurts, (float)(s->begin + i), -score);
        }
    }
    ps_best_rows self = ps_best_rows_in(pairs + s->queries.n * SIDES * top * PAIR, top);
    for (size_t i = 0; i < n; i++)
        ps_best_rows_offer(&self, (float)(s->begin + i), s->self[i]);
}

/* Numbers, or of a language model tokens as numbers. */
static ps_status read_contents(const ps_train_scores *s, uint64_t row, size_t wide, float *out)
{
    ps_status st = ps_dataset_read(s->x->train, &row, 1, out, NULL);
    for (size_t k = 0; !st && s->x->language && k < wide; k++)
        out[k] = (float)(int32_t)ps_bits_of_float(out[k]);
    return st;
}

/* Their contents, each once. */
static ps_status put_contents(const ps_train_scores *s, const float *pairs, size_t n_pairs,
                              ps_explain_part *out)
{
    size_t all = (size_t)(s->end - s->begin), wide = ps_dataset_features(s->x->train), n = 0;
    bool *named = ps_alloc_array(all + 1, sizeof *named);
    for (size_t i = 0; i < n_pairs; i++)
        if (!isnan(pairs[i * PAIR]))
            named[(uint64_t)pairs[i * PAIR] - s->begin] = true;
    for (size_t i = 0; i < all; i++)
        n += named[i];
    float *rows = ps_alloc_array(n + 1, sizeof *rows);
    float *contents = ps_try_alloc_raw((n * wide + 1) * sizeof *contents);
    ps_status st = contents ? PS_OK : ps_fail(PS_NO_MEMORY, "what is in %zu rows; lower top", n);
    n = 0;
    for (uint64_t i = 0; !st && i < all; i++) {
        if (!named[i])
            continue;
        rows[n] = (float)(s->begin + i);
        st = read_contents(s, s->begin + i, wide, contents + n++ * wide);
    }
    const uint64_t shape[] = {n, wide};
    if (!st)
        st = put_part(s, out, "named", "shown", 1, shape, rows);
    if (!st)
        st = put_part(s, out, "contents", "shown feature", 2, shape, contents);
    ps_free(&named);
    ps_free(&rows);
    ps_free(&contents);
    return st;
}

static ps_status put_queries(const ps_train_scores *s, ps_explain_part *out)
{
    const uint64_t n = s->queries.n;
    float *rows = ps_alloc_array(s->queries.n, sizeof *rows);
    for (size_t q = 0; q < s->queries.n; q++)
        rows[q] = (float)ps_selection_row(&s->queries, q);
    ps_status st = ps_explain_put_result(out, "queries", "query", 1, &n, rows);
    ps_free(&rows);
    return st;
}

static ps_status put_best(const ps_train_scores *s, ps_explain_part *out)
{
    const uint64_t top = (uint64_t)s->spec->top, queries = s->queries.n;
    const uint64_t shape[] = {queries * SIDES + 1, top, PAIR};
    size_t n_pairs = (size_t)(shape[0] * top);
    float *pairs = ps_try_alloc_raw(n_pairs * PAIR * sizeof *pairs);
    if (!pairs)
        return ps_fail(PS_NO_MEMORY, "the best of %" PRIu64 " queries; lower top", queries);
    find_best(s, pairs);
    ps_status st = put_part(s, out, "best", "side rank pair", 3, shape, pairs);
    if (!st && ps_spec_explain_shows(s->x->spec))
        st = put_contents(s, pairs, n_pairs, out);
    ps_free(&pairs);
    return st;
}

static void leave_out_odd(ps_train_scores *s, ps_explain_part *out)
{
    size_t all = (size_t)(s->end - s->begin);
    for (size_t q = 0; q < s->queries.n; q++) {
        if (!s->odd[q])
            continue;
        ps_explain_warn(out,
                        "row %" PRIu64 " of data.test has no finite gradient: nothing is said of "
                        "what influenced it",
                        ps_selection_row(&s->queries, q));
        for (size_t i = 0; i < all; i++)
            s->scores[q * all + i] = NAN;
    }
}

ps_status ps_train_scores_put(ps_train_scores *s, ps_explain_part *out)
{
    const uint64_t shape[] = {s->queries.n, s->end - s->begin};
    ps_status st = put_queries(s, out);
    ps_row_gradients_say(&s->gradients, out);
    leave_out_odd(s, out);
    if (!st)
        st = put_part(s, out, "self", "train", 1, shape + 1, s->self);
    if (!st)
        st = put_part(s, out, "labels", "train", 1, shape + 1, s->labels);
    if (!st && s->spec->scores)
        st = put_part(s, out, "scores", "query train", 2, shape, s->scores);
    return st ? st : put_best(s, out);
}

/* ---- all shares ---- */

typedef struct gathering {
    ps_explain_part *merged;
    size_t top;
    uint64_t queries, rows; /* rows: of data.train */
    const ps_explain_array *best[PS_EXPLAIN_SHARES], *self[PS_EXPLAIN_SHARES],
        *labels[PS_EXPLAIN_SHARES];
    float *all_self, *all_labels; /* [rows] */
    float *pairs;                 /* [queries·SIDES + 1, top, PAIR] */
} gathering;

static const ps_explain_array *share_of(const ps_explain_part *part, const char *what, unsigned k,
                                        int rank)
{
    char name[PS_EXPLAIN_NAME];
    name_of(what, k, name);
    const ps_explain_array *a = ps_explain_get(part, name);
    return a && a->floats && a->rank == rank ? a : NULL;
}

static void drop_share(ps_explain_part *part, const char *what)
{
    for (unsigned k = 0; k < PS_EXPLAIN_SHARES; k++) {
        char name[PS_EXPLAIN_NAME];
        name_of(what, k, name);
        ps_explain_drop(part, name);
    }
}

/* Parts come from files: they are what shares leave. */
static bool find_parts(gathering *g)
{
    const ps_explain_array *queries = ps_explain_get(g->merged, "queries");
    if (!queries || queries->rank != 1 || !queries->floats)
        return false;
    g->queries = queries->shape[0];
    for (unsigned k = 0; k < PS_EXPLAIN_SHARES; k++) {
        g->best[k] = share_of(g->merged, "best", k, 3);
        g->self[k] = share_of(g->merged, "self", k, 1);
        g->labels[k] = share_of(g->merged, "labels", k, 1);
        if (!g->best[k] || !g->self[k] || !g->labels[k] ||
            g->best[k]->shape[0] != g->queries * SIDES + 1 || g->best[k]->shape[1] != g->top ||
            g->best[k]->shape[2] != PAIR || g->labels[k]->shape[0] != g->self[k]->shape[0])
            return false;
        g->rows += g->self[k]->shape[0];
    }
    return g->rows <= PS_TRAIN_ROWS_MAX;
}

static void join_rows(gathering *g)
{
    uint64_t at = 0;
    for (unsigned k = 0; k < PS_EXPLAIN_SHARES; k++) {
        size_t n = (size_t)g->self[k]->shape[0];
        memcpy(g->all_self + at, g->self[k]->floats, n * sizeof(float));
        memcpy(g->all_labels + at, g->labels[k]->floats, n * sizeof(float));
        at += n;
    }
}

/* Shares follow each other as their rows do: so of equal ones the first still comes first. */
static void join_best(gathering *g)
{
    for (size_t list = 0; list < g->queries * SIDES + 1; list++) {
        ps_best_rows b = ps_best_rows_in(g->pairs + list * g->top * PAIR, g->top);
        for (unsigned k = 0; k < PS_EXPLAIN_SHARES; k++)
            for (size_t i = 0; i < g->top; i++) {
                const float *pair = g->best[k]->floats + (list * g->top + i) * PAIR;
                if (pair[0] >= 0 && pair[0] < (float)g->rows)
                    ps_best_rows_offer(&b, pair[0], pair[1]);
            }
    }
}

/* Of every other list from `from` on, n of them, three arrays: rows, scores and labels. */
static ps_status put_lists(const gathering *g, const char *what, size_t from, size_t n,
                           const char *axes, int rank, float sign)
{
    static const char *const endings[] = {"", "_scores", "_labels"};
    const uint64_t both[] = {n, g->top};
    const uint64_t *shape = rank == 1 ? both + 1 : both;
    float *values = ps_try_alloc_raw((n * g->top + 1) * sizeof *values);
    ps_status st = values ? PS_OK : ps_fail(PS_NO_MEMORY, "the best of %zu queries", n);
    for (size_t e = 0; !st && e < 3; e++) {
        char name[PS_EXPLAIN_NAME];
        (void)snprintf(name, sizeof name, "%s%s", what, endings[e]);
        for (size_t i = 0; i < n * g->top; i++) {
            const float *pair =
                g->pairs + ((from + i / g->top * SIDES) * g->top + i % g->top) * PAIR;
            values[i] = isnan(pair[0]) ? NAN
                        : e == 0       ? pair[0]
                        : e == 1       ? sign * pair[1]
                                       : g->all_labels[(size_t)pair[0]];
        }
        st = ps_explain_put_result(g->merged, name, axes, rank, shape, values);
    }
    ps_free(&values);
    return st;
}

/* Which rows are in a list of all: [rows]. */
static ps_status mark_named(const gathering *g, bool **out)
{
    bool *named = *out = ps_try_alloc((size_t)g->rows + 1);
    if (!named)
        return ps_fail(PS_NO_MEMORY, "marks of %" PRIu64 " rows", g->rows);
    for (size_t i = 0; i < (g->queries * SIDES + 1) * g->top; i++)
        if (!isnan(g->pairs[i * PAIR]))
            named[(size_t)g->pairs[i * PAIR]] = true;
    return PS_OK;
}

/* A row that a share names comes from a file. */
static bool is_named(const gathering *g, const bool *named, float row)
{
    return row >= 0 && row < (float)g->rows && named[(size_t)row];
}

/* Rows of share k that are in a list of all: how many, or, with rows, they and what is in them. */
static size_t take_shown(const gathering *g, const bool *marks, unsigned k, size_t wide,
                         float *rows, float *contents)
{
    const ps_explain_array *named = share_of(g->merged, "named", k, 1),
                           *in = share_of(g->merged, "contents", k, 2);
    size_t n = 0;
    if (!named || !in || in->shape[0] != named->shape[0] || in->shape[1] != wide)
        return 0;
    for (uint64_t i = 0; i < named->shape[0]; i++) {
        if (!is_named(g, marks, named->floats[i]))
            continue;
        if (rows) {
            rows[n] = named->floats[i];
            memcpy(contents + n * wide, in->floats + i * wide, wide * sizeof *contents);
        }
        n++;
    }
    return n;
}

/* Others were in a list of one share alone. */
static ps_status join_marked(const gathering *g, const bool *marks, size_t wide)
{
    size_t n = 0, at = 0;
    for (unsigned k = 0; k < PS_EXPLAIN_SHARES; k++)
        n += take_shown(g, marks, k, wide, NULL, NULL);
    float *rows = ps_try_alloc_raw((n * (wide + 1) + 1) * sizeof *rows), *contents = rows + n;
    if (!rows)
        return ps_fail(PS_NO_MEMORY, "what is in %zu rows; lower top", n);
    for (unsigned k = 0; k < PS_EXPLAIN_SHARES; k++)
        at += take_shown(g, marks, k, wide, rows + at, contents + at * wide);
    const uint64_t shape[] = {n, wide};
    ps_status st = ps_explain_put_result(g->merged, "shown_rows", "shown", 1, shape, rows);
    if (!st)
        st = ps_explain_put_result(g->merged, "shown", "shown feature", 2, shape, contents);
    ps_free(&rows);
    return st;
}

static ps_status join_shown(const gathering *g)
{
    const ps_explain_array *first = share_of(g->merged, "contents", 0, 2);
    bool *marks = NULL;
    if (!first)
        return PS_OK;
    ps_status st = mark_named(g, &marks);
    if (!st)
        st = join_marked(g, marks, (size_t)first->shape[1]);
    ps_free(&marks);
    return st;
}

static ps_status join_scores(const gathering *g)
{
    const uint64_t shape[] = {g->queries, g->rows};
    ps_status st = PS_OK;
    if (!share_of(g->merged, "scores", 0, 2))
        return PS_OK;
    float *all = ps_try_alloc((size_t)(shape[0] * shape[1] + 1) * sizeof *all);
    if (!all)
        return ps_fail(PS_NO_MEMORY, "scores of %" PRIu64 " × %" PRIu64 " rows", shape[0],
                       shape[1]);
    for (uint64_t k = 0, at = 0; k < PS_EXPLAIN_SHARES; k++) {
        const ps_explain_array *a = share_of(g->merged, "scores", (unsigned)k, 2);
        uint64_t n = g->self[k]->shape[0];
        if (!a || a->shape[0] != g->queries || a->shape[1] != n)
            st = ps_fail(PS_CORRUPT, "scores of share %" PRIu64 " are missing", k);
        for (uint64_t q = 0; !st && q < g->queries; q++)
            memcpy(all + q * g->rows + at, a->floats + q * n, n * sizeof *all);
        at += n;
    }
    if (!st)
        st = ps_explain_put_result(g->merged, "scores", "query train", 2, shape, all);
    ps_free(&all);
    return st;
}

static void warn_of_odd(const gathering *g)
{
    uint64_t odd = 0, first = 0;
    for (uint64_t i = 0; i < g->rows; i++) {
        first = isnan(g->all_self[i]) && !odd ? i : first;
        odd += isnan(g->all_self[i]);
    }
    if (odd)
        ps_explain_warn(g->merged,
                        "%" PRIu64 " rows of data.train have no finite gradient and are left out; "
                        "the first is row %" PRIu64,
                        odd, first);
}

/* Whoever drops an array moves those behind it: so all are dropped at the end. */
static ps_status join(gathering *g)
{
    static const char *const parts[] = {"best", "self", "labels", "scores", "named", "contents"};
    ps_status st = join_scores(g);
    join_rows(g);
    join_best(g);
    warn_of_odd(g);
    if (!st)
        st = put_lists(g, "helping", HELPS, (size_t)g->queries, "query rank", 2, 1);
    if (!st)
        st = put_lists(g, "hurting", HURTS, (size_t)g->queries, "query rank", 2, -1);
    if (!st)
        st = put_lists(g, "strongest", (size_t)g->queries * SIDES, 1, "rank", 1, 1);
    if (!st)
        st = join_shown(g);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        drop_share(g->merged, parts[i]);
    return st ? st
              : ps_explain_put_result(g->merged, "self_influence", "train", 1, &g->rows,
                                      g->all_self);
}

ps_status ps_train_scores_finish(const ps_spec_explain_method *spec, ps_explain_part *merged)
{
    gathering g = {.merged = merged, .top = (size_t)spec->top};
    if (!find_parts(&g))
        return ps_fail(PS_CORRUPT, "scores of shares are missing");
    size_t pairs = (size_t)(g.queries * SIDES + 1) * g.top * PAIR;
    g.all_self = ps_try_alloc_raw((2 * g.rows + pairs + 1) * sizeof *g.all_self);
    if (!g.all_self)
        return ps_fail(PS_NO_MEMORY, "scores of %" PRIu64 " rows", g.rows);
    g.all_labels = g.all_self + g.rows;
    g.pairs = g.all_labels + g.rows;
    ps_status st = join(&g);
    ps_free(&g.all_self);
    return st;
}
