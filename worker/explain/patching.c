/* patching: where in the model what tells two rows of tokens apart is, and goes. Values that
 * the `clean` row has at a point are put in the place of those of the `corrupt` one, and the effect
 * is the share of the difference of their scores that this makes up for, (f − f_corrupt) / (f_clean
 * − f_corrupt): 0 with nothing put in, 1 with everything (Vig 2020; Meng et al. 2022). A point is a
 * position of a layer of one of the kinds `points`: resid_pre, z (a head each), attn_out, mlp_out,
 * pattern (what a head takes at that position of all tokens before it).
 *
 *     estimate_KIND [layer, token]  attribution patching: the difference at the point times the
 *                                   score's gradient at the corrupt row (Nanda 2023), of all points
 *                                   by two passes forward and one backward; for z, pattern [layer,
 * token, head] exact_KIND    likewise        of the exact_top points whose estimates are largest,
 * by a pass forward each; NaN of others ends          [end]           f of the clean row, of the
 * corrupt one
 *
 * Estimates are wrong where the way from the one value to the other is curved, as where a softmax
 * is saturated: trust exact_KIND. `residual`: how far from 1 the effect is with the whole stream
 * put in before the first block. Exact ones are run by the batch, a share
 * every so many batches: one that has none has nothing to do, and the others make the estimates
 * each. */
#include "worker/explain/patch_points.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TOLERANCE 1e-3

static const char *const end_names[] = {"clean", "corrupt", NULL};
static const ps_explain_entries entries[] = {{"ends", end_names}, {NULL, NULL}};

/* A rerun under way: row i of the batch has point run[i] put in. */
typedef struct patching {
    ps_explaining *x;
    const ps_spec_explain_patch *spec;
    ps_patch_points points;
    ps_explain_goal goal;
    double clean, corrupt; /* scores */
    int32_t *tokens;       /* [batch, length]: rows of the corrupt one */
    float *logits;         /* [batch, outputs] */
    ps_model_point *at;    /* [batch] */
    const size_t *run;     /* [n_run] points, of best */
    size_t n_run;
    bool whole;       /* all of the stream before the first block is put in instead */
    double *sums;     /* [3, points]: estimates, effects, and 1 where there is one */
    size_t *best;     /* [exact_top] points */
    ps_status failed; /* of a hook */
} patching;

/* ---- passes ---- */

static ps_status forward(patching *g, const int32_t *tokens, size_t n, const ps_model_hooks *hooks)
{
    const ps_model_batch batch = {
        .rows = (int64_t)n, .tokens = tokens, .length = (int64_t)g->points.length};
    ps_status st = g->x->check ? g->x->check(g->x->user) : PS_OK;
    if (!st)
        st = ps_model_forward(g->x->model, &batch, hooks);
    if (!st)
        st = g->failed;
    if (!st)
        st = ps_model_outputs_at(g->x->model, g->at, n, g->logits);
    g->x->evaluations += n;
    return st;
}

/* Of passes that look at what is exchanged, the pattern, too, if it is. */
static ps_model_hooks hooks_of(patching *g, void (*at)(void *, ps_tap, ps_tensor, int64_t),
                               void (*gradient_at)(void *, ps_tap, ps_tensor, int64_t))
{
    bool patterns = false;
    for (size_t i = 0; i < g->points.n_kinds; i++)
        patterns = patterns || g->points.kinds[i] == PS_TAP_PATTERN;
    return (ps_model_hooks){.at = at, .gradient_at = gradient_at, .patterns = patterns, .user = g};
}

static bool is_beginning(ps_tap tap)
{
    return tap.kind == PS_TAP_RESID_PRE && tap.layer == 0;
}

static void keep_clean(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    patching *g = user;
    ps_stream *stream = ps_model_stream(g->x->model);
    float *values = ps_patch_values(&g->points, tap);
    if (is_beginning(tap) && !g->failed)
        g->failed = ps_tap_read(stream, seen, ld, g->points.stream);
    if (values && !g->failed)
        g->failed = ps_tap_read(stream, seen, ld, values);
}

/* clean − corrupt, where estimates are made of it. */
static void keep_difference(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    patching *g = user;
    const float *values = ps_patch_values(&g->points, tap);
    float *change = ps_patch_changes(&g->points, tap);
    size_t n = (size_t)ps_tensor_count(seen);
    if (!values || g->failed)
        return;
    g->failed = ps_tap_read(ps_model_stream(g->x->model), seen, ld, change);
    for (size_t i = 0; !g->failed && i < n; i++)
        change[i] = values[i] - change[i];
}

static void estimate(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    patching *g = user;
    if (!ps_patch_values(&g->points, tap) || g->failed)
        return;
    g->failed = ps_tap_read(ps_model_stream(g->x->model), seen, ld, g->points.gradient);
    if (!g->failed)
        ps_patch_estimate(&g->points, tap, g->sums);
}

