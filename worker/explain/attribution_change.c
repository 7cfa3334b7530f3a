/* attribution_change: how another model's attribution φ′ of a row differs from this one's, φ: the
 * same method, the same question (the target is what this model's answer made it), each against its
 * own baseline:
 *
 *     values [row, feature]     φ′ − φ
 *     rows [row, quantity]      Spearman's correlation of their orders, their cosine,
 *                               ‖φ′ − φ‖/‖φ‖, ‖φ‖, ‖φ′‖; NaN: one of them is the same for all
 *                               features, or 0
 *     mean, mean_size [feature] of values, and of their sizes, over the rows that have the feature
 *     summary [quantity]        rows, and of those where they are finite the means of the first
 * three
 *
 * The attribution's passes, once through each model. */
#include "worker/explain/agreement.h"
#include "worker/explain/attribute.h"
#include "worker/explain/other.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>

enum { RANK, COSINE, DISTANCE, SIZE, OTHER_SIZE, QUANTITIES };

static const char *const quantities[] = {"rank", "cosine", "distance", "size", "other_size", NULL};
static const char *const summary_quantities[] = {"rows", "rank", "cosine", "distance", NULL};
static const ps_explain_entries entries[] = {
    {"rows", quantities}, {"summary", summary_quantities}, {NULL, NULL}};

/* ---- a row ---- */

typedef struct comparing {
    ps_explaining *x, *other;
    const ps_spec_explain_method *spec;
    const ps_explain_items *items;
    size_t features;
    float *points;        /* [n, width]: of tokens, as the other embeds them */
    double *mine, *its;   /* [n, features] */
    float *values, *rows; /* [n, features], [n, QUANTITIES] */
} comparing;

/* A value that is no number makes all of its row none. */
static ps_status compare(const double *a, const double *b, size_t n, float *change, float *out)
{
    double aa = 0, bb = 0, ab = 0, dd = 0, rank = NAN;
    for (size_t i = 0; i < n; i++) {
        aa += a[i] * a[i];
        bb += b[i] * b[i];
        ab += a[i] * b[i];
        dd += (b[i] - a[i]) * (b[i] - a[i]);
        change[i] = (float)(b[i] - a[i]);
    }
    ps_status st = isfinite(aa + bb) ? ps_spearman(a, b, n, &rank) : PS_OK;
    out[RANK] = (float)rank;
    out[COSINE] = (float)(aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : NAN);
    out[DISTANCE] = (float)(aa > 0 ? sqrt(dd / aa) : NAN);
    out[SIZE] = (float)sqrt(aa);
    out[OTHER_SIZE] = (float)sqrt(bb);
    return st;
}

/* The rows as the other model takes them: of tokens its own embeddings. */
static ps_status its_points(const comparing *c, const float **out)
{
    const ps_explain_items *items = c->items;
    *out = c->x->language ? c->points : items->points;
    return c->x->language ? ps_model_embed(c->other->model, items->tokens,
                                           items->n * (size_t)items->length, c->points)
                          : PS_OK;
}

static ps_status attribute_both(const comparing *c)
{
    const float *points;
    ps_explain_moved moved = {0};
    ps_status st = ps_explain_attribute(c->x, c->spec, c->items, false, c->mine);
    if (!st)
        st = its_points(c, &points);
    if (!st)
        st = ps_explain_move(c->other, c->items, points, &moved);
    if (!st)
        st = ps_explain_attribute(c->other, c->spec, &moved.items, false, c->its);
    ps_explain_moved_free(&moved);
    return st;
}

