/* From a configuration to parameters, and to a model with all its memory. Fails on sizes that make
 * no model, and where the device has no room. */
#include "common/base/bits.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/models/transformer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the configuration ---- */

static ps_status check_size(const char *key, int64_t value)
{
    if (value >= 1 && value <= PS_MODEL_SIDE_MAX)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "%s: %lld, allowed are 1 to %lld", key, (long long)value,
                   (long long)PS_MODEL_SIDE_MAX);
}

static ps_status check_texts(const ps_model_language *size)
{
    ps_status st = check_size("type_vocab_size", size->choices.type_vocab_size);
    return st || !size->choices.num_classes ? st
                                            : check_size("num_classes", size->choices.num_classes);
}

static ps_status check(const ps_model_config *config)
{
    const ps_model_language *size = &config->language;
    const struct {
        const char *key;
        int64_t value;
    } sizes[] = {{"vocab_size", size->vocab_size},
                 {"context_length", size->context_length},
                 {"hidden_size", size->hidden_size},
                 {"num_layers", size->num_layers},
                 {"num_heads", size->num_heads},
                 {"num_kv_heads", size->num_kv_heads},
                 {"intermediate_size", size->intermediate_size}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ps_status st = check_size(sizes[i].key, sizes[i].value);
        if (st)
            return st;
    }
    if (size->head_dim) {
        ps_status st = check_size("num_heads · head_dim", size->num_heads * size->head_dim);
        if (st)
            return st;
    }
    if ((!size->head_dim && size->hidden_size % size->num_heads) ||
        size->num_heads % size->num_kv_heads)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "hidden_size %lld, num_heads %lld, num_kv_heads %lld: each must divide the "
                       "one before",
                       (long long)size->hidden_size, (long long)size->num_heads,
                       (long long)size->num_kv_heads);
    if (!(size->dropout >= 0 && size->dropout < 1))
        return ps_fail(PS_INVALID_ARGUMENT, "dropout: %g, allowed are 0 to less than 1",
                       size->dropout);
    if (!(size->choices.embedding_dropout < 1))
        return ps_fail(PS_INVALID_ARGUMENT, "embedding_dropout: %g, allowed are 0 to less than 1",
                       size->choices.embedding_dropout);
    if (!(size->choices.attention_dropout < 1))
        return ps_fail(PS_INVALID_ARGUMENT, "attention_dropout: %g, allowed are 0 to less than 1",
                       size->choices.attention_dropout);
    return ps_arch_find(config->architecture)->family == PS_ARCH_ENCODER ? check_texts(size)
                                                                         : PS_OK;
}

static int64_t head_dim_of(const ps_model_language *size)
{
    return size->head_dim ? size->head_dim : size->hidden_size / size->num_heads;
}

static ps_parameter_role role_of(const ps_lm_tensor *tensor)
{
    if (ps_arch_is_norm(tensor->part))
        return PS_ROLE_NORM;
    switch (tensor->part) {
    case PS_PART_TOKENS:
    case PS_PART_POSITIONS:
    case PS_PART_TYPES:
        return PS_ROLE_EMBEDDING;
    default:
        return tensor->bias ? PS_ROLE_BIAS : PS_ROLE_MATRIX;
    }
}

static void add(ps_model_layout *out, const ps_lm_tensor *tensor)
{
    static const ps_init_kind kinds[] = {[PS_START_ZEROS] = PS_INIT_ZEROS,
                                         [PS_START_ONES] = PS_INIT_ONES,
                                         [PS_START_NORMAL] = PS_INIT_NORMAL,
                                         [PS_START_RESIDUAL] = PS_INIT_NORMAL};
    ps_model_parameter_spec spec = {.rank = (int)tensor->n_dims,
                                    .init = kinds[tensor->start],
                                    .scale = tensor->deviation,
                                    .role = role_of(tensor),
                                    .input_major = tensor->change == PS_LM_TRANSPOSE};
    spec.of_block = spec.role == PS_ROLE_MATRIX && ps_arch_place_of(tensor->part) == PS_PLACE_BLOCK;
    for (int d = 0; d < spec.rank; d++)
        spec.shape[d] = (int64_t)tensor->shape[d];
    (void)snprintf(spec.name, sizeof spec.name, "%s", tensor->name);
    ps_model_layout_add(out, &spec);
}

