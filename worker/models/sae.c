/* sae: a sparse autoencoder (Bricken et al. 2023; with top_k Gao et al. 2024, arXiv 2406.04093):
 * what it is given it says again through latents of which few are active.
 *
 *     x = inputs - b_d                          [rows,n]
 *     z = x·W_eᵀ + b_e                          [rows,m]
 *     f = max(z, 0), or of these the k largest  [rows,m]
 *     output = f·W_d + b_d                      [rows,n]
 *
 *     loss = 1/n · mean over rows of ‖output - inputs‖² + l1 · Σ_i f_i·‖W_d,i‖
 *
 * so that l1 says what SAELens' l1 coefficient says. With top_k what is trained on is also, times
 * AUX, ‖e - ê‖², e = inputs - output as it is, ê what the n/2 largest latents make of it that no
 * row of the batch has woken: so that they come back to life. What sleeps is seen in the batch
 * alone, so a gradient depends on parameters and rows and on nothing that a worker has seen before.
 *
 * Parameters are `decoder.bias` b_d [n], `encoder.weight` W_e [m,n], `encoder.bias` b_e [m] and
 * `decoder.weight` W_d [m,n], a row a latent: of length 1 or about it at first, and W_e begins as
 * W_d. As b_d begins with zeros, inputs are best given about their mean, and of variance 1
 * (worker/job/settle.c).
 *
 * Backward walks f (its gradient takes its place), z (of the latents that sleep) and one tensor as
 * wide as the inputs. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/layers/activation.h"
#include "worker/models/model_row.h"

#include <math.h>
#include <string.h>

enum { DECODER_BIAS, ENCODER, ENCODER_BIAS, DECODER, PARAMETERS };

/* Gao et al. 2024, A.1. */
#define AUX (1.0f / 32)

typedef struct sae {
    ps_model base;
    int64_t n, m, k; /* inputs, latents; of a row that stay active, 0: all above 0 */
    int64_t aux;     /* latents of the auxiliary loss, with k */
    float l1;
    ps_buffer *memory;
    ps_tensor x, z, f;   /* [max_batch,n], [max_batch,m] twice */
    ps_tensor df;        /* [max_batch,m] */
    ps_tensor sleeping;  /* [max_batch,m]: f of what sleeps; with k */
    ps_tensor doutput;   /* [max_batch,n] */
    ps_tensor error;     /* [max_batch,n]: e, then the gradient by ê; with k */
    ps_tensor sums;      /* [m]: of f, over the batch */
    ps_tensor norms;     /* [m]: of rows of W_d */
    ps_tensor dz_sums;   /* [m] */
    ps_tensor negative;  /* [n]: -b_d */
    ps_tensor results;   /* F32: what RESULTS says */
    ps_tensor counts[2]; /* I32 [1]: f above 0, latents that woke */
} sae;

enum { MSE, PENALTY, AUXILIARY, RESULTS };

/* ---- making it ---- */

static ps_status check(const ps_model_config *config)
{
    const int64_t *sizes = config->layers;
    if (config->layer_count != 3 || !sizes || sizes[0] != sizes[2])
        return ps_fail(PS_INVALID_ARGUMENT, "layers: an sae has inputs, latents, and the inputs");
    for (int i = 0; i < 2; i++)
        if (sizes[i] < 1 || sizes[i] > PS_MODEL_SIDE_MAX)
            return ps_fail(PS_INVALID_ARGUMENT, "layers[%d]: %lld, allowed are 1 to %lld", i,
                           (long long)sizes[i], (long long)PS_MODEL_SIDE_MAX);
    if (sizes[0] > PS_MODEL_PARAMETER_MAX / sizes[1])
        return ps_fail(PS_INVALID_ARGUMENT, "layers: a weight of more than %lld elements",
                       (long long)PS_MODEL_PARAMETER_MAX);
    if (config->top_k < 0 || config->top_k > sizes[1] || !(config->l1 >= 0))
        return ps_fail(PS_INVALID_ARGUMENT, "top_k: %lld, allowed are 0 to the latents, %lld",
                       (long long)config->top_k, (long long)sizes[1]);
    return PS_OK;
}

