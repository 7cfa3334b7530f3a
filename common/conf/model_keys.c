/* The keys of a model section, how each is written, and the section that is made of all of them. */
#include "common/conf/model_keys.h"

#include "common/json/json.h"

#include <float.h>
#include <inttypes.h>
#include <string.h>

/* In the order of the enums of job_spec.h. */
static const char *const activation_words[] = {"relu", "gelu", "tanh", NULL};
const char *const ps_spec_missing_words[] = {"error", "zero", "mean", NULL};
static const char *const loss_words[] = {"cross_entropy", "squared_error", NULL};
/* The worker's table of models: a row there is a word here. */
static const char *const architecture_names[] = {"mlp", "gpt2", "llama", NULL};

/* Whether a key is needed depends on the architecture, so 0 and [] stand for "not said". */
const ps_conf_key ps_spec_model_keys[] = {
    PS_CONF_NAME("architecture", ps_spec_model, architecture, NULL, architecture_names),
    PS_CONF_INTS("layers", ps_spec_model, layers, "[]", 0, 256, 1, 1 << 20),
    PS_CONF_WORD("activation", ps_spec_model, activation, "relu", activation_words),
    PS_CONF_WORD("loss", ps_spec_model, loss, "cross_entropy", loss_words),
    PS_CONF_TEXTS("classes", ps_spec_model, classes, "[]", 0, 4096, 1, 255),
    PS_CONF_REALS("input_mean", ps_spec_model, input_mean, "[]", 0, PS_SPEC_INPUTS_MAX, -DBL_MAX,
                  DBL_MAX),
    PS_CONF_REALS("input_std", ps_spec_model, input_std, "[]", 0, PS_SPEC_INPUTS_MAX, DBL_MIN,
                  DBL_MAX),
    PS_CONF_WORD("input_missing", ps_spec_model, input_missing, "error", ps_spec_missing_words),
    PS_CONF_INT("vocab_size", ps_spec_model, vocab_size, "0", 0, 1 << 24),
    PS_CONF_INT("context_length", ps_spec_model, context_length, "0", 0, 1 << 20),
    PS_CONF_INT("hidden_size", ps_spec_model, hidden_size, "0", 0, 1 << 17),
    PS_CONF_INT("num_layers", ps_spec_model, num_layers, "0", 0, 1024),
    PS_CONF_INT("num_heads", ps_spec_model, num_heads, "0", 0, 1024),
    PS_CONF_INT("num_kv_heads", ps_spec_model, num_kv_heads, "0", 0, 1024),
    PS_CONF_INT("intermediate_size", ps_spec_model, intermediate_size, "0", 0, 1 << 20),
    PS_CONF_REAL("rope_theta", ps_spec_model, rope_theta, "10000", 1, 1e9),
    PS_CONF_REAL("norm_epsilon", ps_spec_model, norm_epsilon, "1e-5", 1e-12, 0.1),
    PS_CONF_BOOL("tie_embeddings", ps_spec_model, tie_embeddings, "false"),
    PS_CONF_REAL("dropout", ps_spec_model, dropout, "0", 0, 0.9),
    PS_CONF_TEXT("tokenizer", ps_spec_model, tokenizer, "", 0, 32),
    PS_CONF_END,
};

const ps_model_key ps_model_keys[] = {
    {"layers", PS_MODEL_MLP},
    {"activation", PS_MODEL_MLP},
    {"loss", PS_MODEL_MLP},
    {"classes", PS_MODEL_MLP, .open = true},
    {"input_mean", PS_MODEL_MLP, .open = true},
    {"input_std", PS_MODEL_MLP, .open = true},
    {"input_missing", PS_MODEL_MLP, .open = true},
    {"vocab_size", PS_MODEL_GPT2 | PS_MODEL_LLAMA, true, offsetof(ps_spec_model, vocab_size)},
    {"context_length", PS_MODEL_GPT2 | PS_MODEL_LLAMA, true,
     offsetof(ps_spec_model, context_length)},
    {"hidden_size", PS_MODEL_GPT2 | PS_MODEL_LLAMA, true, offsetof(ps_spec_model, hidden_size)},
    {"num_layers", PS_MODEL_GPT2 | PS_MODEL_LLAMA, true, offsetof(ps_spec_model, num_layers)},
    {"num_heads", PS_MODEL_GPT2 | PS_MODEL_LLAMA, true, offsetof(ps_spec_model, num_heads)},
    {"num_kv_heads", PS_MODEL_LLAMA},
    {"intermediate_size", PS_MODEL_GPT2 | PS_MODEL_LLAMA},
    {"rope_theta", PS_MODEL_LLAMA},
    {"norm_epsilon", PS_MODEL_GPT2 | PS_MODEL_LLAMA},
    {"tie_embeddings", PS_MODEL_GPT2 | PS_MODEL_LLAMA, .fixed = PS_MODEL_GPT2},
    {"dropout", PS_MODEL_GPT2 | PS_MODEL_LLAMA, .training = true},
    {"tokenizer", PS_MODEL_GPT2 | PS_MODEL_LLAMA},
};

