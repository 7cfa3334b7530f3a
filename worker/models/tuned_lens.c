/* tuned_lens: what a language model would answer at each of its blocks, by a translator of its own
 * (Belrose et al. 2023, arXiv 2303.08112). A row is what one token has in the residual stream of
 * that model, its base: before each of its L blocks, x_0 … x_L-1, and behind the last, x_L.
 *
 *     y_l = x_l + A_l·x_l + b_l          [rows,C]   l = 0 … L-1
 *     q_l = softmax(head(norm(y_l)))     [rows,V]   norm and head are the base's, and stay so
 *     p   = softmax(head(norm(x_L)))     [rows,V]   what the base answers
 *
 *     loss = mean over layers and rows of KL(p ‖ q_l)
 *
 * A and b begin as zeros, of which y_l is x_l to the bit: the logit lens. Parameters are
 * `translators.I.weight` A [C,C], which is to be [out,in], and `translators.I.bias` b [C].
 *
 * Rows of all layers are one matrix, [rows·L,C], a row's layers one behind the other, so that norm
 * and head see nothing else than more rows; the head takes some of them at a time, and so there
 * are never logits of them all. Backward begins with what the head leaves, through the norm in its
 * place. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/models/transformer.h"

#include <stdio.h>

typedef struct lens {
    ps_model base; /* output: y */
    int64_t width, layers;
    const ps_transformer *of; /* options.base; NULL: forward alone */
    ps_buffer *memory;
    ps_tensor ones;         /* [max_batch] */
    ps_tensor early;        /* I32 [max_batch·L]: rows of the input that are not the last */
    ps_tensor late;         /* I32 [max_batch]: those that are */
    ps_tensor again;        /* I32 [max_batch·L]: a row's number, for each of its layers */
    ps_tensor last, answer; /* [max_batch,C]: x_L, normed */
    ps_tensor answers;      /* [max_batch·L,C]: the same for each layer */
    ps_tensor normed;       /* [max_batch·L,C] */
    ps_norm_state state;    /* [max_batch·L] */
    ps_tensor dy;           /* [max_batch·L,C] */
    ps_tensor labels;       /* I32 [max_batch·L], which the divergence does not look at */
    ps_tensor results;      /* F32 [RESULTS], correct an I32 */
    ps_head head, teacher;  /* the base's, each with room of its own */
} lens;

enum { LOSS, CORRECT, DIVERGENCE, RESULTS };

/* ---- making it ---- */

static ps_status check(const ps_model_config *config)
{
    int64_t width = config->language.hidden_size, layers = config->language.num_layers;
    if (width < 1 || width > PS_MODEL_SIDE_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "hidden_size: %lld, allowed are 1 to %lld",
                       (long long)width, (long long)PS_MODEL_SIDE_MAX);
    if (layers < 1 || layers >= PS_MODEL_SIDE_MAX / width)
        return ps_fail(PS_INVALID_ARGUMENT, "num_layers: %lld of a hidden_size of %lld",
                       (long long)layers, (long long)width);
    return PS_OK;
}

static ps_status describe(const ps_model_config *config, ps_model_layout *out)
{
    ps_status st = check(config);
    if (st)
        return st;
    int64_t width = config->language.hidden_size;
    ps_model_layout layout = {0};
    for (int64_t l = 0; l < config->language.num_layers; l++) {
        ps_model_parameter_spec weight = {.rank = 2, .shape = {width, width}},
                                bias = {.rank = 1, .shape = {width}, .role = PS_ROLE_BIAS};
        (void)snprintf(weight.name, sizeof weight.name, "translators.%lld.weight", (long long)l);
        (void)snprintf(bias.name, sizeof bias.name, "translators.%lld.bias", (long long)l);
        ps_model_layout_add(&layout, &weight);
        ps_model_layout_add(&layout, &bias);
    }
    *out = layout;
    return PS_OK;
}

static ps_tensor place(size_t *end, ps_buffer *buffer, ps_dtype dtype, int64_t rows,
                       int64_t columns)
{
    size_t at = ps_model_place(end, rows * columns, dtype);
    return columns == 1 ? ps_tensor_1d(buffer, at, dtype, rows)
                        : ps_tensor_2d(buffer, at, dtype, rows, columns);
}

