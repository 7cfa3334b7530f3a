#include "worker/explain/patch_points.h"

#include "common/base/mem.h"
#include "common/base/ranked.h"
#include "common/base/require.h"

#include <math.h>
#include <stdlib.h>

const ps_tap_kind ps_patch_kinds[PS_PATCH_KINDS] = {PS_TAP_RESID_PRE, PS_TAP_Z, PS_TAP_ATTN_OUT,
                                                    PS_TAP_MLP_OUT, PS_TAP_PATTERN};

/* PS_PATCH_KINDS: it is none of them. */
static size_t find(const ps_patch_points *p, ps_tap_kind kind)
{
    for (size_t i = 0; i < p->n_kinds; i++)
        if (p->kinds[i] == kind)
            return i;
    return PS_PATCH_KINDS;
}

static size_t heads_of(const ps_patch_points *p, size_t kind)
{
    return ps_patch_by_head(p->kinds[kind]) ? p->heads : 1;
}

/* Where a point of a layer is in it, in numbers: of the pattern a head's queries follow each other,
 * of all else a token's heads. */
static size_t place_in_layer(const ps_patch_points *p, size_t kind, size_t in_layer)
{
    size_t heads = heads_of(p, kind), each = p->columns[kind] / heads;
    return p->kinds[kind] == PS_TAP_PATTERN
               ? (in_layer % heads * p->length + in_layer / heads) * each
               : in_layer * each;
}

/* ---- making ---- */

static ps_status add_kind(const ps_explaining *x, const char *name, ps_patch_points *p,
                          size_t *numbers)
{
    ps_tap_kind kind;
    ps_status st = ps_tap_kind_parse(name, &kind);
    size_t i = p->n_kinds;
    if (st || find(p, kind) < PS_PATCH_KINDS)
        return st;
    PS_REQUIRE(i < PS_PATCH_KINDS); /* other names are refused with the job file */
    p->kinds[i] = kind;
    p->n_kinds++;
    p->columns[i] = kind == PS_TAP_PATTERN
                        ? p->heads * p->length
                        : (size_t)ps_model_tap_columns(x->model, (ps_tap){.kind = kind});
    p->first[i] = p->n;
    p->before[i] = *numbers;
    p->n += p->layers * p->length * heads_of(p, i);
    *numbers += p->layers * p->length * p->columns[i];
    return PS_OK;
}

static size_t widest(const ps_patch_points *p)
{
    size_t most = 0;
    for (size_t i = 0; i < p->n_kinds; i++)
        most = p->columns[i] > most ? p->columns[i] : most;
    return most;
}

ps_status ps_patch_points_make(const ps_explaining *x, const ps_spec_explain_patch *spec,
                               ps_patch_points *out)
{
    size_t numbers = 0;
    ps_status st = PS_OK;
    PS_REQUIRE(spec->n_clean > 0 && spec->n_clean == spec->n_corrupt && spec->n_points > 0);
    *out = (ps_patch_points){.layers = (size_t)x->model_spec->num_layers,
                             .length = spec->n_clean,
                             .heads = (size_t)x->model_spec->num_heads};
    for (size_t i = 0; !st && i < spec->n_points; i++)
        st = add_kind(x, spec->points[i], out, &numbers);
    if (st)
        return st;
    out->values = ps_try_alloc_raw(numbers * sizeof(float));
    out->changes = ps_try_alloc_raw(numbers * sizeof(float));
    out->gradient = ps_try_alloc_raw(out->length * widest(out) * sizeof(float));
    out->stream = ps_try_alloc_raw(out->length * (size_t)x->inputs * sizeof(float));
    return out->values && out->changes && out->gradient && out->stream
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "%zu numbers of %zu points, twice", numbers, out->n);
}

void ps_patch_points_free(ps_patch_points *points)
{
    ps_free(&points->values);
    ps_free(&points->changes);
    ps_free(&points->gradient);
    ps_free(&points->stream);
}

/* ---- what is there ---- */

static float *place(const ps_patch_points *p, float *all, ps_tap tap)
{
    size_t kind = find(p, tap.kind);
    return kind < PS_PATCH_KINDS
               ? all + p->before[kind] + (size_t)tap.layer * p->length * p->columns[kind]
               : NULL;
}

float *ps_patch_values(const ps_patch_points *points, ps_tap tap)
{
    return place(points, points->values, tap);
}

float *ps_patch_changes(const ps_patch_points *points, ps_tap tap)
{
    return place(points, points->changes, tap);
}

void ps_patch_estimate(const ps_patch_points *points, ps_tap tap, double *estimates)
{
    size_t kind = find(points, tap.kind);
    PS_REQUIRE(kind < PS_PATCH_KINDS);
    size_t columns = points->columns[kind], heads = heads_of(points, kind), each = columns / heads;
    const float *change = ps_patch_changes(points, tap);
    double *out = estimates + points->first[kind] + (size_t)tap.layer * points->length * heads;
    for (size_t i = 0; i < points->length * heads; i++) {
        out[i] = 0;
        size_t begin = place_in_layer(points, kind, i);
        for (size_t k = begin; k < begin + each; k++)
            out[i] += (double)change[k] * (double)points->gradient[k];
    }
}

ps_status ps_patch_put(const ps_patch_points *points, size_t point, ps_tap tap, ps_stream *stream,
                       ps_tensor seen, int64_t ld, size_t row)
{
    size_t kind = find(points, tap.kind);
    if (kind == PS_PATCH_KINDS || point < points->first[kind])
        return PS_OK;
    size_t heads = heads_of(points, kind), each = points->columns[kind] / heads;
    size_t at = point - points->first[kind], layer = at / (points->length * heads);
    if (layer != (size_t)tap.layer)
        return PS_OK; /* of another layer, or of a kind behind this one */
    size_t in_layer = at % (points->length * heads), begin = place_in_layer(points, kind, in_layer);
    size_t wide = (size_t)seen.shape[1], rows = points->length * points->columns[kind] / wide;
    PS_REQUIRE(seen.dtype == PS_DTYPE_F32 && seen.rank == 2);
    PS_REQUIRE(begin + each <= rows * wide && begin % wide + each <= wide);
    seen.offset += ((row * rows + begin / wide) * (size_t)ld + begin % wide) * sizeof(float);
    seen.shape[0] = 1;
    seen.shape[1] = (int64_t)each;
    return ps_tap_write(stream, seen, (int64_t)each, ps_patch_values(points, tap) + begin);
}

/* ---- the best ---- */

ps_status ps_patch_best(const double *estimates, size_t n, size_t k, size_t *best)
{
    PS_REQUIRE(k <= n);
    ps_ranked *all = ps_try_alloc_raw((n ? n : 1) * sizeof *all);
    if (!all)
        return ps_fail(PS_NO_MEMORY, "%zu points", n);
    for (size_t i = 0; i < n; i++)
        all[i] = (ps_ranked){fabs(estimates[i]), i};
    qsort(all, n, sizeof *all, ps_ranked_down);
    for (size_t i = 0; i < k; i++)
        best[i] = all[i].at;
    ps_free(&all);
    return PS_OK;
}
