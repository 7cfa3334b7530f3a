/* Happy path: the values of a table's keys become the text of a model section, which is parsed like
 * any other, so ranges and rules are checked there; then each other key of the architecture must
 * say what psd's models do. Keys are those of llama.cpp's gguf-py. */
#include "common/model/gguf_model.h"

#include "common/arch/arch.h"
#include "common/conf/value.h"
#include "common/model/gguf_rope.h"
#include "common/model/gguf_texts.h"

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

/* Keys of all architectures, behind the architecture's name, that become keys of the model section;
 * those of each are in its row (common/arch). */
static const ps_arch_gguf_key shared[] = {
    {".context_length", "context_length", .needed = true},
    {".embedding_length", "hidden_size", .needed = true},
    {".block_count", "num_layers", .needed = true},
    {".feed_forward_length", "intermediate_size", .needed = true},
    {".attention.head_count", "num_heads", .needed = true},
    {NULL},
};

typedef struct source {
    const ps_gguf *file;
    const ps_arch *arch;
} source;

/* NULL when it is not there; name: the whole one, for messages. */
static const ps_gguf_key *find(const source *s, const char *key, char name[64])
{
    (void)snprintf(name, 64, "%s%s", ps_arch_gguf_name(s->arch), key);
    return ps_gguf_find_key(s->file, name);
}

/* The shortest decimal that is this float: 1e-05, where a double would be 9.99999974737875e-06. */
static void shortest(double v, char text[40])
{
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, 40, "%.*g", digits, v);
        if ((float)strtod(text, NULL) == (float)v)
            break;
    }
}

double ps_gguf_real_as_read(double v)
{
    char text[40];
    shortest((double)(float)v, text);
    return strtod(text, NULL);
}

static void put_real(ps_buf *out, const char *name, double v)
{
    char text[40];
    shortest(v, text);
    ps_buf_printf(out, ", %s: %s", name, text);
}

enum { HEAD_MAX = 1 << 14 }; /* as the section's head_dim */

/* The sizes are there: shared has them. */
static ps_status put_share(const source *s, const ps_gguf_key *key, ps_buf *out)
{
    char name[64];
    uint64_t turned = 0, hidden = 0, heads = 0;
    ps_status st = ps_gguf_get_uint(key, &turned);
    if (!st)
        st = ps_gguf_get_uint(find(s, ".embedding_length", name), &hidden);
    if (!st)
        st = ps_gguf_get_uint(find(s, ".attention.head_count", name), &heads);
    if (st)
        return st;
    uint64_t head = heads ? hidden / heads : 0;
    if (turned < 1 || turned > head || head > HEAD_MAX)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "key %.*s: %" PRIu64 " of the %" PRIu64 " numbers of a head",
                       PS_GGUF_NAME(key->name), turned, head);
    ps_buf_printf(out, ", rope_share: %.17g", ps_rope_share((int64_t)turned, (int64_t)head));
    return PS_OK;
}

static ps_status put_flag(const ps_gguf_key *key, const char *name, ps_buf *out)
{
    bool is = false;
    ps_status st = ps_gguf_get_bool(key, &is);
    if (!st)
        ps_buf_printf(out, ", %s: %s", name, is ? "true" : "false");
    return st;
}

static ps_status put_field(const source *s, const ps_arch_gguf_key *field, ps_buf *out)
{
    char name[64];
    const ps_gguf_key *key = find(s, field->key, name);
    if (!key && field->needed)
        return ps_fail(PS_INVALID_ARGUMENT, "key %s is missing", name);
    if (!key && field->otherwise)
        ps_buf_printf(out, ", %s: %s", field->name, field->otherwise);
    if (!key || field->implied)
        return PS_OK;
    if (field->share || field->flag)
        return field->share ? put_share(s, key, out) : put_flag(key, field->name, out);
    uint64_t whole = 0;
    double real = 0;
    ps_status st = field->real ? ps_gguf_get_real(key, &real) : ps_gguf_get_uint(key, &whole);
    bool none = field->nonzero || field->otherwise; /* its 0 says none */
    if (!st && !none && whole == 0 && !(real > 0))
        return ps_fail(PS_INVALID_ARGUMENT, "key %s: %g is not supported", name, real);
    if (!st && field->real)
        put_real(out, field->name, real);
    else if (!st)
        ps_buf_printf(out, ", %s: %" PRIu64, field->name, whole);
    return st;
}

