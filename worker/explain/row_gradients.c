/* Happy path: rows go forward, the gradient of what is asked is made of their outputs on the host,
 * and goes back; what layers take and the gradients by what they give are read at taps. */
#include "worker/explain/row_gradients.h"

#include "worker/explain/room.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>
#include <string.h>

/* ---- memory ---- */

static size_t longest(const ps_explaining *x)
{
    size_t test = x->test && x->language ? ps_dataset_features(x->test) : 1;
    size_t train = x->train && x->language ? ps_dataset_features(x->train) : 1;
    return test > train ? test : train;
}

static void measure(ps_row_gradients *g)
{
    g->layers = ps_row_layers(g->x->model, &g->layer);
    g->in = ps_alloc_array(g->layers + 1, sizeof *g->in);
    g->out = ps_alloc_array(g->layers + 1, sizeof *g->out);
    g->a = ps_alloc_array(g->layers + 1, sizeof *g->a);
    g->d = ps_alloc_array(g->layers + 1, sizeof *g->d);
    for (size_t l = 0; l < g->layers; l++) {
        g->in[l] = g->layer[l].in;
        g->out[l] = g->layer[l].out;
        g->in_all += g->in[l];
        g->out_all += g->out[l];
    }
}

/* The first layer that takes what layer l does: itself, or one before it. */
static size_t owner(const ps_row_gradients *g, size_t l)
{
    size_t k = 0;
    while (!ps_tap_equal(g->layer[k].before, g->layer[l].before) || g->in[k] != g->in[l])
        k++;
    PS_REQUIRE(k <= l);
    return k;
}

static float *numbers(const ps_row_gradients *g, size_t columns, bool *whole)
{
    float *out = ps_try_alloc_raw(g->batch * columns * sizeof *out);
    *whole &= out != NULL;
    return out;
}

static bool take_memory(ps_row_gradients *g)
{
    size_t widest = 1, outputs = (size_t)g->x->outputs, length = g->length;
    bool whole = true;
    for (size_t l = 0; l < g->layers; l++) {
        g->a[l] = owner(g, l) < l ? g->a[owner(g, l)] : numbers(g, length * g->in[l], &whole);
        g->d[l] = numbers(g, length * g->out[l], &whole);
        widest = g->in[l] > widest ? g->in[l] : widest;
        widest = g->out[l] > widest ? g->out[l] : widest;
    }
    g->inputs = numbers(g, g->x->language ? length : (size_t)g->x->inputs, &whole);
    g->given = numbers(g, g->x->language ? length : outputs, &whole);
    g->z = numbers(g, length * outputs, &whole);
    g->dz = numbers(g, outputs, &whole);
    g->dense = numbers(g, length * widest, &whole);
    g->miss = numbers(g, 1, &whole);
    g->labels = numbers(g, 1, &whole);
    g->points = ps_alloc_array(g->batch * length, sizeof *g->points);
    g->odd = ps_alloc_array(g->batch, sizeof *g->odd);
    return whole;
}

ps_status ps_row_gradients_open(ps_explaining *x, ps_row_gradients *out)
{
    *out = (ps_row_gradients){.x = x, .batch = x->batch, .length = longest(x)};
    measure(out);
    if (!out->layers)
        return ps_fail(PS_INVALID_ARGUMENT, "the model has no layer whose inputs and outputs can "
                                            "be looked at");
    uint64_t each = out->in_all + out->out_all + (uint64_t)x->outputs;
    ps_status st = ps_explain_room(each * x->batch * out->length * sizeof(float),
                                   "what layers take and give of a batch", "lower explain.batch");
    if (st)
        return st;
    return take_memory(out)
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "gradients of %zu rows; lower explain.batch", x->batch);
}

