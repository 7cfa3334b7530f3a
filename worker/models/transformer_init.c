/* From a configuration to parameters, and to a model with all its memory. Fails on sizes that make
 * no model, and where the device has no room. */
#include "common/base/mem.h"
#include "worker/models/transformer.h"

#include <string.h>

/* ---- the configuration ---- */

static ps_status check_size(const char *key, int64_t value)
{
    if (value >= 1 && value <= PS_MODEL_SIDE_MAX)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "%s: %lld, allowed are 1 to %lld", key, (long long)value,
                   (long long)PS_MODEL_SIDE_MAX);
}

ps_status ps_transformer_check(const ps_model_config *config)
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
    if (size->hidden_size % size->num_heads || size->num_heads % size->num_kv_heads)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "hidden_size %lld, num_heads %lld, num_kv_heads %lld: each must divide the "
                       "one before",
                       (long long)size->hidden_size, (long long)size->num_heads,
                       (long long)size->num_kv_heads);
    if (!(size->dropout >= 0 && size->dropout < 1))
        return ps_fail(PS_INVALID_ARGUMENT, "dropout: %g, allowed are 0 to less than 1",
                       size->dropout);
    return PS_OK;
}

static void add(ps_model_layout *out, const char *name, ps_parameter_role role, int64_t rows,
                int64_t columns, float scale)
{
    ps_model_parameter_spec spec = {.rank = columns ? 2 : 1, .shape = {rows, columns}};
    spec.role = role;
    spec.init = PS_INIT_NORMAL;
    spec.scale = scale;
    if (!columns)
        spec.init = scale > 0 ? PS_INIT_ONES : PS_INIT_ZEROS;
    (void)strncpy(spec.name, name, sizeof spec.name - 1);
    ps_model_layout_add(out, &spec);
}

ps_status ps_transformer_describe(const ps_block_row *block, const ps_model_config *config,
                                  ps_model_layout *out)
{
    ps_status st = ps_transformer_check(config);
    if (st)
        return st;
    const ps_model_language *size = &config->language;
    *out = (ps_model_layout){0};
    add(out, block->names.tokens, PS_ROLE_EMBEDDING, size->vocab_size, size->hidden_size, 0.02f);
    if (block->names.positions)
        add(out, block->names.positions, PS_ROLE_EMBEDDING, size->context_length, size->hidden_size,
            0.02f);
    for (int64_t l = 0; l < size->num_layers; l++)
        block->describe(size, l, out);
    add(out, block->names.norm_gain, PS_ROLE_NORM, size->hidden_size, 0, 1);
    if (block->names.norm_bias)
        add(out, block->names.norm_bias, PS_ROLE_NORM, size->hidden_size, 0, 0);
    if (!size->tie_embeddings)
        add(out, block->names.head, PS_ROLE_MATRIX, size->vocab_size, size->hidden_size, 0.02f);
    return PS_OK;
}

/* Where the parameters are that describe lists. */
static void number_parameters(ps_transformer *t)
{
    size_t layers = (size_t)t->size.num_layers;
    t->token_parameter = 0;
    t->position_parameter = 1;
    t->block_parameter = t->block->names.positions ? 2 : 1;
    t->norm_parameter = t->block_parameter + layers * t->block->parameters;
    t->head_parameter = t->norm_parameter + (t->block->names.norm_bias ? 2 : 1);
    if (t->size.tie_embeddings)
        t->head_parameter = t->token_parameter;
}

/* ---- making one ---- */

/* The norm and the head are parameters outside blocks: those of a block that begins there. */
static void bind(ps_transformer *t)
{
    for (int64_t l = 0; l < t->size.num_layers; l++)
        t->block->bind(t, l);
    t->norm = ps_transformer_norm(t, t->size.num_layers, 0, t->block->names.norm_bias);
    t->head.weight = t->base.weights[t->head_parameter];
    if (!t->base.options.inference)
        t->head.weight_gradient = t->base.gradients[t->head_parameter];
}

int64_t ps_transformer_max_rows(const ps_transformer *t)
{
    const ps_model_options *o = &t->base.options;
    if (o->decode)
        return o->max_length < PS_EXTEND_ROWS ? o->max_length : PS_EXTEND_ROWS;
    return o->max_batch * o->max_length;
}

