/* Happy path: layer by layer, each with the parameters that hooks have filled; on the way back the
 * gradient of a layer's z is in c->wide[0], and that of what came to it in c->gradient. Fails on a
 * hook that says so. */
#include "worker/models/convolutions.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/layers/activation.h"

#include <math.h>
#include <stdio.h>

static ps_tensor none(void)
{
    return (ps_tensor){0};
}

/* ---- parameters ---- */

static ps_status check(const ps_model_config *config)
{
    const ps_image_size *image = &config->image;
    if (image->channels < 1 || image->height < 1 || image->width < 1)
        return ps_fail(PS_INVALID_ARGUMENT, "image: sizes from 1 are required");
    if (config->convolution_count < 1 || config->convolution_count > PS_MODEL_LAYERS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "convolutions: %zu, allowed are 1 to %d",
                       config->convolution_count, PS_MODEL_LAYERS_MAX);
    return PS_OK;
}

/* Sides can be divided by its strides. */
static bool has_sizes(const ps_convolution *c)
{
    bool norm = c->norm == PS_CONVOLUTION_GROUP;
    bool window = c->pool == PS_CONVOLUTION_MAX || c->pool == PS_CONVOLUTION_AVERAGE;
    return c->channels >= 1 && c->kernel >= 1 && c->stride >= 1 && c->padding >= 0 &&
           c->padding < c->kernel && (!window || (c->pool_size >= 1 && c->pool_stride >= 1)) &&
           (!norm || (c->norm_groups >= 1 && c->channels % c->norm_groups == 0));
}

static bool is_there(ps_image_size size)
{
    return size.height > 0 && size.width > 0;
}

/* *left: what comes to the next. */
static ps_status check_one(const ps_convolution *c, size_t i, ps_image_size in, ps_image_size *left)
{
    ps_image_size given = {0};
    if (has_sizes(c)) {
        given = ps_convolution_given(c, in);
        *left = ps_convolution_pooled(c, given);
    }
    if (!is_there(given) || !is_there(*left) ||
        ps_convolution_row(c, in, given) > PS_CONVOLUTION_ROW_MAX)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "convolutions[%zu]: does not fit what comes to it, %lld × %lld × %lld", i,
                       (long long)in.channels, (long long)in.height, (long long)in.width);
    return PS_OK;
}

static ps_status check_size(const ps_convolution *c, size_t i, int64_t in)
{
    int64_t taps = in * c->kernel * c->kernel;
    if (c->channels <= PS_MODEL_PARAMETER_MAX / taps)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "convolutions[%zu]: a weight of %lld × %lld, at most %lld elements", i,
                   (long long)c->channels, (long long)taps, (long long)PS_MODEL_PARAMETER_MAX);
}

static void add(ps_model_layout *layout, const char *list, size_t i, const char *what,
                ps_model_parameter_spec spec)
{
    (void)snprintf(spec.name, sizeof spec.name, "%s.%zu.%s", list, i, what);
    ps_model_layout_add(layout, &spec);
}

static void add_layer(ps_model_layout *layout, size_t i, const ps_convolution *c, int64_t in)
{
    float scale = 1.0f / sqrtf((float)(in * c->kernel * c->kernel));
    add(layout, "convolutions", i, "weight",
        (ps_model_parameter_spec){.rank = 4,
                                  .shape = {c->channels, in, c->kernel, c->kernel},
                                  .init = PS_INIT_UNIFORM,
                                  .scale = scale});
    add(layout, "convolutions", i, "bias",
        (ps_model_parameter_spec){.rank = 1,
                                  .shape = {c->channels},
                                  .init = PS_INIT_UNIFORM,
                                  .scale = scale,
                                  .role = PS_ROLE_BIAS});
    if (c->norm != PS_CONVOLUTION_GROUP)
        return;
    add(layout, "norms", i, "weight",
        (ps_model_parameter_spec){
            .rank = 1, .shape = {c->channels}, .init = PS_INIT_ONES, .role = PS_ROLE_NORM});
    add(layout, "norms", i, "bias",
        (ps_model_parameter_spec){.rank = 1, .shape = {c->channels}, .role = PS_ROLE_NORM});
}

ps_status ps_convolutions_describe(const ps_model_config *config, ps_model_layout *layout,
                                   int64_t *features)
{
    ps_status st = check(config);
    ps_image_size size = config->image;
    for (size_t i = 0; !st && i < config->convolution_count; i++) {
        const ps_convolution *c = &config->convolutions[i];
        ps_image_size left = {0};
        st = check_one(c, i, size, &left);
        if (!st)
            st = check_size(c, i, size.channels);
        if (!st)
            add_layer(layout, i, c, size.channels);
        size = left;
    }
    if (!st)
        *features = ps_image_numbers(size);
    return st;
}

