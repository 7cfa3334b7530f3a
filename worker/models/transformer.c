/* The frame around the blocks, in the order of a step: embeddings, blocks, norm, head and loss, and
 * all of it back. Making and freeing is in transformer_init.c, memory in transformer_memory.c,
 * generation in transformer_extend.c.
 *
 * Fails with what a hook says, and on labels that are no tokens. */
#include "worker/models/transformer.h"

#include "common/base/require.h"

ps_tensor ps_transformer_rows(const ps_transformer *t, ps_tensor tensor)
{
    return ps_tensor_head(tensor, t->n);
}

/* ---- parameters as blocks see them ---- */

bool ps_transformer_has(const ps_transformer *t, ps_arch_part part)
{
    return t->parts[part].count > 0;
}

size_t ps_transformer_parameter(const ps_transformer *t, ps_arch_part part, int64_t l)
{
    PS_REQUIRE(l >= 0 && l < t->size.num_layers && part < PS_PARTS);
    size_t first = t->parts[part].first;
    return ps_arch_place_of(part) == PS_PLACE_BLOCK ? first + (size_t)l * t->block_parameters
                                                    : first;
}

static ps_tensor gradient_of(const ps_transformer *t, ps_arch_part part)
{
    return t->base.gradients[ps_transformer_parameter(t, part, 0)];
}

static bool is_tied(const ps_transformer *t)
{
    return ps_transformer_has(t, PS_PART_HEAD) &&
           t->parts[PS_PART_HEAD].first == t->parts[PS_PART_TOKENS].first;
}

ps_status ps_transformer_use(ps_transformer *t, int64_t l, ps_arch_part first, ps_arch_part last,
                             const ps_model_hooks *hooks)
{
    ps_status st = PS_OK;
    for (ps_arch_part part = first; part <= last; part++)
        for (size_t i = 0; !st && i < t->parts[part].count; i++)
            st = ps_model_use(&t->base, hooks, ps_transformer_parameter(t, part, l) + i);
    for (ps_arch_part part = first; part <= last && t->lora.rank; part++)
        if (!st && ps_transformer_has(t, part))
            st = ps_transformer_lora_use(t, l, part, hooks);
    return st;
}

ps_status ps_transformer_ready(ps_transformer *t, int64_t l, ps_arch_part part,
                               const ps_model_hooks *hooks)
{
    ps_status st = PS_OK;
    for (size_t i = t->parts[part].count; t->base.gradients && !st && i-- > 0;) {
        size_t at = ps_transformer_parameter(t, part, l) + i;
        if (ps_tensor_present(t->base.gradients[at]))
            st = ps_model_ready(hooks, at);
    }
    return st;
}

ps_norm_layer ps_transformer_norm(const ps_transformer *t, int64_t l, ps_arch_part part)
{
    ps_linear both = ps_transformer_linear(t, l, part); /* a gain and a bias, likewise */
    return (ps_norm_layer){.gain = both.weight,
                           .bias = both.bias,
                           .gain_gradient = both.weight_gradient,
                           .bias_gradient = both.bias_gradient,
                           .epsilon = (float)t->size.norm_epsilon,
                           .gain_offset = t->gain_offset,
                           .constant_rstd = t->base.watching && t->base.watching->constant_rstd};
}

/* ---- dropout ---- */

/* Bits depend on the seed, the pass and the branch, so a pass that is computed again, and its
 * gradients, find the same. */
void ps_transformer_drop_bits(const ps_transformer *t, int64_t branch, uint64_t *seed,
                              uint64_t *offset)
{
    PS_REQUIRE(branch >= 0 && branch < 1 << 24);
    *seed = t->base.options.seed + t->passes * 0x9E3779B97F4A7C15u;
    *offset = (uint64_t)branch * PS_TRANSFORMER_WORDS;
}

static double rate_of(const ps_transformer *t, int64_t branch)
{
    double own = t->size.choices.embedding_dropout;
    return !t->dropping ? 0 : branch == 0 && own >= 0 ? own : t->size.dropout;
}

static void drop(ps_transformer *t, ps_tensor y, ps_tensor x, int64_t branch)
{
    ps_dropout d = {.y = y, .x = x, .rate = (float)rate_of(t, branch)};
    ps_transformer_drop_bits(t, branch, &d.seed, &d.offset);
    ps_op_dropout(t->base.stream, &d);
}

void ps_transformer_drop(ps_transformer *t, ps_tensor x, int64_t branch)
{
    if (rate_of(t, branch) > 0)
        drop(t, x, x, branch);
}

