/* Happy path: the tensors come in the order of the forward pass, and each is worked off as its
 * numbers come: rows of an embedding are picked, a norm is applied by its gain, a product grows by
 * every number of its weight; attention and activation are computed before the weight that needs
 * them. What an architecture computes, its parts say (common/arch). */
#include "common/model/probe.h"

#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/vector.h"
#include "common/model/probe_pass.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { T = PS_PROBE_TOKENS };

typedef ps_probe_lane lane;
typedef ps_probe_pass pass;

/* ---- tensors as they come ---- */

/* y[row] += x·w, of a weight [out, in]. */
PS_VECTOR_CLONES
static void product(void *user, uint64_t first, const float *w, size_t n)
{
    pass *p = user;
    while (n) {
        uint64_t row = first / p->columns, column = first % p->columns;
        size_t part = p->columns - column < n ? (size_t)(p->columns - column) : n;
        const lane *x = p->from + column;
        lane sum = {0};
        for (size_t i = 0; i < part; i++)
            for (int t = 0; t < T; t++)
                sum[t] += x[i][t] * (double)w[i];
        for (int t = 0; t < T; t++)
            p->to[row][t] += sum[t];
        first += part;
        w += part;
        n -= part;
    }
}

/* The same of one [in, out]. */
PS_VECTOR_CLONES
static void product_turned(void *user, uint64_t first, const float *w, size_t n)
{
    pass *p = user;
    for (size_t i = 0; i < n; i++) {
        const double *x = p->from[(first + i) / p->columns];
        double *y = p->to[(first + i) % p->columns];
        for (int t = 0; t < T; t++)
            y[t] += x[t] * (double)w[i];
    }
}

static void pick_rows(void *user, uint64_t first, const float *w, size_t n)
{
    pass *p = user;
    for (size_t i = 0; i < n; i++)
        for (int t = 0; t < T; t++)
            if ((first + i) / p->columns == p->tokens[t])
                p->to[(first + i) % p->columns][t] = (double)w[i];
}

static void add_positions(void *user, uint64_t first, const float *w, size_t n)
{
    pass *p = user;
    for (size_t i = 0; i < n && first + i < T * p->columns; i++)
        p->to[(first + i) % p->columns][(first + i) / p->columns] += (double)w[i];
}

/* The row of the first text to the first tokens, and that of a second, if there is one, to others.
 */
static void add_types(void *user, uint64_t first, const float *w, size_t n)
{
    pass *p = user;
    uint64_t types = (uint64_t)p->m->choices.type_vocab_size;
    for (size_t i = 0; i < n; i++)
        for (int t = 0; t < T; t++)
            if ((first + i) / p->columns == (uint64_t)t * types / T)
                p->to[(first + i) % p->columns][t] += (double)w[i];
}

static void add(void *user, uint64_t first, const float *w, size_t n)
{
    pass *p = user;
    for (size_t i = 0; i < n; i++)
        for (int t = 0; t < T; t++)
            p->to[first + i][t] += (double)w[i];
}

static void scale(void *user, uint64_t first, const float *w, size_t n)
{
    pass *p = user;
    for (size_t i = 0; i < n; i++)
        for (int t = 0; t < T; t++)
            p->to[first + i][t] *= (double)w[i] + p->offset;
}

/* Of each head. */
static void scale_heads(void *user, uint64_t first, const float *w, size_t n)
{
    pass *p = user;
    uint64_t size = (uint64_t)p->m->head_dim;
    for (uint64_t at = 0; at < p->columns; at += size)
        for (size_t i = 0; i < n; i++)
            for (int t = 0; t < T; t++)
                p->to[at + first + i][t] *= (double)w[i] + p->offset;
}

static ps_status visit(pass *p, const ps_lm_tensor *tensor,
                       void (*numbers)(void *, uint64_t, const float *, size_t), const lane *from,
                       lane *to)
{
    p->from = from;
    p->to = to;
    p->columns = tensor->shape[tensor->n_dims - 1];
    return p->source->visit(p->source->user, tensor, (ps_probe_sink){numbers, p});
}

ps_status ps_probe_layer(pass *p, const ps_lm_tensor *t, const lane *from, lane *to, bool residual)
{
    if (t->bias)
        return visit(p, t, add, NULL, to);
    bool turned = t->change == PS_LM_TRANSPOSE;
    if (!residual)
        memset(to, 0, (size_t)t->shape[turned ? 1 : 0] * sizeof *to);
    return visit(p, t, turned ? product_turned : product, from, to);
}

/* ---- what stands between them ---- */

