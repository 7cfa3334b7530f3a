/* The table of families, and the calls of model.h: check, then the row's pass.
 *
 * Fails on a batch that does not fit, on a hook that says so, and on what the device reports when
 * it is waited for. */
#include "worker/models/model.h"

#include "common/arch/arch.h"
#include "common/base/require.h"
#include "worker/models/model_row.h"

#include <string.h>

static const ps_model_row *const rows[] = {
    [PS_ARCH_LAYERS] = &ps_model_mlp,           [PS_ARCH_IMAGES] = &ps_model_mlp,
    [PS_ARCH_LANGUAGE] = &ps_model_transformer, [PS_ARCH_CODER] = &ps_model_sae,
    [PS_ARCH_ENCODER] = &ps_model_encoder,      [PS_ARCH_LENS] = &ps_model_tuned_lens,
};

static ps_status find_row(const char *name, const ps_model_row **out)
{
    const ps_arch *arch = name ? ps_arch_find(name) : NULL;
    if (!arch)
        return ps_fail(PS_INVALID_ARGUMENT, "architecture: %s is unknown, there are %s",
                       name ? name : "(none)", ps_arch_list_all().text);
    *out = rows[arch->family];
    return PS_OK;
}

ps_status ps_model_describe(const ps_model_config *config, ps_model_layout *out)
{
    const ps_model_row *row = NULL;
    ps_status st = find_row(config->architecture, &row);
    if (!st && config->lora.rank && !row->takes_tokens)
        st = ps_fail(PS_INVALID_ARGUMENT, "adapters are for models that read tokens, not for %s",
                     config->architecture);
    if (!st)
        st = row->describe(config, out);
    if (st)
        return st;
    st = ps_model_freeze(config, out);
    if (st)
        ps_model_layout_free(out);
    return st;
}

ps_status ps_model_create(ps_backend *backend, const ps_model_config *config,
                          const ps_model_options *options, ps_model **out)
{
    if (options->max_batch < 1 || options->max_batch > PS_MODEL_BATCH_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "batch of %lld rows, allowed are 1 to %lld",
                       (long long)options->max_batch, (long long)PS_MODEL_BATCH_MAX);
    const ps_model_row *row = NULL;
    ps_model *m = NULL;
    ps_status st = find_row(config->architecture, &row);
    if (!st)
        st = row->create(backend, config, options, &m);
    if (!st && options->explain)
        st = ps_model_make_points(m);
    if (st)
        ps_model_free(&m);
    else
        *out = m;
    return st;
}

void ps_model_free(ps_model **m)
{
    if (*m)
        (*m)->row->free(*m);
    *m = NULL;
}

const ps_model_layout *ps_model_parameters(const ps_model *m)
{
    return &m->layout;
}

ps_status ps_model_find(const ps_model *m, const char *name, size_t *out)
{
    for (size_t i = 0; i < m->layout.count; i++) {
        if (strcmp(name, m->layout.parameters[i].name) == 0) {
            *out = i;
            return PS_OK;
        }
    }
    return ps_fail(PS_NOT_FOUND, "the model has no parameter %s", name);
}

ps_tensor ps_model_parameter(const ps_model *m, size_t i)
{
    PS_REQUIRE(i < m->layout.count);
    return m->parameters[i];
}

ps_tensor ps_model_gradient(const ps_model *m, size_t i)
{
    PS_REQUIRE(i < m->layout.count && m->gradients);
    return m->gradients[i];
}

ps_stream *ps_model_stream(const ps_model *m)
{
    return m->stream;
}

int64_t ps_model_inputs(const ps_model *m)
{
    return m->inputs;
}

int64_t ps_model_outputs(const ps_model *m)
{
    return m->outputs;
}

int64_t ps_model_tap_columns(const ps_model *m, ps_tap tap)
{
    return m->row->tap_columns(m, tap);
}

ps_status ps_model_tap_before(const ps_model *m, size_t i, ps_tap *out)
{
    PS_REQUIRE(i < m->layout.count);
    if (m->row->tap_before(m, i, out))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "parameter %s is in no product",
                   m->layout.parameters[i].name);
}

size_t ps_model_taps_behind(const ps_model *m, size_t i, ps_tap out[PS_MODEL_TAPS_BEHIND])
{
    PS_REQUIRE(i < m->layout.count);
    return m->row->taps_behind ? m->row->taps_behind(m, i, out) : 0;
}

uint64_t ps_model_memory(const ps_model *m)
{
    return m->memory;
}

/* Has each token a label, or each row? */
static bool labels_tokens(const ps_model *m)
{
    return m->row->takes_tokens && !m->row->labels_rows;
}

