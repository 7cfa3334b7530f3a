/* Happy path: a row of the table finds its numbers in what the job has left, tensor by tensor, by
 * the tensors' names. What is not finite, or not there, is not measured. Cannot fail. */
#include "client/report/measured.h"

#include "client/report/numbers.h"
#include "common/base/mem.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct filling {
    const ps_graph *graph;
    const ps_measured_files *files;
    ps_measured_tensor *tensors;
    const char *method, *array, *entry; /* of the row */
} filling;

typedef struct source {
    const char *name, *title;
    bool with_sign, log;
    void (*fill)(filling *f);
    const char *method, *array, *entry;
} source;

/* SIZE_MAX: the graph has none of that name. */
static size_t tensor_of(const ps_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_tensors; i++)
        if (!strcmp(g->tensors[i].name, name))
            return i;
    return SIZE_MAX;
}

static void put_whole(filling *f, const char *name, double value)
{
    size_t i = tensor_of(f->graph, name);
    if (i != SIZE_MAX && isfinite(value))
        f->tensors[i] = (ps_measured_tensor){.parts = {value}, .n = 1};
}

/* Parts of a tensor's inputs, which are its columns, or its rows where columns are outputs. */
static bool inputs_lie_down(const ps_graph_tensor *t)
{
    return t->n_dims == 2 && t->slice == PS_GRAPH_SLICE_OUTPUTS;
}

/* ---- what explains ---- */

/* statistics [tensor, quantity] */
static void from_statistics(filling *f)
{
    const ps_explain_view *v = f->files->explanation;
    for (size_t i = 0; v && i < v->manifest->n_tensors; i++) {
        ps_numbers row = ps_numbers_of(v, ps_array_of(v, f->method, f->array), i);
        if (row.data)
            put_whole(f, v->manifest->tensors[i],
                      ps_number_called(v, f->method, f->array, &row, f->entry));
    }
}

/* by_block [tensor, part of its inputs] */
static void from_loss_path(filling *f)
{
    const ps_explain_view *v = f->files->explanation;
    for (size_t i = 0; v && i < v->manifest->n_tensors; i++) {
        ps_numbers row = ps_numbers_of(v, ps_array_of(v, f->method, f->array), i);
        size_t at = tensor_of(f->graph, v->manifest->tensors[i]);
        if (!row.data || at == SIZE_MAX || row.n > PS_MEASURED_PARTS)
            continue;
        ps_measured_tensor *t = &f->tensors[at];
        bool matrix = f->graph->tensors[at].n_dims == 2;
        *t = (ps_measured_tensor){.n = matrix ? (uint32_t)row.n : 1,
                                  .down = inputs_lie_down(&f->graph->tensors[at])};
        for (uint64_t k = 0; k < row.n; k++)
            t->parts[matrix ? k : 0] += ps_number_at(&row, k);
    }
}

/* What the block's attention, or its mlp, ends with: the projection that its stream is added to. */
static size_t projection_of(const ps_graph *g, uint64_t block, bool mlp)
{
    ps_graph_op behind = mlp ? PS_GRAPH_ACTIVATION : PS_GRAPH_ATTENTION;
    for (size_t i = 1; i < g->n_nodes; i++) {
        const ps_graph_node *node = &g->nodes[i];
        if (g->nodes[i - 1].op == behind && node->op == PS_GRAPH_LINEAR && node->n &&
            g->groups[node->group].block == block)
            return node->first;
    }
    return SIZE_MAX;
}

/* effect [row, layer, head]: of the projection that takes what heads give. */
static void from_heads(filling *f)
{
    const ps_explain_view *v = f->files->explanation;
    const char *array = v ? ps_array_of(v, f->method, f->array) : "";
    uint64_t heads = *array ? ps_array_last(v, array) : 0;
    uint64_t layers = heads ? ps_numbers_of(v, array, 0).n / heads : 0;
    for (uint64_t l = 0; heads && heads <= PS_MEASURED_PARTS && l < layers; l++) {
        size_t at = projection_of(f->graph, l, false);
        if (at == SIZE_MAX)
            continue;
        ps_measured_tensor *t = &f->tensors[at];
        *t = (ps_measured_tensor){.n = (uint32_t)heads,
                                  .down = inputs_lie_down(&f->graph->tensors[at])};
        for (uint64_t h = 0; h < heads; h++)
            t->parts[h] = ps_array_mean(v, array, l * heads + h);
    }
}

