/* Happy path: the values of a table's keys are gathered from the JSON, what must have one certain
 * value is compared with it, and the rest becomes the text of a model section, which is parsed like
 * any other: ranges and rules are checked there. */
#include "common/format/hf_config.h"

#include "common/format/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum which { ARCHITECTURE, GPT2, LLAMA, BOTH } which;

/* A key of config.json that becomes one of the model section. */
typedef struct field {
    which owner;
    const char *key;      /* in config.json */
    const char *name;     /* in the model section; NULL: see `must` */
    const char *fallback; /* of transformers; NULL: left out of the section */
    const char *must;     /* the values that are allowed, each between spaces */
} field;

static const field fields[] = {
    {BOTH, "vocab_size", "vocab_size", NULL, NULL},
    {GPT2, "n_positions", "context_length", "1024", NULL},
    {GPT2, "n_embd", "hidden_size", "768", NULL},
    {GPT2, "n_layer", "num_layers", "12", NULL},
    {GPT2, "n_head", "num_heads", "12", NULL},
    {GPT2, "n_inner", "intermediate_size", NULL, NULL},
    {GPT2, "layer_norm_epsilon", "norm_epsilon", "1e-5", NULL},
    {GPT2, "resid_pdrop", "dropout", NULL, NULL},
    {GPT2, "activation_function", NULL, "gelu_new", " gelu_new gelu_pytorch_tanh "},
    {GPT2, "scale_attn_weights", NULL, "true", " true "},
    {GPT2, "scale_attn_by_inverse_layer_idx", NULL, "false", " false "},
    {GPT2, "add_cross_attention", NULL, "false", " false "},
    {GPT2, "tie_word_embeddings", NULL, "true", " true "},
    {LLAMA, "max_position_embeddings", "context_length", "2048", NULL},
    {LLAMA, "hidden_size", "hidden_size", "4096", NULL},
    {LLAMA, "num_hidden_layers", "num_layers", "32", NULL},
    {LLAMA, "num_attention_heads", "num_heads", "32", NULL},
    {LLAMA, "num_key_value_heads", "num_kv_heads", NULL, NULL},
    {LLAMA, "intermediate_size", "intermediate_size", "11008", NULL},
    {LLAMA, "rope_theta", "rope_theta", "10000", NULL},
    {LLAMA, "rms_norm_eps", "norm_epsilon", "1e-6", NULL},
    {LLAMA, "tie_word_embeddings", "tie_embeddings", "false", NULL},
    {LLAMA, "attention_dropout", "dropout", NULL, NULL},
    {LLAMA, "hidden_act", NULL, "silu", " silu swish "},
    {LLAMA, "attention_bias", NULL, "false", " false "},
    {LLAMA, "mlp_bias", NULL, "false", " false "},
    {LLAMA, "rope_type", NULL, "default", " default "}, /* of rope_scaling, rope_parameters */
    {LLAMA, "head_dim", NULL, "", NULL},                /* see check_head */
    {BOTH, "psd_tokenizer", "tokenizer", NULL, NULL},
};

enum { FIELDS = sizeof fields / sizeof *fields };

typedef struct reader {
    ps_json_reader json;
    char type[16];           /* model_type */
    char values[FIELDS][32]; /* as text; "": absent or null */
} reader;

static which owner_of(const char *type)
{
    return !strcmp(type, "gpt2") ? GPT2 : !strcmp(type, "llama") ? LLAMA : ARCHITECTURE;
}

/* The value of the next token as it would stand in YAML. */
static ps_status read_value(reader *r, const char *key, char *out, size_t size)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st)
        return st;
    const char *text = token.kind == PS_JSON_TRUE    ? "true"
                       : token.kind == PS_JSON_FALSE ? "false"
                       : token.kind == PS_JSON_NULL  ? ""
                       : token.kind == PS_JSON_NUMBER || token.kind == PS_JSON_STRING
                           ? (const char *)token.text.data
                           : NULL;
    if (!text || token.text.len >= size)
        return ps_fail(PS_INVALID_ARGUMENT, "%s has no value that is known here", key);
    size_t known = strspn(text, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._");
    bool zero = token.kind == PS_JSON_STRING && strlen(text) != token.text.len;
    if (text[known] || zero)
        return ps_fail(PS_INVALID_ARGUMENT, "%s has no value that is known here", key);
    (void)snprintf(out, size, "%s", text);
    return PS_OK;
}

