/* direct_logits: what each part of the model adds to the score by itself, through the last norm and
 * the head alone (direct logit attribution; Elhage et al. 2021). The stream after the last block is
 * a sum of parts: embeddings, what each head z_h·W_O^h, each bias of attention's output and each
 * mlp adds. With the norm's deviation as it is for that sum the rest is linear, and a part c is
 * worth g·c, g being the score's gradient at the stream with that deviation kept. Of each row, at
 * its last token:
 *
 *     embed, pos_embed          the token's, and its position's where there are learnt ones
 *     heads           [layer, head]
 *     attention_bias  [layer]   where there are biases
 *     mlp             [layer]
 *     norm_bias                 of the last norm, where it has one
 *
 * All together are Σ z·∂f/∂z: the logit itself, where that is what is explained. `residual`: by how
 * much they are not, over the sum of their magnitudes. One pass forward and one backward. */
#include "worker/explain/look.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TOLERANCE 1e-4

/* A matrix W_O and its bias, on the host. */
typedef struct mixer {
    float *weight; /* [inputs, hidden], or [hidden, inputs] */
    float *bias;   /* [hidden]; NULL: none */
    bool input_major;
} mixer;

/* Made once. */
typedef struct weights {
    size_t layers, heads, hidden, inputs; /* inputs: heads · their size */
    mixer *mixers;                        /* [layers] */
    float *norm_bias;                     /* [hidden]; NULL: none */
    bool positions;                       /* learnt ones */
} weights;

static void weights_free(void *state)
{
    weights *w = state;
    for (size_t l = 0; w && w->mixers && l < w->layers; l++) {
        ps_free(&w->mixers[l].weight);
        ps_free(&w->mixers[l].bias);
    }
    if (w) {
        ps_free(&w->mixers);
        ps_free(&w->norm_bias);
    }
    ps_free(&w);
}

static ps_status read_parameter(const ps_explaining *x, size_t i, float **out)
{
    ps_tensor from = ps_model_parameter(x->model, i);
    *out = ps_try_alloc_raw(ps_tensor_bytes(from));
    if (!*out)
        return ps_fail(PS_NO_MEMORY, "tensor %s",
                       ps_model_parameters(x->model)->parameters[i].name);
    return ps_copy_to_host(ps_model_stream(x->model), *out, from, ps_tensor_bytes(from));
}

/* The bias that stands beside a weight of that name; *out stays NULL: there is none. */
static ps_status read_bias(const ps_explaining *x, const char *weight, float **out)
{
    static const char suffix[] = ".weight";
    char name[sizeof((ps_model_parameter_spec *)0)->name + sizeof ".bias"];
    size_t length = strlen(weight), i = 0;
    if (length < sizeof suffix || strcmp(weight + length - (sizeof suffix - 1), suffix) != 0)
        return PS_OK;
    (void)snprintf(name, sizeof name, "%.*s.bias", (int)(length - (sizeof suffix - 1)), weight);
    return ps_model_find(x->model, name, &i) ? PS_OK : read_parameter(x, i, out);
}

static ps_status read_mixer(const ps_explaining *x, size_t i, mixer *out)
{
    const ps_model_parameter_spec *spec = &ps_model_parameters(x->model)->parameters[i];
    ps_tap behind[PS_MODEL_TAPS_BEHIND];
    if (!ps_model_taps_behind(x->model, i, behind))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "what heads of this model say passes a norm before it is added, so that no "
                       "head has a part of the score by itself; head_ablation and patching say "
                       "what one is worth");
    out->input_major = spec->input_major;
    ps_status st = read_parameter(x, i, &out->weight);
    return st ? st : read_bias(x, spec->name, &out->bias);
}

/* What z is multiplied by; and the last norm, whose parameters are behind all blocks'. */
static ps_status read_weights(const ps_explaining *x, weights *w)
{
    const ps_model_layout *layout = ps_model_parameters(x->model);
    const char *norm = NULL;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < layout->count; i++) {
        const ps_model_parameter_spec *spec = &layout->parameters[i];
        ps_tap before;
        if (spec->role == PS_ROLE_NORM && !strstr(spec->name, ".bias"))
            norm = spec->name;
        if (spec->role == PS_ROLE_MATRIX && !ps_model_tap_before(x->model, i, &before) &&
            before.kind == PS_TAP_Z)
            st = read_mixer(x, i, &w->mixers[before.layer]);
    }
    return st || !norm ? st : read_bias(x, norm, &w->norm_bias);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    weights *w = *state = ps_try_alloc(sizeof *w);
    if (!w)
        return ps_fail(PS_NO_MEMORY, "weights of attention");
    w->layers = ps_explain_layers(x);
    w->heads = ps_explain_heads(x);
    w->hidden = (size_t)x->inputs;
    w->inputs = (size_t)ps_model_tap_columns(x->model, (ps_tap){PS_TAP_Z, 0});
    w->positions = ps_model_tap_columns(x->model, (ps_tap){PS_TAP_POS_EMBED, 0}) > 0;
    w->mixers = ps_try_alloc(w->layers * sizeof *w->mixers);
    return w->mixers ? read_weights(x, w) : ps_fail(PS_NO_MEMORY, "weights of attention");
}

