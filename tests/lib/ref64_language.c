/* Written from the papers and the published configurations, not from worker/models. */
#include "tests/lib/ref64_language.h"

#include "common/base/mem.h"
#include "tests/lib/ref64.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct walk {
    const ps_ref64_language *m;
    const ps_model_language *size;
    bool llama;    /* or what differs from it by biases alone */
    int rows, row; /* of the batch, and the one that is walked */
    int length, c, heads, kv_heads, d, f;
    int q; /* of all heads of queries */
} walk;

static const double *parameter(const walk *w, const char *name)
{
    for (size_t i = 0; i < w->m->layout->count; i++)
        if (strcmp(w->m->layout->parameters[i].name, name) == 0)
            return w->m->parameters[i];
    ck_abort_msg("the layout has no %s", name);
    return NULL;
}

static const double *of_block(const walk *w, int l, const char *name)
{
    char full[96];
    (void)snprintf(full, sizeof full, w->llama ? "model.layers.%d.%s" : "h.%d.%s", l, name);
    return parameter(w, full);
}

/* NULL: the architecture has none. */
static const double *bias_of_block(const walk *w, int l, const char *name)
{
    char full[96];
    (void)snprintf(full, sizeof full, "model.layers.%d.%s", l, name);
    for (size_t i = 0; i < w->m->layout->count; i++)
        if (strcmp(w->m->layout->parameters[i].name, full) == 0)
            return w->m->parameters[i];
    return NULL;
}

static double *doubles(int n)
{
    return ps_alloc_array((size_t)n, sizeof(double));
}

/* y[length,n] */
static void norm(const walk *w, double *y, const double *x, const double *gain, const double *bias)
{
    for (int t = 0; t < w->length; t++, x += w->c, y += w->c) {
        double mean = 0, square = 0;
        for (int i = 0; i < w->c && bias; i++)
            mean += x[i] / w->c;
        for (int i = 0; i < w->c; i++)
            square += (x[i] - mean) * (x[i] - mean) / w->c;
        for (int i = 0; i < w->c; i++)
            y[i] = (x[i] - mean) / sqrt(square + w->size->norm_epsilon) * gain[i] +
                   (bias ? bias[i] : 0);
    }
}

/* y[length,out] (+)= x[length,in]·W (+ bias); W is [in,out] in gpt2, [out,in] in others */
static void linear(const walk *w, double *y, const double *x, const double *weight,
                   const double *bias, int in, int out, bool add)
{
    for (int t = 0; t < w->length; t++)
        for (int o = 0; o < out; o++) {
            double sum = bias ? bias[o] : 0;
            for (int i = 0; i < in; i++)
                sum += x[t * in + i] * (w->llama ? weight[o * in + i] : weight[i * out + o]);
            y[t * out + o] = sum + (add ? y[t * out + o] : 0);
        }
}

/* Turns one head of x at position t. */
static void turn(const walk *w, double *x, int t)
{
    for (int i = 0; i < w->d / 2; i++) {
        double angle = t / pow(w->size->rope.theta, 2.0 * i / w->d);
        double a = x[i], b = x[i + w->d / 2];
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + w->d / 2] = b * cos(angle) + a * sin(angle);
    }
}

/* What dropout makes of a weight of key 0 of query t, and behind it of the others; or NULL. */
static const double *kept_of(const walk *w, int l, int h, int t)
{
    int64_t query = (((int64_t)l * w->rows + w->row) * w->heads + h) * w->length + t;
    return w->m->kept ? w->m->kept + query * w->length : NULL;
}

/* y[length,heads·d] of head h of block l */
static void attend(const walk *w, int l, int h, double *y, const double *q, const double *k,
                   const double *v, int ld_kv, int ld_q)
{
    double *p = doubles(w->length);
    y += h * w->d;
    for (int t = 0; t < w->length; t++) {
        const double *kept = kept_of(w, l, h, t);
        double sum = 0;
        for (int u = 0; u <= t; u++) {
            double score = 0;
            for (int i = 0; i < w->d; i++)
                score += q[t * ld_q + i] * k[u * ld_kv + i];
            sum += p[u] = exp(score / sqrt(w->d));
        }
        for (int i = 0; i < w->d; i++) {
            double out = 0;
            for (int u = 0; u <= t; u++)
                out += p[u] / sum * (kept ? kept[u] : 1) * v[u * ld_kv + i];
            y[t * w->q + i] = out;
        }
    }
    ps_free(&p);
}

