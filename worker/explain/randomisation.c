/* randomisation: whether an attribution looks at the model at all (Adebayo et al. 2018): the rank
 * correlation (Spearman's) of |φ| with |φ| of the model whose last layers have been drawn anew, as
 * they are drawn before a training, one layer more at each step from the last to the first. An
 * attribution that explains what was learned falls towards 0; one that stays shows the input alone.
 * `correlation` has a number a row and step, step 0 the last layer or what is behind the last
 * block; NaN: one side is all the same. Embeddings stay those that the model has learned: they are
 * what is explained.
 *
 * The model is as it was afterwards, bit for bit, also after a failure. (layers + 1) times the
 * attribution's passes, and once the model's size of memory. */
#include "worker/explain/agreement.h"
#include "worker/explain/attribute.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct kept {
    size_t count;
    void **parameters; /* [count]: bytes of each */
    size_t *step;      /* [count]: in which it is drawn anew */
    size_t steps;
} kept;

/* ---- layers ---- */

/* Bytes of a name that say its layer: to its first number ("layers.3", "model.layers.3"), or all
 * but what it is there ("ln_f" of "ln_f.weight"). */
static size_t layer_length(const char *name)
{
    for (const char *at = strchr(name, '.'); at; at = strchr(at + 1, '.'))
        if (isdigit((unsigned char)at[1]))
            return (size_t)(at + 1 - name) + strspn(at + 1, "0123456789");
    const char *last = strrchr(name, '.');
    return last ? (size_t)(last - name) : strlen(name);
}

static bool same_layer(const char *a, const char *b)
{
    size_t n = layer_length(a);
    return n == layer_length(b) && !strncmp(a, b, n);
}

/* Layers stand in the order of the pass forward. */
static void number_steps(const ps_model_layout *layout, kept *k)
{
    size_t layers = 0;
    for (size_t i = 0; i < k->count; i++) {
        const char *name = layout->parameters[i].name;
        layers += i == 0 || !same_layer(name, layout->parameters[i - 1].name);
        k->step[i] = layers - 1;
    }
    for (size_t i = 0; i < k->count; i++)
        k->step[i] = layers - 1 - k->step[i];
    k->steps = layers;
}

/* ---- parameters ---- */

static void let_go(kept *k)
{
    for (size_t i = 0; k->parameters && i < k->count; i++)
        ps_free(&k->parameters[i]);
    ps_free(&k->parameters);
    ps_free(&k->step);
}

static ps_status keep(ps_model *m, kept *k)
{
    const ps_model_layout *layout = ps_model_parameters(m);
    uint64_t bytes = 0;
    k->count = layout->count;
    for (size_t i = 0; i < k->count; i++)
        bytes += ps_tensor_bytes(ps_model_parameter(m, i));
    ps_status st = ps_explain_room(bytes, "a second copy of the model, for randomisation",
                                   "leave it out, or give the worker more");
    k->parameters = ps_alloc_array(k->count, sizeof *k->parameters);
    k->step = ps_alloc_array(k->count, sizeof *k->step);
    for (size_t i = 0; !st && i < k->count; i++) {
        ps_tensor from = ps_model_parameter(m, i);
        k->parameters[i] = ps_try_alloc_raw(ps_tensor_bytes(from));
        st = k->parameters[i] ? ps_copy_to_host(ps_model_stream(m), k->parameters[i], from,
                                                ps_tensor_bytes(from))
                              : ps_fail(PS_NO_MEMORY, "a second copy of the model, which method "
                                                      "randomisation needs");
    }
    number_steps(layout, k);
    return st;
}

static ps_status put_back(ps_model *m, const kept *k)
{
    for (size_t i = 0; i < k->count; i++) {
        ps_tensor to = ps_model_parameter(m, i);
        ps_copy_to_device(ps_model_stream(m), to, k->parameters[i], ps_tensor_bytes(to));
    }
    ps_status st = ps_stream_sync(ps_model_stream(m));
    ps_model_refresh(m);
    return st;
}

