/* encoder: what is around the blocks of a model that says one thing of each text: texts go in one
 * behind the other, whatever their lengths, each seeing itself alone, and where the model has
 * classes these are made of each text's first token.
 *
 *     first[batch,C] = x(L)[firsts]             from here on in float32
 *     pooled = tanh(pooler(first))
 *     output[batch,classes] = classes(pooled)
 *
 * Fails on a text that is empty, on tokens that there are not, and on more than the model has room
 * for; and with what a hook says. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/layers/activation.h"
#include "worker/models/transformer.h"

/* ---- making one ---- */

ps_status ps_transformer_texts_init(ps_transformer *t, const ps_model_config *config)
{
    ps_transformer_texts *texts = &t->texts;
    if (!texts->there)
        return PS_OK;
    const ps_arch_choices *choices = &config->language.choices;
    size_t rows = (size_t)ps_transformer_max_rows(t), batch = (size_t)t->base.options.max_batch;
    texts->classes = t->base.outputs = choices->num_classes;
    texts->rate = (float)(choices->classifier_dropout >= 0 ? choices->classifier_dropout
                                                           : config->language.dropout);
    t->attention.all = true;
    int32_t *all = ps_try_alloc_raw((5 * rows + batch) * sizeof *all);
    if (!all)
        return ps_fail(PS_NO_MEMORY, "batches of %zu tokens", rows);
    texts->ids_host = all;
    texts->types_host = all + rows;
    texts->starts_host = all + 2 * rows;
    texts->ends_host = all + 3 * rows;
    texts->begins_host = all + 4 * rows;
    texts->firsts_host = all + 5 * rows;
    return PS_OK;
}

void ps_transformer_texts_fini(ps_transformer *t)
{
    ps_free(&t->texts.ids_host); /* the others lie behind it */
}

/* ---- what goes in ---- */

static ps_status check_token(const ps_transformer *t, int32_t token, int64_t type, int64_t row)
{
    if (token >= t->size.vocab_size)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "token %d in row %lld of the batch, the vocabulary has "
                       "%lld",
                       (int)token, (long long)row, (long long)t->size.vocab_size);
    if (type >= t->size.choices.type_vocab_size)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "row %lld of the batch has a second text, and type_vocab_size is %lld",
                       (long long)row, (long long)t->size.choices.type_vocab_size);
    return PS_OK;
}

/* Behind the t->n tokens that are there. */
static ps_status take_text(ps_transformer *t, const int32_t *tokens, int64_t length, int64_t row)
{
    ps_transformer_texts *texts = &t->texts;
    int64_t first = t->n, n = 0;
    while (n < length && tokens[n] >= 0)
        n++;
    if (n == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "row %lld of the batch has no tokens", (long long)row);
    if (n > ps_transformer_max_rows(t) - first)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "a batch of more tokens than the %lld that the model was "
                       "made for",
                       (long long)ps_transformer_max_rows(t));
    texts->firsts_host[row] = (int32_t)first;
    for (int64_t i = 0; i < n; i++) {
        int32_t token = tokens[i] & ~PS_MODEL_SECOND, type = tokens[i] != token;
        ps_status st = check_token(t, token, type, row);
        if (st)
            return st;
        texts->ids_host[first + i] = token;
        texts->types_host[first + i] = type;
        texts->starts_host[first + i] = (int32_t)first;
        texts->ends_host[first + i] = (int32_t)(first + n);
        texts->begins_host[first + i] = (int32_t)(i ? t->base.rows : row);
        t->positions_host[first + i] = (int32_t)i;
    }
    t->n += n;
    return PS_OK;
}

ps_status ps_encoder_take(ps_model *m, const ps_model_batch *batch)
{
    ps_transformer *t = (ps_transformer *)m;
    const ps_transformer_texts *texts = &t->texts;
    t->n = 0;
    for (int64_t row = 0; row < batch->rows; row++) {
        ps_status st = take_text(t, batch->tokens + row * batch->length, batch->length, row);
        if (st)
            return st;
    }
    const struct {
        ps_tensor to;
        const int32_t *from;
    } each[] = {{m->input, texts->ids_host},
                {texts->types, texts->types_host},
                {t->starts, texts->starts_host},
                {texts->ends, texts->ends_host},
                {texts->begins, texts->begins_host}};
    for (size_t i = 0; i < sizeof each / sizeof *each && ps_tensor_present(each[i].to); i++)
        ps_copy_to_device(m->stream, ps_transformer_rows(t, each[i].to), each[i].from,
                          (size_t)t->n * sizeof(int32_t));
    ps_copy_to_device(m->stream, ps_tensor_head(texts->firsts, batch->rows), texts->firsts_host,
                      (size_t)batch->rows * sizeof(int32_t));
    return PS_OK;
}

/* ---- forward ---- */

static ps_tensor texts_of(const ps_transformer *t, ps_tensor tensor)
{
    return ps_tensor_head(tensor, t->base.rows);
}