static ps_status read_object(reader *r, bool top);

static ps_status read_key(reader *r, const char *key, bool top)
{
    if (top && !strcmp(key, "model_type"))
        return read_value(r, key, r->type, sizeof r->type);
    if (top && (!strcmp(key, "rope_scaling") || !strcmp(key, "rope_parameters"))) {
        ps_json_token token;
        ps_status st = ps_json_next(&r->json, &token);
        if (st || token.kind == PS_JSON_NULL)
            return st;
        return token.kind == PS_JSON_OBJECT
                   ? read_object(r, false)
                   : ps_fail(PS_INVALID_ARGUMENT, "%s must be an object or null", key);
    }
    if (!strcmp(key, "type")) /* what rope_type was called before */
        key = "rope_type";
    bool found = false;
    for (size_t i = 0; i < FIELDS && !found; i++)
        found = !strcmp(fields[i].key, key);
    if (!found)
        return ps_json_skip(&r->json);
    char value[32] = "";
    ps_status st = read_value(r, key, value, sizeof value);
    for (size_t i = 0; !st && i < FIELDS; i++)
        if (!strcmp(fields[i].key, key))
            memcpy(r->values[i], value, sizeof value);
    return st;
}

/* After its brace. */
static ps_status read_object(reader *r, bool top)
{
    for (;;) {
        ps_json_token token;
        ps_status st = ps_json_next(&r->json, &token);
        if (st || token.kind == PS_JSON_OBJECT_END)
            return st;
        char key[40] = "";
        if (token.text.len < sizeof key)
            memcpy(key, token.text.data, token.text.len);
        st = read_key(r, key, top);
        if (st)
            return st;
    }
}

/* head_dim, where it is written, must be hidden_size / num_attention_heads. */
static ps_status check_head(const reader *r, const ps_spec_model *m)
{
    char want[32];
    (void)snprintf(want, sizeof want, "%lld", (long long)(m->hidden_size / m->num_heads));
    for (size_t i = 0; i < FIELDS; i++)
        if (!strcmp(fields[i].key, "head_dim") && *r->values[i] && strcmp(r->values[i], want) != 0)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "head_dim: %s is not supported, only hidden_size / num_attention_heads",
                           r->values[i]);
    return PS_OK;
}

static ps_status write_section(const reader *r, which owner, ps_buf *out)
{
    ps_buf_printf(out, "{architecture: %s", r->type);
    for (size_t i = 0; i < FIELDS; i++) {
        const field *f = &fields[i];
        const char *value = *r->values[i] ? r->values[i] : f->fallback;
        if ((f->owner != owner && f->owner != BOTH) || !value)
            continue;
        if (f->name) {
            ps_buf_printf(out, ", %s: %s", f->name, value);
            continue;
        }
        char word[40];
        (void)snprintf(word, sizeof word, " %s ", value);
        if (f->must && !strstr(f->must, word))
            return ps_fail(PS_INVALID_ARGUMENT, "%s: %s is not supported, only%.*s", f->key, value,
                           (int)strlen(f->must) - 1, f->must);
    }
    ps_buf_putc(out, '}');
    return PS_OK;
}

static ps_status make_model(const reader *r, ps_spec_model **out)
{
    which owner = owner_of(r->type);
    if (owner == ARCHITECTURE)
        return ps_fail(PS_INVALID_ARGUMENT, "model_type '%s' is not known; allowed: gpt2, llama",
                       r->type);
    ps_buf section = PS_BUF_EMPTY;
    ps_spec_model *model = NULL;
    ps_status st = write_section(r, owner, &section);
    if (!st)
        st = ps_spec_model_parse(ps_buf_slice(&section), "config", &model);
    ps_buf_free(&section);
    if (!st)
        st = check_head(r, model);
    if (st && model)
        ps_spec_model_free(&model);
    if (!st)
        *out = model;
    return st;
}