/* contributions [row, tensor, column block]; NaN: the tensor has no such block. */
static void from_blocks(filling *f)
{
    const ps_explain_view *v = f->files->explanation;
    const char *array = v ? ps_array_of(v, f->method, f->array) : "";
    uint64_t blocks = *array ? ps_array_last(v, array) : 0;
    for (size_t i = 0; blocks && blocks <= PS_MEASURED_PARTS && i < v->manifest->n_tensors; i++) {
        size_t at = tensor_of(f->graph, v->manifest->tensors[i]);
        ps_measured_tensor t = {.n = 0};
        while (at != SIZE_MAX && t.n < blocks && (!t.n || isfinite(t.parts[t.n - 1]))) {
            t.parts[t.n] = ps_array_mean(v, array, i * blocks + t.n);
            t.n++;
        }
        t.n -= t.n && !isfinite(t.parts[t.n - 1]);
        if (t.n)
            f->tensors[at] = t;
    }
}

/* ---- what parts are worth together ---- */

/* players [player, quantity] of worker/explain/part_shapley.c. */
typedef struct player {
    double kind, layer, number, tensor;
} player;
enum { PLAYER_BLOCK, PLAYER_HALF, PLAYER_HEAD, PLAYER_QUANTITIES = 4 };

/* The tensor that stands for it, and which of its parts it is. SIZE_MAX: there is none. */
static size_t place_of(const filling *f, const player *p, uint32_t *part)
{
    const ps_explanation *m = f->files->explanation->manifest;
    *part =
        p->number >= 0 && p->number < PS_MEASURED_PARTS ? (uint32_t)p->number : PS_MEASURED_PARTS;
    if (*part == PS_MEASURED_PARTS)
        return SIZE_MAX;
    if (p->kind == PLAYER_BLOCK)
        return p->tensor >= 0 && p->tensor < (double)m->n_tensors
                   ? tensor_of(f->graph, m->tensors[(size_t)p->tensor])
                   : SIZE_MAX;
    bool mlp = p->kind == PLAYER_HALF && *part;
    if (p->kind == PLAYER_HALF)
        *part = 0;
    return p->layer >= 0 && p->layer < (double)f->graph->n_blocks
               ? projection_of(f->graph, (uint64_t)p->layer, mlp)
               : SIZE_MAX;
}

static void from_game(filling *f, const char *shares, const char *players)
{
    const ps_explain_view *v = f->files->explanation;
    ps_numbers all = ps_numbers_whole(v, players);
    bool *before = ps_alloc_array(f->graph->n_tensors + 1, sizeof *before);
    for (size_t i = 0; i < f->graph->n_tensors; i++)
        before[i] = f->tensors[i].n > 0;
    for (uint64_t i = 0; i < all.n / PLAYER_QUANTITIES && i < ps_array_last(v, shares); i++) {
        double about[PLAYER_QUANTITIES];
        for (uint64_t k = 0; k < PLAYER_QUANTITIES; k++)
            about[k] = ps_number_at(&all, i * PLAYER_QUANTITIES + k);
        const player p = {about[0], about[1], about[2], about[3]};
        uint32_t part;
        size_t at = place_of(f, &p, &part);
        if (at == SIZE_MAX || before[at])
            continue;
        ps_measured_tensor *t = &f->tensors[at];
        t->parts[part] = ps_array_mean(v, shares, i);
        t->n = t->n > part ? t->n : part + 1;
        t->down = p.kind == PLAYER_HEAD && inputs_lie_down(&f->graph->tensors[at]);
    }
    ps_free(&before);
}

/* shapley [row, player], of every entry of that method; where two tell of one tensor, of the first.
 */
