/* Happy path: the values of a table's keys become the text of a model section, which is parsed like
 * any other, so ranges and rules are checked there; then keys that say what psd's models cannot do
 * are looked for. Keys are those of llama.cpp's gguf-py. */
#include "common/format/gguf_model.h"

#include "common/conf/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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

static ps_status expect_uint(const source *s, const char *key, uint64_t want)
{
    char name[64];
    const ps_gguf_key *found = find(s, key, name);
    uint64_t v = want;
    ps_status st = found ? ps_gguf_get_uint(found, &v) : PS_OK;
    if (!st && v != want)
        st = ps_fail(PS_INVALID_ARGUMENT, "key %s: %" PRIu64 " is not supported, only %" PRIu64,
                     name, v, want);
    return st;
}

static ps_status expect_real(const source *s, const char *key, double want)
{
    char name[64];
    const ps_gguf_key *found = find(s, key, name);
    double v = want;
    ps_status st = found ? ps_gguf_get_real(found, &v) : PS_OK;
    if (!st && v != want)
        st = ps_fail(PS_INVALID_ARGUMENT, "key %s: %g is not supported, only %g", name, v, want);
    return st;
}

static ps_status expect_no_scaling(const source *s)
{
    char name[64];
    const ps_gguf_key *found = find(s, ".rope.scaling.type", name);
    ps_slice text = {0};
    ps_status st = found ? ps_gguf_get_text(found, &text) : PS_OK;
    if (!st && found && (text.len != 4 || memcmp(text.data, "none", 4) != 0))
        st = ps_fail(PS_INVALID_ARGUMENT, "key %s: scaled RoPE is not supported, only none", name);
    if (!st)
        st = expect_real(s, ".rope.scaling.factor", 1);
    return st ? st : expect_real(s, ".rope.scale_linear", 1);
}

static ps_status check_llama(const source *s, const ps_spec_model *m)
{
    static const char *const heads[] = {".rope.dimension_count", ".attention.key_length",
                                        ".attention.value_length"};
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < sizeof heads / sizeof *heads; i++)
        st = expect_uint(s, heads[i], (uint64_t)(m->hidden_size / m->num_heads));
    if (!st)
        st = expect_uint(s, ".expert_count", 0);
    return st ? st : expect_no_scaling(s);
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
    if (!st && owner == LLAMA)
        st = check_llama(&s, model);
    if (st && model)
        ps_spec_model_free(&model);
    if (!st)
        *out = model;
    return st;
}