const size_t ps_n_model_keys = sizeof ps_model_keys / sizeof *ps_model_keys;

unsigned ps_model_bit(const ps_spec_model *model)
{
    unsigned i = 0;
    while (strcmp(model->architecture, architecture_names[i]) != 0)
        i++; /* a word of the table: the schema has seen to that */
    return 1u << i;
}

const ps_conf_key *ps_model_key_find(const char *name)
{
    const ps_conf_key *key = ps_spec_model_keys;
    while (strcmp(key->name, name) != 0)
        key++; /* a row of ps_model_keys is one of them */
    return key;
}

static void put_list(const int64_t *values, size_t n, ps_buf *out)
{
    for (size_t i = 0; i < n; i++)
        ps_buf_printf(out, "%s%" PRId64, i ? ", " : "[", values[i]);
    ps_buf_puts(out, n ? "]" : "[]");
}

static void put_reals(const double *values, size_t n, ps_buf *out)
{
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_array(&json);
    for (size_t i = 0; i < n; i++)
        ps_json_double(&json, values[i]);
    ps_json_array_end(&json);
}

static void put_texts(char *const *texts, size_t n, ps_buf *out)
{
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_array(&json);
    for (size_t i = 0; i < n; i++)
        ps_json_string(&json, texts[i]);
    ps_json_array_end(&json);
}

static size_t count(const ps_spec_model *m, const ps_conf_key *key)
{
    return *(const size_t *)(const void *)((const char *)m + key->count_offset);
}

bool ps_model_key_is_open(const ps_spec_model *m, const ps_model_key *key)
{
    const ps_conf_key *schema = ps_model_key_find(key->key);
    const void *at = (const char *)m + schema->offset;
    bool word = schema->type == PS_CONF_TYPE_WORD;
    return key->open && (word ? *(const unsigned *)at == 0 : count(m, schema) == 0);
}

void ps_model_key_put(const ps_spec_model *m, const ps_conf_key *key, ps_buf *out)
{
    const void *at = (const char *)m + key->offset;
    ps_json_writer json = ps_json_writer_to(out);
    switch (key->type) {
    case PS_CONF_TYPE_BOOL:
        ps_buf_puts(out, *(const bool *)at ? "true" : "false");
        break;
    case PS_CONF_TYPE_INT:
        ps_buf_printf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case PS_CONF_TYPE_REAL:
        ps_json_double(&json, *(const double *)at);
        break;
    case PS_CONF_TYPE_WORD:
        ps_buf_puts(out, key->words[*(const unsigned *)at]);
        break;
    case PS_CONF_TYPE_INTS:
        put_list(*(int64_t *const *)at, count(m, key), out);
        break;
    case PS_CONF_TYPE_REALS:
        put_reals(*(double *const *)at, count(m, key), out);
        break;
    case PS_CONF_TYPE_TEXTS:
        put_texts(*(char *const *const *)at, count(m, key), out);
        break;
    default:
        ps_json_string(&json, *(char *const *)at);
    }
}

void ps_spec_model_format(const ps_spec_model *model, ps_buf *out)
{
    unsigned architecture = ps_model_bit(model);
    ps_buf_printf(out, "{architecture: %s", model->architecture);
    for (size_t i = 0; i < ps_n_model_keys; i++) {
        const ps_conf_key *key = ps_model_key_find(ps_model_keys[i].key);
        if (ps_model_key_is_open(model, &ps_model_keys[i]) ||
            !(ps_model_keys[i].owners & ~ps_model_keys[i].fixed & architecture))
            continue;
        ps_buf_printf(out, ", %s: ", key->name);
        ps_model_key_put(model, key, out);
    }
    ps_buf_putc(out, '}');
}
