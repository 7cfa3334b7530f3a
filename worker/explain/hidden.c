/* Happy path: the taps of a pass are read into the host's memory and handed on, layer by layer. */
#include "worker/explain/hidden.h"

#include "worker/explain/similarity.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

ps_status ps_explain_hidden_open(const ps_explaining *x, const char *point, ps_explain_hidden *out)
{
    const char *usual = x->language ? "resid_post" : "post";
    *out = (ps_explain_hidden){.layers = 0};
    ps_status st = ps_tap_kind_parse(point && *point ? point : usual, &out->kind);
    if (st)
        return ps_wrap(st, "point");
    ps_tap tap = {.kind = out->kind};
    bool once = ps_tap_place_of(out->kind) == PS_TAP_ONCE;
    for (; !(once && tap.layer) && ps_model_tap_columns(x->model, tap) > 0; tap.layer++)
        out->layers++;
    if (!out->layers)
        return ps_fail(PS_INVALID_ARGUMENT, "point: this model has no %s",
                       ps_tap_kind_name(out->kind));
    out->columns = ps_alloc_array(out->layers, sizeof *out->columns);
    for (size_t i = 0; i < out->layers; i++) {
        tap.layer = (int64_t)i;
        out->columns[i] = (size_t)ps_model_tap_columns(x->model, tap);
        out->total += out->columns[i];
        if (out->columns[i] > out->widest)
            out->widest = out->columns[i];
    }
    return PS_OK;
}

void ps_explain_hidden_free(ps_explain_hidden *hidden)
{
    ps_free(&hidden->columns);
}

/* ---- a pass ---- */

typedef struct watching {
    const ps_explain_hidden *hidden;
    ps_stream *stream;
    size_t rows;
    float *values; /* [rows, widest] */
    ps_status status;
    void (*see)(void *user, size_t layer, const float *values, size_t rows);
    void *user;
} watching;

static void at(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    watching *w = user;
    if (tap.kind != w->hidden->kind || w->status)
        return;
    w->status = ps_tap_read(w->stream, x, ld, w->values);
    if (!w->status)
        w->see(w->user, (size_t)tap.layer, w->values, w->rows);
}

ps_status ps_explain_hidden_pass(
    ps_explaining *x, const ps_explain_items *items, const ps_explain_hidden *hidden,
    void (*see)(void *user, size_t layer, const float *values, size_t rows), void *user)
{
    watching w = {.hidden = hidden,
                  .stream = ps_model_stream(x->model),
                  .rows = items->n * (size_t)items->length,
                  .see = see,
                  .user = user};
    const ps_model_hooks hooks = {.at = at, .user = &w};
    const ps_model_batch batch = {.rows = (int64_t)items->n,
                                  .length = items->length,
                                  .features = items->features,
                                  .tokens = items->tokens};
    w.values = ps_try_alloc_raw(w.rows * hidden->widest * sizeof *w.values);
    ps_status st =
        w.values ? ps_model_forward(x->model, &batch, &hooks)
                 : ps_fail(PS_NO_MEMORY, "activations of %zu rows; lower explain.batch", w.rows);
    x->evaluations += items->n;
    ps_free(&w.values);
    return st ? st : w.status;
}

/* ---- kept until all are there ---- */

typedef struct keeping {
    const ps_explain_hidden *hidden;
    size_t n, length, before; /* before: numbers of the layers that have been seen */
    float *values;            /* [n, total] */
} keeping;

static void keep_layer(void *user, size_t layer, const float *values, size_t rows)
{
    keeping *k = user;
    size_t columns = k->hidden->columns[layer];
    for (size_t i = 0; i < k->n; i++)
        memcpy(k->values + i * k->hidden->total + k->before,
               values + ((i + 1) * k->length - 1) * columns, columns * sizeof *values);
    k->before += columns;
}

static const char *name_of(const char *prefix, const char *name, char out[PS_EXPLAIN_NAME])
{
    int n = snprintf(out, PS_EXPLAIN_NAME, "%s%s", prefix, name);
    PS_REQUIRE(n > 0 && n < PS_EXPLAIN_NAME);
    return out;
}

static ps_status put_kept(const keeping *k, const char *prefix, ps_explain_part *out)
{
    char name[PS_EXPLAIN_NAME];
    uint64_t layers = k->hidden->layers;
    float *channels = ps_alloc_array(k->hidden->layers, sizeof *channels);
    for (size_t i = 0; i < k->hidden->layers; i++)
        channels[i] = (float)k->hidden->columns[i];
    ps_status st = ps_explain_put_result(out, name_of(prefix, "channels", name), "layer", 1,
                                         &layers, channels);
    if (!st)
        st = ps_explain_put_values(out, name_of(prefix, "activations", name), "channel", k->n,
                                   k->hidden->total, k->values);
    ps_free(&channels);
    return st;
}