static ps_status compare_rows(const comparing *c, ps_explain_part *out)
{
    size_t n = c->items->n;
    ps_status st = attribute_both(c);
    for (size_t i = 0; !st && i < n; i++)
        st = compare(c->mine + i * c->features, c->its + i * c->features, c->features,
                     c->values + i * c->features, c->rows + i * QUANTITIES);
    if (!st)
        st = ps_explain_put_values(out, "values", c->x->language ? "token" : "feature", n,
                                   c->features, c->values);
    return st ? st : ps_explain_put_values(out, "rows", "quantity", n, QUANTITIES, c->rows);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    ps_explaining *other = ps_new(ps_explaining);
    *state = other;
    return x->other->beside(x->other->user, x, other);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    comparing c = {.x = x,
                   .other = state,
                   .spec = spec,
                   .items = items,
                   .features = ps_explain_features(x, items)};
    c.other->method = x->method; /* all methods of a task are prepared before one runs */
    c.points = ps_try_alloc_raw(items->n * ps_explain_width(c.other, items) * sizeof *c.points);
    c.mine = ps_try_alloc_raw(items->n * c.features * sizeof *c.mine);
    c.its = ps_try_alloc_raw(items->n * c.features * sizeof *c.its);
    c.values = ps_try_alloc_raw(items->n * c.features * sizeof *c.values);
    c.rows = ps_try_alloc_raw(items->n * QUANTITIES * sizeof *c.rows);
    ps_status st =
        c.points && c.mine && c.its && c.values && c.rows
            ? compare_rows(&c, out)
            : ps_fail(PS_NO_MEMORY, "attributions of %zu rows; lower explain.batch", items->n);
    x->evaluations += c.other->evaluations;
    c.other->evaluations = 0;
    ps_free(&c.points);
    ps_free(&c.mine);
    ps_free(&c.its);
    ps_free(&c.values);
    ps_free(&c.rows);
    return st;
}

/* ---- of all rows ---- */

static ps_status put_means(const ps_explain_array *values, const char *axis,
                           ps_explain_part *merged)
{
    uint64_t rows = values->shape[0], n = values->shape[1];
    float *means = ps_try_alloc((2 * n + 1) * sizeof *means);
    if (!means)
        return ps_fail(PS_NO_MEMORY, "means of %zu features", (size_t)n);
    for (uint64_t f = 0; f < n; f++) {
        double sum = 0, size = 0, count = 0;
        for (uint64_t i = 0; i < rows; i++) {
            double value = (double)values->floats[i * n + f];
            if (!isfinite(value)) /* a shorter row, or no number */
                continue;
            sum += value;
            size += fabs(value);
            count++;
        }
        means[f] = (float)(sum / count);
        means[n + f] = (float)(size / count);
    }
    ps_status st = ps_explain_put_result(merged, "mean", axis, 1, &n, means);
    if (!st)
        st = ps_explain_put_result(merged, "mean_size", axis, 1, &n, means + n);
    ps_free(&means);
    return st;
}

static ps_status put_summary(const ps_explain_array *rows, ps_explain_part *merged)
{
    static const uint64_t shape[1] = {DISTANCE + 2};
    float summary[DISTANCE + 2] = {(float)rows->shape[0]};
    for (size_t q = RANK; q <= DISTANCE; q++) {
        double sum = 0, count = 0;
        for (uint64_t i = 0; i < rows->shape[0]; i++) {
            double value = (double)rows->floats[i * QUANTITIES + q];
            sum += isfinite(value) ? value : 0;
            count += isfinite(value);
        }
        summary[q + 1] = (float)(sum / count);
    }
    return ps_explain_put_result(merged, "summary", "quantity", 1, shape, summary);
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    const ps_explain_array *values = ps_explain_get(merged, "values"),
                           *rows = ps_explain_get(merged, "rows");
    if (!values || !rows) /* all were left out */
        return PS_OK;
    if (values->rank != 2 || !values->floats || rows->rank != 2 || !rows->floats ||
        rows->shape[1] != QUANTITIES || !ps_explain_array_count(values))
        return ps_fail(PS_CORRUPT, "attribution_change: its rows are of another shape");
    ps_status st = put_summary(rows, merged);
    return st ? st
              : put_means(ps_explain_get(merged, "values"), x->language ? "token" : "feature",
                          merged);
}

const ps_explain_method ps_explain_method_attribution_change = {.name = "attribution_change",
                                                                .entries = entries,
                                                                .prepare = prepare,
                                                                .run = run,
                                                                .finish = finish};
