/* Happy path: sums become means, the features that add up to most are chosen, and of each the items
 * in which it is largest. Arrays are of files by then, and may be any: what does not fit together
 * is left as it is. */
#include "worker/explain/sae_summary.h"

#include <math.h>
#include <string.h>

enum { SHOWN = 64, PLACES = 8 };

typedef struct summary {
    const double *totals, *channels, *sums;
    size_t columns, features, rows, top; /* rows: of the arrays below */
    const float *row_feature, *row_activity, *row_position;
    size_t shown;
    float feature[SHOWN], share[SHOWN], strength[SHOWN]; /* [shown] */
    float item[SHOWN * PLACES], activity[SHOWN * PLACES], position[SHOWN * PLACES];
} summary;

/* [each], or of rank 2 [n, each]: of another an axis between may be 0, and so no number there. */
static const double *sums_of(const ps_explain_part *part, const char *name, int rank, size_t each,
                             size_t *n)
{
    const ps_explain_array *a = ps_explain_get(part, name);
    if (!a || !a->doubles || a->rank != rank || a->shape[rank - 1] != each)
        return NULL;
    *n = rank > 1 ? (size_t)a->shape[0] : 1;
    return a->doubles;
}

static const float *rows_of(const ps_explain_part *part, const char *name, summary *s)
{
    const ps_explain_array *a = ps_explain_get(part, name);
    bool like = a && a->floats && a->rank == 2 &&
                (!s->row_feature || (a->shape[0] == s->rows && a->shape[1] == s->top));
    if (!like)
        return NULL;
    s->rows = (size_t)a->shape[0];
    s->top = (size_t)a->shape[1];
    return a->floats;
}

static bool summary_of(const ps_explain_part *part, summary *out)
{
    size_t one;
    *out = (summary){.rows = 0};
    out->totals = sums_of(part, "totals", 1, PS_SAE_TOTALS, &one);
    out->channels = sums_of(part, "channel_sums", 2, 2, &out->columns);
    out->sums = sums_of(part, "feature_sums", 2, PS_SAE_OF_FEATURE, &out->features);
    out->row_feature = rows_of(part, "row_feature", out);
    out->row_activity = rows_of(part, "row_activity", out);
    out->row_position = rows_of(part, "row_position", out);
    return out->totals && out->channels && out->sums && out->row_feature && out->row_activity &&
           out->row_position && out->totals[PS_SAE_ROWS] > 0;
}

static double variance_of(const summary *s)
{
    double n = s->totals[PS_SAE_ROWS], sum = 0;
    for (size_t i = 0; i < s->columns; i++)
        sum += s->channels[2 * i + 1] - s->channels[2 * i] * s->channels[2 * i] / n;
    return sum;
}

/* By all that a feature adds up to, the first of equals first. */
static void choose_features(summary *s)
{
    for (size_t i = 0; i < s->features; i++) {
        double strength = s->sums[PS_SAE_OF_FEATURE * i + PS_SAE_STRENGTH];
        size_t to = s->shown;
        while (to > 0 &&
               strength > s->sums[PS_SAE_OF_FEATURE * (size_t)s->feature[to - 1] + PS_SAE_STRENGTH])
            to--;
        if (!(strength > 0) || to == SHOWN)
            continue;
        s->shown += s->shown < SHOWN;
        memmove(s->feature + to + 1, s->feature + to, (s->shown - to - 1) * sizeof *s->feature);
        s->feature[to] = (float)i;
    }
    for (size_t k = 0; k < s->shown; k++) {
        const double *sums = s->sums + PS_SAE_OF_FEATURE * (size_t)s->feature[k];
        s->share[k] = (float)(sums[PS_SAE_COUNT] / s->totals[PS_SAE_ROWS]);
        s->strength[k] = (float)(sums[PS_SAE_STRENGTH] / sums[PS_SAE_COUNT]);
    }
}

static void find_items(summary *s, size_t k)
{
    float *item = s->item + k * PLACES, *activity = s->activity + k * PLACES,
          *position = s->position + k * PLACES;
    size_t there = 0;
    for (size_t i = 0; i < PLACES; i++)
        item[i] = activity[i] = position[i] = NAN;
    for (size_t i = 0; i < s->rows * s->top; i++) {
        float found = s->row_activity[i];
        size_t to = there;
        if (s->row_feature[i] != s->feature[k])
            continue;
        while (to > 0 && found > activity[to - 1])
            to--;
        if (to == PLACES)
            continue;
        there += there < PLACES;
        memmove(item + to + 1, item + to, (there - to - 1) * sizeof *item);
        memmove(activity + to + 1, activity + to, (there - to - 1) * sizeof *activity);
        memmove(position + to + 1, position + to, (there - to - 1) * sizeof *position);
        item[to] = (float)(i / s->top);
        activity[to] = found;
        position[to] = s->row_position[i];
    }
}

static ps_status put_number(ps_explain_part *out, const char *name, double number)
{
    const float value = (float)number;
    const uint64_t one = 1;
    return ps_explain_put_result(out, name, "all", 1, &one, &value);
}

static ps_status put_numbers(const summary *s, ps_explain_part *out)
{
    const double *t = s->totals;
    double variance = variance_of(s), dead = 0;
    float losses[3];
    const uint64_t three[] = {3};
    for (size_t i = 0; i < s->features; i++)
        dead += !(s->sums[PS_SAE_OF_FEATURE * i + PS_SAE_COUNT] > 0);
    for (int i = 0; i < 3; i++)
        losses[i] =
            t[PS_SAE_LABELLED] > 0 ? (float)(t[PS_SAE_CLEAN + i] / t[PS_SAE_LABELLED]) : NAN;
    ps_status st = put_number(out, "explained_variance",
                              variance > 0 ? 1 - t[PS_SAE_SQUARES] / variance : NAN);
    if (!st)
        st = put_number(out, "l0", t[PS_SAE_ACTIVE] / t[PS_SAE_ROWS]);
    if (!st)
        st = put_number(out, "dead_share", dead / (double)s->features);
    if (!st)
        st = ps_explain_put_result(out, "losses", "with", 1, three, losses);
    return st ? st
              : put_number(out, "recovered",
                           t[PS_SAE_LABELLED] > 0 ? (t[PS_SAE_ZEROS] - t[PS_SAE_AGAIN]) /
                                                        (t[PS_SAE_ZEROS] - t[PS_SAE_CLEAN])
                                                  : NAN);
}

static ps_status put_features(const summary *s, ps_explain_part *out)
{
    const struct {
        const char *name;
        const float *values;
    } lists[] = {{"feature", s->feature}, {"share", s->share}, {"strength", s->strength}},
      places[] = {
          {"top_item", s->item}, {"top_activity", s->activity}, {"top_position", s->position}};
    const uint64_t shape[] = {s->shown, PLACES};
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < 3; i++)
        st = ps_explain_put_result(out, lists[i].name, "feature", 1, shape, lists[i].values);
    for (size_t i = 0; !st && i < 3; i++)
        st =
            ps_explain_put_result(out, places[i].name, "feature place", 2, shape, places[i].values);
    return st;
}

ps_status ps_sae_finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    summary s;
    (void)x;
    (void)spec;
    if (!summary_of(merged, &s))
        return PS_OK;
    choose_features(&s);
    for (size_t k = 0; k < s.shown; k++)
        find_items(&s, k);
    ps_status st = put_numbers(&s, merged);
    if (!st && s.shown)
        st = put_features(&s, merged);
    ps_explain_drop(merged, "totals");
    ps_explain_drop(merged, "channel_sums");
    ps_explain_drop(merged, "feature_sums");
    return st;
}