static void from_shares(filling *f)
{
    const ps_explain_view *v = f->files->explanation;
    for (size_t i = 0; v && i < v->manifest->n_results; i++) {
        const ps_explanation_result *result = &v->manifest->results[i];
        const ps_explanation_array *shares = ps_explanation_find(result, f->array),
                                   *players = ps_explanation_find(result, "players");
        if (!strcmp(result->method, f->method) && shares && players)
            from_game(f, shares->array, players->array);
    }
}

/* ---- a training, a compression ---- */

/* Parts of all segments, by the column blocks that psd kept tensors in. */
static void from_losses(filling *f)
{
    const ps_loss_file *l = f->files->losses;
    for (size_t u = 0; l && u < l->n_units; u++) {
        size_t at = tensor_of(f->graph, l->units[u].tensor);
        if (at == SIZE_MAX || f->tensors[at].n == PS_MEASURED_PARTS)
            continue;
        ps_measured_tensor *t = &f->tensors[at];
        t->parts[t->n] = 0;
        for (size_t s = 0; s < l->n_segments; s++)
            t->parts[t->n] += l->segments[s].parts[u];
        t->n++;
    }
}

static void read_solved(ps_json_reader *r, double *error, ps_status *st)
{
    ps_json_token key, token;
    *st = ps_json_expect(r, PS_JSON_OBJECT, &key);
    while (ps_json_member(r, &key, st)) {
        bool wanted = !strcmp((const char *)key.text.data, "error");
        *st = wanted ? ps_json_next(r, &token) : ps_json_skip(r);
        if (!*st && wanted && token.kind == PS_JSON_NUMBER)
            *error = token.number;
    }
}

static ps_status read_tensor(ps_json_reader *r, filling *f)
{
    ps_json_token key, token;
    char name[PS_LM_NAME] = "";
    double error = NAN;
    ps_status st = PS_OK;
    while (ps_json_member(r, &key, &st)) {
        if (!strcmp((const char *)key.text.data, "solved")) {
            read_solved(r, &error, &st);
        } else if (!strcmp((const char *)key.text.data, "name")) {
            st = ps_json_expect(r, PS_JSON_STRING, &token);
            if (!st)
                (void)snprintf(name, sizeof name, "%s", (const char *)token.text.data);
        } else {
            st = ps_json_skip(r);
        }
    }
    put_whole(f, name, error);
    return st;
}

/* "tensors": [{"name", "solved": {"error"}}] */
static void from_compression(filling *f)
{
    ps_json_reader r;
    ps_json_token key, token;
    ps_json_reader_init(&r, f->files->compression);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &key);
    while (ps_json_member(&r, &key, &st)) {
        if (strcmp((const char *)key.text.data, "tensors") != 0) {
            st = ps_json_skip(&r);
            continue;
        }
        st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
        while (!st && !(st = ps_json_next(&r, &token)) && token.kind == PS_JSON_OBJECT)
            st = read_tensor(&r, f);
    }
    ps_json_reader_free(&r);
}

/* ---- the table ---- */

#define STATISTIC "statistics"

static const source sources[] = {
    {"loss_change", "what it adds to the loss", true, false, from_loss_path, "loss_path",
     "by_block", NULL},
    {"loss_change", "what it added to the loss", true, false, from_losses, NULL, NULL, NULL},
    {"change", "change by its own size", false, false, from_statistics, "weight_change", STATISTIC,
     "change"},
    {"error", "error of what it gives, by its own size", false, false, from_compression, NULL, NULL,
     NULL},
    {"ablation", "what the score loses without a head", true, false, from_heads, "head_ablation",
     "effect", NULL},
    {"blocks", "what it adds to the score, to first order", true, false, from_blocks, "blocks",
     "contributions", NULL},
    {"shapley", "its share of the score", true, false, from_shares, "part_shapley", "shapley",
     NULL},
    {"stable_rank", "stable rank", false, true, from_statistics, "weights", STATISTIC,
     "stable_rank"},
    {"alpha", "α of its spectrum", false, false, from_statistics, "weights", STATISTIC, "alpha"},
    {"norm", "norm", false, true, from_statistics, "weights", STATISTIC, "norm"},
};
enum { SOURCES = sizeof sources / sizeof *sources };

const char *const ps_measured_names[] = {"loss_change", "change",  "error",       "ablation",
                                         "blocks",      "shapley", "stable_rank", "alpha",
                                         "norm",        NULL};