/* ---- memory ---- */

static size_t parameters_of(const ps_convolution_layer *l)
{
    return l->is.norm == PS_CONVOLUTION_GROUP ? 4 : 2;
}

void ps_convolutions_init(ps_convolutions *c, const ps_model_config *config)
{
    ps_image_size size = config->image;
    size_t first = 0;
    *c = (ps_convolutions){.count = config->convolution_count,
                           .epsilon = (float)config->language.norm_epsilon};
    c->layers = ps_alloc_array(c->count + 1, sizeof *c->layers);
    for (size_t i = 0; i < c->count; i++) {
        ps_convolution_layer *l = &c->layers[i];
        *l = (ps_convolution_layer){.is = config->convolutions[i], .in = size, .first = first};
        l->given = ps_convolution_given(&l->is, size);
        l->left = size = ps_convolution_pooled(&l->is, l->given);
        first += parameters_of(l);
    }
}

void ps_convolutions_fini(ps_convolutions *c)
{
    ps_free(&c->layers);
}

size_t ps_convolutions_parameters(const ps_convolutions *c)
{
    if (!c->count)
        return 0;
    const ps_convolution_layer *last = &c->layers[c->count - 1];
    return last->first + parameters_of(last);
}

int64_t ps_convolutions_features(const ps_convolutions *c)
{
    PS_REQUIRE(c->count > 0);
    return ps_image_numbers(c->layers[c->count - 1].left);
}

static ps_tensor place(const ps_model *m, size_t *end, ps_buffer *buffer, ps_image_size s,
                       ps_dtype dtype)
{
    int64_t rows = m->options.max_batch;
    return (ps_tensor){.buffer = buffer,
                       .offset = ps_model_place(end, rows * ps_image_numbers(s), dtype),
                       .dtype = dtype,
                       .rank = 4,
                       .shape = {rows, s.channels, s.height, s.width}};
}

/* Memory that is there, seen as images of that size. */
static ps_tensor seen_as(ps_tensor t, int64_t rows, ps_image_size s)
{
    ps_tensor seen = {.buffer = t.buffer,
                      .offset = t.offset,
                      .dtype = t.dtype,
                      .rank = 4,
                      .shape = {rows, s.channels, s.height, s.width}};
    return seen;
}

static bool normed(const ps_convolution_layer *l)
{
    return l->is.norm == PS_CONVOLUTION_GROUP;
}

/* The pool comes before the activation. */
static bool pools_first(const ps_convolutions *c, const ps_convolution_layer *l)
{
    return l->is.pool == PS_CONVOLUTION_MAX && !ps_activation_keeps_input(c->activation);
}

/* What no gradient needs is in memory that all layers work in. */
static void place_layer(ps_convolutions *c, ps_convolution_layer *l, const ps_model *m, size_t *end,
                        ps_buffer *buffer)
{
    int64_t rows = m->options.max_batch;
    bool inference = m->options.inference, keeps = ps_activation_keeps_input(c->activation);
    bool pooled = l->is.pool != PS_CONVOLUTION_NO_POOL;
    ps_tensor wide = seen_as(c->wide[0], rows, l->given),
              other = seen_as(c->wide[1], rows, l->given);
    l->y = place(m, end, buffer, l->left, PS_DTYPE_F32);
    if (inference) {
        l->z = wide;
        l->n = l->a = normed(l) ? other : wide;
    } else if (pools_first(c, l)) {
        l->z = normed(l) ? place(m, end, buffer, l->given, PS_DTYPE_F32) : wide;
        l->n = l->a = wide;
    } else {
        bool in_place = !pooled && !keeps;
        l->n = in_place ? l->y : place(m, end, buffer, l->given, PS_DTYPE_F32);
        l->z = normed(l) ? place(m, end, buffer, l->given, PS_DTYPE_F32) : l->n;
        l->a = pooled && keeps ? place(m, end, buffer, l->given, PS_DTYPE_F32) : l->n;
    }
    if (!pooled)
        l->a = l->y;
    if (l->is.pool == PS_CONVOLUTION_MAX)
        l->index = place(m, end, buffer, l->left, PS_DTYPE_U8);
    if (!normed(l))
        return;
    int64_t groups = rows * l->is.norm_groups;
    l->mean = ps_tensor_1d(buffer, ps_model_place(end, groups, PS_DTYPE_F32), PS_DTYPE_F32, groups);
    l->rstd = ps_tensor_1d(buffer, ps_model_place(end, groups, PS_DTYPE_F32), PS_DTYPE_F32, groups);
}

