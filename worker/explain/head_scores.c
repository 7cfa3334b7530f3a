/* head_scores: what attention heads look for, found without data, on rows of random tokens that
 * begin again after P tokens, and again (Olsson et al. 2022). P is drawn for each row, between a
 * third and a half of its length: with one P for all a head that looks so many tokens back,
 * whatever they are, would pass for one that has found something. Means over the rows, [layer,
 * head]:
 *
 *     previous   A[t, t − 1], over t from 1
 *     duplicate  A[t, t − P] + A[t, t − 2P], over t from P: what stood here before, the match
 *     induction  A[t, t − P + 1] + A[t, t − 2P + 1], likewise: what came after it
 *     before_match, after_induction  likewise of the match's neighbours − 1 and + 2: a model may
 *                copy by heads that look there, and shift by others what they find
 *
 * and standard_error [score, layer, head] of these; best_offset [layer, head] is where about the
 * match, from −1 to 2, the head looks most, and best what it takes there. A row is drawn by its
 * number, and is share number mod PS_EXPLAIN_SHARES's. One pass forward a row. */
#include "worker/explain/look.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LEAST = 4 }; /* tokens of a row */

/* From BEFORE on they are about the match, by offsets that grow by one from FIRST_OFFSET. */
typedef enum score { PREVIOUS, BEFORE, DUPLICATE, INDUCTION, AFTER, SCORES } score;
enum { FIRST_OFFSET = -1, OFFSETS = SCORES - BEFORE };
static const char *const names[SCORES + 1] = {"previous",  "before_match",    "duplicate",
                                              "induction", "after_induction", NULL};
static const ps_explain_entries entries[] = {{"standard_error", names}, {NULL, NULL}};

typedef struct scoring {
    ps_explaining *x;
    size_t layers, heads, length;
    int32_t *tokens; /* [batch, length] */
    size_t *periods; /* [batch] */
    float *pattern;  /* [heads, length, length] */
    double *sums;    /* [2, SCORES, layers, heads]: of scores, and of their squares */
    double rows;
} scoring;

static size_t length_of(const ps_explaining *x, const ps_spec_explain_method *spec)
{
    return (size_t)(spec->length < x->model_spec->context_length ? spec->length
                                                                 : x->model_spec->context_length);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    size_t length = length_of(x, spec);
    return length >= LEAST
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT,
                         "rows of %zu tokens, at least %d are needed to repeat any", length, LEAST);
}

/* ---- a row ---- */

static void draw(const scoring *s, uint64_t row, int32_t *tokens, size_t *period)
{
    ps_rng rng;
    ps_explain_rng(s->x, row, &rng);
    size_t least = s->length / 3 + 1, most = s->length / 2;
    *period = least + (size_t)ps_rng_below(&rng, most - least + 1);
    for (size_t t = 0; t < s->length; t++)
        tokens[t] = t < *period ? (int32_t)ps_rng_below(&rng, (uint64_t)s->x->outputs)
                                : tokens[t - *period];
}

/* What query t takes of where its token has been before, or of tokens so far from there. */
static double taken(const float *p, size_t length, size_t t, size_t period, int offset)
{
    double sum = 0;
    for (size_t back = period; back <= t; back += period)
        if (t - back + 1 > (size_t)(offset < 0 ? -offset : 0))
            sum += (double)p[t * length + t - back + (size_t)offset];
    return sum;
}

static void measure(const float *p, size_t n, size_t period, double *out)
{
    PS_REQUIRE(period >= 2 && period < n); /* so that the match's second neighbour is not ahead */
    memset(out, 0, SCORES * sizeof *out);
    for (size_t t = 1; t < n; t++)
        out[PREVIOUS] += (double)p[t * n + t - 1] / (double)(n - 1);
    for (int i = 0; i < OFFSETS; i++) {
        int offset = FIRST_OFFSET + i;
        size_t from = period + (offset < 0); /* the first that has such a token */
        for (size_t t = from; t < n; t++)
            out[BEFORE + i] += taken(p, n, t, period, offset) / (double)(n - from);
    }
}

static ps_status add_row(scoring *s, size_t row)
{
    size_t square = s->length * s->length, heads = s->layers * s->heads;
    for (size_t layer = 0; layer < s->layers; layer++) {
        ps_status st = ps_model_attention(s->x->model, (int64_t)layer, (int64_t)row, s->pattern);
        if (st)
            return st;
        for (size_t head = 0; head < s->heads; head++) {
            double scores[SCORES];
            measure(s->pattern + head * square, s->length, s->periods[row], scores);
            for (size_t k = 0; k < SCORES; k++) {
                double *sum = s->sums + k * heads + layer * s->heads + head;
                sum[0] += scores[k];
                sum[SCORES * heads] += scores[k] * scores[k];
            }
        }
    }
    s->rows++;
    return PS_OK;
}

/* ---- a share ---- */

static ps_status add_some(scoring *s, size_t n)
{
    const ps_model_batch batch = {
        .rows = (int64_t)n, .tokens = s->tokens, .length = (int64_t)s->length};
    ps_status st = s->x->check ? s->x->check(s->x->user) : PS_OK;
    if (!st)
        st = ps_model_forward(s->x->model, &batch, NULL);
    s->x->evaluations += n;
    for (size_t row = 0; !st && row < n; row++)
        st = add_row(s, row);
    return st;
}