ps_tensor ps_transformer_drop_backward(ps_transformer *t, ps_tensor room, int64_t branch)
{
    ps_tensor dx = ps_transformer_rows(t, t->dx);
    room = ps_transformer_rows(t, room);
    if (rate_of(t, branch) > 0)
        drop(t, room, dx, branch);
    else if (ps_model_shows_gradients(&t->base))
        ps_copy(t->base.stream, room, dx);
    else
        return dx;
    return room;
}

/* ---- forward ---- */

/* x[n,C] = (add ? x : 0) + the part's rows of these numbers */
static void look_up(const ps_transformer *t, ps_arch_part part, ps_tensor x, ps_tensor ids,
                    bool add)
{
    size_t table = ps_transformer_parameter(t, part, 0);
    ids = ps_tensor_head(ids, x.shape[0]);
    if (t->base.forms[table].form.row)
        ps_op_form_embedding(t->base.stream, x, &t->base.forms[table], ids, add);
    else
        ps_op_embedding(t->base.stream, x, t->base.weights[table], ids, add);
}

/* x += position_table[positions]; where somebody is to see them, they are put together apart:
 * normed is not in use yet. */
static void add_positions(const ps_transformer *t, ps_tensor x)
{
    if (!t->base.watching || !t->base.watching->at) {
        look_up(t, PS_PART_POSITIONS, x, t->positions, true);
        return;
    }
    ps_tensor apart = ps_transformer_rows(t, t->normed);
    look_up(t, PS_PART_POSITIONS, apart, t->positions, false);
    ps_model_at(&t->base, PS_TAP_POS_EMBED, 0, apart, 0);
    ps_op_add(t->base.stream, x, x, apart);
}

/* x, or its gradient. */
static void scale_embedding(const ps_transformer *t, ps_tensor x)
{
    if (t->embedding_scale != 1)
        ps_op_scale(t->base.stream, x, t->embedding_scale);
}

/* summed -> x0, where a norm is of what was added up */
static ps_status norm_embedding(ps_transformer *t, const ps_model_hooks *hooks)
{
    if (!ps_transformer_has(t, PS_PART_NORM_EMBEDDING))
        return PS_OK;
    ps_status st = ps_transformer_use(t, 0, PS_PART_TYPES, PS_PART_NORM_EMBEDDING, hooks);
    if (st)
        return st;
    ps_tensor summed = ps_transformer_rows(t, t->summed);
    if (ps_transformer_has(t, PS_PART_TYPES))
        look_up(t, PS_PART_TYPES, summed, t->texts.types, true);
    ps_norm_layer norm = ps_transformer_norm(t, 0, PS_PART_NORM_EMBEDDING);
    ps_norm_layer_forward(t->base.stream, &norm, t->norm_embedding,
                          ps_transformer_rows(t, t->states[0].input), summed);
    return PS_OK;
}

/* x0[n,C] = token_table[tokens], or what the batch has in their place, scaled (+
 * position_table[positions]) */
static ps_status embed(ps_transformer *t, const ps_model_hooks *hooks)
{
    bool norm = ps_transformer_has(t, PS_PART_NORM_EMBEDDING);
    ps_tensor x = ps_transformer_rows(t, norm ? t->summed : t->states[0].input);
    ps_status st = ps_transformer_use(t, 0, PS_PART_TOKENS, PS_PART_TOKENS, hooks);
    if (st)
        return st;
    if (!t->base.embedded)
        look_up(t, PS_PART_TOKENS, x, t->base.input, false);
    scale_embedding(t, x);
    ps_model_at(&t->base, PS_TAP_EMBED, 0, x, 0);
    if (!ps_transformer_has(t, PS_PART_POSITIONS))
        return PS_OK;
    st = ps_transformer_use(t, 0, PS_PART_POSITIONS, PS_PART_POSITIONS, hooks);
    if (!st)
        add_positions(t, x);
    return st ? st : norm_embedding(t, hooks);
}

static ps_tensor output_of(const ps_transformer *t, int64_t l)
{
    return ps_transformer_rows(t, l + 1 < t->size.num_layers ? t->states[l + 1].input : t->last);
}

/* Blocks for inference take turns with two outputs: what is asked for later is put aside. */
static void keep(ps_transformer *t, int64_t layer)
{
    for (size_t i = 0; i < t->base.options.n_keep; i++)
        if (t->base.options.keep[i] == layer)
            ps_copy(t->base.stream, ps_transformer_rows(t, t->kept[i]), output_of(t, layer - 1));
}

