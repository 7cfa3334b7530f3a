/* Happy path: the values of a table's keys become the text of a model section, which is parsed like
 * any other, so ranges and rules are checked there; then each other key of the architecture must
 * say what psd's models do. Keys are those of llama.cpp's gguf-py. */
#include "common/model/gguf_model.h"

#include "common/conf/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const ps_gguf_id_key ps_gguf_id_keys[PS_GGUF_ID_KEYS] = {
    {"tokenizer.ggml.bos_token_id", PS_TOKEN_BOS},
    {"tokenizer.ggml.eos_token_id", PS_TOKEN_EOS},
    {"tokenizer.ggml.eot_token_id", PS_TOKEN_EOS},
    {"tokenizer.ggml.eom_token_id", PS_TOKEN_EOS},
    {"tokenizer.ggml.padding_token_id", PS_TOKEN_PAD},
};

typedef enum which { NEITHER = 0, GPT2 = 1, LLAMA = 2, BOTH = 3 } which;

/* A key, behind the architecture's name, that becomes one of the model section. */
static const struct {
    which owners;
    const char *key, *name;
    bool real, needed;
} fields[] = {
    {BOTH, ".context_length", "context_length", false, true},
    {BOTH, ".embedding_length", "hidden_size", false, true},
    {BOTH, ".block_count", "num_layers", false, true},
    {BOTH, ".feed_forward_length", "intermediate_size", false, true},
    {BOTH, ".attention.head_count", "num_heads", false, true},
    {LLAMA, ".attention.head_count_kv", "num_kv_heads", false, false},
    {GPT2, ".attention.layer_norm_epsilon", "norm_epsilon", true, true},
    {LLAMA, ".attention.layer_norm_rms_epsilon", "norm_epsilon", true, true},
    {LLAMA, ".rope.freq_base", "rope_theta", true, false}, /* 10000 in both */
};

typedef struct source {
    const ps_gguf *file;
    const char *architecture;
} source;

/* NULL when it is not there; name: the whole one, for messages. */
static const ps_gguf_key *find(const source *s, const char *key, char name[64])
{
    (void)snprintf(name, 64, "%s%s", s->architecture, key);
    return ps_gguf_find_key(s->file, name);
}

/* The shortest decimal that is this float: 1e-05, where a double would be 9.99999974737875e-06. */
static void put_real(ps_buf *out, const char *name, double v)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if ((float)strtod(text, NULL) == (float)v)
            break;
    }
    ps_buf_printf(out, ", %s: %s", name, text);
}

static ps_status put_field(const source *s, size_t i, ps_buf *out)
{
    char name[64];
    const ps_gguf_key *key = find(s, fields[i].key, name);
    if (!key && fields[i].needed)
        return ps_fail(PS_INVALID_ARGUMENT, "key %s is missing", name);
    if (!key)
        return PS_OK;
    uint64_t whole = 0;
    double real = 0;
    ps_status st = fields[i].real ? ps_gguf_get_real(key, &real) : ps_gguf_get_uint(key, &whole);
    if (!st && fields[i].real)
        put_real(out, fields[i].name, real);
    else if (!st)
        ps_buf_printf(out, ", %s: %" PRIu64, fields[i].name, whole);
    return st;
}

/* Where no key says it, the embedding has a row for each token. */
static ps_status put_vocab_size(const source *s, ps_buf *out)
{
    char name[64];
    uint64_t n = 0;
    const ps_gguf_key *key = find(s, ".vocab_size", name);
    const ps_gguf_tensor *embedding = ps_gguf_find_tensor(s->file, "token_embd.weight");
    ps_status st = PS_OK;
    if (key)
        st = ps_gguf_get_uint(key, &n);
    else if (embedding)
        n = embedding->sides[1];
    else
        st = ps_fail(PS_INVALID_ARGUMENT, "tensor token_embd.weight is missing");
    if (!st)
        ps_buf_printf(out, ", vocab_size: %" PRIu64, n);
    return st;
}

static ps_status put_tokenizer(const source *s, ps_buf *out)
{
    const ps_gguf_key *key = ps_gguf_find_key(s->file, PS_GGUF_KEY_TOKENIZER);
    ps_slice text = {0};
    ps_status st = key ? ps_gguf_get_text(key, &text) : PS_OK;
    if (st || !key)
        return st;
    if (text.len != 5 || memcmp(text.data, "bytes", 5) != 0)
        return ps_fail(PS_INVALID_ARGUMENT, "key %s: only bytes is known", PS_GGUF_KEY_TOKENIZER);
    ps_buf_puts(out, ", tokenizer: bytes");
    return PS_OK;
}

