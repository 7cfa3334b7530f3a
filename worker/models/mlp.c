/* mlp: linear layers with an activation between each two; of a cnn behind its convolutions, whose
 * features stand for the inputs then, and with dropout of what comes to each.
 *
 *     a0 = features                                [rows,n0]
 *     zi = linear_i(a(i-1)), ai = f(zi)            [rows,ni]   i = 1 .. L-1
 *     output = linear_L(a(L-1))                    [rows,nL]
 *
 * Parameters are `layers.I.weight` [n(I+1),nI] and `layers.I.bias` [n(I+1)], I from 0: the state
 * dict of a PyTorch module whose `layers` is a ModuleList of Linear. They begin as nn.Linear's do:
 * uniform in ±1/√inputs.
 *
 * z and a are one tensor where the activation's gradient does not need z. Backward walks two
 * tensors as wide as the widest layer in turns: one holds dy while dx is written to the other. To
 * explain, what it begins with is beside the outputs, which stay, and it ends at the features, or,
 * of a batch that begins behind the first layer, there.
 */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/layers/activation.h"
#include "worker/layers/linear.h"
#include "worker/models/convolutions.h"
#include "worker/models/model_row.h"

#include <math.h>
#include <stdio.h>

typedef struct mlp_layer {
    ps_tensor x; /* with dropout: [max_batch,in], what is left of what came to it */
    ps_linear linear;
    ps_tensor z; /* [max_batch,out]: what linear gives */
    ps_tensor a; /* [max_batch,out]: after the activation; the last layer has none, and a is z */
} mlp_layer;

typedef struct mlp {
    ps_model base;
    ps_activation activation;
    ps_convolutions front; /* of images; else there are none */
    int64_t *widths;       /* [count + 1]: what comes to the first layer, and what each gives */
    double dropout;
    bool dropping;   /* in the current pass */
    uint64_t passes; /* training passes so far */
    size_t before;   /* parameters of the convolutions */
    size_t count;
    mlp_layer *layers;
    ps_tensor features;  /* [rows,…]: what the convolutions gave in the current pass */
    ps_buffer *memory;   /* of all activations */
    ps_tensor deltas[2]; /* [max_batch,widest hidden] */
    ps_tensor doutput;   /* [max_batch,outputs]: where the outputs' gradient is: in their place, or
                            with explain beside them */
    ps_tensor picked;    /* explain: [max_batch,outputs] of some rows */
} mlp;

static bool of_images(const ps_model_config *config)
{
    return config->convolution_count > 0;
}

/* The first is not of the section where there are convolutions. */
static size_t layers_of(const ps_model_config *config)
{
    return config->layer_count - (of_images(config) ? 0 : 1);
}

static ps_status check_sizes(const ps_model_config *config)
{
    size_t least = of_images(config) ? 1 : 2, n = config->layer_count;
    if (n < least || n > PS_MODEL_LAYERS_MAX || !config->layers)
        return ps_fail(PS_INVALID_ARGUMENT, "layers: %zu sizes, an mlp has 2 (input, output) to %d",
                       n, PS_MODEL_LAYERS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (config->layers[i] < 1 || config->layers[i] > PS_MODEL_SIDE_MAX)
            return ps_fail(PS_INVALID_ARGUMENT, "layers[%zu]: %lld, allowed are 1 to %lld", i,
                           (long long)config->layers[i], (long long)PS_MODEL_SIDE_MAX);
    }
    return PS_OK;
}

static ps_status check_weight(size_t at, int64_t in, int64_t n)
{
    if (in <= PS_MODEL_PARAMETER_MAX / n)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "layers[%zu]: a weight of %lld × %lld, at most %lld elements", at, (long long)n,
                   (long long)in, (long long)PS_MODEL_PARAMETER_MAX);
}

static int64_t last_of(const ps_model_config *config)
{
    return config->layers[config->layer_count - 1];
}

