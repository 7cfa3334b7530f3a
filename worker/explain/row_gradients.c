/* Happy path: rows go forward, the gradient of what is asked is made of their outputs on the host,
 * and goes back; what layers take and the gradients by what they give are read at taps. */
#include "worker/explain/row_gradients.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>
#include <string.h>

/* ---- memory ---- */

static size_t columns_of(const ps_explaining *x, ps_tap_kind kind, size_t layer)
{
    return (size_t)ps_model_tap_columns(x->model, (ps_tap){kind, (int64_t)layer});
}

static void measure(ps_row_gradients *g)
{
    const ps_explaining *x = g->x;
    while (columns_of(x, PS_TAP_LAYER_PRE, g->layers) > 0)
        g->layers++;
    g->in = ps_alloc_array(g->layers, sizeof *g->in);
    g->out = ps_alloc_array(g->layers, sizeof *g->out);
    g->a = ps_alloc_array(g->layers, sizeof *g->a);
    g->d = ps_alloc_array(g->layers, sizeof *g->d);
    for (size_t l = 0; l < g->layers; l++) {
        g->in[l] = 1 + (l ? columns_of(x, PS_TAP_LAYER_POST, l - 1) : (size_t)x->inputs);
        g->out[l] = columns_of(x, PS_TAP_LAYER_PRE, l);
        g->in_all += g->in[l];
        g->out_all += g->out[l];
    }
}

static float *numbers(const ps_row_gradients *g, size_t columns, bool *whole)
{
    float *out = ps_try_alloc_raw(g->batch * columns * sizeof *out);
    *whole &= out != NULL;
    return out;
}

static bool take_memory(ps_row_gradients *g)
{
    size_t widest = 1, outputs = (size_t)g->x->outputs;
    bool whole = true;
    for (size_t l = 0; l < g->layers; l++) {
        g->a[l] = numbers(g, g->in[l], &whole);
        g->d[l] = numbers(g, g->out[l], &whole);
        widest = g->in[l] > widest ? g->in[l] : widest;
    }
    g->inputs = numbers(g, (size_t)g->x->inputs, &whole);
    g->given = numbers(g, outputs, &whole);
    g->z = numbers(g, outputs, &whole);
    g->dz = numbers(g, outputs, &whole);
    g->dense = numbers(g, widest, &whole);
    g->miss = numbers(g, 1, &whole);
    g->labels = numbers(g, 1, &whole);
    g->points = ps_alloc_array(g->batch, sizeof *g->points);
    g->odd = ps_alloc_array(g->batch, sizeof *g->odd);
    return whole;
}

ps_status ps_row_gradients_open(ps_explaining *x, ps_row_gradients *out)
{
    *out = (ps_row_gradients){.x = x, .batch = x->batch};
    measure(out);
    return take_memory(out)
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "gradients of %zu rows; lower explain.batch", x->batch);
}

void ps_row_gradients_close(ps_row_gradients *g)
{
    for (size_t l = 0; l < g->layers; l++) {
        ps_free(&g->a[l]);
        ps_free(&g->d[l]);
    }
    ps_free(&g->a);
    ps_free(&g->d);
    ps_free(&g->in);
    ps_free(&g->out);
    ps_free(&g->inputs);
    ps_free(&g->given);
    ps_free(&g->z);
    ps_free(&g->dz);
    ps_free(&g->dense);
    ps_free(&g->miss);
    ps_free(&g->labels);
    ps_free(&g->points);
    ps_free(&g->odd);
}

/* ---- what layers take and get ---- */

static void take_input(ps_row_gradients *g, size_t layer, ps_tensor x, int64_t ld)
{
    PS_REQUIRE(layer < g->layers);
    size_t columns = g->in[layer] - 1;
    PS_REQUIRE(x.shape[0] == (int64_t)g->n && x.shape[1] == (int64_t)columns);
    if (!g->status)
        g->status = ps_tap_read(ps_model_stream(g->x->model), x, ld, g->dense);
    for (size_t i = 0; !g->status && i < g->n; i++) {
        float *a = g->a[layer] + i * (columns + 1);
        memcpy(a, g->dense + i * columns, columns * sizeof *a);
        a[columns] = 1;
    }
}

static void at(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    ps_row_gradients *g = user;
    if (tap.kind == PS_TAP_INPUT)
        take_input(g, 0, x, ld);
    else if (tap.kind == PS_TAP_LAYER_POST)
        take_input(g, (size_t)tap.layer + 1, x, ld);
}

static void gradient_at(void *user, ps_tap tap, ps_tensor dx, int64_t ld)
{
    ps_row_gradients *g = user;
    if (tap.kind != PS_TAP_LAYER_PRE || g->status)
        return;
    PS_REQUIRE((size_t)tap.layer < g->layers && dx.shape[1] == (int64_t)g->out[tap.layer]);
    g->status = ps_tap_read(ps_model_stream(g->x->model), dx, ld, g->d[tap.layer]);
}

/* ---- of what ---- */

/* log(p / (1 − p)) = z_y − log Σ over others of exp z: the gradient is 1 in y, and −softmax over
 * the others. Returns 1 − p. */