static ps_status describe(const ps_model_config *config, ps_model_layout *out)
{
    ps_status st = check(config);
    if (st)
        return st;
    int64_t n = config->layers[0], m = config->layers[1];
    float length = 1 / sqrtf((float)n);
    const ps_model_parameter_spec specs[PARAMETERS] = {
        [DECODER_BIAS] = {.name = "decoder.bias", .rank = 1, .shape = {n}, .role = PS_ROLE_BIAS},
        [ENCODER] = {.name = "encoder.weight",
                     .as = "decoder.weight",
                     .rank = 2,
                     .shape = {m, n},
                     .init = PS_INIT_NORMAL,
                     .scale = length},
        [ENCODER_BIAS] = {.name = "encoder.bias", .rank = 1, .shape = {m}, .role = PS_ROLE_BIAS},
        [DECODER] = {.name = "decoder.weight",
                     .rank = 2,
                     .shape = {m, n},
                     .init = PS_INIT_NORMAL,
                     .scale = length,
                     .input_major = true},
    };
    ps_model_layout layout = {0};
    for (size_t i = 0; i < PARAMETERS; i++)
        ps_model_layout_add(&layout, &specs[i]);
    *out = layout;
    return PS_OK;
}

static ps_tensor place_rows(const sae *m, size_t *end, ps_buffer *buffer, int64_t columns)
{
    int64_t rows = m->base.options.max_batch;
    size_t at = ps_model_place(end, rows * columns, PS_DTYPE_F32);
    return ps_tensor_2d(buffer, at, PS_DTYPE_F32, rows, columns);
}

static ps_tensor place_list(size_t *end, ps_buffer *buffer, ps_dtype dtype, int64_t elements)
{
    size_t at = ps_model_place(end, elements, dtype);
    return ps_tensor_1d(buffer, at, dtype, elements);
}

/* Gives every tensor its place and returns the bytes that they take; buffer may not be there yet.
 */
static size_t place_all(sae *m, ps_buffer *buffer)
{
    size_t end = 0;
    bool trained = m->base.gradients != NULL;
    m->base.input = place_rows(m, &end, buffer, m->n);
    m->base.output = place_rows(m, &end, buffer, m->n);
    m->x = place_rows(m, &end, buffer, m->n);
    m->z = place_rows(m, &end, buffer, m->m);
    m->f = place_rows(m, &end, buffer, m->m);
    m->doutput = place_rows(m, &end, buffer, m->n);
    m->sums = place_list(&end, buffer, PS_DTYPE_F32, m->m);
    m->norms = place_list(&end, buffer, PS_DTYPE_F32, m->m);
    m->negative = place_list(&end, buffer, PS_DTYPE_F32, m->n);
    m->results = place_list(&end, buffer, PS_DTYPE_F32, RESULTS);
    for (int i = 0; i < 2; i++)
        m->counts[i] = place_list(&end, buffer, PS_DTYPE_I32, 1);
    if (m->k) {
        m->sleeping = place_rows(m, &end, buffer, m->m);
        m->error = place_rows(m, &end, buffer, m->n);
    }
    if (trained) {
        m->df = place_rows(m, &end, buffer, m->m);
        m->dz_sums = place_list(&end, buffer, PS_DTYPE_F32, m->m);
    }
    return end;
}

static void free_sae(ps_model *base)
{
    sae *m = (sae *)base;
    ps_backend *backend = base->backend;
    ps_model_base_fini(base);
    ps_buffer_free(backend, &m->memory);
    ps_free(&m);
}

static ps_status create(ps_backend *backend, const ps_model_config *config,
                        const ps_model_options *options, ps_model **out)
{
    PS_REQUIRE(!options->explain && !options->decode && !options->bf16);
    sae *m = ps_new(sae);
    ps_status st = ps_model_base_init(&m->base, &ps_model_sae, backend, config, options);
    if (st) {
        ps_free(&m);
        return st;
    }
    m->base.inputs = m->base.outputs = m->n = config->layers[0];
    m->base.loss.row = &ps_loss_squared_error; /* of its own it has no memory here */
    m->m = config->layers[1];
    m->k = config->top_k;
    m->aux = m->n / 2 > 0 ? m->n / 2 : 1;
    m->l1 = (float)config->l1;
    size_t bytes = place_all(m, NULL);
    st = ps_buffer_new(backend, bytes, &m->memory);
    if (st) {
        free_sae(&m->base);
        return ps_wrap(st, "activations for batches of %lld", (long long)options->max_batch);
    }
    m->base.memory += bytes;
    size_t placed = place_all(m, m->memory);
    PS_REQUIRE(placed == bytes);
    *out = &m->base;
    return PS_OK;
}

