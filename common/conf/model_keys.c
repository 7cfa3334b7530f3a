/* The keys of a model section, how each is written, and the section that is made of all of them. */
#include "common/conf/model_keys.h"

#include "common/conf/convolution_spec.h"
#include "common/conf/write.h"

#include <float.h>
#include <string.h>

/* In the order of the enums of job_spec.h. */
static const char *const activation_words[] = {"relu", "gelu", "tanh", NULL};
const char *const ps_spec_missing_words[] = {"error", "zero", "mean", NULL};
const char *const ps_spec_pooling_words[] = {"mean", "cls", NULL};
static const char *const loss_words[] = {"cross_entropy", "squared_error", NULL};

/* Whether a key is needed depends on the architecture, so 0 and [] stand for "not said". */
const ps_conf_key ps_spec_model_keys[] = {
    PS_CONF_NAME("architecture", ps_spec_model, architecture, NULL, ps_arch_names),
    PS_CONF_INTS("layers", ps_spec_model, layers, "[]", 0, 256, 1, 1 << 20),
    PS_CONF_INTS("image", ps_spec_model, image, "[]", 0, 3, 1, 65536),
    PS_CONF_MAPS("convolutions", ps_spec_model, convolutions, ps_spec_convolution_keys, 0, 64),
    PS_CONF_WORD("activation", ps_spec_model, activation, "relu", activation_words),
    PS_CONF_WORD("loss", ps_spec_model, loss, "cross_entropy", loss_words),
    PS_CONF_TEXTS("classes", ps_spec_model, classes, "[]", 0, 4096, 1, 255),
    PS_CONF_REALS("input_mean", ps_spec_model, input_mean, "[]", 0, PS_SPEC_INPUTS_MAX, -DBL_MAX,
                  DBL_MAX),
    PS_CONF_REALS("input_std", ps_spec_model, input_std, "[]", 0, PS_SPEC_INPUTS_MAX, DBL_MIN,
                  DBL_MAX),
    PS_CONF_WORD("input_missing", ps_spec_model, input_missing, "error", ps_spec_missing_words),
    PS_CONF_INT("top_k", ps_spec_model, top_k, "0", 0, 1 << 20),
    PS_CONF_REAL("l1", ps_spec_model, l1, "0", 0, 1e6),
    PS_CONF_INT("vocab_size", ps_spec_model, vocab_size, "0", 0, 1 << 24),
    PS_CONF_INT("context_length", ps_spec_model, context_length, "0", 0, 1 << 20),
    PS_CONF_INT("hidden_size", ps_spec_model, hidden_size, "0", 0, 1 << 17),
    PS_CONF_INT("num_layers", ps_spec_model, num_layers, "0", 0, 1024),
    PS_CONF_INT("num_heads", ps_spec_model, num_heads, "0", 0, 1024),
    PS_CONF_INT("num_kv_heads", ps_spec_model, num_kv_heads, "0", 0, 1024),
    PS_CONF_INT("head_dim", ps_spec_model, head_dim, "0", 0, 1 << 14),
    PS_CONF_INT("intermediate_size", ps_spec_model, intermediate_size, "0", 0, 1 << 20),
    PS_CONF_REAL("rope_theta", ps_spec_model, rope.theta, "10000", 1, 1e9),
    PS_CONF_WORD("rope_type", ps_spec_model, rope.type, "default", ps_rope_type_names),
    PS_CONF_REAL("rope_factor", ps_spec_model, rope.factor, "0", 0, PS_SPEC_ROPE_FACTOR_MAX),
    PS_CONF_INT("rope_original_context", ps_spec_model, rope.original_context, "0", 0, 1 << 24),
    PS_CONF_REAL("rope_low_freq_factor", ps_spec_model, rope.low_freq_factor, "1",
                 PS_SPEC_ROPE_TURNS_MIN, PS_SPEC_ROPE_TURNS_MAX),
    PS_CONF_REAL("rope_high_freq_factor", ps_spec_model, rope.high_freq_factor, "4",
                 PS_SPEC_ROPE_TURNS_MIN, PS_SPEC_ROPE_TURNS_MAX),
    PS_CONF_REAL("rope_beta_fast", ps_spec_model, rope.beta_fast, "32", PS_SPEC_ROPE_TURNS_MIN,
                 PS_SPEC_ROPE_TURNS_MAX),
    PS_CONF_REAL("rope_beta_slow", ps_spec_model, rope.beta_slow, "1", PS_SPEC_ROPE_TURNS_MIN,
                 PS_SPEC_ROPE_TURNS_MAX),
    PS_CONF_REAL("rope_attention_factor", ps_spec_model, rope.attention_factor, "0", 0, 1e6),
    PS_CONF_REAL("rope_local_theta", ps_spec_model, rope.local_theta, "0", 0, 1e9),
    PS_CONF_REAL("rope_share", ps_spec_model, rope.share, "1", 0.001, 1),
    PS_CONF_REAL("norm_epsilon", ps_spec_model, norm_epsilon, "1e-5", 1e-12, 0.1),
    PS_CONF_BOOL("tie_embeddings", ps_spec_model, tie_embeddings, "false"),
    PS_CONF_BOOL("attention_bias", ps_spec_model, choices.attention_bias, "false"),
    PS_CONF_BOOL("mlp_bias", ps_spec_model, choices.mlp_bias, "false"),
    PS_CONF_BOOL("parallel_residual", ps_spec_model, choices.parallel_residual, "false"),
    PS_CONF_WORD("hidden_act", ps_spec_model, choices.hidden_act, "default", ps_arch_act_names),
    PS_CONF_INT("sliding_window", ps_spec_model, choices.sliding_window, "0", 0, 1 << 24),
    PS_CONF_INT("full_attention_every", ps_spec_model, choices.full_attention_every, "0", 0, 1024),
    PS_CONF_INT("full_attention_first", ps_spec_model, choices.full_attention_first, "0", 0, 1024),
    PS_CONF_REAL("query_pre_attn_scalar", ps_spec_model, choices.query_pre_attn_scalar, "0", 0,
                 1e9),
    PS_CONF_REAL("attention_softcap", ps_spec_model, choices.attention_softcap, "0", 0, 1e9),
    PS_CONF_REAL("logit_softcap", ps_spec_model, choices.logit_softcap, "0", 0, 1e9),
    PS_CONF_REAL("dropout", ps_spec_model, dropout, "0", 0, 0.9),
    PS_CONF_REAL("embedding_dropout", ps_spec_model, choices.embedding_dropout, "-1", -1, 0.9),
    PS_CONF_REAL("attention_dropout", ps_spec_model, choices.attention_dropout, "-1", -1, 0.9),
    PS_CONF_REAL("classifier_dropout", ps_spec_model, choices.classifier_dropout, "-1", -1, 0.9),
    PS_CONF_INT("type_vocab_size", ps_spec_model, choices.type_vocab_size, "2", 1, 2),
    PS_CONF_INT("num_classes", ps_spec_model, choices.num_classes, "0", 0, 4096),
    PS_CONF_BOOL("pooler", ps_spec_model, choices.pooler, "false"),
    PS_CONF_WORD("pooling", ps_spec_model, pooling, "mean", ps_spec_pooling_words),
    PS_CONF_INT("max_text_length", ps_spec_model, max_text_length, "0", 0, 1 << 20),
    PS_CONF_TEXT("tokenizer", ps_spec_model, tokenizer, "", 0, 32),
    PS_CONF_TEXT("base", ps_spec_model, base, "", 0, 64),
    PS_CONF_TEXT("base_sha256", ps_spec_model, base_sha256, "", 0, 64),
    PS_CONF_END,
};