/* ---- a pass ---- */

typedef struct parts {
    ps_explaining *x;
    const ps_explain_items *items;
    const weights *w;
    float *embed, *pos_embed;            /* [n, hidden] */
    float *z;                            /* [layers, n, inputs] */
    float *mlp;                          /* [layers, n, hidden] */
    float *slope, *normed_slope;         /* [n, hidden]: gradients at the stream, at normed */
    float *memory;                       /* of these */
    double *mixed;                       /* [inputs]: W_O·g */
    float *of_embed, *of_positions;      /* [n] */
    float *of_heads;                     /* [n, layers, heads] */
    float *of_biases, *of_mlp, *of_norm; /* [n, layers], [n, layers], [n] */
    float *residual;                     /* [n] */
    float *results;                      /* of these */
    ps_status failed;                    /* of a hook */
} parts;

static void see(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    parts *p = user;
    size_t n = p->items->n, layer = (size_t)tap.layer;
    float *to = tap.kind == PS_TAP_EMBED       ? p->embed
                : tap.kind == PS_TAP_POS_EMBED ? p->pos_embed
                : tap.kind == PS_TAP_Z         ? p->z + layer * n * p->w->inputs
                : tap.kind == PS_TAP_MLP_OUT   ? p->mlp + layer * n * p->w->hidden
                                               : NULL;
    if (to && !p->failed)
        p->failed = ps_explain_last(p->x, p->items, seen, ld, to);
}

static void see_slope(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    parts *p = user;
    bool last = tap.kind == PS_TAP_RESID_POST && (size_t)tap.layer + 1 == p->w->layers;
    float *to = tap.kind == PS_TAP_LN_FINAL ? p->normed_slope : last ? p->slope : NULL;
    if (to && !p->failed)
        p->failed = ps_explain_last(p->x, p->items, seen, ld, to);
}

static ps_status look(parts *p)
{
    ps_status st = ps_explain_look(p->x, p->items, &(ps_model_hooks){.at = see, .user = p});
    if (!st)
        st = p->failed;
    if (!st)
        st = ps_explain_look_back(
            p->x, p->items,
            &(ps_model_hooks){.gradient_at = see_slope, .constant_rstd = true, .user = p});
    return st ? st : p->failed;
}

/* ---- what they are worth ---- */

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* mixed[inputs] = W_O·g */
static void mix(const weights *w, const mixer *m, const float *g, double *mixed)
{
    for (size_t i = 0; i < w->inputs; i++)
        mixed[i] = m->input_major ? dot(m->weight + i * w->hidden, g, w->hidden) : 0;
    for (size_t k = 0; !m->input_major && k < w->hidden; k++)
        for (size_t i = 0; i < w->inputs; i++)
            mixed[i] += (double)m->weight[k * w->inputs + i] * (double)g[k];
}

/* A part's share of the sum that is to be the score. */
typedef struct sum {
    double all, magnitude;
} sum;

static float add(sum *s, double value)
{
    s->all += value;
    s->magnitude += fabs(value);
    return (float)value;
}

static void weigh_layer(parts *p, size_t row, size_t layer, sum *s)
{
    const weights *w = p->w;
    const mixer *m = &w->mixers[layer];
    size_t n = p->items->n, at = row * w->layers + layer, each = w->inputs / w->heads;
    const float *g = p->slope + row * w->hidden;
    const float *z = p->z + (layer * n + row) * w->inputs;
    mix(w, m, g, p->mixed);
    for (size_t h = 0; h < w->heads; h++) {
        double value = 0;
        for (size_t i = h * each; i < (h + 1) * each; i++)
            value += (double)z[i] * p->mixed[i];
        p->of_heads[at * w->heads + h] = add(s, value);
    }
    p->of_biases[at] = add(s, m->bias ? dot(g, m->bias, w->hidden) : 0);
    p->of_mlp[at] = add(s, dot(g, p->mlp + (layer * n + row) * w->hidden, w->hidden));
}