static void attention_gpt2(const walk *w, double *y, const double *x, int l)
{
    double *qkv = doubles(w->length * 3 * w->q);
    linear(w, qkv, x, of_block(w, l, "attn.c_attn.weight"), of_block(w, l, "attn.c_attn.bias"),
           w->c, 3 * w->q, false);
    for (int h = 0; h < w->heads; h++)
        attend(w, l, h, y, qkv + h * w->d, qkv + w->q + h * w->d, qkv + 2 * w->q + h * w->d,
               3 * w->q, 3 * w->q);
    ps_free(&qkv);
}

static void attention_llama(const walk *w, double *y, const double *x, int l)
{
    int kv = w->kv_heads * w->d;
    double *q = doubles(w->length * w->q), *k = doubles(w->length * kv);
    double *v = doubles(w->length * kv);
    linear(w, q, x, of_block(w, l, "self_attn.q_proj.weight"),
           bias_of_block(w, l, "self_attn.q_proj.bias"), w->c, w->q, false);
    linear(w, k, x, of_block(w, l, "self_attn.k_proj.weight"),
           bias_of_block(w, l, "self_attn.k_proj.bias"), w->c, kv, false);
    linear(w, v, x, of_block(w, l, "self_attn.v_proj.weight"),
           bias_of_block(w, l, "self_attn.v_proj.bias"), w->c, kv, false);
    for (int t = 0; t < w->length; t++) {
        for (int h = 0; h < w->heads; h++)
            turn(w, q + t * w->q + h * w->d, t);
        for (int h = 0; h < w->kv_heads; h++)
            turn(w, k + t * kv + h * w->d, t);
    }
    for (int h = 0; h < w->heads; h++) {
        int shared = h / (w->heads / w->kv_heads) * w->d;
        attend(w, l, h, y, q + h * w->d, k + shared, v + shared, kv, w->q);
    }
    ps_free(&q);
    ps_free(&k);
    ps_free(&v);
}

static void block_gpt2(const walk *w, double *x, int l)
{
    double *normed = doubles(w->length * w->c), *mixed = doubles(w->length * w->q);
    double *hidden = doubles(w->length * w->f);
    norm(w, normed, x, of_block(w, l, "ln_1.weight"), of_block(w, l, "ln_1.bias"));
    attention_gpt2(w, mixed, normed, l);
    linear(w, x, mixed, of_block(w, l, "attn.c_proj.weight"), of_block(w, l, "attn.c_proj.bias"),
           w->q, w->c, true);
    norm(w, normed, x, of_block(w, l, "ln_2.weight"), of_block(w, l, "ln_2.bias"));
    linear(w, hidden, normed, of_block(w, l, "mlp.c_fc.weight"), of_block(w, l, "mlp.c_fc.bias"),
           w->c, w->f, false);
    for (int i = 0; i < w->length * w->f; i++)
        hidden[i] = ps_ref64_activation("gelu_tanh", hidden[i]);
    linear(w, x, hidden, of_block(w, l, "mlp.c_proj.weight"), of_block(w, l, "mlp.c_proj.bias"),
           w->f, w->c, true);
    ps_free(&normed);
    ps_free(&mixed);
    ps_free(&hidden);
}