static ps_status describe(const ps_model_config *config, ps_model_layout *out)
{
    ps_status st = check_sizes(config);
    if (st)
        return st;
    ps_activation activation;
    st = ps_activation_parse(config->activation, &activation);
    if (st)
        return st;
    const ps_loss_row *loss;
    st = ps_loss_parse(config->loss, last_of(config), &loss);
    if (st)
        return st;

    ps_model_layout layout = {0};
    int64_t in = config->layers[0];
    if (of_images(config))
        st = ps_convolutions_describe(config, &layout, &in);
    for (size_t i = 0; !st && i < layers_of(config); i++) {
        size_t at = i + config->layer_count - layers_of(config);
        int64_t n = config->layers[at];
        st = check_weight(at, in, n);
        ps_model_parameter_spec weight = {.rank = 2, .shape = {n, in}, .init = PS_INIT_UNIFORM};
        weight.of_block = true;
        weight.scale = 1.0f / sqrtf((float)in);
        ps_model_parameter_spec bias = {
            .rank = 1, .shape = {n}, .init = PS_INIT_UNIFORM, .role = PS_ROLE_BIAS};
        bias.scale = weight.scale;
        (void)snprintf(weight.name, sizeof weight.name, "layers.%zu.weight", i);
        (void)snprintf(bias.name, sizeof bias.name, "layers.%zu.bias", i);
        ps_model_layout_add(&layout, &weight);
        ps_model_layout_add(&layout, &bias);
        in = n;
    }
    if (st) {
        ps_model_layout_free(&layout);
        return st;
    }
    *out = layout;
    return PS_OK;
}

/* Parameter numbers of layer i, as describe lists them. */
static size_t weight_of(const mlp *m, size_t i)
{
    return m->before + 2 * i;
}

static size_t bias_of(const mlp *m, size_t i)
{
    return weight_of(m, i) + 1;
}

static int64_t widest_hidden(const mlp *m)
{
    int64_t widest = 0;
    for (size_t i = 1; i < m->count; i++)
        widest = m->widths[i] > widest ? m->widths[i] : widest;
    return widest;
}

static ps_tensor place_rows(const mlp *m, size_t *end, ps_buffer *buffer, int64_t columns)
{
    int64_t rows = m->base.options.max_batch;
    size_t at = ps_model_place(end, rows * columns, PS_DTYPE_F32);
    return ps_tensor_2d(buffer, at, PS_DTYPE_F32, rows, columns);
}

static void place_explained(mlp *m, size_t *end, ps_buffer *buffer)
{
    int64_t rows = m->base.options.max_batch;
    m->doutput = place_rows(m, end, buffer, m->base.outputs);
    m->picked = place_rows(m, end, buffer, m->base.outputs);
    m->base.input_gradient = place_rows(m, end, buffer, m->base.inputs);
    m->base.embeddings = m->layers[0].z;
    size_t at = ps_model_place(end, rows, PS_DTYPE_I32);
    m->base.points = ps_tensor_1d(buffer, at, PS_DTYPE_I32, rows);
}

/* Gives every tensor its place and returns the bytes that they take; buffer may not be there yet.
 */
static size_t place_all(mlp *m, ps_buffer *buffer)
{
    size_t end = 0;
    m->base.input = place_rows(m, &end, buffer, m->base.inputs);
    ps_convolutions_place(&m->front, &m->base, &end, buffer);
    for (size_t i = 0; i < m->count; i++) {
        mlp_layer *layer = &m->layers[i];
        layer->z = layer->a = place_rows(m, &end, buffer, m->widths[i + 1]);
        if (m->dropout > 0)
            layer->x = place_rows(m, &end, buffer, m->widths[i]);
        if (i + 1 == m->count || !ps_activation_keeps_input(m->activation) ||
            m->base.options.inference)
            continue;
        layer->a = place_rows(m, &end, buffer, m->widths[i + 1]);
    }
    m->base.output = m->doutput = m->layers[m->count - 1].z;
    if (m->base.options.explain)
        place_explained(m, &end, buffer);

    int64_t widest = m->base.options.inference ? 0 : widest_hidden(m);
    for (int i = 0; i < 2 && widest; i++)
        m->deltas[i] = place_rows(m, &end, buffer, widest);
    return end;
}