ps_tensor ps_transformer_hidden(ps_model *m, int64_t layer)
{
    ps_transformer *t = (ps_transformer *)m;
    PS_REQUIRE(layer >= 1 && layer <= t->size.num_layers);
    if (!m->options.inference)
        return output_of(t, layer - 1);
    size_t i = 0;
    while (i < m->options.n_keep && m->options.keep[i] != layer)
        i++;
    PS_REQUIRE(i < m->options.n_keep);
    return ps_transformer_rows(t, t->kept[i]);
}

ps_tensor ps_transformer_room(ps_model *m)
{
    return ((ps_transformer *)m)->dbranch;
}

ps_status ps_transformer_run(ps_transformer *t, const ps_model_hooks *hooks)
{
    PS_REQUIRE(t->n > 0 && t->n <= ps_transformer_max_rows(t));
    ps_copy_to_device(t->base.stream, ps_transformer_rows(t, t->positions), t->positions_host,
                      (size_t)t->n * sizeof *t->positions_host);
    ps_status st = embed(t, hooks);
    ps_transformer_drop(t, ps_transformer_rows(t, t->states[0].input), 0);
    for (int64_t l = 0; !st && l < t->size.num_layers; l++) {
        st = ps_transformer_block_forward(t, l, output_of(t, l), hooks);
        if (!st)
            keep(t, l + 1);
    }
    if (!st)
        st = ps_transformer_use(t, 0, PS_PART_NORM, PS_PART_HEAD, hooks);
    if (st || !ps_transformer_has(t, PS_PART_NORM))
        return st;
    ps_norm_layer norm = ps_transformer_norm(t, 0, PS_PART_NORM);
    ps_tensor normed = ps_transformer_rows(t, t->normed);
    ps_norm_layer_forward(t->base.stream, &norm, t->norm_state, normed,
                          ps_transformer_rows(t, t->last));
    ps_model_at(&t->base, PS_TAP_LN_FINAL, 0, normed, 0);
    return PS_OK;
}

ps_status ps_transformer_forward(ps_model *m, const ps_model_hooks *hooks)
{
    ps_transformer *t = (ps_transformer *)m;
    t->batch = m->rows;
    t->length = m->length;
    t->n = m->rows * m->length;
    t->before = -1;
    t->beta = m->add_gradients ? 1 : 0;
    t->dropping = m->train;
    t->passes += m->train;
    t->several = m->starts;
    if (t->several)
        ps_copy_to_device(m->stream, ps_transformer_rows(t, t->starts), m->starts,
                          (size_t)t->n * sizeof *m->starts);
    for (int64_t i = 0; i < t->n; i++)
        t->positions_host[i] = (int32_t)(i % t->length) - (t->several ? m->starts[i] : 0);
    return ps_transformer_run(t, hooks);
}

/* ---- loss ---- */

static ps_status count_labels(const ps_transformer *t, const ps_loss_goal *goal, int64_t *out)
{
    if (!goal->labels)
        return ps_fail(PS_INVALID_ARGUMENT, "a language model needs the tokens that follow");
    int64_t count = 0;
    for (int64_t i = 0; i < goal->rows; i++) {
        if (goal->labels[i] < -1 || goal->labels[i] >= t->size.vocab_size)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "label %d at token %lld of the batch, the vocabulary has %lld",
                           (int)goal->labels[i], (long long)i, (long long)t->size.vocab_size);
        count += goal->labels[i] >= 0;
    }
    *out = count;
    return PS_OK;
}

ps_status ps_transformer_loss(ps_model *m, const ps_loss_goal *goal)
{
    ps_transformer *t = (ps_transformer *)m;
    int64_t count = 0;
    ps_status st = count_labels(t, goal, &count);
    if (st)
        return st;
    ps_tensor labels = ps_tensor_head(m->loss.goal, goal->rows);
    ps_copy_to_device(m->stream, labels, goal->labels, ps_tensor_bytes(labels));
    ps_head_pass pass = {.x = ps_transformer_rows(t, t->normed),
                         .labels = labels,
                         .loss = ps_loss_result_loss(&m->loss),
                         .correct = ps_loss_result_correct(&m->loss),
                         .scale = count ? (float)(goal->weight / (double)count) : 0,
                         .beta = t->beta};
    ps_head_teacher teacher;
    if (goal->teaching) {
        const ps_transformer *other = (const ps_transformer *)m->teacher;
        PS_REQUIRE(other->n == t->n);
        teacher = (ps_head_teacher){.head = &other->head,
                                    .x = ps_transformer_rows(other, other->normed),
                                    .divergence = ps_loss_result_divergence(&m->loss),
                                    .how = goal->teaching};
        pass.teacher = &teacher;
    }
    if (m->gradients)
        pass.dx = ps_transformer_rows(t, t->dx);
    ps_head_loss(m->stream, &t->head, &pass);
    return PS_OK;
}