/* ---- what psd's models cannot do ---- */

typedef enum value_kind { ANY, UINT, REAL, BOOL, TEXT, HEAD, HEADS } value_kind;

/* Keys of the architecture that are no field: what their value must be. A key of neither table is
 * refused: llama.cpp may compute something else by it. */
static const struct {
    which owners;
    const char *key;
    value_kind kind; /* HEAD: numbers of a head; HEADS: how many there are */
    double number;   /* of UINT, REAL, BOOL */
    const char *text;
} others[] = {
    {BOTH, ".vocab_size", ANY, 0, NULL},
    {BOTH, ".rope.dimension_count", HEAD, 0, NULL},
    {BOTH, ".attention.key_length", HEAD, 0, NULL},
    {BOTH, ".attention.value_length", HEAD, 0, NULL},
    {GPT2, ".attention.head_count_kv", HEADS, 0, NULL},
    {BOTH, ".attention.causal", BOOL, 1, NULL},
    {BOTH, ".attention.clamp_kqv", REAL, 0, NULL},
    {BOTH, ".attention.max_alibi_bias", REAL, 0, NULL},
    {BOTH, ".attention.sliding_window", UINT, 0, NULL},
    {BOTH, ".attn_logit_softcapping", REAL, 0, NULL},
    {BOTH, ".final_logit_softcapping", REAL, 0, NULL},
    {BOTH, ".use_parallel_residual", BOOL, 0, NULL},
    {BOTH, ".logit_scale", REAL, 1, NULL},
    {BOTH, ".embedding_scale", REAL, 1, NULL},
    {BOTH, ".residual_scale", REAL, 1, NULL},
    {BOTH, ".expert_count", UINT, 0, NULL},
    {BOTH, ".expert_used_count", UINT, 0, NULL},
    {BOTH, ".rope.scaling.type", TEXT, 0, "none"},
    {BOTH, ".rope.scaling.factor", REAL, 1, NULL},
    {BOTH, ".rope.scale_linear", REAL, 1, NULL},
    {BOTH, ".rope.scaling.attn_factor", REAL, 1, NULL},
    {BOTH, ".rope.scaling.original_context_length", ANY, 0, NULL}, /* of a type that is none */
    {BOTH, ".rope.scaling.finetuned", ANY, 0, NULL},
    {BOTH, ".tensor_data_layout", ANY, 0, NULL},
    {BOTH, ".pooling_type", ANY, 0, NULL}, /* of embeddings, not of logits */
};

static ps_status refuse(const ps_gguf_key *key, const char *value, const char *only)
{
    return ps_fail(PS_INVALID_ARGUMENT, "key %.*s: %s is not supported, only %s",
                   PS_GGUF_NAME(key->name), value, only);
}

static ps_status expect_number(const ps_gguf_key *key, value_kind kind, double want)
{
    uint64_t whole = 0;
    double have = 0;
    bool truth = false;
    ps_status st = kind == REAL   ? ps_gguf_get_real(key, &have)
                   : kind == BOOL ? ps_gguf_get_bool(key, &truth)
                                  : ps_gguf_get_uint(key, &whole);
    if (st)
        return st;
    have = kind == REAL ? have : kind == BOOL ? truth : (double)whole;
    if (have == want)
        return PS_OK;
    char is[32], only[32];
    (void)snprintf(is, sizeof is, "%g", have);
    (void)snprintf(only, sizeof only, "%g", want);
    return kind == BOOL ? refuse(key, have != 0 ? "true" : "false", want != 0 ? "true" : "false")
                        : refuse(key, is, only);
}

static ps_status expect_text(const ps_gguf_key *key, const char *want)
{
    ps_slice text = {0};
    char word[64];
    ps_status st = ps_gguf_get_text(key, &text);
    if (st || (text.len == strlen(want) && !memcmp(text.data, want, text.len)))
        return st;
    (void)snprintf(word, sizeof word, "%.*s", text.len < 63 ? (int)text.len : 63,
                   (const char *)text.data);
    return refuse(key, ps_conf_quote(word).text, want);
}