static ps_loss_goal goal_of(const ps_model *m, const ps_model_batch *batch)
{
    return (ps_loss_goal){.teaching = m->teacher ? &m->teaching : NULL,
                          .rows = batch->rows * (labels_tokens(m) ? batch->length : 1),
                          .labels = batch->labels,
                          .targets = batch->targets,
                          .weight = batch->weight > 0 ? batch->weight : 1};
}

/* What forward reads, checked, and onto the device. */
static ps_status take_features(ps_model *m, const ps_model_batch *batch)
{
    if (!batch->features && !batch->first)
        return ps_fail(PS_INVALID_ARGUMENT, "batch without features");
    m->embedded = batch->first;
    PS_REQUIRE(!m->embedded || (m->options.explain && !batch->features));
    ps_tensor x = ps_tensor_head(m->embedded ? m->embeddings : m->input, batch->rows);
    ps_copy_to_device(m->stream, x, m->embedded ? batch->first : batch->features,
                      ps_tensor_bytes(x));
    return PS_OK;
}

ps_status ps_model_check_tokens(const ps_model *m, const int32_t *tokens, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= m->outputs)
            return ps_fail(PS_INVALID_ARGUMENT, "token %d at %lld, the vocabulary has %lld",
                           (int)tokens[i], (long long)i, (long long)m->outputs);
    }
    return PS_OK;
}

static ps_status check_starts(const ps_model_batch *batch)
{
    for (int64_t i = 0; batch->starts && i < batch->rows * batch->length; i++) {
        if (batch->starts[i] < 0 || batch->starts[i] > i % batch->length)
            return ps_fail(PS_INVALID_ARGUMENT, "token %lld of a row is of a document from %d on",
                           (long long)(i % batch->length), (int)batch->starts[i]);
    }
    return PS_OK;
}

static ps_status take_tokens(ps_model *m, const ps_model_batch *batch)
{
    if (!batch->tokens && !batch->embeddings)
        return ps_fail(PS_INVALID_ARGUMENT, "batch without tokens");
    if (batch->length < 1 || batch->length > m->options.max_length)
        return ps_fail(PS_INVALID_ARGUMENT, "rows of %lld tokens, the model was made for 1 to %lld",
                       (long long)batch->length, (long long)m->options.max_length);
    if (m->row->take)
        return m->row->take(m, batch);
    int64_t n = batch->rows * batch->length;
    m->embedded = batch->embeddings;
    if (m->embedded) {
        PS_REQUIRE(m->options.explain && !batch->tokens && !batch->starts);
        ps_tensor x = ps_tensor_head(m->embeddings, n);
        ps_copy_to_device(m->stream, x, batch->embeddings, ps_tensor_bytes(x));
        return PS_OK;
    }
    ps_status st = ps_model_check_tokens(m, batch->tokens, n);
    if (!st)
        st = check_starts(batch);
    if (!st)
        ps_copy_to_device(m->stream, m->input, batch->tokens, (size_t)n * sizeof *batch->tokens);
    return st;
}

ps_status ps_model_forward(ps_model *m, const ps_model_batch *batch, const ps_model_hooks *hooks)
{
    ps_one_thread_require(&m->mine);
    if (batch->rows < 1 || batch->rows > m->options.max_batch)
        return ps_fail(PS_INVALID_ARGUMENT, "batch of %lld rows, the model was made for 1 to %lld",
                       (long long)batch->rows, (long long)m->options.max_batch);
    m->stage = PS_MODEL_EMPTY;
    m->rows = batch->rows;
    m->length = batch->length;
    m->starts = batch->starts;
    PS_REQUIRE(!(batch->train && m->options.explain));
    m->train = batch->train;
    m->add_gradients = batch->add_gradients;
    ps_status st = m->row->takes_tokens ? take_tokens(m, batch) : take_features(m, batch);
    if (!st)
        st = ps_model_pass(m, m->row->forward, hooks);
    if (!st)
        m->stage = PS_MODEL_FORWARD;
    return st;
}

/* The teacher's pass over the batch is complete when this returns. The student's waits in its own
 * stream meanwhile. */
static ps_status ask_teacher(ps_model *m, const ps_model_batch *batch)
{
    const ps_model_teaching *how = batch->teaching;
    m->teacher = how ? how->teacher : NULL;
    m->followed = how && how->n_hidden ? how : NULL;
    if (!how)
        return PS_OK;
    ps_model *teacher = how->teacher;
    PS_REQUIRE(teacher != m && teacher->row == m->row && teacher->backend == m->backend);
    PS_REQUIRE(teacher->options.inference && !teacher->options.decode);
    ps_model_batch asked = *batch;
    asked.train = false;
    ps_status st = ps_model_forward(teacher, &asked, NULL);
    if (!st)
        st = ps_stream_sync(teacher->stream);
    if (st)
        return ps_wrap(st, "the teacher");
    m->teaching = (ps_loss_teaching){.kind = how->kind,
                                     .temperature = (float)how->temperature,
                                     .alpha = (float)how->alpha,
                                     .top_k = how->top_k,
                                     .hidden = how->n_hidden > 0};
    if (!m->row->loss)
        m->teaching.logits = ps_tensor_head(teacher->output, batch->rows);
    return PS_OK;
}