/* ---- outputs where they are asked for ---- */

/* Rows by their numbers are what an embedding looks up. */
ps_tensor ps_transformer_outputs_at(ps_model *m, ps_tensor ids)
{
    ps_transformer *t = (ps_transformer *)m;
    ps_tensor x = ps_tensor_head(t->picked, ids.shape[0]);
    ps_tensor logits = ps_tensor_head(t->head.logits, ids.shape[0]);
    ps_op_embedding(m->stream, x, ps_transformer_rows(t, t->normed), ids, false);
    ps_head_logits(m->stream, &t->head, logits, x, 0);
    return logits;
}

void ps_transformer_seed(ps_model *m, ps_tensor ids, const float *douts, bool first)
{
    ps_transformer *t = (ps_transformer *)m;
    ps_tensor dlogits = ps_tensor_head(t->head.dlogits, ids.shape[0]);
    ps_tensor given = ps_tensor_head(t->picked, ids.shape[0]);
    ps_tensor dx = ps_transformer_rows(t, t->dx);
    if (first)
        ps_op_fill(m->stream, dx, 0);
    ps_copy_to_device(m->stream, dlogits, douts, ps_tensor_bytes(dlogits));
    if (t->head.softcap > 0) /* logits of before may be others' by now */
        ps_head_uncap(m->stream, &t->head, dlogits, ps_transformer_outputs_at(m, ids));
    ps_head_backward_input(m->stream, &t->head, given, dlogits);
    ps_op_embedding_backward(m->stream, dx, given, ids);
}

ps_tensor ps_transformer_embed(ps_model *m, ps_tensor ids)
{
    ps_transformer *t = (ps_transformer *)m;
    ps_tensor x = ps_tensor_head(t->picked, ids.shape[0]);
    look_up(t, PS_PART_TOKENS, x, ids, false);
    return x;
}

/* dbranch is free between passes. */
ps_tensor ps_transformer_read_out(ps_model *m, const float *x, int64_t n)
{
    ps_transformer *t = (ps_transformer *)m;
    ps_norm_layer norm = ps_transformer_norm(t, 0, PS_PART_NORM);
    ps_tensor given = ps_tensor_head(t->dbranch, n), normed = ps_tensor_head(t->picked, n);
    ps_tensor logits = ps_tensor_head(t->head.logits, n);
    ps_copy_to_device(m->stream, given, x, ps_tensor_bytes(given));
    ps_norm_layer_forward(m->stream, &norm, t->apart, normed, given);
    ps_head_logits(m->stream, &t->head, logits, normed, 0);
    return logits;
}

void ps_transformer_top(ps_model *m, ps_tensor index)
{
    ps_transformer *t = (ps_transformer *)m;
    PS_REQUIRE(t->n == index.shape[0]);
    ps_head_top(m->stream, &t->head, index, ps_transformer_rows(t, t->normed));
}

void ps_transformer_answer(ps_model *m)
{
    PS_REQUIRE(((ps_transformer *)m)->n ==
               ((ps_transformer *)m)->batch * ((ps_transformer *)m)->length);
    ps_transformer *t = (ps_transformer *)m;
    ps_tensor last = ps_transformer_rows(t, t->normed);
    last.offset += (size_t)((t->length - 1) * t->size.hidden_size) * ps_dtype_bytes(t->type);
    ps_head_logits(m->stream, &t->head, ps_tensor_head(m->output, t->batch), last,
                   t->length * t->size.hidden_size);
}

/* ---- backward ---- */