static void bind_parameters(mlp *m)
{
    const ps_model *base = &m->base;
    ps_convolutions_bind(&m->front, base);
    for (size_t i = 0; i < m->count; i++) {
        ps_linear *l = &m->layers[i].linear;
        l->weight = base->parameters[weight_of(m, i)];
        l->form = base->forms[weight_of(m, i)];
        l->exact = base->options.exact;
        l->rank = base->ranks[weight_of(m, i)];
        l->between = base->between;
        l->bias = base->parameters[bias_of(m, i)];
        if (!base->gradients)
            continue;
        l->weight_gradient = base->gradients[weight_of(m, i)];
        l->bias_gradient = base->gradients[bias_of(m, i)];
    }
}

static void free_mlp(ps_model *base)
{
    mlp *m = (mlp *)base;
    ps_backend *backend = base->backend;
    ps_model_base_fini(base);
    ps_buffer_free(backend, &m->memory);
    ps_convolutions_fini(&m->front);
    ps_free(&m->layers);
    ps_free(&m->widths);
    ps_free(&m);
}

/* Sizes and numbers, of a configuration that has been described. */
static void take_sizes(mlp *m, const ps_model_config *config, const ps_model_options *options)
{
    size_t given = config->layer_count - layers_of(config);
    ps_convolutions_init(&m->front, config);
    m->before = ps_convolutions_parameters(&m->front);
    m->count = layers_of(config);
    m->widths = ps_alloc_array(m->count + 1, sizeof *m->widths);
    m->widths[0] = of_images(config) ? ps_convolutions_features(&m->front) : config->layers[0];
    for (size_t i = 0; i < m->count; i++)
        m->widths[i + 1] = config->layers[i + given];
    m->base.inputs = of_images(config) ? ps_image_numbers(config->image) : m->widths[0];
    m->base.outputs = m->widths[m->count];
    m->layers = ps_alloc_array(m->count, sizeof *m->layers);
    m->dropout = options->inference || options->explain ? 0 : config->dropout;
}

static ps_status create(ps_backend *backend, const ps_model_config *config,
                        const ps_model_options *options, ps_model **out)
{
    mlp *m = ps_new(mlp);
    ps_status st = ps_model_base_init(&m->base, &ps_model_mlp, backend, config, options);
    if (st) {
        ps_free(&m);
        return st;
    }
    take_sizes(m, config, options);
    const ps_loss_row *loss;
    st = ps_activation_parse(config->activation, &m->activation);
    m->front.activation = m->activation;
    if (!st)
        st = ps_loss_parse(config->loss, m->base.outputs, &loss);
    if (!st)
        st = ps_loss_init(&m->base.loss, loss, backend, options->max_batch, m->base.outputs);
    if (!st)
        st = ps_model_make_between(&m->base, options->max_batch);
    if (st)
        goto free_model;

    size_t bytes = place_all(m, NULL);
    st = ps_buffer_new(backend, bytes, &m->memory);
    if (st) {
        st = ps_wrap(st, "activations for batches of %lld", (long long)options->max_batch);
        goto free_model;
    }
    m->base.memory += bytes + m->base.loss.result.buffer->bytes;
    size_t placed = place_all(m, m->memory);
    PS_REQUIRE(placed == bytes);
    bind_parameters(m);
    *out = &m->base;
    return PS_OK;

free_model:
    free_mlp(&m->base);
    return st;
}

/* Bits depend on the seed, the pass and the layer, so the gradient finds the same. Returns y. */
static ps_tensor drop(const mlp *m, size_t layer, ps_tensor y, ps_tensor x)
{
    ps_op_dropout(m->base.stream,
                  &(ps_dropout){.y = y,
                                .x = x,
                                .rate = (float)m->dropout,
                                .seed = m->base.options.seed + m->passes * 0x9E3779B97F4A7C15u,
                                .offset = (uint64_t)layer << 40});
    return y;
}

