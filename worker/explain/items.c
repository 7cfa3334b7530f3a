/* Happy path: rows are copied, embedded where they are tokens, answered, and each has its goal and
 * score; rows that stay move up. */
#include "worker/explain/items.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What items has, before it is const. */
typedef struct columns {
    uint64_t *item, *row;
    float *features;
    int32_t *tokens;
    float *points;
    int32_t *labels;
    float *targets;
    ps_explain_goal *goals;
    float *logits;
    double *scores;
} columns;

static void *take(ps_explain_batch *b, size_t which, size_t bytes, bool *whole)
{
    PS_REQUIRE(which < sizeof b->memory / sizeof *b->memory);
    b->memory[which] = ps_try_alloc(bytes ? bytes : 1);
    *whole = *whole && b->memory[which];
    return b->memory[which];
}

static ps_status take_memory(const ps_explaining *x, const ps_explain_raw *raw, ps_explain_batch *b,
                             columns *c)
{
    size_t n = raw->n, outputs = (size_t)x->outputs, length = (size_t)raw->length;
    size_t width = (size_t)x->inputs * length;
    bool whole = true;
    c->item = take(b, 0, n * sizeof *c->item, &whole);
    c->row = take(b, 1, n * sizeof *c->row, &whole);
    c->points = take(b, 2, n * width * sizeof *c->points, &whole);
    c->tokens = take(b, 3, x->language ? n * length * sizeof *c->tokens : 0, &whole);
    c->labels = take(b, 4, n * sizeof *c->labels, &whole);
    c->targets = take(b, 5, raw->targets ? n * outputs * sizeof *c->targets : 0, &whole);
    c->goals = take(b, 6, n * sizeof *c->goals, &whole);
    c->logits = take(b, 7, n * outputs * sizeof *c->logits, &whole);
    c->scores = take(b, 8, n * sizeof *c->scores, &whole);
    b->left_out = take(b, 9, n * sizeof *b->left_out, &whole);
    c->features = x->language ? NULL : c->points;
    if (whole)
        return PS_OK;
    return ps_fail(PS_NO_MEMORY, "%zu rows of %zu numbers; lower explain.batch", n, width);
}

static ps_status copy(ps_explaining *x, const ps_explain_raw *raw, const columns *c)
{
    size_t n = raw->n, outputs = (size_t)x->outputs, length = (size_t)raw->length;
    memcpy(c->item, raw->item, n * sizeof *c->item);
    memcpy(c->row, raw->row, n * sizeof *c->row);
    for (size_t i = 0; i < n; i++)
        c->labels[i] = raw->labels ? raw->labels[i] : -1;
    if (raw->targets)
        memcpy(c->targets, raw->targets, n * outputs * sizeof *c->targets);
    if (!x->language) {
        memcpy(c->points, raw->features, n * (size_t)x->inputs * sizeof *c->points);
        return PS_OK;
    }
    memcpy(c->tokens, raw->tokens, n * length * sizeof *c->tokens);
    return ps_model_embed(x->model, c->tokens, n * length, c->points);
}

static ps_status answer(ps_explaining *x, const ps_explain_raw *raw, const columns *c)
{
    const ps_model_batch batch = {.rows = (int64_t)raw->n,
                                  .features = c->features,
                                  .tokens = x->language ? c->tokens : NULL,
                                  .length = raw->length};
    ps_model_point *points = ps_try_alloc_raw(raw->n * sizeof *points);
    if (!points)
        return ps_fail(PS_NO_MEMORY, "%zu points", raw->n);
    for (size_t i = 0; i < raw->n; i++)
        points[i] = (ps_model_point){.row = (int64_t)i, .position = raw->length - 1};
    ps_status st = ps_model_forward(x->model, &batch, NULL);
    if (!st)
        st = ps_model_outputs_at(x->model, points, raw->n, c->logits);
    ps_free(&points);
    x->evaluations += raw->n;
    return st;
}

/* Row i is now row `to`. */
static void move(const ps_explaining *x, const columns *c, int64_t length, bool targets, size_t i,
                 size_t to)
{
    size_t outputs = (size_t)x->outputs, width = (size_t)x->inputs * (size_t)length;
    if (i == to)
        return;
    c->item[to] = c->item[i];
    c->row[to] = c->row[i];
    c->labels[to] = c->labels[i];
    c->scores[to] = c->scores[i];
    c->goals[to] = c->goals[i];
    memcpy(c->points + to * width, c->points + i * width, width * sizeof *c->points);
    memcpy(c->logits + to * outputs, c->logits + i * outputs, outputs * sizeof *c->logits);
    if (x->language)
        memcpy(c->tokens + to * (size_t)length, c->tokens + i * (size_t)length,
               (size_t)length * sizeof *c->tokens);
    if (targets) {
        memcpy(c->targets + to * outputs, c->targets + i * outputs, outputs * sizeof *c->targets);
        if (c->goals[to].targets)
            c->goals[to].targets = c->targets + to * outputs;
    }
}

/* How many stay. */
static ps_status settle(ps_explaining *x, const ps_explain_raw *raw, const columns *c,
                        ps_explain_batch *b, size_t *left)
{
    size_t outputs = (size_t)x->outputs;
    *left = 0;
    for (size_t i = 0; i < raw->n; i++) {
        const float *z = c->logits + i * outputs;
        const ps_explain_label label = {.label = c->labels[i],
                                        .targets = raw->targets ? c->targets + i * outputs : NULL};
        ps_status st =
            ps_explain_goal_of(x->spec, x->model_spec, z, x->outputs, &label, &c->goals[i]);
        if (st)
            return ps_wrap(st, "row %" PRIu64, c->row[i]);
        c->scores[i] = ps_explain_score_of(&c->goals[i], z, x->outputs);
        if (isfinite(c->scores[i]))
            move(x, c, raw->length, raw->targets, i, (*left)++);
        else
            b->left_out[b->n_left_out++] = c->row[i];
    }
    return PS_OK;
}

ps_status ps_explain_batch_make(ps_explaining *x, const ps_explain_raw *raw, ps_explain_batch *out)
{
    columns c = {NULL};
    size_t left = 0;
    PS_REQUIRE(raw->n > 0 && raw->n <= x->batch && raw->length > 0);
    *out = (ps_explain_batch){.n_left_out = 0};
    ps_status st = take_memory(x, raw, out, &c);
    if (!st)
        st = copy(x, raw, &c);
    if (!st)
        st = answer(x, raw, &c);
    if (!st)
        st = settle(x, raw, &c, out, &left);
    out->items = (ps_explain_items){.n = left,
                                    .item = c.item,
                                    .row = c.row,
                                    .features = c.features,
                                    .tokens = x->language ? c.tokens : NULL,
                                    .length = raw->length,
                                    .points = c.points,
                                    .labels = c.labels,
                                    .targets = raw->targets ? c.targets : NULL,
                                    .goals = c.goals,
                                    .logits = c.logits,
                                    .scores = c.scores};
    return st;
}

void ps_explain_batch_free(ps_explain_batch *batch)
{
    for (size_t i = 0; i < sizeof batch->memory / sizeof *batch->memory; i++)
        ps_free(&batch->memory[i]);
    *batch = (ps_explain_batch){.n_left_out = 0};
}