const ps_model_key ps_model_keys[] = {
    {"layers"},
    {"image"},
    {"convolutions"},
    {"activation"},
    {"loss"},
    {"classes", .open = true},
    {"input_mean", .open = true},
    {"input_std", .open = true},
    {"input_missing", .open = true},
    {"top_k"},
    {"l1"},
    {"vocab_size"},
    {"context_length"},
    {"hidden_size"},
    {"num_layers"},
    {"num_heads"},
    {"num_kv_heads"},
    {"head_dim", .follows = true},
    {"intermediate_size"},
    {"rope_theta"},
    {"rope_type", .quiet = true},
    {"rope_factor", .quiet = true, .of_rope = true},
    {"rope_original_context", .quiet = true, .of_rope = true},
    {"rope_low_freq_factor", .quiet = true, .of_rope = true},
    {"rope_high_freq_factor", .quiet = true, .of_rope = true},
    {"rope_beta_fast", .quiet = true, .of_rope = true},
    {"rope_beta_slow", .quiet = true, .of_rope = true},
    {"rope_attention_factor", .quiet = true, .of_rope = true},
    {"rope_local_theta", .quiet = true},
    {"rope_share", .quiet = true},
    {"norm_epsilon"},
    {"tie_embeddings"},
    {"attention_bias", .quiet = true},
    {"mlp_bias", .quiet = true},
    {"parallel_residual", .quiet = true},
    {"hidden_act", .quiet = true},
    {"sliding_window", .quiet = true},
    {"full_attention_every", .quiet = true},
    {"full_attention_first", .quiet = true},
    {"query_pre_attn_scalar", .quiet = true},
    {"attention_softcap", .quiet = true},
    {"logit_softcap", .quiet = true},
    {"dropout", .training = true},
    {"embedding_dropout", .training = true, .quiet = true},
    {"attention_dropout", .training = true, .quiet = true},
    {"classifier_dropout", .training = true, .quiet = true},
    {"type_vocab_size", .quiet = true},
    {"num_classes", .quiet = true},
    {"pooler"},
    {"pooling", .quiet = true},
    {"max_text_length", .quiet = true},
    {"tokenizer"},
    {"base", .open = true},
    {"base_sha256", .open = true},
};