static ps_status forward(ps_model *base, const ps_model_hooks *hooks)
{
    mlp *m = (mlp *)base;
    ps_tensor x = ps_tensor_head(base->input, base->rows);
    if (!base->embedded)
        ps_model_at(base, PS_TAP_INPUT, 0, x, 0);
    m->dropping = base->train && m->dropout > 0;
    m->passes += m->dropping;
    if (m->front.count && !base->embedded) {
        ps_status st = ps_convolutions_forward(&m->front, base, hooks, x, &x);
        if (st)
            return st;
        m->features = x;
    }
    for (size_t i = 0; i < m->count; i++) {
        ps_status st = ps_model_use(base, hooks, weight_of(m, i));
        if (!st)
            st = ps_model_use(base, hooks, bias_of(m, i));
        if (st)
            return st;
        ps_tensor z = ps_tensor_head(m->layers[i].z, base->rows);
        ps_tensor a = ps_tensor_head(m->layers[i].a, base->rows);
        if (m->dropping)
            x = drop(m, i, ps_tensor_head(m->layers[i].x, base->rows), x);
        if (i || !base->embedded)
            ps_linear_forward(base->stream, &m->layers[i].linear, z, 0, x);
        ps_model_at(base, PS_TAP_LAYER_PRE, (int64_t)i, z, 0);
        if (i + 1 == m->count)
            break;
        ps_activation_forward(base->stream, m->activation, a, z);
        ps_model_at(base, PS_TAP_LAYER_POST, (int64_t)i, a, 0);
        x = a;
    }
    return PS_OK;
}

/* dy[rows,out] is complete; the layer's gradients are said to be ready one by one. */
static ps_status backward_parameters(mlp *m, size_t i, ps_tensor dy, const ps_model_hooks *hooks)
{
    PS_REQUIRE(i < m->count && dy.shape[0] == m->base.rows);
    ps_model *base = &m->base;
    if (!base->gradients)
        return PS_OK;
    ps_tensor x = ps_tensor_head(m->dropping      ? m->layers[i].x
                                 : i              ? m->layers[i - 1].a
                                 : m->front.count ? m->features
                                                  : base->input,
                                 base->rows);
    float beta = base->add_gradients ? 1 : 0;
    const ps_linear *linear = &m->layers[i].linear;
    ps_status st = PS_OK;
    if (ps_tensor_present(linear->weight_gradient)) {
        ps_linear_backward_weight(base->stream, linear, dy, 0, x, beta);
        st = ps_model_ready(hooks, weight_of(m, i));
    }
    if (st || !ps_tensor_present(linear->bias_gradient))
        return st;
    ps_linear_backward_bias(base->stream, linear, dy, 0, beta);
    return ps_model_ready(hooks, bias_of(m, i));
}

/* From dy of the first layer on. */
static ps_status backward_front(mlp *m, const ps_model_hooks *hooks, ps_tensor dy)
{
    ps_model *base = &m->base;
    ps_tensor gradient = m->front.gradient, dx = {0};
    gradient =
        ps_tensor_2d(gradient.buffer, gradient.offset, PS_DTYPE_F32, base->rows, m->widths[0]);
    ps_linear_backward_input(base->stream, &m->layers[0].linear, gradient, dy, 0, 0);
    if (m->dropping)
        (void)drop(m, 0, gradient, gradient);
    if (base->options.explain)
        dx = ps_tensor_head(base->input_gradient, base->rows);
    ps_status st = ps_convolutions_backward(&m->front, base, hooks,
                                            ps_tensor_head(base->input, base->rows), dx);
    if (!st && base->options.explain)
        ps_model_gradient_at(base, PS_TAP_INPUT, 0, dx, 0);
    return st;
}

static ps_status backward(ps_model *base, const ps_model_hooks *hooks)
{
    mlp *m = (mlp *)base;
    ps_tensor dy = ps_tensor_head(m->doutput, base->rows);
    for (size_t i = m->count; i-- > 0;) {
        ps_model_gradient_at(base, PS_TAP_LAYER_PRE, (int64_t)i, dy, 0);
        ps_status st = backward_parameters(m, i, dy, hooks);
        if (st)
            return st;
        if (i == 0)
            break;
        ps_tensor z = ps_tensor_head(m->layers[i - 1].z, base->rows);
        ps_tensor a = ps_tensor_head(m->layers[i - 1].a, base->rows);
        ps_tensor dx = m->deltas[i % 2];
        dx.shape[0] = base->rows;
        dx.shape[1] = a.shape[1];
        ps_linear_backward_input(base->stream, &m->layers[i].linear, dx, dy, 0, 0);
        if (m->dropping)
            (void)drop(m, i, dx, dx);
        ps_model_follow(base, (int64_t)i, dx);
        ps_model_gradient_at(base, PS_TAP_LAYER_POST, (int64_t)i - 1, dx, 0);
        ps_activation_backward(base->stream, m->activation, dx, z, a);
        dy = dx;
    }
    base->first_gradient = dy;
    if (m->front.count && !base->embedded)
        return backward_front(m, hooks, dy);
    if (!base->options.explain || base->embedded)
        return PS_OK;
    ps_tensor dx = ps_tensor_head(base->input_gradient, base->rows);
    ps_linear_backward_input(base->stream, &m->layers[0].linear, dx, dy, 0, 0);
    ps_model_gradient_at(base, PS_TAP_INPUT, 0, dx, 0);
    return PS_OK;
}