/* What the loss needs besides. */
static void place_loss(lens *m, size_t *end, ps_buffer *buffer)
{
    int64_t rows = m->base.options.max_batch, all = rows * m->layers, width = m->width;
    int64_t tokens = m->of->size.vocab_size, at_once = ps_head_rows(all, tokens);
    m->late = place(end, buffer, PS_DTYPE_I32, rows, 1);
    m->again = place(end, buffer, PS_DTYPE_I32, all, 1);
    m->labels = place(end, buffer, PS_DTYPE_I32, all, 1);
    m->last = place(end, buffer, PS_DTYPE_F32, rows, width);
    m->answer = place(end, buffer, PS_DTYPE_F32, rows, width);
    m->answers = place(end, buffer, PS_DTYPE_F32, all, width);
    m->normed = place(end, buffer, PS_DTYPE_F32, all, width);
    m->state.mean = place(end, buffer, PS_DTYPE_F32, all, 1);
    m->state.rstd = place(end, buffer, PS_DTYPE_F32, all, 1);
    if (m->base.gradients)
        m->dy = place(end, buffer, PS_DTYPE_F32, all, width);
    m->head = m->teacher = (ps_head){.weight = m->of->head.weight, .softcap = m->of->head.softcap};
    m->head.logits = place(end, buffer, PS_DTYPE_F32, at_once, tokens);
    m->head.dlogits = m->head.logits;
    if (m->head.softcap > 0)
        m->head.dlogits = place(end, buffer, PS_DTYPE_F32, at_once, tokens);
    m->teacher.logits = place(end, buffer, PS_DTYPE_F32, at_once, tokens);
    m->results = place(end, buffer, PS_DTYPE_F32, RESULTS, 1);
}

/* Gives every tensor its place and returns the bytes that they take; buffer may not be there yet.
 */
static size_t place_all(lens *m, ps_buffer *buffer)
{
    size_t end = 0;
    int64_t rows = m->base.options.max_batch;
    m->base.input = place(&end, buffer, PS_DTYPE_F32, rows, m->base.inputs);
    m->base.output = place(&end, buffer, PS_DTYPE_F32, rows, m->base.outputs);
    m->ones = place(&end, buffer, PS_DTYPE_F32, rows, 1);
    m->early = place(&end, buffer, PS_DTYPE_I32, rows * m->layers, 1);
    if (m->of)
        place_loss(m, &end, buffer);
    return end;
}

static void free_lens(ps_model *base)
{
    lens *m = (lens *)base;
    ps_backend *backend = base->backend;
    ps_model_base_fini(base);
    ps_buffer_free(backend, &m->memory);
    ps_free(&m);
}

/* Which rows of [rows·(L+1),C] are whose; they stay. Waits for the device. */
static ps_status number_rows(lens *m)
{
    int64_t rows = m->base.options.max_batch, layers = m->layers;
    ps_stream *s = m->base.stream;
    int32_t *early = ps_try_alloc_raw((size_t)(rows * (2 * layers + 1)) * sizeof *early);
    if (!early)
        return ps_fail(PS_NO_MEMORY, "batches of %lld", (long long)rows);
    int32_t *again = early + rows * layers, *late = again + rows * layers;
    for (int64_t r = 0; r < rows; r++) {
        late[r] = (int32_t)(r * (layers + 1) + layers);
        for (int64_t l = 0; l < layers; l++) {
            early[r * layers + l] = (int32_t)(r * (layers + 1) + l);
            again[r * layers + l] = (int32_t)r;
        }
    }
    ps_copy_to_device(s, m->early, early, ps_tensor_bytes(m->early));
    ps_op_fill(s, m->ones, 1);
    if (m->of) {
        ps_copy_to_device(s, m->late, late, ps_tensor_bytes(m->late));
        ps_copy_to_device(s, m->again, again, ps_tensor_bytes(m->again));
    }
    ps_status st = ps_stream_sync(s);
    ps_free(&early);
    return st;
}

/* Labels that are never looked at, but are to be tokens. */
static ps_status fill_labels(lens *m)
{
    if (!m->of)
        return PS_OK;
    size_t bytes = ps_tensor_bytes(m->labels);
    void *zeros = ps_try_alloc(bytes);
    if (!zeros)
        return ps_fail(PS_NO_MEMORY, "%zu bytes of labels", bytes);
    ps_copy_to_device(m->base.stream, m->labels, zeros, bytes);
    ps_status st = ps_stream_sync(m->base.stream);
    ps_free(&zeros);
    return st;
}

static ps_status take_memory(lens *m)
{
    ps_backend *backend = m->base.backend;
    int64_t rows = m->base.options.max_batch;
    if (rows > INT32_MAX / (m->layers + 1))
        return ps_fail(PS_INVALID_ARGUMENT, "batches of %lld rows of %lld layers", (long long)rows,
                       (long long)m->layers);
    size_t bytes = place_all(m, NULL);
    ps_status st = ps_buffer_new(backend, bytes, &m->memory);
    if (st)
        return ps_wrap(st, "activations for batches of %lld", (long long)rows);
    m->base.memory += bytes;
    size_t placed = place_all(m, m->memory);
    PS_REQUIRE(placed == bytes);
    st = number_rows(m);
    return st ? st : fill_labels(m);
}