static void lay_out(const ps_model_config *config, ps_lm_tensor **out, size_t *n)
{
    const ps_model_language *size = &config->language;
    const ps_arch_sizes sizes = {.vocab_size = size->vocab_size,
                                 .context_length = size->context_length,
                                 .hidden_size = size->hidden_size,
                                 .num_layers = size->num_layers,
                                 .num_heads = size->num_heads,
                                 .num_kv_heads = size->num_kv_heads,
                                 .head_dim = head_dim_of(size),
                                 .intermediate_size = size->intermediate_size,
                                 .tie_embeddings = size->tie_embeddings,
                                 .choices = size->choices};
    ps_arch_layout(ps_arch_find(config->architecture), &sizes, out, n);
}

static ps_status describe(const ps_model_config *config, ps_model_layout *out)
{
    ps_lm_tensor *tensors = NULL;
    size_t n = 0;
    ps_status st = check(config);
    if (st)
        return st;
    *out = (ps_model_layout){0};
    lay_out(config, &tensors, &n);
    for (size_t i = 0; i < n; i++)
        add(out, &tensors[i]);
    st = ps_transformer_lora_describe(&config->lora, tensors, n, out);
    ps_free(&tensors);
    if (st)
        ps_model_layout_free(out);
    return st;
}

/* Where the parameters are that describe lists: each part's first one, and how many it has there;
 * parts of blocks stand in every block. */
static void number_parameters(ps_transformer *t, const ps_model_config *config)
{
    ps_lm_tensor *tensors = NULL;
    size_t n = 0, of_blocks = 0;
    lay_out(config, &tensors, &n);
    for (size_t i = n; i-- > 0;) {
        ps_part_parameters *part = &t->parts[tensors[i].part];
        part->count = tensors[i].bias ? 2 : part->count ? part->count : 1;
        part->first = i;
        of_blocks += ps_arch_place_of(tensors[i].part) == PS_PLACE_BLOCK;
        if (tensors[i].change == PS_LM_TRANSPOSE)
            t->input_major |= 1u << tensors[i].part;
    }
    ps_transformer_lora_number(t, &config->lora, tensors, n);
    ps_free(&tensors);
    t->block_parameters = of_blocks / (size_t)t->size.num_layers;
    if (!ps_transformer_has(t, PS_PART_HEAD) && !t->texts.there)
        t->parts[PS_PART_HEAD] = t->parts[PS_PART_TOKENS];
}

/* ---- making one ---- */

int64_t ps_transformer_max_rows(const ps_transformer *t)
{
    const ps_model_options *o = &t->base.options;
    if (o->decode)
        return o->max_length < PS_EXTEND_ROWS ? o->max_length : PS_EXTEND_ROWS;
    return o->max_tokens ? o->max_tokens : o->max_batch * o->max_length;
}

static ps_status fill_rope(ps_transformer *t, const ps_rope_spec *spec, ps_tensor rope)
{
    if (!ps_tensor_present(rope))
        return PS_OK;
    int64_t turned = 2 * rope.shape[1];
    float *table = ps_try_alloc_raw(ps_tensor_bytes(rope));
    if (!table)
        return ps_fail(PS_NO_MEMORY, "%zu bytes of rotary positions", ps_tensor_bytes(rope));
    double *frequencies = ps_alloc_array((size_t)turned / 2, sizeof *frequencies), scale = 1;
    ps_rope_frequencies(spec, turned, t->size.context_length, frequencies, &scale);
    ps_attention_rope_table(table, rope.shape[0], frequencies, turned / 2, scale);
    ps_free(&frequencies);
    ps_copy_to_device(t->base.stream, rope, table, ps_tensor_bytes(rope));
    ps_status st = ps_stream_sync(t->base.stream);
    ps_free(&table);
    return st;
}

static ps_status fill_ropes(ps_transformer *t)
{
    const ps_rope_spec local = ps_rope_local(&t->size.rope);
    ps_status st = fill_rope(t, &t->size.rope, t->attention.rope);
    return st ? st : fill_rope(t, &local, t->local_rope);
}

/* Of the model's type. */
static ps_status fill_ones(ps_transformer *t)
{
    if (!ps_tensor_present(t->ones))
        return PS_OK;
    uint32_t bits = ps_bits_of_float(1);
    size_t bytes = ps_tensor_bytes(t->ones), size = ps_dtype_bytes(t->type);
    bits = t->type == PS_DTYPE_BF16 ? bits >> 16 : bits; /* bfloat16: the upper half */
    uint8_t *rows = ps_try_alloc_raw(bytes);
    if (!rows)
        return ps_fail(PS_NO_MEMORY, "%zu bytes of ones", bytes);
    for (size_t at = 0; at < bytes; at += size)
        memcpy(rows + at, &bits, size); /* little-endian, as everything here */
    ps_copy_to_device(t->base.stream, t->ones, rows, bytes);
    ps_status st = ps_stream_sync(t->base.stream);
    ps_free(&rows);
    return st;
}