/* Rows by their numbers are what an embedding looks up. */
static ps_tensor outputs_at(ps_model *base, ps_tensor ids)
{
    mlp *m = (mlp *)base;
    ps_tensor y = ps_tensor_head(m->picked, ids.shape[0]);
    ps_op_embedding(base->stream, y, ps_tensor_head(base->output, base->rows), ids, false);
    return y;
}

static void seed(ps_model *base, ps_tensor ids, const float *douts, bool first)
{
    mlp *m = (mlp *)base;
    ps_tensor given = ps_tensor_head(m->picked, ids.shape[0]);
    ps_tensor dy = ps_tensor_head(m->doutput, base->rows);
    if (first)
        ps_op_fill(base->stream, dy, 0);
    ps_copy_to_device(base->stream, given, douts, ps_tensor_bytes(given));
    ps_op_embedding_backward(base->stream, dy, given, ids);
}

static ps_tensor hidden(ps_model *base, int64_t layer)
{
    const mlp *m = (const mlp *)base;
    PS_REQUIRE(layer >= 1 && (size_t)layer < m->count);
    return ps_tensor_head(m->layers[layer - 1].a, base->rows);
}

static int64_t tap_columns(const ps_model *base, ps_tap tap)
{
    const mlp *m = (const mlp *)base;
    if (tap.kind == PS_TAP_INPUT)
        return base->inputs;
    size_t there = tap.kind == PS_TAP_LAYER_PRE    ? m->count
                   : tap.kind == PS_TAP_LAYER_POST ? m->count - 1
                                                   : 0;
    return (size_t)tap.layer < there ? m->layers[tap.layer].z.shape[1] : 0;
}

/* Numbers of linear layers and of their parameters; false: parameter i is of a convolution. */
static bool of_layer(const ps_model *base, size_t i, int64_t *layer, bool *bias)
{
    const mlp *m = (const mlp *)base;
    if (i < m->before)
        return false;
    *layer = (int64_t)(i - m->before) / 2;
    *bias = (i - m->before) % 2 != 0;
    return true;
}

static bool tap_before(const ps_model *base, size_t i, ps_tap *out)
{
    int64_t layer = 0;
    bool bias = false, first_is_input = ((const mlp *)base)->before == 0;
    if (!of_layer(base, i, &layer, &bias) || bias || (layer == 0 && !first_is_input))
        return false;
    *out = layer ? (ps_tap){PS_TAP_LAYER_POST, layer - 1} : (ps_tap){PS_TAP_INPUT, 0};
    return true;
}

static size_t taps_behind(const ps_model *base, size_t i, ps_tap *out)
{
    int64_t layer = 0;
    bool bias = false;
    if (!of_layer(base, i, &layer, &bias) || bias)
        return 0;
    out[0] = (ps_tap){PS_TAP_LAYER_PRE, layer};
    return 1;
}

static ps_tensor room(ps_model *base)
{
    return ((mlp *)base)->deltas[0];
}

const ps_model_row ps_model_mlp = {
    .describe = describe,
    .create = create,
    .free = free_mlp,
    .forward = forward,
    .backward = backward,
    .hidden = hidden,
    .room = room,
    .outputs_at = outputs_at,
    .seed = seed,
    .tap_columns = tap_columns,
    .tap_before = tap_before,
    .taps_behind = taps_behind,
};