static ps_status expect_other(const ps_gguf_key *key, size_t i, const ps_spec_model *m)
{
    int64_t head = m->hidden_size / m->num_heads;
    switch (others[i].kind) {
    case ANY:
        return PS_OK;
    case TEXT:
        return expect_text(key, others[i].text);
    case HEAD:
        return expect_number(key, UINT, (double)head);
    case HEADS:
        return expect_number(key, UINT, (double)m->num_heads);
    case UINT:
    case REAL:
    case BOOL:
        break;
    }
    return expect_number(key, others[i].kind, others[i].number);
}

static bool is_key(const ps_gguf_key *key, size_t prefix, const char *rest)
{
    return key->name.len == prefix + strlen(rest) &&
           !memcmp(key->name.data + prefix, rest, strlen(rest));
}

static ps_status check_key(const ps_gguf_key *key, size_t prefix, which owner,
                           const ps_spec_model *m)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if ((fields[i].owners & owner) && is_key(key, prefix, fields[i].key))
            return PS_OK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if ((others[i].owners & owner) && is_key(key, prefix, others[i].key))
            return expect_other(key, i, m);
    return ps_fail(PS_INVALID_ARGUMENT,
                   "key %.*s is not known here, and may change what the model computes",
                   PS_GGUF_NAME(key->name));
}

/* Keys of the architecture, each; and the file must be a model, not what is laid over one. Keys of
 * other names (general, tokenizer, a program's own) say nothing about what is computed. */
static ps_status check_keys(const source *s, which owner, const ps_spec_model *m)
{
    size_t prefix = strlen(s->architecture);
    const ps_gguf_key *type = ps_gguf_find_key(s->file, "general.type");
    ps_status st = type ? expect_text(type, "model") : PS_OK;
    for (size_t i = 0; !st && i < s->file->n_keys; i++) {
        const ps_gguf_key *key = &s->file->keys[i];
        if (key->name.len > prefix && key->name.data[prefix] == '.' &&
            !memcmp(key->name.data, s->architecture, prefix))
            st = check_key(key, prefix, owner, m);
    }
    return st;
}

/* ---- the whole ---- */

static ps_status write_section(const source *s, which owner, ps_buf *out)
{
    bool tied = owner == GPT2 || !ps_gguf_find_tensor(s->file, "output.weight");
    ps_buf_printf(out, "{architecture: %s, tie_embeddings: %s", s->architecture,
                  tied ? "true" : "false");
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < sizeof fields / sizeof *fields; i++)
        if (fields[i].owners & owner)
            st = put_field(s, i, out);
    if (!st)
        st = put_vocab_size(s, out);
    if (!st)
        st = put_tokenizer(s, out);
    ps_buf_putc(out, '}');
    return st;
}

static ps_status find_architecture(const ps_gguf *file, char out[64])
{
    ps_slice text = {0};
    const ps_gguf_key *key = ps_gguf_find_key(file, "general.architecture");
    if (!key)
        return ps_fail(PS_INVALID_ARGUMENT, "key general.architecture is missing");
    ps_status st = ps_gguf_get_text(key, &text);
    if (st)
        return st;
    (void)snprintf(out, 64, "%.*s", text.len < 63 ? (int)text.len : 63, (const char *)text.data);
    if (strlen(out) == text.len && (!strcmp(out, "gpt2") || !strcmp(out, "llama")))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "key general.architecture: %s is not known; allowed: gpt2, llama",
                   ps_conf_quote(out).text);
}

ps_status ps_gguf_model(const ps_gguf *file, ps_spec_model **out)
{
    char architecture[64];
    ps_status st = find_architecture(file, architecture);
    if (st)
        return st;
    source s = {.file = file, .architecture = architecture};
    which owner = !strcmp(architecture, "llama") ? LLAMA : GPT2;
    ps_buf section = PS_BUF_EMPTY;
    ps_spec_model *model = NULL;
    st = write_section(&s, owner, &section);
    if (!st)
        st = ps_spec_model_parse(ps_buf_slice(&section), "keys", &model);
    ps_buf_free(&section);
    if (!st)
        st = check_keys(&s, owner, model);
    if (st && model)
        ps_spec_model_free(&model);
    if (!st)
        *out = model;
    return st;
}