static ps_status add_share(scoring *s, uint64_t rows)
{
    ps_status st = PS_OK;
    size_t n = 0;
    for (uint64_t row = s->x->share; !st && row < rows; row += PS_EXPLAIN_SHARES) {
        draw(s, row, s->tokens + n * s->length, &s->periods[n]);
        if (++n < s->x->batch)
            continue;
        st = add_some(s, n);
        n = 0;
    }
    return !st && n ? add_some(s, n) : st;
}

static ps_status put(const scoring *s, ps_explain_part *out)
{
    const uint64_t shape[4] = {2, SCORES, s->layers, s->heads}, one[1] = {1};
    ps_status st =
        ps_explain_put_sums(out, "moments", "moment score layer head", 4, shape, s->sums);
    return st ? st : ps_explain_put_sums(out, "rows", "total", 1, one, &s->rows);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    scoring s = {.x = x,
                 .layers = ps_explain_layers(x),
                 .heads = ps_explain_heads(x),
                 .length = length_of(x, spec)};
    ps_status st = ps_explain_room(s.heads * s.length * s.length * sizeof *s.pattern,
                                   "attention of a layer over all tokens of a row", "lower length");
    if (st)
        return st;
    s.tokens = ps_try_alloc_raw(x->batch * s.length * sizeof *s.tokens);
    s.periods = ps_try_alloc_raw(x->batch * sizeof *s.periods);
    s.pattern = ps_try_alloc_raw(s.heads * s.length * s.length * sizeof *s.pattern);
    s.sums = ps_try_alloc(2 * SCORES * s.layers * s.heads * sizeof *s.sums);
    st = s.tokens && s.periods && s.pattern && s.sums
             ? add_share(&s, (uint64_t)spec->sequences)
             : ps_fail(PS_NO_MEMORY, "attention over %zu tokens", s.length);
    if (!st)
        st = put(&s, out);
    ps_free(&s.tokens);
    ps_free(&s.periods);
    ps_free(&s.pattern);
    ps_free(&s.sums);
    return st;
}

/* ---- means ---- */

static double error_of(double sum, double squares, double n)
{
    double mean = sum / n;
    return n > 1 ? sqrt(fmax(squares / n - mean * mean, 0) / (n - 1)) : (double)NAN;
}

/* moments: a copy, as results move what stands behind one of their name. */
static ps_status put_means(const ps_explain_array *moments, double rows, float *room,
                           ps_explain_part *merged)
{
    const uint64_t *shape = moments->shape + 1; /* score, layer, head */
    size_t heads = (size_t)(shape[1] * shape[2]);
    ps_status st = PS_OK;
    for (size_t i = 0; i < SCORES * heads; i++)
        room[i] = (float)error_of(moments->doubles[i], moments->doubles[SCORES * heads + i], rows);
    st = ps_explain_put_result(merged, "standard_error", "score layer head", 3, shape, room);
    for (size_t k = 0; !st && k < SCORES; k++) {
        for (size_t i = 0; i < heads; i++)
            room[i] = (float)(moments->doubles[k * heads + i] / rows);
        st = ps_explain_put_result(merged, names[k], "layer head", 2, moments->shape + 2, room);
    }
    return st;
}

/* room: [2, heads]. */
static ps_status put_best(const ps_explain_array *moments, double rows, float *room,
                          ps_explain_part *merged)
{
    size_t heads = (size_t)(moments->shape[2] * moments->shape[3]);
    float *best = room, *offset = room + heads;
    for (size_t i = 0; i < heads; i++) {
        best[i] = -1;
        offset[i] = NAN;
        for (int k = 0; k < OFFSETS; k++) {
            float there = (float)(moments->doubles[(size_t)(BEFORE + k) * heads + i] / rows);
            offset[i] = there > best[i] ? (float)(FIRST_OFFSET + k) : offset[i];
            best[i] = there > best[i] ? there : best[i];
        }
    }
    ps_status st = ps_explain_put_result(merged, "best", "layer head", 2, moments->shape + 2, best);
    return st ? st
              : ps_explain_put_result(merged, "best_offset", "layer head", 2, moments->shape + 2,
                                      offset);
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    const ps_explain_array *found = ps_explain_get(merged, "moments");
    const ps_explain_array *rows = ps_explain_get(merged, "rows");
    if (!found || !rows || !found->doubles || !rows->doubles || found->rank != 4 ||
        found->shape[0] != 2 || found->shape[1] != SCORES || ps_explain_array_count(rows) != 1)
        return ps_fail(PS_CORRUPT, "head_scores: sums are missing");
    const ps_explain_array moments = *found;
    const double n = rows->doubles[0];
    float *room = ps_try_alloc_raw((size_t)ps_explain_array_count(&moments) * sizeof *room);
    ps_status st =
        room ? put_means(&moments, n, room, merged) : ps_fail(PS_NO_MEMORY, "scores of heads");
    if (!st)
        st = put_best(&moments, n, room, merged);
    ps_free(&room);
    if (!st) {
        ps_explain_drop(merged, "moments");
        ps_explain_drop(merged, "rows");
    }
    return st;
}

const ps_explain_method ps_explain_method_head_scores = {
    .name = "head_scores", .entries = entries, .prepare = prepare, .run = run, .finish = finish};