static ps_status take_memory(ps_transformer *t, ps_backend *backend)
{
    const ps_model_options *o = &t->base.options;
    int64_t rows = ps_transformer_max_rows(t);
    t->states = ps_alloc_array((size_t)t->size.num_layers, sizeof *t->states);
    t->caches = ps_alloc_array((size_t)t->size.num_layers, sizeof *t->caches);
    t->kept = ps_alloc_array(o->n_keep + 1, sizeof *t->kept);
    t->positions_host = ps_try_alloc_raw((size_t)rows * sizeof *t->positions_host);
    if (!t->positions_host)
        return ps_fail(PS_NO_MEMORY, "batches of %lld tokens", (long long)rows);
    const ps_loss_row *loss;
    int64_t outputs = t->base.outputs < 2 ? 2 : t->base.outputs; /* of an embedding: not used */
    ps_status st = ps_loss_parse("cross_entropy", outputs, &loss);
    if (!st)
        st = ps_loss_init(&t->base.loss, loss, backend, t->texts.there ? o->max_batch : rows,
                          outputs);
    if (!st)
        st = ps_model_make_between(&t->base, rows);
    if (st)
        return st;
    size_t bytes = ps_transformer_place(t, NULL);
    st = o->decode ? ps_buffer_new_sparse(backend, bytes, &t->memory)
                   : ps_buffer_new(backend, bytes, &t->memory);
    if (st)
        return ps_wrap(st, "activations for batches of %lld × %lld tokens", (long long)o->max_batch,
                       (long long)o->max_length);
    t->base.memory += bytes + t->base.loss.result.buffer->bytes;
    size_t placed = ps_transformer_place(t, t->memory);
    PS_REQUIRE(placed == bytes);
    st = fill_ropes(t);
    return st ? st : fill_ones(t);
}

static ps_status complete_options(const ps_model_config *config, ps_model_options *o)
{
    int64_t context = config->language.context_length;
    if (o->max_length < 0 || o->max_length > context)
        return ps_fail(PS_INVALID_ARGUMENT, "rows of %lld tokens, the model's context is %lld",
                       (long long)o->max_length, (long long)context);
    if (!o->max_length)
        o->max_length = context;
    PS_REQUIRE(o->cache == PS_DTYPE_F32 || o->cache == PS_DTYPE_BF16 ||
               (o->cache == PS_DTYPE_I8 && !o->bf16));
    o->inference |= o->decode;
    o->recompute &= !o->inference;
    PS_REQUIRE(o->max_tokens == 0 || o->max_tokens >= o->max_length);
    if (o->max_tokens > PS_MODEL_BATCH_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "batches of %lld tokens, at most %lld",
                       (long long)o->max_tokens, (long long)PS_MODEL_BATCH_MAX);
    if (!o->max_tokens && o->max_batch > PS_MODEL_BATCH_MAX / o->max_length)
        return ps_fail(PS_INVALID_ARGUMENT, "batches of %lld × %lld tokens, at most %lld",
                       (long long)o->max_batch, (long long)o->max_length,
                       (long long)PS_MODEL_BATCH_MAX);
    return PS_OK;
}

static void fini(ps_transformer *t)
{
    ps_backend *backend = t->base.backend;
    ps_model_base_fini(&t->base);
    ps_buffer_free(backend, &t->memory);
    ps_buffer_free(backend, &t->patterns);
    ps_free(&t->states);
    ps_free(&t->caches);
    ps_free(&t->kept);
    ps_free(&t->positions_host);
    ps_transformer_texts_fini(t);
    ps_free(&t->lora.adapter);
}

/* What is computed, beside the parts. */
static void choose(ps_transformer *t, const ps_model_config *config)
{
    const ps_arch *arch = ps_arch_find(config->architecture);
    const ps_arch_choices *choices = &t->size.choices;
    static const ps_activation acts[PS_ACTS] = {[PS_ACT_GELU_TANH] = PS_ACTIVATION_GELU_TANH,
                                                [PS_ACT_GELU] = PS_ACTIVATION_GELU,
                                                [PS_ACT_RELU] = PS_ACTIVATION_RELU,
                                                [PS_ACT_SILU] = PS_ACTIVATION_SILU};
    t->act = acts[ps_arch_act_of(arch, choices)];
    t->gain_offset = arch->traits.gains_less_one ? 1 : 0;
    t->embedding_scale = arch->traits.scaled_embedding ? sqrtf((float)t->size.hidden_size) : 1;
    t->head.softcap = (float)choices->logit_softcap;
    t->attention.softcap = (float)choices->attention_softcap;
    double dropped = choices->attention_dropout;
    if (ps_arch_key_find(arch, "attention_dropout"))
        t->attention_dropout = (float)(dropped >= 0 ? dropped : t->size.dropout);
    if (choices->query_pre_attn_scalar > 0)
        t->attention.scale = (float)(1 / sqrt(choices->query_pre_attn_scalar));
}