size_t ps_explain_keep_count(const ps_explain_items *items)
{
    size_t n = 0;
    while (n < items->n && items->item[n] < PS_EXPLAIN_KEPT_ROWS)
        n++;
    return n;
}

ps_status ps_explain_keep_prepare(ps_explaining *x, const ps_spec_explain_method *spec,
                                  void **state)
{
    *state = ps_alloc(sizeof(ps_explain_hidden));
    return ps_explain_hidden_open(x, spec->point, *state);
}

void ps_explain_keep_free(void *state)
{
    ps_explain_hidden *hidden = state;
    if (hidden)
        ps_explain_hidden_free(hidden);
    ps_free(&hidden);
}

ps_status ps_explain_keep(ps_explaining *x, const ps_explain_hidden *hidden,
                          const ps_explain_items *items, const char *prefix, ps_explain_part *out)
{
    keeping k = {
        .hidden = hidden, .n = ps_explain_keep_count(items), .length = (size_t)items->length};
    if (k.n < items->n)
        ps_explain_warn(out, "of the first %d rows alone: their square is what it takes",
                        PS_EXPLAIN_KEPT_ROWS);
    if (!k.n)
        return PS_OK;
    k.values = ps_try_alloc_raw(k.n * hidden->total * sizeof *k.values);
    ps_status st = k.values ? ps_explain_hidden_pass(x, items, hidden, keep_layer, &k)
                            : ps_fail(PS_NO_MEMORY, "activations of %zu rows", k.n);
    if (!st)
        st = put_kept(&k, prefix, out);
    ps_free(&k.values);
    return st;
}

ps_status ps_explain_keep_run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                              const ps_explain_items *items, ps_explain_part *out)
{
    return ps_explain_keep(x, state, items, "", out);
}

/* ---- in finish ---- */

bool ps_explain_kept_of(const ps_explain_part *merged, const char *prefix, ps_explain_kept *out)
{
    char name[PS_EXPLAIN_NAME];
    const ps_explain_array *values = ps_explain_get(merged, name_of(prefix, "activations", name)),
                           *channels = ps_explain_get(merged, name_of(prefix, "channels", name));
    if (!values || !channels || !values->floats || !channels->floats || values->rank != 2 ||
        values->shape[0] > PS_EXPLAIN_KEPT_ROWS || channels->rank != 1 ||
        channels->shape[0] > PS_EXPLAIN_KEPT_LAYERS)
        return false;
    *out = (ps_explain_kept){.rows = (size_t)values->shape[0],
                             .layers = (size_t)channels->shape[0],
                             .total = (size_t)values->shape[1],
                             .channels = channels->floats,
                             .values = values->floats};
    double sum = 0; /* both come from files */
    for (size_t i = 0; i < out->layers; i++)
        sum += out->channels[i] >= 0 ? (double)out->channels[i] : NAN;
    return out->rows && sum == (double)out->total;
}

static size_t columns_before(const ps_explain_kept *kept, size_t layer)
{
    size_t before = 0;
    for (size_t i = 0; i < layer; i++)
        before += ps_explain_kept_columns(kept, i);
    return before;
}

void ps_explain_kept_layer(const ps_explain_kept *kept, size_t layer, float *out)
{
    size_t before = columns_before(kept, layer), columns = ps_explain_kept_columns(kept, layer);
    for (size_t i = 0; i < kept->rows; i++)
        memcpy(out + i * columns, kept->values + i * kept->total + before, columns * sizeof *out);
}

static void centre(float *values, size_t rows, size_t columns)
{
    for (size_t c = 0; c < columns; c++) {
        double mean = 0;
        for (size_t i = 0; i < rows; i++)
            mean += (double)values[i * columns + c] / (double)rows;
        for (size_t i = 0; i < rows; i++)
            values[i * columns + c] = (float)((double)values[i * columns + c] - mean);
    }
}

ps_status ps_explain_kept_kernel(const ps_explain_kept *kept, size_t layer, double *k)
{
    size_t columns = ps_explain_kept_columns(kept, layer);
    float *values = ps_try_alloc_raw((kept->rows * columns + 1) * sizeof *values);
    if (!values)
        return ps_fail(PS_NO_MEMORY, "activations of layer %zu", layer);
    ps_explain_kept_layer(kept, layer, values);
    centre(values, kept->rows, columns);
    ps_similarity_kernel(values, kept->rows, columns, k);
    ps_free(&values);
    return PS_OK;
}

void ps_explain_kept_drop(ps_explain_part *merged, const char *prefix)
{
    char name[PS_EXPLAIN_NAME];
    ps_explain_drop(merged, name_of(prefix, "activations", name));
}