/* ---- forward ---- */

static ps_status use_all(ps_model *base, const ps_model_hooks *hooks)
{
    ps_status st = PS_OK;
    for (size_t i = 0; i < PARAMETERS && !st; i++)
        st = ps_model_use(base, hooks, i);
    return st;
}

/* f of z; then what is given back, but for b_d. */
static void activate(const sae *m, ps_tensor f, ps_tensor z)
{
    PS_REQUIRE(z.shape[1] == m->m);
    if (m->k)
        ps_op_topk(m->base.stream, &(ps_topk){.y = f, .z = z, .k = m->k});
    else
        ps_op_activation(m->base.stream, PS_ACTIVATION_RELU, f, z);
}

static ps_status forward(ps_model *base, const ps_model_hooks *hooks)
{
    sae *m = (sae *)base;
    ps_stream *s = base->stream;
    const ps_tensor *p = base->parameters;
    ps_tensor in = ps_tensor_head(base->input, base->rows), x = ps_tensor_head(m->x, base->rows),
              z = ps_tensor_head(m->z, base->rows), f = ps_tensor_head(m->f, base->rows),
              y = ps_tensor_head(base->output, base->rows);
    ps_status st = use_all(base, hooks);
    if (st)
        return st;
    ps_op_fill(s, m->negative, 0);
    ps_op_axpy(s, m->negative, -1, p[DECODER_BIAS]);
    ps_copy(s, x, in);
    ps_op_bias_add(s, x, m->negative);
    ps_op_matmul(s, z, x, false, p[ENCODER], true, 0);
    ps_op_bias_add(s, z, p[ENCODER_BIAS]);
    ps_model_at(base, PS_TAP_LAYER_PRE, 0, z, 0);
    activate(m, f, z);
    ps_model_at(base, PS_TAP_LAYER_POST, 0, f, 0);
    ps_op_matmul(s, y, f, false, p[DECODER], false, 0);
    ps_op_bias_add(s, y, p[DECODER_BIAS]);
    ps_model_at(base, PS_TAP_LAYER_PRE, 1, y, 0);
    return PS_OK;
}

/* ---- loss ---- */

static ps_tensor result_of(const sae *m, int which)
{
    return ps_tensor_1d(m->results.buffer, m->results.offset + (size_t)which * sizeof(float),
                        PS_DTYPE_F32, 1);
}

/* Of batches that are trained on alone: it is no part of the loss that is told. */
static bool wakes(const sae *m)
{
    return m->k && m->base.gradients && m->base.train;
}

/* Σ_i (Σ over rows of f_i)·‖W_d,i‖ */
static void add_penalty(sae *m)
{
    ps_stream *s = m->base.stream;
    ps_op_row_norms(s, m->norms, m->base.parameters[DECODER]);
    ps_op_gemm(s, &(ps_gemm){.m = 1,
                             .n = 1,
                             .k = m->m,
                             .alpha = 1,
                             .a = m->sums,
                             .b = m->norms,
                             .c = result_of(m, PENALTY),
                             .ld_a = m->m,
                             .ld_b = 1,
                             .ld_c = 1,
                             .batch = 1});
}