static void block_llama(const walk *w, double *x, int l)
{
    double *normed = doubles(w->length * w->c), *mixed = doubles(w->length * w->q);
    double *gate = doubles(w->length * w->f), *up = doubles(w->length * w->f);
    norm(w, normed, x, of_block(w, l, "input_layernorm.weight"), NULL);
    attention_llama(w, mixed, normed, l);
    linear(w, x, mixed, of_block(w, l, "self_attn.o_proj.weight"), NULL, w->q, w->c, true);
    norm(w, normed, x, of_block(w, l, "post_attention_layernorm.weight"), NULL);
    linear(w, gate, normed, of_block(w, l, "mlp.gate_proj.weight"), NULL, w->c, w->f, false);
    linear(w, up, normed, of_block(w, l, "mlp.up_proj.weight"), NULL, w->c, w->f, false);
    for (int i = 0; i < w->length * w->f; i++)
        gate[i] = ps_ref64_activation("silu", gate[i]) * up[i];
    linear(w, x, gate, of_block(w, l, "mlp.down_proj.weight"), NULL, w->f, w->c, true);
    ps_free(&normed);
    ps_free(&mixed);
    ps_free(&gate);
    ps_free(&up);
}

static void embed(const walk *w, double *x, const int32_t *tokens)
{
    const double *given = w->m->embeddings;
    const double *table = parameter(w, w->llama ? "model.embed_tokens.weight" : "wte.weight");
    const double *positions = w->llama ? NULL : parameter(w, "wpe.weight");
    for (int t = 0; t < w->length; t++)
        for (int i = 0; i < w->c; i++)
            x[t * w->c + i] =
                (given ? given[(w->row * w->length + t) * w->c + i] : table[tokens[t] * w->c + i]) +
                (positions ? positions[t * w->c + i] : 0);
}

static void head(const walk *w, double *logits, const double *x)
{
    int v = (int)w->size->vocab_size;
    const double *table = parameter(w, w->llama ? "model.embed_tokens.weight" : "wte.weight");
    if (!w->size->tie_embeddings)
        table = parameter(w, "lm_head.weight");
    double *normed = doubles(w->length * w->c);
    norm(w, normed, x, parameter(w, w->llama ? "model.norm.weight" : "ln_f.weight"),
         w->llama ? NULL : parameter(w, "ln_f.bias"));
    ps_ref64_gemm(false, true, w->length, v, w->c, 1, normed, w->c, table, w->c, 0, logits, v);
    ps_free(&normed);
}

/* The losses of one sequence, added up. */
static double sequence(const walk *w, const int32_t *tokens, const int32_t *labels, double *logits)
{
    int v = (int)w->size->vocab_size;
    double *x = doubles(w->length * w->c), *p = doubles(w->length * v), loss = 0;
    embed(w, x, tokens);
    for (int l = 0; l < (int)w->size->num_layers; l++) {
        if (w->llama)
            block_llama(w, x, l);
        else
            block_gpt2(w, x, l);
    }
    head(w, p, x);
    if (logits)
        memcpy(logits, p, (size_t)(w->length * v) * sizeof *p);
    ps_ref64_softmax(p, p, w->length, v);
    for (int t = 0; t < w->length; t++)
        loss -= labels[t] < 0 ? 0 : log(p[t * v + labels[t]]);
    ps_free(&x);
    ps_free(&p);
    return loss;
}

double ps_ref64_language_loss(const ps_ref64_language *m, const int32_t *tokens,
                              const int32_t *labels, int rows, int length, double *logits)
{
    const ps_model_language *size = &m->config->language;
    walk w = {.m = m,
              .size = size,
              .llama = strcmp(m->config->architecture, "gpt2") != 0,
              .rows = rows,
              .length = length,
              .c = (int)size->hidden_size,
              .heads = (int)size->num_heads,
              .kv_heads = (int)size->num_kv_heads,
              .d = (int)(size->head_dim ? size->head_dim : size->hidden_size / size->num_heads),
              .f = (int)size->intermediate_size};
    w.q = w.heads * w.d;
    double loss = 0;
    int count = 0;
    for (int r = 0; r < rows; r++) {
        const int32_t *row_labels = labels + r * length;
        w.row = r;
        loss += sequence(&w, tokens + r * length, row_labels,
                         logits ? logits + r * length * size->vocab_size : NULL);
        for (int t = 0; t < length; t++)
            count += row_labels[t] >= 0;
    }
    return loss / count;
}