/* dx, of x0, becomes that of what is added up, and the types' gradient is there. */
static ps_status backward_norm_embedding(ps_transformer *t, ps_tensor dx,
                                         const ps_model_hooks *hooks)
{
    if (!ps_transformer_has(t, PS_PART_NORM_EMBEDDING))
        return PS_OK;
    ps_stream *s = t->base.stream;
    ps_norm_layer norm = ps_transformer_norm(t, 0, PS_PART_NORM_EMBEDDING);
    ps_norm_layer_backward_in_place(s, &norm, t->norm_embedding, dx,
                                    ps_transformer_rows(t, t->summed), t->beta);
    ps_status st = ps_transformer_ready(t, 0, PS_PART_NORM_EMBEDDING, hooks);
    ps_tensor dtypes =
        ps_transformer_has(t, PS_PART_TYPES) ? gradient_of(t, PS_PART_TYPES) : (ps_tensor){0};
    if (st || !ps_tensor_present(dtypes))
        return st;
    if (t->beta == 0)
        ps_op_fill(s, dtypes, 0);
    ps_op_embedding_backward(s, dtypes, dx, ps_transformer_rows(t, t->texts.types));
    return ps_transformer_ready(t, 0, PS_PART_TYPES, hooks);
}

/* dx[n,C] -> the tables' gradients. A tied token table holds the head's already. */
static ps_status backward_embedding(ps_transformer *t, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    bool explain = t->base.options.explain; /* then dx is the input's */
    ps_tensor dx =
        explain ? ps_transformer_rows(t, t->dx) : ps_transformer_drop_backward(t, t->dbranch, 0);
    if (ps_transformer_has(t, PS_PART_POSITIONS))
        ps_model_gradient_at(&t->base, PS_TAP_POS_EMBED, 0, dx, 0);
    ps_model_gradient_at(&t->base, PS_TAP_EMBED, 0, dx, 0);
    scale_embedding(t, dx);
    if (explain)
        return PS_OK;
    ps_status st = backward_norm_embedding(t, dx, hooks);
    if (st)
        return st;
    ps_tensor dpositions = {0}, dtokens = gradient_of(t, PS_PART_TOKENS);
    if (ps_transformer_has(t, PS_PART_POSITIONS))
        dpositions = gradient_of(t, PS_PART_POSITIONS);
    if (ps_tensor_present(dpositions)) {
        if (t->beta == 0)
            ps_op_fill(s, dpositions, 0);
        ps_op_embedding_backward(s, dpositions, dx, ps_transformer_rows(t, t->positions));
        st = ps_transformer_ready(t, 0, PS_PART_POSITIONS, hooks);
        if (st)
            return st;
    }
    if (!ps_tensor_present(dtokens))
        return PS_OK;
    if (t->beta == 0 && !is_tied(t))
        ps_op_fill(s, dtokens, 0);
    ps_op_embedding_backward(s, dtokens, dx, ps_transformer_rows(t, t->base.input));
    return ps_transformer_ready(t, 0, PS_PART_TOKENS, hooks);
}

static ps_status backward_norm(ps_transformer *t, const ps_model_hooks *hooks)
{
    ps_norm_layer norm = ps_transformer_norm(t, 0, PS_PART_NORM);
    ps_norm_layer_backward_in_place(t->base.stream, &norm, t->norm_state,
                                    ps_transformer_rows(t, t->dx), ps_transformer_rows(t, t->last),
                                    t->beta);
    return ps_transformer_ready(t, 0, PS_PART_NORM, hooks);
}

ps_status ps_transformer_backward(ps_model *m, const ps_model_hooks *hooks)
{
    ps_transformer *t = (ps_transformer *)m;
    ps_status st = PS_OK;
    if (!is_tied(t))
        st = ps_transformer_ready(t, 0, PS_PART_HEAD, hooks);
    ps_model_gradient_at(m, PS_TAP_LN_FINAL, 0, ps_transformer_rows(t, t->dx), 0);
    if (!st)
        st = backward_norm(t, hooks);
    return st ? st : ps_transformer_backward_blocks(t, hooks);
}

ps_status ps_transformer_backward_blocks(ps_transformer *t, const ps_model_hooks *hooks)
{
    static const ps_model_hooks silent;
    ps_model *m = &t->base;
    ps_status st = PS_OK;
    ps_model_follow(m, t->size.num_layers, ps_transformer_rows(t, t->dx));
    for (int64_t l = t->size.num_layers; !st && l-- > 0;) {
        if (m->options.recompute)
            st = ps_transformer_block_forward(t, l, (ps_tensor){0}, &silent);
        if (!st)
            st = ps_transformer_block_backward(t, l, hooks);
        ps_model_follow(m, l, ps_transformer_rows(t, t->dx));
    }
    return st ? st : backward_embedding(t, hooks);
}
