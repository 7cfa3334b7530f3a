/* attention: what each head of each block takes from where, of each row:
 *
 *     patterns  [layer, head, query, key]  softmax(q·k/√d), causal; with patterns: true
 *     entropy   [layer, head]              of a query's weights, its mean over queries, in nats
 *     distance  [layer, head]              how many tokens back, likewise
 *     first     [layer, head]              the first token's share, likewise, its own query aside
 *     values    [token]                    rollout: what the last token's answer has from each, by
 *                                          Π(½·mean_h A + ½·I) over the blocks (Abnar and Zuidema
 *                                          2020), which sees neither values nor mlps
 *
 * `residual`: how far a query's weights are from adding up to 1, the most of all. One pass forward;
 * memory of one block of a row at a time, or of all patterns if these are wanted. */
#include "worker/explain/look.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 1e-4

typedef struct attention {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t layers, heads, length;
    bool keep;
    float *patterns;       /* [heads, length, length] of a block; keep: [n, layers, ...] */
    double *rolled, *turn; /* [length]: what the answer has of each token; a step of it */
    float *entropy, *distance, *first; /* [n, layers, heads] */
    float *values;                     /* [n, length] */
    float *residual;                   /* [n] */
} attention;

/* ---- one head ---- */

static double measure_query(const float *p, size_t query, double *entropy, double *distance)
{
    double all = 0;
    for (size_t k = 0; k <= query; k++) {
        double weight = (double)p[k];
        all += weight;
        *entropy -= weight > 0 ? weight * log(weight) : 0;
        *distance += weight * (double)(query - k);
    }
    return all;
}

static void measure_head(attention *a, size_t row, size_t layer, size_t head, const float *p)
{
    size_t n = a->length, at = (row * a->layers + layer) * a->heads + head;
    double entropy = 0, distance = 0, first = 0;
    for (size_t query = 0; query < n; query++) {
        double all = measure_query(p + query * n, query, &entropy, &distance);
        a->residual[row] = (float)ps_explain_worse((double)a->residual[row], fabs(all - 1));
        first += query ? (double)p[query * n] : 0;
    }
    a->entropy[at] = (float)(entropy / (double)n);
    a->distance[at] = (float)(distance / (double)n);
    a->first[at] = n > 1 ? (float)(first / (double)(n - 1)) : NAN;
}

/* ---- rollout ---- */

/* Of the product the last row alone is wanted: rolled = rolled·(½·mean_h A + ½·I), from the last
 * block to the first. */
static void roll(attention *a, const float *patterns)
{
    size_t n = a->length;
    for (size_t k = 0; k < n; k++)
        a->turn[k] = a->rolled[k] / 2;
    for (size_t head = 0; head < a->heads; head++)
        for (size_t query = 0; query < n; query++) {
            const float *p = patterns + (head * n + query) * n;
            double share = a->rolled[query] / (double)(2 * a->heads);
            for (size_t k = 0; k <= query; k++)
                a->turn[k] += share * (double)p[k];
        }
    memcpy(a->rolled, a->turn, n * sizeof *a->turn);
}

/* ---- rows ---- */

static ps_status look_at_row(attention *a, size_t row)
{
    size_t n = a->length, each = a->heads * n * n;
    float *patterns = a->patterns + (a->keep ? row * a->layers * each : 0);
    a->residual[row] = 0;
    for (size_t k = 0; k < n; k++)
        a->rolled[k] = k + 1 == n;
    for (size_t layer = a->layers; layer-- > 0;) {
        float *p = patterns + (a->keep ? layer * each : 0);
        ps_status st = ps_model_attention(a->x->model, (int64_t)layer, (int64_t)row, p);
        if (st)
            return st;
        for (size_t head = 0; head < a->heads; head++)
            measure_head(a, row, layer, head, p + head * n * n);
        roll(a, p);
    }
    for (size_t k = 0; k < n; k++)
        a->values[row * n + k] = (float)a->rolled[k];
    return a->x->check ? a->x->check(a->x->user) : PS_OK;
}

static ps_status take_room(attention *a)
{
    size_t n = a->items->n;
    size_t of_heads = n * a->layers * a->heads, all = a->layers * a->heads * a->length * a->length;
    if (a->keep && all > PS_EXPLAIN_PART_MAX / sizeof(float) / n)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "patterns of %zu rows have %zu numbers each; say patterns: false, or lower "
                       "explain.batch",
                       n, all);
    uint64_t kept = (a->keep ? all * n : all / a->layers) * sizeof(float);
    ps_status st = ps_explain_room(kept, "attention over all tokens of a row",
                                   "say patterns: false, or take shorter rows");
    if (st)
        return st;
    a->patterns = ps_try_alloc_raw(kept);
    a->rolled = ps_try_alloc_raw(2 * a->length * sizeof *a->rolled);
    a->entropy = ps_try_alloc_raw((3 * of_heads + n * a->length + n) * sizeof(float));
    if (!a->patterns || !a->rolled || !a->entropy)
        return ps_fail(PS_NO_MEMORY,
                       "patterns of %zu numbers a row; say patterns: false, or "
                       "lower explain.batch",
                       all);
    a->turn = a->rolled + a->length;
    a->distance = a->entropy + of_heads;
    a->first = a->distance + of_heads;
    a->values = a->first + of_heads;
    a->residual = a->values + n * a->length;
    return PS_OK;
}

static ps_status put(const attention *a, ps_explain_part *out)
{
    const uint64_t n = a->items->n, shape[4] = {a->layers, a->heads, a->length, a->length};
    ps_status st = ps_explain_put_values(out, "values", "token", n, a->length, a->values);
    if (!st && a->keep)
        st = ps_explain_put_rows(out, "patterns", "layer head query key", n, 4, shape, a->patterns);
    if (!st)
        st = ps_explain_put_rows(out, "entropy", "layer head", n, 2, shape, a->entropy);
    if (!st)
        st = ps_explain_put_rows(out, "distance", "layer head", n, 2, shape, a->distance);
    if (!st)
        st = ps_explain_put_rows(out, "first", "layer head", n, 2, shape, a->first);
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", n, 0, NULL, a->residual);
    out->tolerance = TOLERANCE;
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    attention a = {.x = x,
                   .items = items,
                   .layers = ps_explain_layers(x),
                   .heads = ps_explain_heads(x),
                   .length = (size_t)items->length,
                   .keep = spec->patterns};
    ps_status st = take_room(&a);
    if (!st)
        st = ps_explain_look(x, items, NULL);
    for (size_t row = 0; !st && row < items->n; row++)
        st = look_at_row(&a, row);
    if (!st)
        st = put(&a, out);
    ps_free(&a.patterns);
    ps_free(&a.rolled);
    ps_free(&a.entropy);
    return st;
}

const ps_explain_method ps_explain_method_attention = {.name = "attention", .run = run};