static ps_human number_text(double value)
{
    ps_human out;
    (void)snprintf(out.text, sizeof out.text, "%.3g", value);
    return out;
}

static void settle(ps_measured *m)
{
    double least = INFINITY, most = -INFINITY;
    m->missing = 0;
    for (size_t i = 0; i < m->n; i++) {
        m->missing += m->tensors[i].n == 0;
        for (uint32_t k = 0; k < m->tensors[i].n; k++)
            if (isfinite(m->tensors[i].parts[k])) {
                least = fmin(least, m->tensors[i].parts[k]);
                most = fmax(most, m->tensors[i].parts[k]);
            }
    }
    bool any = most >= least;
    if (any && m->quantity.with_sign) {
        most = fmax(fabs(least), fabs(most));
        least = -most;
    }
    m->quantity.log = m->quantity.log && any && least > 0;
    m->scale = (ps_scale){.quantity = &m->quantity, .least = least, .most = most, .any = any};
}

ps_measured *ps_measured_of(const ps_graph *graph, const ps_measured_files *files, const char *name)
{
    for (size_t i = 0; i < SOURCES; i++) {
        const source *s = &sources[i];
        if (name && strcmp(name, s->name) != 0)
            continue;
        ps_measured *m = ps_new(ps_measured);
        *m = (ps_measured){.quantity = {.name = s->name,
                                        .title = s->title,
                                        .unit = "",
                                        .with_sign = s->with_sign,
                                        .log = s->log,
                                        .text = number_text},
                           .job = files->job,
                           .n = graph->n_tensors};
        m->tensors = ps_alloc_array(m->n + 1, sizeof *m->tensors);
        filling f = {graph, files, m->tensors, s->method, s->array, s->entry};
        s->fill(&f);
        settle(m);
        if (m->scale.any)
            return m;
        ps_measured_free(&m);
    }
    return NULL;
}

void ps_measured_free(ps_measured **measured)
{
    if (*measured)
        ps_free(&(*measured)->tensors);
    ps_free(measured);
}

/* ---- of a node ---- */

/* The weight of a node of the graph; SIZE_MAX: it multiplies with none. */
static size_t weight_of(const ps_graph_node *node)
{
    return node->n ? node->first : node->shared != PS_GRAPH_NONE ? node->shared : SIZE_MAX;
}

void ps_measured_node(const ps_measured *m, const ps_fold *fold, size_t node,
                      ps_measured_tensor *out)
{
    double counts[PS_MEASURED_PARTS] = {0};
    const ps_graph *g = fold->graph;
    *out = (ps_measured_tensor){.n = 0};
    for (size_t i = 0; !fold->nodes[node].whole && i < g->n_nodes; i++) {
        size_t at = fold->drawn_by[i] == node ? weight_of(&g->nodes[i]) : SIZE_MAX;
        if (at == SIZE_MAX || !m->tensors[at].n || (out->n && out->n != m->tensors[at].n))
            continue;
        out->n = m->tensors[at].n;
        out->down = m->tensors[at].down;
        for (uint32_t k = 0; k < out->n; k++)
            if (isfinite(m->tensors[at].parts[k])) {
                out->parts[k] += m->tensors[at].parts[k];
                counts[k]++;
            }
    }
    for (uint32_t k = 0; k < out->n; k++)
        out->parts[k] = counts[k] > 0 ? out->parts[k] / counts[k] : NAN;
}

void ps_measured_note(const ps_measured *m, const ps_graph *graph, ps_buf *out)
{
    enum { NAMED = 6 };
    size_t named = 0;
    ps_buf_printf(out, "%s: measured by job %" PRIu64, m->quantity.title, m->job);
    if (!m->missing)
        return;
    ps_buf_printf(out, "; of %zu of %zu tensors it has nothing: ", m->missing, m->n);
    for (size_t i = 0; i < m->n && named < NAMED; i++)
        if (!m->tensors[i].n)
            ps_buf_printf(out, "%s%s", named++ ? ", " : "", graph->tensors[i].name);
    if (m->missing > named)
        ps_buf_printf(out, " and %zu more", m->missing - named);
}