static ps_image_size larger(ps_image_size a, ps_image_size b)
{
    return ps_image_numbers(a) > ps_image_numbers(b) ? a : b;
}

void ps_convolutions_place(ps_convolutions *c, const ps_model *m, size_t *end, ps_buffer *buffer)
{
    ps_image_size widest = {0}, left = {0};
    for (size_t i = 0; i < c->count; i++) {
        widest = larger(widest, c->layers[i].given);
        left = larger(left, c->layers[i].left);
    }
    if (!c->count)
        return;
    c->wide[0] = c->wide[1] = place(m, end, buffer, widest, PS_DTYPE_F32);
    if (m->options.inference)
        c->wide[1] = place(m, end, buffer, widest, PS_DTYPE_F32);
    else
        c->gradient = place(m, end, buffer, left, PS_DTYPE_F32);
    for (size_t i = 0; i < c->count; i++)
        place_layer(c, &c->layers[i], m, end, buffer);
}

void ps_convolutions_bind(ps_convolutions *c, const ps_model *m)
{
    for (size_t i = 0; i < c->count; i++) {
        ps_convolution_layer *l = &c->layers[i];
        ps_tensor *own[] = {&l->weight, &l->bias, &l->gain, &l->offset};
        ps_tensor *gradients[] = {&l->weight_gradient, &l->bias_gradient, &l->gain_gradient,
                                  &l->offset_gradient};
        for (size_t k = 0; k < parameters_of(l); k++) {
            *own[k] = m->parameters[l->first + k];
            *gradients[k] = m->gradients ? m->gradients[l->first + k] : none();
        }
    }
}

/* ---- the passes ---- */

static ps_tensor of_rows(const ps_model *m, ps_tensor t)
{
    return ps_tensor_head(t, m->rows);
}

static ps_conv conv_of(const ps_convolution_layer *l)
{
    return (ps_conv){
        .weight = l->weight, .bias = l->bias, .stride = l->is.stride, .padding = l->is.padding};
}

static ps_pool pool_of(const ps_model *m, const ps_convolution_layer *l)
{
    bool global = l->is.pool == PS_CONVOLUTION_GLOBAL, max = l->is.pool == PS_CONVOLUTION_MAX;
    return (ps_pool){.kind = max ? PS_POOL_MAX : PS_POOL_AVERAGE,
                     .index = max ? of_rows(m, l->index) : none(),
                     .window_h = global ? l->given.height : l->is.pool_size,
                     .window_w = global ? l->given.width : l->is.pool_size,
                     .stride = global ? 1 : l->is.pool_stride};
}

static void run_pool(const ps_model *m, const ps_convolution_layer *l, ps_tensor from)
{
    ps_pool p = pool_of(m, l);
    p.x = of_rows(m, from);
    p.y = of_rows(m, l->y);
    ps_op_pool(m->stream, &p);
}

static void normalise(const ps_convolutions *c, const ps_model *m, const ps_convolution_layer *l)
{
    int64_t groups = m->rows * l->is.norm_groups;
    ps_op_group_norm(m->stream, &(ps_group_norm){.y = of_rows(m, l->n),
                                                 .x = of_rows(m, l->z),
                                                 .gain = l->gain,
                                                 .bias = l->offset,
                                                 .mean = ps_tensor_head(l->mean, groups),
                                                 .rstd = ps_tensor_head(l->rstd, groups),
                                                 .groups = l->is.norm_groups,
                                                 .epsilon = c->epsilon});
}

static void activate_and_pool(const ps_convolutions *c, const ps_model *m,
                              const ps_convolution_layer *l)
{
    if (pools_first(c, l)) {
        run_pool(m, l, l->n);
        ps_activation_forward(m->stream, c->activation, of_rows(m, l->y), of_rows(m, l->y));
        return;
    }
    ps_activation_forward(m->stream, c->activation, of_rows(m, l->a), of_rows(m, l->n));
    if (l->is.pool != PS_CONVOLUTION_NO_POOL)
        run_pool(m, l, l->a);
}