static ps_dropout dropout_of(const ps_transformer *t, ps_tensor y, ps_tensor x)
{
    ps_dropout d = {.y = y, .x = x, .rate = t->texts.rate};
    int64_t blocks = t->size.num_layers; /* adapters and attention have those before */
    ps_transformer_drop_bits(t, 1 + 2 * blocks + blocks * PS_PARTS + blocks, &d.seed, &d.offset);
    return d;
}

static bool drops(const ps_transformer *t)
{
    return t->dropping && t->texts.rate > 0;
}

/* What the classes are made of. */
static ps_tensor read_by_classes(const ps_transformer *t)
{
    return texts_of(t, drops(t) ? t->texts.dropped : t->texts.pooled);
}

static void classify(ps_transformer *t)
{
    ps_stream *s = t->base.stream;
    ps_tensor first = texts_of(t, t->texts.first), pooled = texts_of(t, t->texts.pooled);
    ps_tensor taken = texts_of(t, t->texts.taken);
    ps_op_embedding(s, taken, ps_transformer_rows(t, t->last), texts_of(t, t->texts.firsts), false);
    ps_op_cast(s, first, taken);
    ps_transformer_product(t, 0, PS_PART_POOLER, pooled, 0, first);
    ps_activation_forward(s, PS_ACTIVATION_TANH, pooled, pooled);
    if (drops(t)) {
        const ps_dropout d = dropout_of(t, texts_of(t, t->texts.dropped), pooled);
        ps_op_dropout(s, &d);
    }
    ps_transformer_product(t, 0, PS_PART_CLASSES, texts_of(t, t->base.output), 0,
                           read_by_classes(t));
}

ps_status ps_encoder_forward(ps_model *m, const ps_model_hooks *hooks)
{
    ps_transformer *t = (ps_transformer *)m;
    t->batch = 1;
    t->length = t->n;
    t->before = -1;
    t->beta = m->add_gradients ? 1 : 0;
    t->dropping = m->train;
    t->several = true;
    t->passes += m->train;
    ps_status st = ps_transformer_run(t, hooks);
    if (!st && t->texts.classes)
        classify(t);
    return st;
}

ps_status ps_encoder_states(ps_model *m, float *out)
{
    const ps_transformer *t = (const ps_transformer *)m;
    ps_tensor last = ps_transformer_rows(t, t->last);
    PS_REQUIRE(t->type == PS_DTYPE_F32);
    return ps_copy_to_host(m->stream, out, last, ps_tensor_bytes(last));
}

/* ---- loss and backward ---- */

ps_status ps_encoder_loss(ps_model *m, const ps_loss_goal *goal)
{
    const ps_transformer *t = (const ps_transformer *)m;
    if (!t->texts.classes)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "the model has no classes to tell apart: num_classes is 0");
    ps_status st = m->loss.row->check(&m->loss, goal);
    ps_tensor y = texts_of(t, m->output);
    if (!st)
        m->loss.row->run(m->stream, &m->loss, goal, m->gradients ? &y : NULL, y);
    return st;
}

/* The outputs' gradient -> dfirst */
static ps_status classify_backward(ps_transformer *t, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    ps_tensor dy = texts_of(t, t->base.output), dpooled = texts_of(t, t->texts.dpooled);
    ps_tensor pooled = texts_of(t, t->texts.pooled);
    ps_transformer_product_backward(t, 0, PS_PART_CLASSES, dpooled, dy, 0, 0);
    ps_status st =
        ps_transformer_weights_backward(t, 0, PS_PART_CLASSES, dy, 0, read_by_classes(t), hooks);
    if (st)
        return st;
    if (drops(t)) {
        const ps_dropout d = dropout_of(t, dpooled, dpooled);
        ps_op_dropout(s, &d);
    }
    ps_activation_backward(s, PS_ACTIVATION_TANH, dpooled, pooled, pooled);
    ps_transformer_product_backward(t, 0, PS_PART_POOLER, texts_of(t, t->texts.dfirst), dpooled, 0,
                                    0);
    return ps_transformer_weights_backward(t, 0, PS_PART_POOLER, dpooled, 0,
                                           texts_of(t, t->texts.first), hooks);
}

/* dfirst -> t->dx, which is 0 but at first tokens */
static void spread(ps_transformer *t)
{
    ps_stream *s = t->base.stream;
    int64_t texts = t->base.rows;
    ps_tensor taken = ps_tensor_head(t->texts.taken, texts + 1);
    ps_tensor dfirst = ps_tensor_head(t->texts.dfirst, texts + 1), none = ps_tensor_head(dfirst, 1);
    none.offset += (size_t)(texts * t->size.hidden_size) * sizeof(float);
    ps_op_fill(s, none, 0);
    ps_op_cast(s, taken, dfirst);
    ps_op_embedding(s, ps_transformer_rows(t, t->dx), taken,
                    ps_transformer_rows(t, t->texts.begins), false);
}

ps_status ps_encoder_backward(ps_model *m, const ps_model_hooks *hooks)
{
    ps_transformer *t = (ps_transformer *)m;
    ps_status st = classify_backward(t, hooks);
    if (st)
        return st;
    spread(t);
    return ps_transformer_backward_blocks(t, hooks);
}
