/* Happy path: on the way forward each layer's z and a are copied to the host; on the way back the
 * gradient behind an activation is kept, and what the activation has made of it is replaced by that
 * times the factor. */
#include "worker/explain/layer_rule.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/models/tap.h"

#include <math.h>

typedef struct seen {
    size_t units;
    float *z, *a; /* [batch, units]; of the last layer a is z */
} seen;

struct ps_layer_rule {
    ps_stream *stream;
    size_t n, batch;
    seen *layers;
    float *behind, *before; /* [batch, widest]: gradients */
    ps_layer_rule_factor *factor;
    const void *user;
    ps_model_hooks hooks;
    ps_status failed;
};

static size_t count_layers(const ps_model *m)
{
    size_t n = 0;
    while (ps_model_tap_columns(m, (ps_tap){PS_TAP_LAYER_PRE, (int64_t)n}))
        n++;
    return n;
}

/* ---- the passes ---- */

static seen *seen_of(const ps_layer_rule *r, ps_tap tap, ps_tensor x)
{
    seen *l = &r->layers[tap.layer];
    PS_REQUIRE((size_t)tap.layer < r->n && (size_t)x.shape[0] <= r->batch);
    PS_REQUIRE((size_t)x.shape[1] == l->units);
    return l;
}

static void see(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    ps_layer_rule *r = user;
    if (r->failed || (tap.kind != PS_TAP_LAYER_PRE && tap.kind != PS_TAP_LAYER_POST))
        return;
    seen *l = seen_of(r, tap, x);
    r->failed = ps_tap_read(r->stream, x, ld, tap.kind == PS_TAP_LAYER_PRE ? l->z : l->a);
}

static void apply(const ps_layer_rule *r, size_t number, size_t rows)
{
    const seen *l = &r->layers[number];
    const float *from = number + 1 == r->n ? r->before : r->behind;
    for (size_t i = 0; i < rows * l->units; i++) {
        double factor = r->factor(r->user, number, i % l->units, (double)l->z[i], (double)l->a[i]);
        if (!isnan(factor))
            r->before[i] = (float)((double)from[i] * factor);
    }
}

static void go_back(void *user, ps_tap tap, ps_tensor dx, int64_t ld)
{
    ps_layer_rule *r = user;
    if (r->failed || (tap.kind != PS_TAP_LAYER_PRE && tap.kind != PS_TAP_LAYER_POST))
        return;
    (void)seen_of(r, tap, dx);
    bool before = tap.kind == PS_TAP_LAYER_PRE;
    r->failed = ps_tap_read(r->stream, dx, ld, before ? r->before : r->behind);
    if (r->failed || !before)
        return;
    apply(r, (size_t)tap.layer, (size_t)dx.shape[0]);
    r->failed = ps_tap_write(r->stream, dx, ld, r->before);
}

/* ---- its memory ---- */

static bool take_layer(const ps_explaining *x, ps_layer_rule *r, size_t number)
{
    seen *l = &r->layers[number];
    const ps_tap tap = {PS_TAP_LAYER_PRE, (int64_t)number};
    l->units = (size_t)ps_model_tap_columns(x->model, tap);
    l->z = ps_try_alloc_raw(r->batch * l->units * sizeof *l->z);
    l->a = number + 1 == r->n ? l->z : ps_try_alloc_raw(r->batch * l->units * sizeof *l->a);
    return l->z && l->a;
}

static bool take_all(const ps_explaining *x, ps_layer_rule *r)
{
    size_t widest = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (!take_layer(x, r, i))
            return false;
        widest = r->layers[i].units > widest ? r->layers[i].units : widest;
    }
    r->behind = ps_try_alloc_raw(r->batch * widest * sizeof *r->behind);
    r->before = ps_try_alloc_raw(r->batch * widest * sizeof *r->before);
    return r->behind && r->before;
}

ps_status ps_layer_rule_make(const ps_explaining *x, ps_layer_rule **out)
{
    ps_layer_rule *r = ps_new(ps_layer_rule);
    r->stream = ps_model_stream(x->model);
    r->n = count_layers(x->model);
    r->batch = x->batch;
    PS_REQUIRE(!x->language && r->n > 0);
    r->layers = ps_alloc_array(r->n, sizeof *r->layers);
    r->hooks = (ps_model_hooks){.at = see, .gradient_at = go_back, .user = r};
    *out = r;
    if (take_all(x, r))
        return PS_OK;
    ps_layer_rule_free(out);
    return ps_fail(PS_NO_MEMORY, "what %zu rows leave in every layer; lower explain.batch",
                   x->batch);
}

void ps_layer_rule_free(ps_layer_rule **rule)
{
    ps_layer_rule *r = *rule;
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        if (i + 1 < r->n)
            ps_free(&r->layers[i].a);
        ps_free(&r->layers[i].z);
    }
    ps_free(&r->layers);
    ps_free(&r->behind);
    ps_free(&r->before);
    ps_free(rule);
}

const ps_model_hooks *ps_layer_rule_use(ps_layer_rule *rule, ps_layer_rule_factor *factor,
                                        const void *user)
{
    rule->factor = factor;
    rule->user = user;
    rule->failed = PS_OK;
    return &rule->hooks;
}

ps_status ps_layer_rule_status(const ps_layer_rule *rule)
{
    return rule->failed;
}

size_t ps_layer_rule_layers(const ps_layer_rule *rule)
{
    return rule->n;
}

size_t ps_layer_rule_units(const ps_layer_rule *rule, size_t layer)
{
    PS_REQUIRE(layer < rule->n);
    return rule->layers[layer].units;
}

const float *ps_layer_rule_before(const ps_layer_rule *rule, size_t layer)
{
    PS_REQUIRE(layer < rule->n);
    return rule->layers[layer].z;
}

const float *ps_layer_rule_behind(const ps_layer_rule *rule, size_t layer)
{
    PS_REQUIRE(layer < rule->n);
    return rule->layers[layer].a;
}