ps_status ps_convolutions_forward(ps_convolutions *c, ps_model *m, const ps_model_hooks *hooks,
                                  ps_tensor x, ps_tensor *out)
{
    for (size_t i = 0; i < c->count; i++) {
        const ps_convolution_layer *l = &c->layers[i];
        for (size_t k = 0; k < parameters_of(l); k++) {
            ps_status st = ps_model_use(m, hooks, l->first + k);
            if (st)
                return st;
        }
        ps_conv conv = conv_of(l);
        conv.x = seen_as(x, m->rows, l->in);
        conv.y = of_rows(m, l->z);
        ps_op_conv(m->stream, &conv);
        if (normed(l))
            normalise(c, m, l);
        activate_and_pool(c, m, l);
        x = l->y;
    }
    *out = ps_tensor_2d(x.buffer, x.offset, PS_DTYPE_F32, m->rows, ps_convolutions_features(c));
    return PS_OK;
}

/* The gradient of n, in c->wide[0], from that of y in dy. */
static ps_tensor gradient_of_n(const ps_convolutions *c, const ps_model *m,
                               const ps_convolution_layer *l, ps_tensor dy)
{
    ps_tensor dn = seen_as(c->wide[0], m->rows, l->given);
    ps_pool p = pool_of(m, l);
    p.x = dn;
    p.y = dy;
    if (pools_first(c, l)) {
        ps_activation_backward(m->stream, c->activation, dy, of_rows(m, l->y), of_rows(m, l->y));
        ps_op_pool_backward(m->stream, &p);
        return dn;
    }
    bool pooled = l->is.pool != PS_CONVOLUTION_NO_POOL;
    if (pooled)
        ps_op_pool_backward(m->stream, &p);
    ps_op_activation_backward(m->stream, c->activation, dn, pooled ? dn : dy, of_rows(m, l->n),
                              of_rows(m, l->a));
    return dn;
}

/* The norm's parameters' gradients, and z's in n's place. */
static ps_status backward_norm(const ps_convolutions *c, ps_model *m, const ps_model_hooks *hooks,
                               const ps_convolution_layer *l, ps_tensor dn)
{
    int64_t groups = m->rows * l->is.norm_groups;
    if (!normed(l))
        return PS_OK;

    ps_op_group_norm_backward(m->stream,
                              &(ps_group_norm_backward){.dx = dn,
                                                        .dgain = l->gain_gradient,
                                                        .dbias = l->offset_gradient,
                                                        .dy = dn,
                                                        .x = of_rows(m, l->z),
                                                        .gain = l->gain,
                                                        .mean = ps_tensor_head(l->mean, groups),
                                                        .rstd = ps_tensor_head(l->rstd, groups),
                                                        .groups = l->is.norm_groups,
                                                        .beta = m->add_gradients ? 1 : 0});
    if (!ps_tensor_present(l->gain_gradient))
        return PS_OK;
    ps_status st = ps_model_ready(hooks, l->first + 2);
    return st ? st : ps_model_ready(hooks, l->first + 3);
}

static ps_status backward_weight(ps_model *m, const ps_model_hooks *hooks,
                                 const ps_convolution_layer *l, ps_conv conv)
{
    if (!ps_tensor_present(l->weight_gradient))
        return PS_OK;
    conv.weight = l->weight_gradient;
    conv.bias = l->bias_gradient;
    conv.beta = m->add_gradients ? 1 : 0;
    ps_op_conv_backward_weight(m->stream, &conv);
    ps_status st = ps_model_ready(hooks, l->first);
    return st ? st : ps_model_ready(hooks, l->first + 1);
}

ps_status ps_convolutions_backward(ps_convolutions *c, ps_model *m, const ps_model_hooks *hooks,
                                   ps_tensor x, ps_tensor dx)
{
    for (size_t i = c->count; i-- > 0;) {
        const ps_convolution_layer *l = &c->layers[i];
        ps_tensor dz = gradient_of_n(c, m, l, seen_as(c->gradient, m->rows, l->left));
        ps_status st = backward_norm(c, m, hooks, l, dz);
        ps_conv conv = conv_of(l);
        conv.y = dz;
        conv.x = seen_as(i ? c->layers[i - 1].y : x, m->rows, l->in);
        if (!st)
            st = backward_weight(m, hooks, l, conv);
        if (st)
            return st;
        ps_tensor to = i ? c->gradient : dx;
        if (!ps_tensor_present(to))
            continue;
        conv.x = seen_as(to, m->rows, l->in);
        ps_op_conv_backward_input(m->stream, &conv);
    }
    return PS_OK;
}
