/* Happy path: the features of each set are listed by whoever asks. Of a language model each point
 * is the row with those of a set replaced. Of models of layers what the first layer gives of a row
 * is kept, and a set changes it by W[:,S]·(x′ − x)_S: as long as sets are small that saves the
 * largest product of the pass (of 784-512-256-10 three quarters of it). */
#include "worker/explain/ablate.h"

#include "worker/explain/baseline.h"
#include "worker/explain/first_layer.h"

#include "common/base/mem.h"

#include <string.h>

/* Sets of at most this share of the features change what the first layer gave; larger ones are
 * cheaper as one product of all rows. */
#define SMALL 0.25

typedef struct ablating {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t sets, width, features;
    const size_t *begin; /* as ps_ablation has it */
    const uint32_t *members;
    size_t units;    /* of the first layer, where it is begun behind that */
    float *weights;  /* [features, units] */
    float *answered; /* [n, units]: what it gives of the rows */
    float *drops;
} ablating;

/* ---- sets ---- */

enum { MEMBERS_MAX = 1 << 28 };

ps_status ps_ablation_make(size_t sets, size_t members, ps_ablation *out)
{
    *out = (ps_ablation){.sets = sets};
    if (members > MEMBERS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%zu sets have %zu features together, and at most %d are listed; make "
                       "them smaller, or fewer by a larger stride",
                       sets, members, MEMBERS_MAX);
    out->begin = ps_try_alloc((sets + 1) * sizeof *out->begin);
    out->members = ps_try_alloc_raw((members ? members : 1) * sizeof *out->members);
    return out->begin && out->members ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu sets of features", sets);
}

void ps_ablation_free(ps_ablation *ablation)
{
    ps_free(&ablation->begin);
    ps_free(&ablation->members);
}

/* ---- points ---- */

/* Point i: set i % sets of row i / sets. */
static void make(void *user, size_t i, void *point, size_t *item)
{
    const ablating *a = user;
    float *out = point;
    size_t set = i % a->sets, each = a->width / a->features;
    *item = i / a->sets;
    memcpy(out, a->items->points + *item * a->width, a->width * sizeof *out);
    for (size_t m = a->begin[set]; m < a->begin[set + 1]; m++)
        for (size_t k = a->members[m] * each; k < (a->members[m] + 1) * each; k++)
            out[k] = ps_explain_baseline_at(a->x->baseline, k);
}

/* Likewise, behind the first layer. */
static void make_behind(void *user, size_t i, void *point, size_t *item)
{
    const ablating *a = user;
    float *out = point;
    size_t set = i % a->sets;
    *item = i / a->sets;
    const float *input = a->items->points + *item * a->width;
    memcpy(out, a->answered + *item * a->units, a->units * sizeof *out);
    for (size_t m = a->begin[set]; m < a->begin[set + 1]; m++) {
        size_t f = a->members[m];
        const float *w = a->weights + f * a->units;
        float by = ps_explain_baseline_at(a->x->baseline, f) - input[f];
        for (size_t k = 0; by != 0 && k < a->units; k++)
            out[k] += by * w[k];
    }
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const ablating *a = user;
    a->drops[i] = (float)(a->items->scores[i / a->sets] - score);
}

/* ---- the first layer ---- */

static void make_row(void *user, size_t i, void *point, size_t *item)
{
    const ablating *a = user;
    memcpy(point, a->items->points + i * a->width, a->width * sizeof(float));
    *item = i;
}

static void take_row(void *user, size_t i, double score, const float *gradient)
{
}

/* [units, features] -> [features, units] */
static ps_status take_weights(ablating *a)
{
    float *w;
    ps_status st = ps_first_layer_weights(a->x, &w);
    for (size_t k = 0; !st && k < a->units; k++)
        for (size_t f = 0; f < a->features; f++)
            a->weights[f * a->units + k] = w[k * a->features + f];
    ps_free(&w);
    return st;
}

static ps_status answer(ablating *a)
{
    const ps_explain_points points = {
        .n = a->items->n, .make = make_row, .take = take_row, .user = a};
    a->units = ps_first_layer_units(a->x);
    a->weights = ps_try_alloc_raw(a->features * a->units * sizeof *a->weights);
    a->answered = ps_try_alloc_raw(a->items->n * a->units * sizeof *a->answered);
    if (!a->weights || !a->answered)
        return ps_fail(PS_NO_MEMORY, "the first layer of %zu rows", a->items->n);
    ps_status st = take_weights(a);
    return st ? st : ps_first_layer_answers(a->x, a->items, &points, a->answered);
}

/* ---- all ---- */

static ps_status ablate(ablating *a)
{
    bool behind = ps_first_layer_takes_inputs(a->x) &&
                  (double)a->begin[a->sets] <= SMALL * (double)(a->sets * a->features);
    const ps_explain_points points = {.n = a->items->n * a->sets,
                                      .first = behind,
                                      .make = behind ? make_behind : make,
                                      .take = take,
                                      .user = a};
    ps_status st = behind ? answer(a) : PS_OK;
    return st ? st : ps_explain_evaluate(a->x, a->items, &points);
}

ps_status ps_ablate(ps_explaining *x, const ps_explain_items *items, const ps_ablation *ablation,
                    float *drops)
{
    ablating a = {.x = x,
                  .items = items,
                  .sets = ablation->sets,
                  .begin = ablation->begin,
                  .members = ablation->members,
                  .width = ps_explain_width(x, items),
                  .features = ps_explain_features(x, items),
                  .drops = drops};
    ps_status st = ablate(&a);
    ps_free(&a.weights);
    ps_free(&a.answered);
    return st;
}