static void put_in(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    patching *g = user;
    ps_stream *stream = ps_model_stream(g->x->model);
    if (g->whole && is_beginning(tap) && !g->failed)
        g->failed = ps_tap_write(stream, seen, ld, g->points.stream);
    for (size_t i = 0; !g->whole && !g->failed && i < g->n_run; i++)
        g->failed = ps_patch_put(&g->points, g->run[i], tap, stream, seen, ld, i);
}

/* ---- scores ---- */

static double score(const patching *g, size_t row)
{
    return ps_explain_score_of(&g->goal, g->logits + row * (size_t)g->x->outputs, g->x->outputs);
}

static double effect(const patching *g, size_t row)
{
    return (score(g, row) - g->corrupt) / (g->clean - g->corrupt);
}

static void fill_tokens(patching *g, const int64_t *from, size_t rows)
{
    for (size_t i = 0; i < rows * g->points.length; i++)
        g->tokens[i] = (int32_t)from[i % g->points.length];
}

static ps_status see_clean(patching *g)
{
    const ps_explain_label none = {.label = -1};
    fill_tokens(g, g->spec->clean, 1);
    const ps_model_hooks hooks = hooks_of(g, keep_clean, NULL);
    ps_status st = forward(g, g->tokens, 1, &hooks);
    if (!st)
        st = ps_explain_goal_of(g->x->spec, g->x->model_spec, g->logits, g->x->outputs, &none,
                                &g->goal);
    g->clean = st ? 0 : score(g, 0);
    return st;
}

/* Forward, backward, and what all points are worth then. */
static ps_status see_corrupt(patching *g)
{
    fill_tokens(g, g->spec->corrupt, g->x->batch);
    const ps_model_hooks hooks = hooks_of(g, keep_difference, estimate);
    ps_status st = forward(g, g->tokens, 1, &hooks);
    if (st)
        return st;
    g->corrupt = score(g, 0);
    if (!isfinite(g->clean) || !isfinite(g->corrupt) || g->clean == g->corrupt)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the score of clean is %g, and that of corrupt %g: nothing tells them apart "
                       "that could be looked for; say another explain.target, or other tokens",
                       g->clean, g->corrupt);
    ps_explain_score_gradient(&g->goal, g->logits, g->x->outputs, g->logits);
    st = ps_model_backward_at(g->x->model, g->at, 1, g->logits, &hooks);
    g->x->evaluations++;
    for (size_t i = 0; i < g->points.n; i++)
        g->sums[i] /= g->clean - g->corrupt;
    return st ? st : g->failed;
}

/* ---- exactly ---- */

static ps_status rerun_some(patching *g)
{
    const ps_model_hooks hooks = hooks_of(g, put_in, NULL);
    ps_status st = forward(g, g->tokens, g->n_run, &hooks);
    for (size_t i = 0; !st && i < g->n_run; i++) {
        g->sums[g->points.n + g->run[i]] = effect(g, i);
        g->sums[2 * g->points.n + g->run[i]] = 1;
    }
    return st;
}

static ps_status rerun(patching *g, size_t n)
{
    size_t batch = g->x->batch;
    ps_status st = PS_OK;
    for (size_t at = g->x->share * batch; !st && at < n; at += PS_EXPLAIN_SHARES * batch) {
        g->run = g->best + at;
        g->n_run = n - at < batch ? n - at : batch;
        st = rerun_some(g);
    }
    return st;
}

/* What is left of 1 with everything put in. */
static ps_status rerun_whole(patching *g, float *residual)
{
    const ps_model_hooks hooks = hooks_of(g, put_in, NULL);
    g->whole = true;
    ps_status st = forward(g, g->tokens, 1, &hooks);
    g->whole = false;
    *residual = st ? NAN : (float)fabs(effect(g, 0) - 1);
    return st;
}

/* ---- a share ---- */

static ps_status put_kind(const patching *g, size_t kind, ps_explain_part *out)
{
    const ps_patch_points *p = &g->points;
    const uint64_t shape[5] = {3, p->layers, p->length, p->heads, 0};
    bool heads = ps_patch_by_head(p->kinds[kind]);
    size_t n = p->layers * p->length * (heads ? p->heads : 1);
    double *sums = ps_try_alloc(3 * n * sizeof *sums);
    if (!sums)
        return ps_fail(PS_NO_MEMORY, "%zu points", n);
    for (size_t k = g->x->share ? 1 : 0; k < 3; k++) /* estimates are of one share alone */
        memcpy(sums + k * n, g->sums + k * p->n + p->first[kind], n * sizeof *sums);
    ps_status st = ps_explain_put_sums(out, ps_tap_kind_name(p->kinds[kind]),
                                       heads ? "sum layer token head" : "sum layer token",
                                       heads ? 4 : 3, shape, sums);
    ps_free(&sums);
    return st;
}