/* y[n] = x less its mean (of a LayerNorm), of length 1 a number; its gain comes next. */
static void normalise(const pass *p, lane *y, const lane *x, uint64_t n)
{
    for (int t = 0; t < T; t++) {
        double mean = 0, square = 0;
        for (uint64_t i = 0; i < n && p->layer_norm; i++)
            mean += x[i][t] / (double)n;
        for (uint64_t i = 0; i < n; i++)
            square += (x[i][t] - mean) * (x[i][t] - mean) / (double)n;
        for (uint64_t i = 0; i < n; i++)
            y[i][t] = (x[i][t] - mean) / sqrt(square + p->m->norm_epsilon);
    }
}

static double capped(double x, double cap)
{
    return cap > 0 ? cap * tanh(x / cap) : x;
}

/* Heads of x at all positions: number i and i + half of a head by one angle. */
static void turn(const pass *p, lane *x, uint64_t heads)
{
    uint64_t size = (uint64_t)p->m->head_dim, half = p->turned / 2;
    bool local = ps_arch_slides(&p->m->choices, p->block);
    const double *frequencies = p->turns[local].frequencies, by = p->turns[local].scale;
    for (uint64_t head = 0; head < heads; head++, x += size)
        for (uint64_t i = 0; i < half; i++)
            for (int t = 0; t < T; t++) {
                double angle = t * frequencies[i];
                double a = x[i][t], b = x[i + half][t];
                x[i][t] = (a * cos(angle) - b * sin(angle)) * by;
                x[i + half][t] = (b * cos(angle) + a * sin(angle)) * by;
            }
}

/* Of one head and token: softmax over the tokens that it sees, of a decoder those up to it. */
static void attend(const pass *p, const lane *q, const lane *k, const lane *v, int t, lane *out)
{
    uint64_t size = (uint64_t)p->m->head_dim;
    const ps_arch_choices *c = &p->m->choices;
    double score[T], most = -INFINITY, sum = 0;
    double root = sqrt(c->query_pre_attn_scalar > 0 ? c->query_pre_attn_scalar : (double)size);
    int first = 0, last = p->arch->family == PS_ARCH_ENCODER ? T - 1 : t;
    if (ps_arch_slides(c, p->block) && t >= c->sliding_window)
        first = t - (int)c->sliding_window + 1;
    for (int u = first; u <= last; u++) {
        score[u] = 0;
        for (uint64_t i = 0; i < size; i++)
            score[u] += q[i][t] * k[i][u] / root;
        score[u] = capped(score[u], c->attention_softcap);
        most = fmax(most, score[u]);
    }
    for (int u = first; u <= last; u++)
        sum += score[u] = exp(score[u] - most);
    for (uint64_t i = 0; i < size; i++) {
        out[i][t] = 0;
        for (int u = first; u <= last; u++)
            out[i][t] += score[u] / sum * v[i][u];
    }
}

static void attention(pass *p)
{
    uint64_t size = (uint64_t)p->m->head_dim, heads = p->heads / size, shared = p->kv / size;
    if (p->rope) {
        turn(p, p->q, heads);
        turn(p, p->k, shared);
    }
    for (uint64_t head = 0; head < heads; head++) {
        uint64_t of_kv = head / (heads / shared) * size;
        for (int t = 0; t < T; t++)
            attend(p, p->q + head * size, p->k + of_kv, p->v + of_kv, t, p->a + head * size);
    }
}

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static double act(ps_arch_act kind, double x)
{
    return kind == PS_ACT_SILU        ? x / (1 + exp(-x))
           : kind == PS_ACT_GELU_TANH ? gelu_tanh(x)
           : kind == PS_ACT_GELU      ? 0.5 * x * (1 + erf(x / 1.41421356237309504880))
                                      : fmax(x, 0);
}

static void activate(pass *p)
{
    ps_arch_act kind = ps_arch_act_of(p->arch, &p->m->choices);
    for (uint64_t i = 0; i < p->inner; i++)
        for (int t = 0; t < T; t++)
            p->up[i][t] =
                p->gated ? p->up[i][t] * act(kind, p->gate[i][t]) : act(kind, p->up[i][t]);
}

/* ---- language models ---- */

static ps_status work_off_norm(pass *p, const ps_lm_tensor *t)
{
    bool parallel = t->part == PS_PART_NORM_MLP && p->m->choices.parallel_residual;
    if (t->part == PS_PART_NORM_ATTENTION && !t->bias) {
        p->block++;
        memcpy(p->in, p->x, (size_t)p->hidden * sizeof *p->in);
    }
    if (!t->bias)
        normalise(p, p->h, parallel ? p->in : p->x, p->hidden);
    return visit(p, t, t->bias ? add : scale, NULL, p->h);
}

static ps_status work_off_heads_norm(pass *p, const ps_lm_tensor *t, lane *x, uint64_t width)
{
    uint64_t size = (uint64_t)p->m->head_dim;
    for (uint64_t at = 0; at < width; at += size)
        normalise(p, x + at, x + at, size);
    p->to = x;
    p->columns = width;
    return p->source->visit(p->source->user, t, (ps_probe_sink){scale_heads, p});
}