static float margin_gradient(const float *z, size_t n, size_t label, float *dz)
{
    double most = -INFINITY, others = 0;
    for (size_t k = 0; k < n; k++)
        most = k != label ? fmax(most, (double)z[k]) : most;
    for (size_t k = 0; k < n; k++)
        others += k != label ? exp((double)z[k] - most) : 0;
    for (size_t k = 0; k < n; k++)
        dz[k] = k == label ? 1 : (float)(-exp((double)z[k] - most) / others);
    double margin = (double)z[label] - most - log(others);
    return (float)(1 / (1 + exp(margin)));
}

static int64_t draw_class(const float *z, int64_t n, ps_rng *rng)
{
    double total = ps_explain_log_sum(z, n), left = ps_rng_uniform(rng);
    for (int64_t k = 0; k + 1 < n; k++) {
        left -= exp((double)z[k] - total);
        if (left < 0)
            return k;
    }
    return n - 1;
}

/* Errors of ±√(2/n), whose square's mean is the second derivative of a mean of n squares. */
static void draw_errors(size_t n, ps_rng *rng, float *dz)
{
    float size = sqrtf(2.0F / (float)n);
    for (size_t k = 0; k < n; k++)
        dz[k] = ps_rng_uniform(rng) < 0.5 ? -size : size;
}

static void of_numbers(ps_row_gradients *g, size_t i, ps_gradient_of of, ps_rng *rng)
{
    size_t n = (size_t)g->x->outputs;
    const float *targets = (const float *)g->given + i * n;
    g->miss[i] = 0;
    g->labels[i] = targets[0];
    if (of == PS_GRADIENT_DRAWN)
        draw_errors(n, rng, g->dz + i * n);
    else
        ps_explain_score_gradient(
            &(ps_explain_goal){.score = PS_EXPLAIN_LOSS, .other = -1, .targets = targets},
            g->z + i * n, (int64_t)n, g->dz + i * n);
}

static void of_classes(ps_row_gradients *g, size_t i, ps_gradient_of of, ps_rng *rng)
{
    size_t n = (size_t)g->x->outputs;
    const float *z = g->z + i * n;
    float *dz = g->dz + i * n;
    ps_explain_goal goal = {
        .score = PS_EXPLAIN_LOSS, .target = ((const int32_t *)g->given)[i], .other = -1};
    PS_REQUIRE(goal.target >= 0 && (size_t)goal.target < n); /* the data were opened so */
    g->labels[i] = (float)goal.target;
    g->miss[i] = margin_gradient(z, n, (size_t)goal.target, dz);
    if (of == PS_GRADIENT_DRAWN)
        goal.target = draw_class(z, (int64_t)n, rng);
    if (of != PS_GRADIENT_MARGIN)
        ps_explain_score_gradient(&goal, z, (int64_t)n, dz);
}

static void begin_gradients(ps_row_gradients *g, const uint64_t *rows, ps_gradient_of of)
{
    bool classes = g->x->model_spec->loss == PS_SPEC_CROSS_ENTROPY;
    for (size_t i = 0; i < g->n; i++) {
        ps_rng rng;
        ps_explain_rng(g->x, rows[i], &rng);
        if (classes)
            of_classes(g, i, of, &rng);
        else
            of_numbers(g, i, of, &rng);
    }
}

static bool all_finite(const float *v, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i] * 0.0F;
    return sum == 0.0F;
}

/* So that a row spoils no sum over rows. */
static void leave_out_odd(ps_row_gradients *g)
{
    for (size_t i = 0; i < g->n; i++) {
        g->odd[i] = false;
        for (size_t l = 0; l < g->layers; l++)
            g->odd[i] |= !all_finite(g->a[l] + i * g->in[l], g->in[l]) ||
                         !all_finite(g->d[l] + i * g->out[l], g->out[l]);
        for (size_t l = 0; g->odd[i] && l < g->layers; l++) {
            memset(g->a[l] + i * g->in[l], 0, g->in[l] * sizeof(float));
            memset(g->d[l] + i * g->out[l], 0, g->out[l] * sizeof(float));
        }
    }
}

ps_status ps_row_gradients_take(ps_row_gradients *g, const ps_dataset *data, const uint64_t *rows,
                                size_t n, ps_gradient_of of)
{
    const ps_model_hooks hooks = {.at = at, .gradient_at = gradient_at, .user = g};
    const ps_model_batch batch = {.rows = (int64_t)n, .features = g->inputs};
    bool classes = g->x->model_spec->loss == PS_SPEC_CROSS_ENTROPY;
    PS_REQUIRE(n > 0 && n <= g->batch);
    PS_REQUIRE(ps_dataset_labels(data) == (classes ? PS_LABELS_CLASSES : PS_LABELS_REALS));
    g->n = n;
    g->status = PS_OK;
    for (size_t i = 0; i < n; i++)
        g->points[i] = (ps_model_point){.row = (int64_t)i};
    ps_status st = ps_dataset_read(data, rows, n, g->inputs, g->given);
    if (!st)
        st = ps_model_forward(g->x->model, &batch, &hooks);
    if (!st)
        st = g->status;
    if (!st)
        st = ps_model_outputs_at(g->x->model, g->points, n, g->z);
    if (st)
        return st;
    begin_gradients(g, rows, of);
    g->x->evaluations += 2 * n;
    st = ps_model_backward_at(g->x->model, g->points, n, g->dz, &hooks);
    if (!st)
        st = g->status;
    if (!st)
        leave_out_odd(g);
    return st;
}