static ps_status create(ps_backend *backend, const ps_model_config *config,
                        const ps_model_options *options, ps_model **out)
{
    PS_REQUIRE(!options->explain && !options->decode && !options->bf16);
    lens *m = ps_new(lens);
    ps_status st = ps_model_base_init(&m->base, &ps_model_tuned_lens, backend, config, options);
    if (st) {
        ps_free(&m);
        return st;
    }
    m->width = config->language.hidden_size;
    m->layers = config->language.num_layers;
    m->base.inputs = (m->layers + 1) * m->width;
    m->base.outputs = m->layers * m->width;
    m->base.loss.row = &ps_loss_squared_error; /* of its own it has no memory here */
    m->of = (const ps_transformer *)options->base;
    if (m->of) {
        PS_REQUIRE(m->of->base.row == &ps_model_transformer && m->of->base.backend == backend);
        PS_REQUIRE(m->of->type == PS_DTYPE_F32 && !m->of->head.form.form.row);
        PS_REQUIRE(m->of->size.hidden_size == m->width && m->of->size.num_layers == m->layers);
    }
    st = take_memory(m);
    if (st)
        free_lens(&m->base);
    else
        *out = &m->base;
    return st;
}

/* ---- forward ---- */

/* The columns of one layer, out of rows of so many. */
static ps_tensor layer_of(const lens *m, ps_tensor rows, int64_t layer)
{
    PS_REQUIRE(layer >= 0 && layer < m->layers);
    rows.offset += (size_t)(layer * m->width) * sizeof(float);
    rows.shape[1] = m->width;
    return rows;
}

/* [rows,L·C] as [rows·L,C], which it is. */
static ps_tensor apart(const lens *m, ps_tensor t)
{
    return ps_tensor_2d(t.buffer, t.offset, PS_DTYPE_F32, m->base.rows * m->layers, m->width);
}

static ps_tensor many(const lens *m, ps_tensor t)
{
    return ps_tensor_head(t, m->base.rows * m->layers);
}

/* y_l = x_l is there: += x_l·Aᵀ, += b */
static void translate(const lens *m, int64_t l)
{
    const ps_model *base = &m->base;
    ps_stream *s = base->stream;
    ps_tensor y = layer_of(m, base->output, l);
    ps_op_gemm(s, &(ps_gemm){.transpose_b = true,
                             .m = base->rows,
                             .n = m->width,
                             .k = m->width,
                             .alpha = 1,
                             .beta = 1,
                             .a = layer_of(m, base->input, l),
                             .b = base->parameters[2 * l],
                             .c = y,
                             .ld_a = base->inputs,
                             .ld_b = m->width,
                             .ld_c = base->outputs,
                             .batch = 1});
    ps_op_gemm(s, &(ps_gemm){.m = base->rows,
                             .n = m->width,
                             .k = 1,
                             .alpha = 1,
                             .beta = 1,
                             .a = m->ones,
                             .b = base->parameters[2 * l + 1],
                             .c = y,
                             .ld_a = 1,
                             .ld_b = m->width,
                             .ld_c = base->outputs,
                             .batch = 1});
}

/* [rows·(L+1),C] */
static ps_tensor stream_of(const lens *m)
{
    return ps_tensor_2d(m->base.input.buffer, m->base.input.offset, PS_DTYPE_F32,
                        m->base.rows * (m->layers + 1), m->width);
}

static ps_status forward(ps_model *base, const ps_model_hooks *hooks)
{
    lens *m = (lens *)base;
    ps_op_embedding(base->stream, apart(m, base->output), stream_of(m), many(m, m->early), false);
    for (int64_t l = 0; l < m->layers; l++) {
        ps_status st = ps_model_use(base, hooks, (size_t)(2 * l));
        if (!st)
            st = ps_model_use(base, hooks, (size_t)(2 * l + 1));
        if (st)
            return st;
        translate(m, l);
        ps_model_at(base, PS_TAP_LAYER_PRE, l,
                    layer_of(m, ps_tensor_head(base->output, base->rows), l), base->outputs);
    }
    return PS_OK;
}

/* ---- loss ---- */

static ps_tensor result_of(const lens *m, int which)
{
    return ps_tensor_1d(m->results.buffer, m->results.offset + (size_t)which * sizeof(float),
                        which == CORRECT ? PS_DTYPE_I32 : PS_DTYPE_F32, 1);
}

/* What the base answers, normed, for each layer of each row. */
static void find_answers(lens *m, const ps_norm_layer *norm)
{
    ps_stream *s = m->base.stream;
    int64_t rows = m->base.rows;
    ps_tensor last = ps_tensor_head(m->last, rows), answer = ps_tensor_head(m->answer, rows);
    ps_op_embedding(s, last, stream_of(m), ps_tensor_head(m->late, rows), false);
    ps_norm_layer_forward(s, norm, m->state, answer, last);
    ps_op_embedding(s, many(m, m->answers), answer, many(m, m->again), false);
}