/* *t is zeroed. On failure nothing is left over. */
static ps_status init(ps_transformer *t, const ps_model_row *row, ps_backend *backend,
                      const ps_model_config *config, const ps_model_options *options)
{
    const ps_model_language *size = &config->language;
    ps_model_options completed = *options;
    ps_status st = complete_options(config, &completed);
    if (!st)
        st = ps_model_base_init(&t->base, row, backend, config, &completed);
    if (st)
        return st;
    t->size = *size;
    t->type = completed.bf16 ? PS_DTYPE_BF16 : PS_DTYPE_F32;
    t->base.outputs = size->vocab_size;
    t->texts.there = row == &ps_model_encoder;
    t->attention = (ps_attention_layer){
        .heads = size->num_heads, .kv_heads = size->num_kv_heads, .head_dim = head_dim_of(size)};
    number_parameters(t, config);
    choose(t, config);
    st = ps_transformer_texts_init(t, config);
    if (!st)
        st = take_memory(t, backend);
    if (st) {
        fini(t);
        return st;
    }
    if (t->texts.there)
        return PS_OK;
    ps_linear head = ps_transformer_linear(t, 0, PS_PART_HEAD);
    t->head.weight = head.weight;
    t->head.form = head.form;
    t->head.exact = head.exact;
    t->head.weight_gradient = head.weight_gradient;
    return PS_OK;
}

/* ---- the row ---- */

static ps_status create_as(const ps_model_row *row, ps_backend *backend,
                           const ps_model_config *config, const ps_model_options *options,
                           ps_model **out)
{
    ps_status st = check(config);
    if (st)
        return st;
    ps_transformer *t = ps_new(ps_transformer);
    st = init(t, row, backend, config, options);
    if (st) {
        ps_free(&t);
        return st;
    }
    *out = &t->base;
    return PS_OK;
}

static ps_status create(ps_backend *backend, const ps_model_config *config,
                        const ps_model_options *options, ps_model **out)
{
    return create_as(&ps_model_transformer, backend, config, options, out);
}

static ps_status create_encoder(ps_backend *backend, const ps_model_config *config,
                                const ps_model_options *options, ps_model **out)
{
    PS_REQUIRE(!options->decode && !options->explain);
    return create_as(&ps_model_encoder, backend, config, options, out);
}

static void free_transformer(ps_model *m)
{
    ps_transformer *t = (ps_transformer *)m;
    fini(t);
    ps_free(&t);
}

const ps_model_row ps_model_transformer = {
    .describe = describe,
    .create = create,
    .free = free_transformer,
    .forward = ps_transformer_forward,
    .loss = ps_transformer_loss,
    .backward = ps_transformer_backward,
    .top = ps_transformer_top,
    .answer = ps_transformer_answer,
    .hidden = ps_transformer_hidden,
    .room = ps_transformer_room,
    .extend = ps_transformer_extend,
    .outputs_at = ps_transformer_outputs_at,
    .seed = ps_transformer_seed,
    .embed = ps_transformer_embed,
    .read_out = ps_transformer_read_out,
    .attention = ps_transformer_attention,
    .tap_columns = ps_transformer_tap_columns,
    .tap_before = ps_transformer_tap_before,
    .taps_behind = ps_transformer_taps_behind,
    .takes_tokens = true,
};

const ps_model_row ps_model_encoder = {
    .describe = describe,
    .create = create_encoder,
    .free = free_transformer,
    .take = ps_encoder_take,
    .forward = ps_encoder_forward,
    .loss = ps_encoder_loss,
    .backward = ps_encoder_backward,
    .states = ps_encoder_states,
    .hidden = ps_transformer_hidden,
    .room = ps_transformer_room,
    .tap_columns = ps_transformer_tap_columns,
    .tap_before = ps_transformer_tap_before,
    .taps_behind = ps_transformer_taps_behind,
    .takes_tokens = true,
    .labels_rows = true,
};