static ps_status put_fields(const source *s, const ps_arch_gguf_key *field, ps_buf *out)
{
    ps_status st = PS_OK;
    for (; !st && field->key; field++)
        st = put_field(s, field, out);
    return st;
}

/* What no key says: whether a tensor is there, of blocks. */
static void put_options(const source *s, ps_buf *out)
{
    bool there[PS_OPTIONS] = {false};
    for (size_t i = 0; i < s->arch->n_tensors; i++) {
        char name[PS_LM_NAME];
        const ps_arch_tensor *row = &s->arch->tensors[i];
        if (!row->gguf || ps_arch_place_of(row->part) != PS_PLACE_BLOCK)
            continue;
        (void)snprintf(name, sizeof name, "blk.0.%s", row->gguf);
        there[row->option] |= ps_gguf_find_tensor(s->file, name) != NULL;
    }
    for (ps_arch_option option = PS_OPTION_NONE + 1; option < PS_OPTIONS; option++)
        if (there[option])
            ps_buf_printf(out, ", %s: true", ps_arch_option_key(option));
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

typedef enum value_kind { ANY, UINT, REAL, BOOL, TEXT, HEAD } value_kind;

/* Keys of an architecture that are no field: what their value must be. A key of neither table is
 * refused: llama.cpp may compute something else by it. */
static const struct {
    const char *key;
    value_kind kind; /* HEAD: numbers of a head */
    double number;   /* of UINT, REAL, BOOL */
    const char *text;
} others[] = {
    {".vocab_size", ANY, 0, NULL},
    {".rope.dimension_count", HEAD, 0, NULL},
    {".attention.key_length", HEAD, 0, NULL},
    {".attention.value_length", HEAD, 0, NULL},
    {".attention.causal", BOOL, 1, NULL},
    {".attention.clamp_kqv", REAL, 0, NULL},
    {".attention.max_alibi_bias", REAL, 0, NULL},
    {".attention.sliding_window", UINT, 0, NULL},
    {".attn_logit_softcapping", REAL, 0, NULL},
    {".final_logit_softcapping", REAL, 0, NULL},
    {".use_parallel_residual", BOOL, 0, NULL},
    {".logit_scale", REAL, 1, NULL},
    {".embedding_scale", REAL, 1, NULL},
    {".residual_scale", REAL, 1, NULL},
    {".expert_count", UINT, 0, NULL},
    {".expert_used_count", UINT, 0, NULL},
    {".rope.scaling.type", TEXT, 0, "none"},
    {".rope.scaling.factor", REAL, 1, NULL},
    {".rope.scale_linear", REAL, 1, NULL},
    {".rope.scaling.attn_factor", REAL, 1, NULL},
    {".rope.scaling.original_context_length", ANY, 0, NULL}, /* of a type that is none */
    {".rope.scaling.finetuned", ANY, 0, NULL},
    {".tensor_data_layout", ANY, 0, NULL},
    {".pooling_type", ANY, 0, NULL}, /* of embeddings, not of logits */
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
    switch (others[i].kind) {
    case ANY:
        return PS_OK;
    case TEXT:
        return expect_text(key, others[i].text);
    case HEAD:
        return expect_number(key, UINT, (double)m->head_dim);
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

static const ps_arch_gguf_key *find_field(const ps_arch_gguf_key *field, const ps_gguf_key *key,
                                          size_t prefix)
{
    for (; field->key; field++)
        if (is_key(key, prefix, field->key))
            return field;
    return NULL;
}

static ps_status check_key(const ps_gguf_key *key, const ps_arch *arch, const ps_spec_model *m)
{
    size_t prefix = strlen(ps_arch_gguf_name(arch));
    const ps_arch_gguf_key *field = find_field(shared, key, prefix);
    if (!field)
        field = find_field(arch->gguf, key, prefix);
    if (field && field->share)
        return expect_number(key, UINT, (double)ps_rope_turned(&m->rope, m->head_dim));
    if (field)
        return field->implied
                   ? expect_number(key, UINT, (double)ps_spec_model_number(m, field->name).whole)
                   : PS_OK;
    const ps_slice rest = ps_slice_of(key->name.data + prefix, key->name.len - prefix);
    if (ps_gguf_rope_has(arch, rest) || ps_gguf_texts_has(arch, rest))
        return PS_OK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (is_key(key, prefix, others[i].key))
            return expect_other(key, i, m);
    return ps_fail(PS_INVALID_ARGUMENT,
                   "key %.*s is not known here, and may change what the model computes",
                   PS_GGUF_NAME(key->name));
}

/* Keys of the architecture, each; and the file must be a model, not what is laid over one. Keys of
 * other names (general, tokenizer, a program's own) say nothing about what is computed. */
static ps_status check_keys(const source *s, const ps_spec_model *m)
{
    const char *name = ps_arch_gguf_name(s->arch);
    size_t prefix = strlen(name);
    const ps_gguf_key *type = ps_gguf_find_key(s->file, "general.type");
    ps_status st = type ? expect_text(type, "model") : PS_OK;
    for (size_t i = 0; !st && i < s->file->n_keys; i++) {
        const ps_gguf_key *key = &s->file->keys[i];
        if (key->name.len > prefix && key->name.data[prefix] == '.' &&
            !memcmp(key->name.data, name, prefix))
            st = check_key(key, s->arch, m);
    }
    return st;
}

/* ---- the whole ---- */

static void put_fixed(const ps_arch *arch, ps_buf *out)
{
    for (const ps_arch_gguf_fixed *f = arch->gguf_fixed; f && f->name; f++)
        if (!f->by_tensors)
            ps_buf_printf(out, ", %s: %" PRId64, f->name, f->value);
}

static ps_status write_section(const source *s, ps_buf *out)
{
    bool tied =
        !ps_arch_has(s->arch, PS_PART_HEAD) || !ps_gguf_find_tensor(s->file, "output.weight");
    ps_buf_printf(out, "{architecture: %s", s->arch->name);
    if (ps_arch_key_find(s->arch, "tie_embeddings"))
        ps_buf_printf(out, ", tie_embeddings: %s", tied ? "true" : "false");
    ps_status st = put_fields(s, shared, out);
    if (!st)
        st = put_fields(s, s->arch->gguf, out);
    if (!st)
        put_options(s, out);
    put_fixed(s->arch, out);
    if (!st)
        st = ps_gguf_rope_read(s->file, s->arch, out);
    if (!st)
        st = ps_gguf_texts_read(s->file, s->arch, out);
    if (!st)
        st = put_vocab_size(s, out);
    if (!st)
        st = put_tokenizer(s, out);
    ps_buf_putc(out, '}');
    return st;
}

static ps_status find_arch(const ps_gguf *file, const ps_arch **out)
{
    ps_slice text = {0};
    char name[64];
    const ps_gguf_key *key = ps_gguf_find_key(file, "general.architecture");
    if (!key)
        return ps_fail(PS_INVALID_ARGUMENT, "key general.architecture is missing");
    ps_status st = ps_gguf_get_text(key, &text);
    if (st)
        return st;
    (void)snprintf(name, sizeof name, "%.*s", text.len < 63 ? (int)text.len : 63,
                   (const char *)text.data);
    *out = strlen(name) == text.len ? ps_arch_find_gguf(name) : NULL;
    if (*out && ps_arch_reads_tokens(*out))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "key general.architecture: %s is not known; allowed: %s",
                   ps_conf_quote(name).text, ps_arch_list_tokens().text);
}

/* The quotient is a whole number there, too. */
double ps_gguf_score_scalar(const ps_spec_model *m)
{
    bool by_width = m->num_layers == ps_arch_find(m->architecture)->gguf_by_width;
    return (double)(by_width ? m->hidden_size / m->num_heads : m->head_dim);
}

/* No key says it. */
static ps_status take_scalar(ps_spec_model *m)
{
    double scalar = ps_gguf_score_scalar(m);
    if (scalar < 1)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%" PRId64 " heads are more than the width of the model, %" PRId64
                       ", which is not supported of %" PRId64 " blocks",
                       m->num_heads, m->hidden_size, m->num_layers);
    m->choices.query_pre_attn_scalar = scalar == (double)m->head_dim ? 0 : scalar;
    return PS_OK;
}

ps_status ps_gguf_model(const ps_gguf *file, ps_spec_model **out)
{
    source s = {.file = file};
    ps_buf section = PS_BUF_EMPTY;
    ps_spec_model *model = NULL;
    ps_status st = find_arch(file, &s.arch);
    if (!st)
        st = write_section(&s, &section);
    if (!st)
        st = ps_spec_model_parse(ps_buf_slice(&section), "keys", &model);
    ps_buf_free(&section);
    if (!st)
        st = check_keys(&s, model);
    if (!st)
        st = take_scalar(model);
    if (st && model)
        ps_spec_model_free(&model);
    if (!st)
        *out = model;
    return st;
}