void ps_row_gradients_close(ps_row_gradients *g)
{
    for (size_t l = g->layers; l-- > 0;) {
        if (owner(g, l) == l)
            ps_free(&g->a[l]);
        ps_free(&g->d[l]);
    }
    ps_free(&g->a);
    ps_free(&g->d);
    ps_free(&g->in);
    ps_free(&g->out);
    ps_free(&g->layer);
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

/* Rows of the host, so many columns of them, into rows of `wide` from column `at` on. */
static void spread(const ps_row_gradients *g, size_t columns, float *to, size_t wide, size_t at)
{
    PS_REQUIRE(at + columns <= wide);
    for (size_t i = 0; i < g->n * g->positions; i++)
        memcpy(to + i * wide + at, g->dense + i * columns, columns * sizeof *to);
}

static void take_input(ps_row_gradients *g, size_t l)
{
    size_t columns = g->in[l] - (g->layer[l].bias != PS_ROW_NO_BIAS);
    spread(g, columns, g->a[l], g->in[l], 0);
    for (size_t i = 0; columns < g->in[l] && i < g->n * g->positions; i++)
        g->a[l][i * g->in[l] + columns] = 1;
}

static void at(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    ps_row_gradients *g = user;
    bool read = false;
    for (size_t l = 0; !g->status && l < g->layers; l++) {
        if (!ps_tap_equal(g->layer[l].before, tap) || owner(g, l) < l)
            continue;
        PS_REQUIRE(x.shape[0] == (int64_t)(g->n * g->positions));
        if (!read)
            g->status = ps_tap_read(ps_model_stream(g->x->model), x, ld, g->dense);
        read = true;
        take_input(g, l);
    }
}

static void gradient_at(void *user, ps_tap tap, ps_tensor dx, int64_t ld)
{
    ps_row_gradients *g = user;
    for (size_t l = 0; !g->status && l < g->layers; l++) {
        const ps_row_layer *layer = &g->layer[l];
        size_t column = 0, i = 0;
        for (; i < layer->n_behind && !ps_tap_equal(layer->behind[i], tap); i++)
            column += (size_t)ps_model_tap_columns(g->x->model, layer->behind[i]);
        if (i == layer->n_behind)
            continue;
        PS_REQUIRE(dx.shape[0] == (int64_t)(g->n * g->positions));
        g->status = ps_tap_read(ps_model_stream(g->x->model), dx, ld, g->dense);
        spread(g, (size_t)dx.shape[1], g->d[l], g->out[l], column);
    }
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
    float *z = g->z + i * n;
    const float *targets = (const float *)g->given + i * n;
    g->miss[i] = 0;
    g->labels[i] = targets[0];
    if (of == PS_GRADIENT_DRAWN)
        draw_errors(n, rng, g->dz);
    else
        ps_explain_score_gradient(
            &(ps_explain_goal){.score = PS_EXPLAIN_LOSS, .other = -1, .targets = targets}, z,
            (int64_t)n, g->dz);
    memcpy(z, g->dz, n * sizeof *z);
}

/* Of one label: z becomes the gradient by it, times `share`. Returns 1 − p. */
static float of_class(ps_row_gradients *g, float *z, int32_t label, ps_gradient_of of, float share,
                      ps_rng *rng)
{
    size_t n = (size_t)g->x->outputs;
    ps_explain_goal goal = {.score = PS_EXPLAIN_LOSS, .target = label, .other = -1};
    PS_REQUIRE(label >= 0 && (size_t)label < n); /* the data were opened so */
    float miss = margin_gradient(z, n, (size_t)label, g->dz);
    if (of == PS_GRADIENT_DRAWN)
        goal.target = draw_class(z, (int64_t)n, rng);
    if (of != PS_GRADIENT_MARGIN)
        ps_explain_score_gradient(&goal, z, (int64_t)n, g->dz);
    for (size_t k = 0; k < n; k++)
        z[k] = share * g->dz[k];
    return miss;
}

/* Tokens without a label count as if they were not there. */
static void of_row(ps_row_gradients *g, size_t i, ps_gradient_of of, ps_rng *rng)
{
    const int32_t *labels = (const int32_t *)g->given + i * g->positions;
    size_t outputs = (size_t)g->x->outputs, counted = 0;
    for (size_t t = 0; t < g->positions; t++)
        counted += labels[t] >= 0;
    double mean = 1 / (double)(counted ? counted : 1), miss = 0;
    float share = (float)(of == PS_GRADIENT_DRAWN ? sqrt(mean) : mean);
    for (size_t t = 0; t < g->positions; t++) {
        float *z = g->z + (i * g->positions + t) * outputs;
        if (labels[t] >= 0)
            miss += (double)of_class(g, z, labels[t], of, share, rng);
        else
            memset(z, 0, outputs * sizeof *z);
    }
    g->miss[i] = (float)(miss * mean);
    g->labels[i] = g->x->language ? NAN : (float)labels[0];
}

static void begin_gradients(ps_row_gradients *g, const uint64_t *rows, ps_gradient_of of)
{
    bool classes = g->x->language || g->x->model_spec->loss == PS_SPEC_CROSS_ENTROPY;
    for (size_t i = 0; i < g->n; i++) {
        ps_rng rng;
        ps_explain_rng(g->x, rows[i], &rng);
        if (classes)
            of_row(g, i, of, &rng);
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
        for (size_t l = 0; l < g->layers; l++) {
            size_t in = g->positions * g->in[l], out = g->positions * g->out[l];
            g->odd[i] |= !all_finite(g->a[l] + i * in, in) || !all_finite(g->d[l] + i * out, out);
        }
        for (size_t l = 0; g->odd[i] && l < g->layers; l++) {
            size_t in = g->positions * g->in[l], out = g->positions * g->out[l];
            memset(g->a[l] + i * in, 0, in * sizeof(float));
            memset(g->d[l] + i * out, 0, out * sizeof(float));
        }
    }
}

static ps_status check_labels(const ps_row_gradients *g, const ps_dataset *data)
{
    bool classes = g->x->model_spec->loss == PS_SPEC_CROSS_ENTROPY;
    PS_REQUIRE(ps_dataset_labels(data) == (g->x->language ? PS_LABELS_NEXT
                                           : classes      ? PS_LABELS_CLASSES
                                                          : PS_LABELS_REALS));
    size_t length = g->x->language ? ps_dataset_features(data) : 1;
    return length <= g->length
               ? PS_OK
               : ps_fail(PS_OUT_OF_RANGE, "rows of %zu tokens, more than %zu", length, g->length);
}

/* The rows' answers, at all of their positions. */
static ps_status go_forward(ps_row_gradients *g, const ps_dataset *data, const uint64_t *rows,
                            const ps_model_hooks *hooks)
{
    const ps_explaining *x = g->x;
    const ps_model_batch batch = {.rows = (int64_t)g->n,
                                  .features = x->language ? NULL : g->inputs,
                                  .tokens = x->language ? g->inputs : NULL,
                                  .length = (int64_t)g->positions};
    size_t all = g->n * g->positions;
    for (size_t i = 0; i < all; i++)
        g->points[i] = (ps_model_point){.row = (int64_t)(i / g->positions),
                                        .position = (int64_t)(i % g->positions)};
    ps_status st = ps_dataset_read(data, rows, g->n, g->inputs, g->given);
    if (!st)
        st = ps_model_forward(x->model, &batch, hooks);
    if (!st)
        st = g->status;
    return st ? st : ps_model_outputs_at(x->model, g->points, all, g->z);
}

ps_status ps_row_gradients_take(ps_row_gradients *g, const ps_dataset *data, const uint64_t *rows,
                                size_t n, ps_gradient_of of)
{
    const ps_model_hooks hooks = {.at = at, .gradient_at = gradient_at, .user = g};
    PS_REQUIRE(n > 0 && n <= g->batch);
    ps_status st = check_labels(g, data);
    g->n = n;
    g->positions = g->x->language ? ps_dataset_features(data) : 1;
    g->status = PS_OK;
    if (!st)
        st = go_forward(g, data, rows, &hooks);
    if (st)
        return st;
    begin_gradients(g, rows, of);
    g->x->evaluations += 2 * n;
    st = ps_model_backward_at(g->x->model, g->points, n * g->positions, g->z, &hooks);
    if (!st)
        st = g->status;
    if (!st)
        leave_out_odd(g);
    return st;
}

/* ---- of several positions ---- */

ps_status ps_row_gradients_make(const ps_row_gradients *g, ps_products *products, const float *u,
                                size_t m, const float *v, size_t k, float *out)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < g->n; i++)
        st = ps_products_columns(products, u + i * g->positions * m, m, v + i * g->positions * k, k,
                                 g->positions, out + i * m * k);
    return st;
}

void ps_row_gradients_say(const ps_row_gradients *g, ps_explain_part *out)
{
    ps_buf names = PS_BUF_EMPTY;
    ps_row_layers_left_out(g->x->model, g->layer, g->layers, &names);
    if (names.len)
        ps_explain_warn(out,
                        "counted are the weights and biases of the %zu products in the model's "
                        "blocks; not counted are %s",
                        g->layers, ps_buf_cstr(&names));
    ps_buf_free(&names);
}