static ps_status loss(ps_model *base, const ps_loss_goal *goal)
{
    lens *m = (lens *)base;
    ps_stream *s = base->stream;
    PS_REQUIRE(m->of);
    static const ps_loss_teaching how = {.kind = PS_DIVERGENCE_KL, .temperature = 1, .alpha = 1};
    if (goal->teaching)
        return ps_fail(PS_INVALID_ARGUMENT, "a teacher teaches loss cross_entropy alone");
    const ps_norm_layer norm = ps_transformer_norm(m->of, 0, PS_PART_NORM);
    find_answers(m, &norm);
    ps_norm_layer_forward(s, &norm, m->state, many(m, m->normed), apart(m, base->output));
    const ps_head_teacher teacher = {.head = &m->teacher,
                                     .x = many(m, m->answers),
                                     .divergence = result_of(m, DIVERGENCE),
                                     .how = &how};
    ps_head_pass pass = {.x = many(m, m->normed),
                         .labels = many(m, m->labels),
                         .loss = result_of(m, LOSS),
                         .correct = result_of(m, CORRECT),
                         .scale = (float)(goal->weight / (double)(base->rows * m->layers)),
                         .teacher = &teacher};
    if (base->gradients)
        pass.dx = many(m, m->dy);
    ps_head_loss(s, &m->head, &pass);
    return PS_OK;
}

static ps_status result(ps_model *base, ps_model_result *out)
{
    const lens *m = (const lens *)base;
    float found[RESULTS];
    ps_status st = ps_copy_to_host(base->stream, found, m->results, sizeof found);
    if (st)
        return st;
    double divergence = (double)found[DIVERGENCE] / base->goal.weight;
    *out =
        (ps_model_result){.loss = divergence < 0 ? 0 : divergence, /* but for rounding it isn't */
                          .rows = base->rows,
                          .correct = -1,
                          .divergence = -1};
    return PS_OK;
}

/* ---- backward ---- */

/* gA (+)= dyᵀ·x, gb (+)= Σ dy */
static void translate_backward(const lens *m, ps_tensor dy, int64_t l, float beta)
{
    const ps_model *base = &m->base;
    ps_stream *s = base->stream;
    ps_op_gemm(s, &(ps_gemm){.transpose_a = true,
                             .m = m->width,
                             .n = m->width,
                             .k = base->rows,
                             .alpha = 1,
                             .beta = beta,
                             .a = layer_of(m, dy, l),
                             .b = layer_of(m, base->input, l),
                             .c = base->gradients[2 * l],
                             .ld_a = base->outputs,
                             .ld_b = base->inputs,
                             .ld_c = m->width,
                             .batch = 1});
    ps_op_gemm(s, &(ps_gemm){.m = 1,
                             .n = m->width,
                             .k = base->rows,
                             .alpha = 1,
                             .beta = beta,
                             .a = m->ones,
                             .b = layer_of(m, dy, l),
                             .c = base->gradients[2 * l + 1],
                             .ld_a = base->rows,
                             .ld_b = base->outputs,
                             .ld_c = m->width,
                             .batch = 1});
}

static ps_status backward(ps_model *base, const ps_model_hooks *hooks)
{
    lens *m = (lens *)base;
    PS_REQUIRE(base->gradients && base->goal.rows == base->rows);
    const ps_norm_layer norm = ps_transformer_norm(m->of, 0, PS_PART_NORM);
    ps_tensor dy = many(m, m->dy);
    ps_norm_layer_backward_in_place(base->stream, &norm, m->state, dy, apart(m, base->output), 0);
    dy = ps_tensor_2d(dy.buffer, dy.offset, PS_DTYPE_F32, base->rows, base->outputs);
    ps_status st = PS_OK;
    for (int64_t l = m->layers; !st && l-- > 0;) {
        translate_backward(m, dy, l, base->add_gradients ? 1 : 0);
        st = ps_model_ready(hooks, (size_t)(2 * l + 1));
        if (!st)
            st = ps_model_ready(hooks, (size_t)(2 * l));
    }
    return st;
}

/* ---- points ---- */

static int64_t tap_columns(const ps_model *base, ps_tap tap)
{
    const lens *m = (const lens *)base;
    return tap.kind == PS_TAP_LAYER_PRE && tap.layer < m->layers ? m->width : 0;
}

/* The stream that a translator is given is the base's, and no point of this one. */
static bool tap_before(const ps_model *base, size_t i, ps_tap *out)
{
    (void)base, (void)i, (void)out;
    return false;
}

const ps_model_row ps_model_tuned_lens = {
    .describe = describe,
    .create = create,
    .free = free_lens,
    .forward = forward,
    .loss = loss,
    .backward = backward,
    .result = result,
    .tap_columns = tap_columns,
    .tap_before = tap_before,
};