static void weigh_row(parts *p, size_t row, const float *seed)
{
    const weights *w = p->w;
    const float *g = p->slope + row * w->hidden;
    size_t outputs = (size_t)p->x->outputs;
    sum s = {0};
    p->of_embed[row] = add(&s, dot(g, p->embed + row * w->hidden, w->hidden));
    if (w->positions)
        p->of_positions[row] = add(&s, dot(g, p->pos_embed + row * w->hidden, w->hidden));
    for (size_t layer = 0; layer < w->layers; layer++)
        weigh_layer(p, row, layer, &s);
    if (w->norm_bias)
        p->of_norm[row] = add(&s, dot(p->normed_slope + row * w->hidden, w->norm_bias, w->hidden));
    double want = dot(seed, p->items->logits + row * outputs, outputs);
    p->residual[row] = (float)(fabs(s.all - want) / fmax(s.magnitude, 1e-12));
}

static ps_status weigh(parts *p)
{
    size_t outputs = (size_t)p->x->outputs;
    float *seed = ps_try_alloc_raw(outputs * sizeof *seed);
    if (!seed)
        return ps_fail(PS_NO_MEMORY, "%zu outputs", outputs);
    for (size_t row = 0; row < p->items->n; row++) {
        ps_explain_score_gradient(&p->items->goals[row], p->items->logits + row * outputs,
                                  p->x->outputs, seed);
        weigh_row(p, row, seed);
    }
    ps_free(&seed);
    return PS_OK;
}

/* ---- all of it ---- */

static float *next(float **from, size_t n)
{
    float *at = *from;
    *from += n;
    return at;
}

static ps_status take_room(parts *p)
{
    const weights *w = p->w;
    size_t n = p->items->n, wide = n * w->hidden, each = n * w->layers;
    p->memory = ps_try_alloc_raw((4 * wide + each * (w->inputs + w->hidden)) * sizeof(float));
    p->results = ps_try_alloc_raw((4 * n + each * (w->heads + 2)) * sizeof(float));
    p->mixed = ps_try_alloc_raw(w->inputs * sizeof *p->mixed);
    if (!p->memory || !p->results || !p->mixed)
        return ps_fail(PS_NO_MEMORY, "parts of %zu rows; lower explain.batch", n);
    float *from = p->memory;
    p->embed = next(&from, wide);
    p->pos_embed = next(&from, wide);
    p->slope = next(&from, wide);
    p->normed_slope = next(&from, wide);
    p->z = next(&from, each * w->inputs);
    p->mlp = next(&from, each * w->hidden);
    from = p->results;
    p->of_embed = next(&from, n);
    p->of_positions = next(&from, n);
    p->of_norm = next(&from, n);
    p->residual = next(&from, n);
    p->of_heads = next(&from, each * w->heads);
    p->of_biases = next(&from, each);
    p->of_mlp = next(&from, each);
    return PS_OK;
}

static ps_status put(const parts *p, ps_explain_part *out)
{
    const weights *w = p->w;
    const uint64_t n = p->items->n, shape[2] = {w->layers, w->heads};
    ps_status st = ps_explain_put_rows(out, "embed", "", n, 0, NULL, p->of_embed);
    if (!st && w->positions)
        st = ps_explain_put_rows(out, "pos_embed", "", n, 0, NULL, p->of_positions);
    if (!st)
        st = ps_explain_put_rows(out, "heads", "layer head", n, 2, shape, p->of_heads);
    if (!st && w->mixers[0].bias)
        st = ps_explain_put_values(out, "attention_bias", "layer", n, w->layers, p->of_biases);
    if (!st)
        st = ps_explain_put_values(out, "mlp", "layer", n, w->layers, p->of_mlp);
    if (!st && w->norm_bias)
        st = ps_explain_put_rows(out, "norm_bias", "", n, 0, NULL, p->of_norm);
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", n, 0, NULL, p->residual);
    out->tolerance = TOLERANCE;
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    parts p = {.x = x, .items = items, .w = state};
    ps_status st = take_room(&p);
    if (!st)
        st = look(&p);
    if (!st)
        st = weigh(&p);
    if (!st)
        st = put(&p, out);
    ps_free(&p.memory);
    ps_free(&p.results);
    ps_free(&p.mixed);
    return st;
}

const ps_explain_method ps_explain_method_direct_logits = {
    .name = "direct_logits", .prepare = prepare, .run = run, .free = weights_free};