const size_t ps_n_model_keys = sizeof ps_model_keys / sizeof *ps_model_keys;

const ps_arch *ps_model_arch(const ps_spec_model *model)
{
    return ps_arch_find(model->architecture); /* a word of the table: the schema has seen to that */
}

bool ps_model_has_key(const ps_spec_model *model, const ps_model_key *key)
{
    return ps_arch_key_find(ps_model_arch(model), key->key) != NULL;
}

const ps_conf_key *ps_model_key_find(const char *name)
{
    const ps_conf_key *key = ps_spec_model_keys;
    while (strcmp(key->name, name) != 0)
        key++; /* a row of ps_model_keys is one of them */
    return key;
}

bool ps_model_key_is_open(const ps_spec_model *m, const ps_model_key *key)
{
    const ps_conf_key *schema = ps_model_key_find(key->key);
    const void *at = (const char *)m + schema->offset;
    if (!key->open)
        return false;
    if (schema->type == PS_CONF_TYPE_TEXT)
        return !**(char *const *)at;
    return schema->type == PS_CONF_TYPE_WORD ? *(const unsigned *)at == 0
                                             : ps_conf_count(schema, m) == 0;
}

bool ps_spec_model_has_own_heads(const ps_spec_model *m)
{
    return m->head_dim * m->num_heads != m->hidden_size;
}

/* Of a number, a flag or a word. */
static bool is_default(const ps_spec_model *model, const ps_model_key *key)
{
    const ps_conf_key *schema = ps_model_key_find(key->key);
    ps_buf text = PS_BUF_EMPTY;
    ps_conf_write(schema, model, &text);
    bool same = !strcmp(ps_buf_cstr(&text), schema->fallback);
    ps_buf_free(&text);
    return same;
}

/* A flag that is true unless it is said is written where it is not. */
static bool is_false(const ps_spec_model *model, const ps_model_key *key)
{
    return !ps_spec_model_number(model, key->key).whole;
}

/* What the section leaves open, has one value only, or follows from the rest is not written. */
static bool is_written(const ps_spec_model *model, const ps_model_key *key)
{
    const ps_arch_key *own = ps_arch_key_find(ps_model_arch(model), key->key);
    if (own && own->need == PS_ARCH_TRUE)
        return is_false(model, key);
    return own && !ps_model_key_is_open(model, key) &&
           (!key->follows || ps_spec_model_has_own_heads(model)) &&
           (!key->quiet || !is_default(model, key));
}

void ps_spec_model_format(const ps_spec_model *model, ps_buf *out)
{
    ps_buf_printf(out, "{architecture: %s", model->architecture);
    for (size_t i = 0; i < ps_n_model_keys; i++) {
        const ps_conf_key *key = ps_model_key_find(ps_model_keys[i].key);
        if (!is_written(model, &ps_model_keys[i]))
            continue;
        ps_buf_printf(out, ", %s: ", key->name);
        ps_conf_write(key, model, out);
    }
    ps_buf_putc(out, '}');
}

ps_spec_number ps_spec_model_number(const ps_spec_model *model, const char *name)
{
    const ps_conf_key *key = ps_model_key_find(name);
    const void *at = (const char *)model + key->offset;
    if (key->type == PS_CONF_TYPE_REAL)
        return (ps_spec_number){.is_real = true, .real = *(const double *)at};
    if (key->type == PS_CONF_TYPE_BOOL)
        return (ps_spec_number){.is_flag = true, .whole = *(const bool *)at};
    if (key->type == PS_CONF_TYPE_WORD)
        return (ps_spec_number){.word = key->words[*(const unsigned *)at]};
    return (ps_spec_number){.whole = *(const int64_t *)at};
}