ps_status ps_hf_config_parse(ps_slice json, ps_spec_model **out)
{
    reader r = {.type = ""};
    ps_json_token token;
    ps_json_reader_init(&r.json, json);
    ps_status st = ps_json_expect(&r.json, PS_JSON_OBJECT, &token);
    if (!st)
        st = read_object(&r, true);
    if (!st)
        st = ps_json_expect(&r.json, PS_JSON_END, &token);
    ps_json_reader_free(&r.json);
    if (!st)
        st = make_model(&r, out);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

/* ---- writing ---- */

/* With a point even when it is whole: some versions of transformers tell int from float. */
static void put_float(ps_json_writer *w, const char *key, double v)
{
    ps_json_put_double(w, key, v);
    const char *value = strrchr(ps_buf_cstr(w->out), ':');
    if (!strpbrk(value, ".eE"))
        ps_buf_puts(w->out, ".0");
}

static void put_gpt2(ps_json_writer *w, const ps_spec_model *m)
{
    ps_json_put_string(w, "activation_function", "gelu_new");
    put_float(w, "attn_pdrop", m->dropout);
    put_float(w, "embd_pdrop", m->dropout);
    put_float(w, "resid_pdrop", m->dropout);
    put_float(w, "layer_norm_epsilon", m->norm_epsilon);
    ps_json_put_int(w, "n_ctx", m->context_length);
    ps_json_put_int(w, "n_positions", m->context_length);
    ps_json_put_int(w, "n_embd", m->hidden_size);
    ps_json_put_int(w, "n_layer", m->num_layers);
    ps_json_put_int(w, "n_head", m->num_heads);
    ps_json_put_int(w, "n_inner", m->intermediate_size);
    ps_json_put_bool(w, "scale_attn_weights", true);
    ps_json_put_bool(w, "scale_attn_by_inverse_layer_idx", false);
    ps_json_put_bool(w, "reorder_and_upcast_attn", false);
}

static void put_llama(ps_json_writer *w, const ps_spec_model *m)
{
    ps_json_put_bool(w, "attention_bias", false);
    put_float(w, "attention_dropout", m->dropout);
    ps_json_put_int(w, "head_dim", m->hidden_size / m->num_heads);
    ps_json_put_string(w, "hidden_act", "silu");
    ps_json_put_int(w, "hidden_size", m->hidden_size);
    ps_json_put_int(w, "intermediate_size", m->intermediate_size);
    ps_json_put_int(w, "max_position_embeddings", m->context_length);
    ps_json_put_bool(w, "mlp_bias", false);
    ps_json_put_int(w, "num_attention_heads", m->num_heads);
    ps_json_put_int(w, "num_hidden_layers", m->num_layers);
    ps_json_put_int(w, "num_key_value_heads", m->num_kv_heads);
    ps_json_put_int(w, "pretraining_tp", 1);
    put_float(w, "rms_norm_eps", m->norm_epsilon);
    ps_json_key(w, "rope_scaling");
    ps_json_null(w);
    put_float(w, "rope_theta", m->rope_theta);
}

static void put_id(ps_json_writer *w, const char *key, int64_t id)
{
    ps_json_key(w, key);
    if (id < 0)
        ps_json_null(w);
    else
        ps_json_int(w, id);
}

void ps_hf_config_write(const ps_spec_model *m, const char *dtype, int64_t end_token, ps_buf *out)
{
    bool llama = !strcmp(m->architecture, "llama");
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_key(&w, "architectures");
    ps_json_array(&w);
    ps_json_string(&w, llama ? "LlamaForCausalLM" : "GPT2LMHeadModel");
    ps_json_array_end(&w);
    ps_json_put_string(&w, "model_type", m->architecture);
    put_id(&w, "bos_token_id", end_token);
    put_id(&w, "eos_token_id", end_token);
    put_float(&w, "initializer_range", 0.02);
    if (llama)
        put_llama(&w, m);
    else
        put_gpt2(&w, m);
    ps_json_put_bool(&w, "tie_word_embeddings", m->tie_embeddings);
    ps_json_put_string(&w, "torch_dtype", dtype);
    ps_json_put_bool(&w, "use_cache", true);
    ps_json_put_int(&w, "vocab_size", m->vocab_size);
    if (!strcmp(m->tokenizer, "bytes"))
        ps_json_put_string(&w, "psd_tokenizer", "bytes");
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}