/* What sleeps is to make up for what is missing: the gradient by what it makes, in error. */
static void add_auxiliary(sae *m)
{
    ps_model *base = &m->base;
    ps_stream *s = base->stream;
    ps_tensor e = ps_tensor_head(m->error, base->rows),
              y = ps_tensor_head(base->output, base->rows),
              f = ps_tensor_head(m->sleeping, base->rows), x = ps_tensor_head(m->x, base->rows);
    ps_op_topk(
        s, &(ps_topk){
               .y = f, .z = ps_tensor_head(m->z, base->rows), .left_out = m->sums, .k = m->aux});
    ps_copy(s, x, ps_tensor_head(base->input, base->rows)); /* its b_d comes off again later */
    ps_op_axpy(s, x, -1, y);
    ps_op_matmul(s, e, f, false, base->parameters[DECODER], false, 0);
    ps_op_squared_error(s, result_of(m, AUXILIARY), e, e, x);
    ps_op_scale(s, e, AUX);
}

static ps_status loss(ps_model *base, const ps_loss_goal *goal)
{
    sae *m = (sae *)base;
    ps_stream *s = base->stream;
    ps_tensor y = ps_tensor_head(base->output, base->rows), f = ps_tensor_head(m->f, base->rows),
              dy = ps_tensor_head(m->doutput, base->rows);
    if (goal->teaching)
        return ps_fail(PS_INVALID_ARGUMENT, "a teacher teaches loss cross_entropy alone");
    ps_op_squared_error(s, result_of(m, MSE), dy, y, ps_tensor_head(base->input, base->rows));
    ps_op_bias_backward(s, m->sums, f, 0);
    ps_op_count_positive(s, m->counts[0], f);
    ps_op_count_positive(s, m->counts[1], m->sums);
    if (m->l1 > 0)
        add_penalty(m);
    if (wakes(m))
        add_auxiliary(m);
    if (goal->weight != 1) {
        ps_op_scale(s, dy, (float)goal->weight);
        if (wakes(m))
            ps_op_scale(s, ps_tensor_head(m->error, base->rows), (float)goal->weight);
    }
    return PS_OK;
}

static double penalty_scale(const sae *m)
{
    return (double)m->l1 / (double)m->n / (double)m->base.goal.rows;
}

static ps_status result(ps_model *base, ps_model_result *out)
{
    sae *m = (sae *)base;
    float found[RESULTS] = {0};
    int32_t counts[2];
    ps_status st = ps_copy_to_host(base->stream, found, m->results, sizeof found);
    for (int i = 0; i < 2 && !st; i++)
        st = ps_copy_to_host(base->stream, &counts[i], m->counts[i], sizeof counts[i]);
    if (st)
        return st;
    double mse = (double)found[MSE], value = mse;
    if (m->l1 > 0)
        value += penalty_scale(m) * (double)found[PENALTY];
    *out = (ps_model_result){
        .loss = value,
        .rows = base->rows,
        .correct = -1,
        .divergence = -1,
        .measures = {{"mse", mse},
                     {"explained_variance", 1 - mse},
                     {"l0", (double)counts[0] / (double)base->rows},
                     {"dead_share", 1 - (double)counts[1] / (double)m->m}},
    };
    return PS_OK;
}

/* ---- backward ---- */

/* The gradient by f of the active latents, then by z; of the decoder's rows what the penalty adds.
 */
static void back_through_latents(sae *m, ps_tensor dz, float beta)
{
    ps_model *base = &m->base;
    ps_stream *s = base->stream;
    const ps_tensor *p = base->parameters, *g = base->gradients;
    ps_tensor f = ps_tensor_head(m->f, base->rows), dy = ps_tensor_head(m->doutput, base->rows);
    ps_op_matmul(s, g[DECODER], f, true, dy, false, beta);
    ps_op_matmul(s, dz, dy, false, p[DECODER], true, 0);
    if (m->l1 > 0) {
        float scale = (float)(penalty_scale(m) * base->goal.weight);
        ps_op_scale(s, m->sums, scale);
        ps_op_row_norms_backward(s, g[DECODER], m->sums, m->norms, p[DECODER]);
        ps_op_scale(s, m->norms, scale);
        ps_op_bias_add(s, dz, m->norms);
    }
    ps_op_activation_backward(s, PS_ACTIVATION_RELU, dz, dz, f, f);
}