/* What a half gives is added behind its norm. */
static ps_status work_off_norm_after(pass *p, const ps_lm_tensor *t)
{
    normalise(p, p->said, p->said, p->hidden);
    ps_status st = visit(p, t, scale, NULL, p->said);
    for (uint64_t i = 0; !st && i < p->hidden; i++)
        for (int k = 0; k < T; k++)
            p->x[i][k] += p->said[i][k];
    return st;
}

/* What has been added up becomes its norm, which is what is read and added to. */
static ps_status work_off_norm_added(pass *p, const ps_lm_tensor *t)
{
    if (!t->bias)
        normalise(p, p->h, p->x, p->hidden);
    ps_status st = visit(p, t, t->bias ? add : scale, NULL, p->h);
    if (!st && t->bias)
        memcpy(p->x, p->h, (size_t)p->hidden * sizeof *p->x);
    return st;
}

static ps_status work_off_pooler(pass *p, const ps_lm_tensor *t)
{
    ps_status st = ps_probe_layer(p, t, p->h, p->said, false);
    for (uint64_t i = 0; !st && t->bias && i < p->hidden; i++)
        for (int k = 0; k < T; k++)
            p->said[i][k] = tanh(p->said[i][k]);
    return st;
}

/* The product that a half of a block ends with. */
static ps_status work_off_last(pass *p, const ps_lm_tensor *t, const lane *from)
{
    bool after = ps_arch_has(p->arch, t->part == PS_PART_O ? PS_PART_NORM_AFTER_ATTENTION
                                                           : PS_PART_NORM_AFTER_MLP);
    return ps_probe_layer(p, t, from, after ? p->said : p->x, !after);
}

static ps_status embed(pass *p, const ps_lm_tensor *t)
{
    ps_status st = visit(p, t, pick_rows, NULL, p->x);
    for (uint64_t i = 0; !st && p->arch->traits.scaled_embedding && i < p->hidden; i++)
        for (int k = 0; k < T; k++)
            p->x[i][k] *= sqrt((double)p->hidden);
    return st;
}

static ps_status work_off(pass *p, const ps_lm_tensor *t)
{
    switch (t->part) {
    case PS_PART_TOKENS:
        return embed(p, t);
    case PS_PART_POSITIONS:
        return visit(p, t, add_positions, NULL, p->x);
    case PS_PART_TYPES:
        return visit(p, t, add_types, NULL, p->x);
    case PS_PART_NORM_EMBEDDING:
    case PS_PART_NORM_ADDED_ATTENTION:
    case PS_PART_NORM_ADDED_MLP:
        return work_off_norm_added(p, t);
    case PS_PART_POOLER:
        return work_off_pooler(p, t);
    case PS_PART_CLASSES:
        return ps_probe_layer(p, t, p->said, p->logits, false);
    case PS_PART_QKV:
    case PS_PART_Q:
        return ps_probe_layer(p, t, p->h, p->q, false);
    case PS_PART_K:
        return ps_probe_layer(p, t, p->h, p->k, false);
    case PS_PART_V:
        return ps_probe_layer(p, t, p->h, p->v, false);
    case PS_PART_O:
        if (!t->bias)
            attention(p);
        return work_off_last(p, t, p->a);
    case PS_PART_GATE:
        return ps_probe_layer(p, t, p->h, p->gate, false);
    case PS_PART_UP:
        return ps_probe_layer(p, t, p->h, p->up, false);
    case PS_PART_DOWN:
        if (!t->bias)
            activate(p);
        return work_off_last(p, t, p->up);
    case PS_PART_HEAD:
        return ps_probe_layer(p, t, p->h, p->logits, false);
    case PS_PART_NORM_Q:
        return work_off_heads_norm(p, t, p->q, p->heads);
    case PS_PART_NORM_K:
        return work_off_heads_norm(p, t, p->k, p->kv);
    case PS_PART_NORM_AFTER_ATTENTION:
    case PS_PART_NORM_AFTER_MLP:
        return work_off_norm_after(p, t);
    case PS_PART_NORM_ATTENTION:
    case PS_PART_NORM_MLP:
    case PS_PART_NORM:
        break;
    case PS_PARTS:
        PS_REQUIRE(false);
    }
    return work_off_norm(p, t);
}

lane *ps_probe_lanes(double **memory, uint64_t n)
{
    lane *out = (lane *)(void *)*memory;
    *memory += n * T;
    return out;
}

ps_status ps_probe_no_memory(uint64_t numbers)
{
    return ps_fail(PS_NO_MEMORY, "no memory for a forward pass: %llu numbers",
                   (unsigned long long)numbers);
}