static ps_status fill_rope(ps_transformer *t)
{
    if (t->block->names.positions)
        return PS_OK;
    ps_tensor rope = t->attention.rope;
    float *table = ps_try_alloc_raw(ps_tensor_bytes(rope));
    if (!table)
        return ps_fail(PS_NO_MEMORY, "%zu bytes of rotary positions", ps_tensor_bytes(rope));
    ps_attention_rope_table(table, rope.shape[0], t->attention.head_dim, t->size.rope_theta);
    ps_copy_to_device(t->base.stream, rope, table, ps_tensor_bytes(rope));
    ps_status st = ps_stream_sync(t->base.stream);
    ps_free(&table);
    return st;
}

static ps_status take_memory(ps_transformer *t, ps_backend *backend)
{
    const ps_model_options *o = &t->base.options;
    int64_t rows = ps_transformer_max_rows(t);
    t->states = ps_alloc_array((size_t)t->size.num_layers, sizeof *t->states);
    t->caches = ps_alloc_array((size_t)t->size.num_layers, sizeof *t->caches);
    t->positions_host = ps_try_alloc_raw((size_t)rows * sizeof *t->positions_host);
    if (!t->positions_host)
        return ps_fail(PS_NO_MEMORY, "batches of %lld tokens", (long long)rows);
    const ps_loss_row *loss;
    ps_status st = ps_loss_parse("cross_entropy", t->size.vocab_size, &loss);
    if (!st)
        st = ps_loss_init(&t->base.loss, loss, backend, rows, t->size.vocab_size);
    if (st)
        return st;
    size_t bytes = ps_transformer_place(t, NULL);
    st = ps_buffer_new(backend, bytes, &t->memory);
    if (st)
        return ps_wrap(st, "activations for batches of %lld × %lld tokens", (long long)o->max_batch,
                       (long long)o->max_length);
    t->base.memory += bytes + t->base.loss.result.buffer->bytes;
    (void)ps_transformer_place(t, t->memory);
    return fill_rope(t);
}

static ps_status complete_options(const ps_model_config *config, ps_model_options *o)
{
    int64_t context = config->language.context_length;
    if (o->max_length < 0 || o->max_length > context)
        return ps_fail(PS_INVALID_ARGUMENT, "rows of %lld tokens, the model's context is %lld",
                       (long long)o->max_length, (long long)context);
    if (!o->max_length)
        o->max_length = context;
    o->inference |= o->decode;
    o->recompute &= !o->inference;
    if (o->max_batch > PS_MODEL_BATCH_MAX / o->max_length)
        return ps_fail(PS_INVALID_ARGUMENT, "batches of %lld × %lld tokens, at most %lld",
                       (long long)o->max_batch, (long long)o->max_length,
                       (long long)PS_MODEL_BATCH_MAX);
    return PS_OK;
}

ps_status ps_transformer_init(ps_transformer *t, const ps_block_row *block, ps_backend *backend,
                              const ps_model_config *config, const ps_model_options *options)
{
    const ps_model_language *size = &config->language;
    ps_model_options completed = *options;
    ps_status st = complete_options(config, &completed);
    if (!st)
        st = ps_model_base_init(&t->base, block->model, backend, config, &completed);
    if (st)
        return st;
    t->block = block;
    t->size = *size;
    t->type = completed.bf16 ? PS_DTYPE_BF16 : PS_DTYPE_F32;
    t->base.outputs = size->vocab_size;
    t->attention = (ps_attention_layer){.heads = size->num_heads,
                                        .kv_heads = size->num_kv_heads,
                                        .head_dim = size->hidden_size / size->num_heads};
    number_parameters(t);
    st = take_memory(t, backend);
    if (st) {
        ps_transformer_fini(t);
        return st;
    }
    bind(t);
    return PS_OK;
}

void ps_transformer_fini(ps_transformer *t)
{
    ps_backend *backend = t->base.backend;
    ps_model_base_fini(&t->base);
    ps_buffer_free(backend, &t->memory);
    ps_free(&t->states);
    ps_free(&t->caches);
    ps_free(&t->positions_host);
}