/* Latents that sleep are none of those that are active: what both add to dz does not meet. */
static void back_through_sleeping(sae *m, ps_tensor dz)
{
    ps_model *base = &m->base;
    ps_stream *s = base->stream;
    ps_tensor f = ps_tensor_head(m->sleeping, base->rows),
              de = ps_tensor_head(m->error, base->rows), own = ps_tensor_head(m->z, base->rows);
    ps_op_matmul(s, base->gradients[DECODER], f, true, de, false, 1);
    ps_op_matmul(s, own, de, false, base->parameters[DECODER], true, 0);
    ps_op_activation_backward(s, PS_ACTIVATION_RELU, own, own, f, f);
    ps_op_add(s, dz, dz, own);
}

/* b_d stands on both ways: Σ doutput - W_eᵀ·Σ dz. */
static void back_to_decoder_bias(sae *m, float beta)
{
    ps_model *base = &m->base;
    ps_stream *s = base->stream;
    ps_tensor g = base->gradients[DECODER_BIAS];
    PS_REQUIRE(m->dz_sums.shape[0] == m->m);
    ps_op_bias_backward(s, g, ps_tensor_head(m->doutput, base->rows), beta);
    ps_op_gemm(s, &(ps_gemm){.m = 1,
                             .n = m->n,
                             .k = m->m,
                             .alpha = -1,
                             .beta = 1,
                             .a = m->dz_sums,
                             .b = base->parameters[ENCODER],
                             .c = g,
                             .ld_a = m->m,
                             .ld_b = m->n,
                             .ld_c = m->n,
                             .batch = 1});
}

static void back_to_encoder_bias(const sae *m, float beta)
{
    ps_stream *s = m->base.stream;
    ps_tensor g = m->base.gradients[ENCODER_BIAS];
    if (beta == 0)
        ps_copy(s, g, m->dz_sums);
    else
        ps_op_add(s, g, g, m->dz_sums);
}

/* The inputs less b_d again, which the auxiliary loss has used as room. */
static ps_tensor inputs_of(const sae *m)
{
    ps_tensor x = ps_tensor_head(m->x, m->base.rows);
    if (!wakes(m))
        return x;
    ps_copy(m->base.stream, x, ps_tensor_head(m->base.input, m->base.rows));
    ps_op_bias_add(m->base.stream, x, m->negative);
    return x;
}

static ps_status backward(ps_model *base, const ps_model_hooks *hooks)
{
    sae *m = (sae *)base;
    ps_stream *s = base->stream;
    float beta = base->add_gradients ? 1 : 0;
    PS_REQUIRE(base->gradients && base->goal.rows == base->rows);
    ps_tensor dz = ps_tensor_head(m->df, base->rows);
    back_through_latents(m, dz, beta);
    if (wakes(m))
        back_through_sleeping(m, dz);
    ps_status st = ps_model_ready(hooks, DECODER);
    if (st)
        return st;
    ps_op_bias_backward(s, m->dz_sums, dz, 0);
    back_to_encoder_bias(m, beta);
    st = ps_model_ready(hooks, ENCODER_BIAS);
    if (st)
        return st;
    ps_op_matmul(s, base->gradients[ENCODER], dz, true, inputs_of(m), false, beta);
    st = ps_model_ready(hooks, ENCODER);
    if (st)
        return st;
    back_to_decoder_bias(m, beta);
    return ps_model_ready(hooks, DECODER_BIAS);
}

/* ---- points ---- */

static int64_t tap_columns(const ps_model *base, ps_tap tap)
{
    const sae *m = (const sae *)base;
    bool latents =
        tap.layer == 0 && (tap.kind == PS_TAP_LAYER_PRE || tap.kind == PS_TAP_LAYER_POST);
    return latents ? m->m : tap.kind == PS_TAP_LAYER_PRE && tap.layer == 1 ? m->n : 0;
}

static bool tap_before(const ps_model *base, size_t i, ps_tap *out)
{
    (void)base;
    *out = (ps_tap){PS_TAP_LAYER_POST, 0};
    return i == DECODER;
}

const ps_model_row ps_model_sae = {
    .describe = describe,
    .create = create,
    .free = free_sae,
    .forward = forward,
    .loss = loss,
    .backward = backward,
    .result = result,
    .tap_columns = tap_columns,
    .tap_before = tap_before,
};