/* As before a training; by the name, the same for all rows. */
static void draw(const ps_explaining *x, const ps_model_parameter_spec *spec, float *out)
{
    char name[96];
    ps_rng rng;
    (void)snprintf(name, sizeof name, "explain.%zu.%s", x->method, spec->name);
    ps_rng_seed_named(&rng, (uint64_t)x->spec->seed, name);
    double scale = (double)spec->scale;
    for (int64_t i = 0; i < ps_model_parameter_elements(spec); i++)
        out[i] = spec->init == PS_INIT_ZEROS     ? 0
                 : spec->init == PS_INIT_ONES    ? 1
                 : spec->init == PS_INIT_UNIFORM ? (float)(scale * (2 * ps_rng_uniform(&rng) - 1))
                                                 : (float)(scale * ps_rng_normal(&rng));
}

static ps_status draw_step(ps_explaining *x, const kept *k, size_t step)
{
    const ps_model_layout *layout = ps_model_parameters(x->model);
    ps_stream *stream = ps_model_stream(x->model);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < k->count; i++) {
        ps_tensor to = ps_model_parameter(x->model, i);
        if (k->step[i] != step)
            continue;
        float *drawn = ps_try_alloc_raw(ps_tensor_bytes(to));
        if (!drawn)
            return ps_fail(PS_NO_MEMORY, "tensor %s", layout->parameters[i].name);
        draw(x, &layout->parameters[i], drawn);
        ps_copy_to_device(stream, to, drawn, ps_tensor_bytes(to));
        st = ps_stream_sync(stream);
        ps_free(&drawn);
    }
    ps_model_refresh(x->model);
    return st;
}

/* ---- correlations ---- */

typedef struct comparing {
    ps_explaining *x;
    const ps_spec_explain_method *spec;
    const ps_explain_items *items;
    const kept *kept;
    size_t features;
    double *before, *after; /* [n, features]: |φ| */
    float *correlation;     /* [n, steps] */
} comparing;

static ps_status attribute(const comparing *c, const ps_explain_items *items, double *out)
{
    ps_status st = ps_explain_attribute(c->x, c->spec, items, false, out);
    for (size_t i = 0; !st && i < items->n * c->features; i++)
        out[i] = isnan(out[i]) ? 0 : fabs(out[i]);
    return st;
}

static ps_status compare_step(const comparing *c, size_t step)
{
    ps_explain_moved moved; /* the same points, answered by what the model is now */
    ps_status st = ps_explain_move(c->x, c->items, c->items->points, &moved);
    if (!st)
        st = attribute(c, &moved.items, c->after);
    for (size_t row = 0; !st && row < c->items->n; row++) {
        double rank = NAN;
        st = ps_spearman(c->before + row * c->features, c->after + row * c->features, c->features,
                         &rank);
        c->correlation[row * c->kept->steps + step] = (float)rank;
    }
    ps_explain_moved_free(&moved);
    return st;
}

static ps_status compare(const comparing *c)
{
    ps_status st = attribute(c, c->items, c->before);
    for (size_t step = 0; !st && step < c->kept->steps; step++) {
        st = draw_step(c->x, c->kept, step);
        if (!st)
            st = compare_step(c, step);
    }
    ps_status back = put_back(c->x->model, c->kept);
    return st ? st : back;
}

static ps_status run_with(const kept *k, ps_explaining *x, const ps_spec_explain_method *spec,
                          const ps_explain_items *items, ps_explain_part *out)
{
    comparing c = {
        .x = x, .spec = spec, .items = items, .kept = k, .features = ps_explain_features(x, items)};
    c.before = ps_try_alloc_raw(items->n * c.features * sizeof *c.before);
    c.after = ps_try_alloc_raw(items->n * c.features * sizeof *c.after);
    c.correlation = ps_try_alloc_raw(items->n * k->steps * sizeof *c.correlation);
    ps_status st = c.before && c.after && c.correlation
                       ? compare(&c)
                       : ps_fail(PS_NO_MEMORY, "values of %zu rows", items->n);
    if (!st)
        st = ps_explain_put_values(out, "correlation", "step", items->n, k->steps, c.correlation);
    ps_free(&c.before);
    ps_free(&c.after);
    ps_free(&c.correlation);
    return st;
}

/* The second copy lives for the run: a job may have many entries, all prepared at once. */
static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    kept k = {0};
    ps_status st = keep(x->model, &k);
    if (!st)
        st = run_with(&k, x, spec, items, out);
    let_go(&k);
    return st;
}

const ps_explain_method ps_explain_method_randomisation = {.name = "randomisation", .run = run};