static void make_turns(pass *p)
{
    const ps_spec_model *m = p->m;
    const ps_rope_spec specs[] = {m->rope, ps_rope_local(&m->rope)};
    p->turned = (uint64_t)ps_rope_turned(&m->rope, m->head_dim);
    for (int i = 0; i < 2 && p->rope; i++) {
        p->turns[i].frequencies = ps_alloc_array(p->turned / 2, sizeof(double));
        ps_rope_frequencies(&specs[i], (int64_t)p->turned, m->context_length,
                            p->turns[i].frequencies, &p->turns[i].scale);
    }
}

/* How many numbers it says of a token. */
static uint64_t outputs_of(const ps_spec_model *m)
{
    if (!ps_spec_model_is_encoder(m))
        return (uint64_t)m->vocab_size;
    return (uint64_t)(m->choices.num_classes ? m->choices.num_classes : m->hidden_size);
}

static ps_status run_language(const ps_spec_model *m, const ps_probe_source *source,
                              const ps_lm_tensor *tensors, size_t n, double **out, size_t *n_out)
{
    const ps_arch *arch = ps_arch_find(m->architecture);
    pass p = {.m = m,
              .arch = arch,
              .block = -1,
              .offset = arch->traits.gains_less_one ? 1 : 0,
              .source = source,
              .hidden = (uint64_t)m->hidden_size,
              .heads = (uint64_t)(m->num_heads * m->head_dim),
              .kv = (uint64_t)(m->num_kv_heads * m->head_dim),
              .inner = (uint64_t)m->intermediate_size,
              .vocab = (uint64_t)m->vocab_size,
              .outputs = outputs_of(m),
              .rope = !ps_arch_has(arch, PS_PART_POSITIONS),
              .gated = ps_arch_has(arch, PS_PART_GATE)};
    uint64_t all = 4 * p.hidden + 2 * p.heads + 2 * p.kv + 2 * p.inner + p.outputs;
    double *memory = ps_try_alloc(all * sizeof(lane)), *at = memory;
    if (!memory)
        return ps_probe_no_memory(all * T);
    p.logits = ps_probe_lanes(&at, p.outputs); /* the first: it is given away */
    p.x = ps_probe_lanes(&at, p.hidden);
    p.h = ps_probe_lanes(&at, p.hidden);
    p.in = ps_probe_lanes(&at, p.hidden);
    p.said = ps_probe_lanes(&at, p.hidden);
    p.q = ps_probe_lanes(&at, p.heads);
    p.k = ps_probe_lanes(&at, p.kv);
    p.v = ps_probe_lanes(&at, p.kv);
    p.a = ps_probe_lanes(&at, p.heads);
    p.gate = ps_probe_lanes(&at, p.inner);
    p.up = ps_probe_lanes(&at, p.inner);
    for (uint64_t t = 0; t < T; t++)
        p.tokens[t] = ps_probe_token(t, p.vocab);
    make_turns(&p);
    ps_status st = PS_OK;
    for (size_t i = 0; i < n; i++)
        p.layer_norm |= ps_arch_is_norm(tensors[i].part) && tensors[i].bias;
    for (size_t i = 0; !st && i < n; i++)
        st = work_off(&p, &tensors[i]);
    if (!st && arch->family == PS_ARCH_ENCODER && !m->choices.num_classes)
        memcpy(p.logits, p.h, (size_t)p.hidden * sizeof *p.h); /* what is embedded */
    else if (!st && arch->family == PS_ARCH_LANGUAGE && tensors[n - 1].part != PS_PART_HEAD)
        st = ps_probe_layer(&p, &tensors[0], p.h, p.logits, false);
    for (uint64_t i = 0; i < p.outputs; i++)
        for (int t = 0; t < T; t++)
            p.logits[i][t] = capped(p.logits[i][t], m->choices.logit_softcap);
    for (int i = 0; i < 2; i++)
        ps_free(&p.turns[i].frequencies);
    *out = memory;
    *n_out = (size_t)p.outputs * T;
    return st;
}

/* ---- any ---- */

void ps_probe_tensors(const ps_spec_model *m, ps_lm_tensor **out, size_t *n)
{
    if (ps_spec_model_reads_tokens(m))
        ps_lm_layout(m, out, n);
    else
        ps_probe_list_layers(m, out, n);
}

ps_status ps_probe_run(const ps_spec_model *m, const ps_probe_source *source, double **out,
                       size_t *n)
{
    ps_lm_tensor *tensors = NULL;
    size_t count = 0;
    *out = NULL;
    ps_probe_tensors(m, &tensors, &count);
    ps_status st = ps_spec_model_reads_tokens(m)
                       ? run_language(m, source, tensors, count, out, n)
                       : ps_probe_run_layers(m, source, tensors, count, out, n);
    ps_free(&tensors);
    if (st)
        ps_free(out);
    return st;
}