static ps_status put_kinds(const patching *g, ps_explain_part *out)
{
    ps_status st = PS_OK;
    for (size_t kind = 0; !st && kind < g->points.n_kinds; kind++)
        st = put_kind(g, kind, out);
    return st;
}

/* The first share's, for all. */
static ps_status put_ends(patching *g, ps_explain_part *out)
{
    const float ends[2] = {(float)g->clean, (float)g->corrupt};
    const uint64_t shape[1] = {2}, one[1] = {1};
    float residual = 0;
    ps_status st = rerun_whole(g, &residual);
    if (!st)
        st = ps_explain_put_result(out, "ends", "end", 1, shape, ends);
    if (!st)
        st = ps_explain_put_result(out, "residual", "total", 1, one, &residual);
    out->tolerance = TOLERANCE;
    return st;
}

static ps_status patch(patching *g, ps_explain_part *out)
{
    size_t n = (size_t)g->spec->exact_top < g->points.n ? (size_t)g->spec->exact_top : g->points.n;
    if (g->x->share && g->x->share * g->x->batch >= n)
        return put_kinds(g, out);
    ps_status st = see_clean(g);
    if (!st)
        st = see_corrupt(g);
    if (!st)
        st = ps_patch_best(g->sums, g->points.n, n, g->best);
    if (!st)
        st = rerun(g, n);
    if (!st && !g->x->share)
        st = put_ends(g, out);
    return st ? st : put_kinds(g, out);
}

static ps_status take_room(patching *g)
{
    size_t batch = g->x->batch, n = g->points.n;
    g->tokens = ps_try_alloc_raw(batch * g->points.length * sizeof *g->tokens);
    g->logits = ps_try_alloc_raw(batch * (size_t)g->x->outputs * sizeof *g->logits);
    g->at = ps_try_alloc_raw(batch * sizeof *g->at);
    g->sums = ps_try_alloc(3 * n * sizeof *g->sums);
    g->best = ps_try_alloc_raw(n * sizeof *g->best);
    if (!g->tokens || !g->logits || !g->at || !g->sums || !g->best)
        return ps_fail(PS_NO_MEMORY, "%zu points", n);
    for (size_t i = 0; i < batch; i++)
        g->at[i] = (ps_model_point){.row = (int64_t)i, .position = (int64_t)g->points.length - 1};
    return PS_OK;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    patching g = {.x = x, .spec = &spec->patch};
    ps_status st = ps_patch_points_make(x, &spec->patch, &g.points);
    if (!st)
        st = take_room(&g);
    if (!st)
        st = patch(&g, out);
    ps_free(&g.tokens);
    ps_free(&g.logits);
    ps_free(&g.at);
    ps_free(&g.sums);
    ps_free(&g.best);
    ps_patch_points_free(&g.points);
    return st;
}

/* ---- of all shares ---- */

static ps_status finish_kind(ps_tap_kind kind, ps_explain_part *merged)
{
    const ps_explain_array *found = ps_explain_get(merged, ps_tap_kind_name(kind));
    char name[2 * PS_EXPLAIN_NAME]; /* of short words */
    if (!found)
        return PS_OK;
    if (!found->doubles || found->rank < 3 || found->rank > 4 || found->shape[0] != 3)
        return ps_fail(PS_CORRUPT, "patching: %s has no sums", found->name);
    const ps_explain_array a = *found; /* results move what stands behind one of their name */
    size_t n = (size_t)(ps_explain_array_count(&a) / 3);
    float *values = ps_try_alloc_raw((n ? n : 1) * sizeof *values);
    ps_status st = values ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu points", n);
    for (size_t k = 0; !st && k < 2; k++) {
        for (size_t i = 0; i < n; i++)
            values[i] = k && a.doubles[2 * n + i] == 0 ? NAN : (float)a.doubles[k * n + i];
        (void)snprintf(name, sizeof name, "%s_%s", k ? "exact" : "estimate", a.name);
        st = ps_explain_put_result(merged, name, a.rank == 4 ? "layer token head" : "layer token",
                                   a.rank - 1, a.shape + 1, values);
    }
    ps_free(&values);
    if (!st)
        ps_explain_drop(merged, ps_tap_kind_name(kind));
    return st;
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < PS_PATCH_KINDS; i++)
        st = finish_kind(ps_patch_kinds[i], merged);
    return st;
}

const ps_explain_method ps_explain_method_patching = {
    .name = "patching", .entries = entries, .run = run, .finish = finish};