ps_status ps_model_loss(ps_model *m, const ps_model_batch *batch)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->stage == PS_MODEL_FORWARD && batch->rows == m->rows);
    PS_REQUIRE(!m->row->takes_tokens || batch->length == m->length);
    ps_status st = ask_teacher(m, batch);
    if (st)
        return st;
    ps_loss_goal goal = goal_of(m, batch);
    st = m->row->loss ? m->row->loss(m, &goal) : m->loss.row->check(&m->loss, &goal);
    if (st)
        return st;
    ps_tensor y = ps_tensor_head(m->output, m->rows);
    if (!m->row->loss)
        m->loss.row->run(m->stream, &m->loss, &goal, m->gradients ? &y : NULL, y);
    m->goal = goal;
    if (m->followed)
        ps_model_compare(m);
    m->stage = PS_MODEL_LOSS;
    return PS_OK;
}

ps_status ps_model_backward(ps_model *m, const ps_model_hooks *hooks)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->stage == PS_MODEL_LOSS && m->gradients);
    m->stage = PS_MODEL_EMPTY;
    return ps_model_pass(m, m->row->backward, hooks);
}

/* Of a language, those that count. */
static int64_t labels_of(const ps_model *m)
{
    int64_t n = m->goal.labels ? m->goal.rows : 0;
    for (int64_t i = 0; m->goal.labels && labels_tokens(m) && i < m->goal.rows; i++)
        n -= m->goal.labels[i] < 0;
    return n;
}

ps_status ps_model_result_get(ps_model *m, ps_model_result *out)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->goal.rows > 0);
    if (m->row->result)
        return m->row->result(m, out);
    ps_loss_value value;
    ps_status st = m->loss.row->value(m->stream, &m->loss, &m->goal, &value);
    if (!st)
        *out = (ps_model_result){.loss = value.loss,
                                 .rows = m->rows,
                                 .labels = labels_of(m),
                                 .correct = value.correct,
                                 .divergence = value.divergence};
    return st;
}

ps_status ps_model_predict(ps_model *m, const ps_model_batch *batch, const ps_model_hooks *hooks,
                           float *out)
{
    if (!ps_tensor_present(m->output))
        return ps_fail(PS_FAILED_PRECONDITION, "the model has no classes to tell apart");
    ps_status st = ps_model_forward(m, batch, hooks);
    if (st)
        return st;
    m->stage = PS_MODEL_EMPTY; /* the softmax overwrites the outputs */
    if (m->row->answer)
        m->row->answer(m);
    ps_tensor y = ps_tensor_head(m->output, m->rows);
    if (m->loss.row->probabilities)
        ps_op_softmax(m->stream, y, y);
    return ps_copy_to_host(m->stream, out, y, ps_tensor_bytes(y));
}

/* Where a loss has its labels nothing is kept between two. */
ps_status ps_model_top(ps_model *m, int32_t *out)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->stage == PS_MODEL_FORWARD && m->loss.row->goal_is_labels);
    ps_tensor index = ps_tensor_head(m->loss.goal, m->rows * (labels_tokens(m) ? m->length : 1));
    if (m->row->top)
        m->row->top(m, index);
    else
        ps_op_argmax(m->stream, index, ps_tensor_head(m->output, m->rows));
    return ps_copy_to_host(m->stream, out, index, ps_tensor_bytes(index));
}

ps_status ps_model_states(ps_model *m, float *out)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->stage == PS_MODEL_FORWARD && m->row->states);
    return m->row->states(m, out);
}

ps_status ps_model_extend(ps_model *m, const int32_t *tokens, int64_t count, int64_t before,
                          float *out)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->row->extend && m->options.decode && count > 0 && before >= 0);
    if (before > m->options.max_length || count > m->options.max_length - before)
        return ps_fail(PS_OUT_OF_RANGE, "%lld tokens, the model was made for %lld",
                       (long long)(before + count), (long long)m->options.max_length);
    ps_status st = ps_model_check_tokens(m, tokens, count);
    if (st)
        return st;
    m->stage = PS_MODEL_EMPTY;
    m->rows = 1;
    return m->row->extend(m, tokens, count, before, out);
}

void ps_model_refresh(ps_model *m)
{
    for (size_t i = 0; i < m->layout.count; i++)
        m->stale[i] = true;
}
