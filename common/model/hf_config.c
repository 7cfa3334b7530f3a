/* Happy path: the values of a table's keys are gathered from the JSON, what must have one certain
 * value is compared with it, and the rest becomes the text of a model section, which is parsed like
 * any other: ranges and rules are checked there. A key of no table is refused by its name, unless
 * its value is null: it may be one by which another program computes something else. */
#include "common/model/hf_config.h"

#include "common/conf/value.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum which { NEITHER, GPT2, LLAMA, BOTH } which;

/* A key of config.json that becomes one of the model section, or must have a certain value. */
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
    {GPT2, "resid_pdrop", "dropout", "0.1", NULL},
    {GPT2, "embd_pdrop", NULL, "0.1", NULL}, /* see check_dropout */
    {GPT2, "attn_pdrop", NULL, "0.1", NULL},
    {GPT2, "activation_function", NULL, "gelu_new", " gelu_new gelu_pytorch_tanh "},
    {GPT2, "scale_attn_weights", NULL, "true", " true "},
    {GPT2, "scale_attn_by_inverse_layer_idx", NULL, "false", " false "},
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
    {LLAMA, "attention_dropout", "dropout", "0", NULL},
    {LLAMA, "hidden_act", NULL, "silu", " silu swish "},
    {LLAMA, "head_dim", NULL, NULL, NULL}, /* see check_head */
    {BOTH, "psd_tokenizer", "tokenizer", NULL, NULL},
    /* what is not in psd's models */
    {BOTH, "attention_bias", NULL, "false", " false "},
    {BOTH, "mlp_bias", NULL, "false", " false "},
    {BOTH, "rope_type", NULL, "default", " default "}, /* of rope_scaling, rope_parameters */
    {BOTH, "partial_rotary_factor", NULL, "1", " 1 "},
    {BOTH, "rope_interleaved", NULL, "false", " false "},
    {BOTH, "add_cross_attention", NULL, "false", " false "},
    {BOTH, "is_encoder_decoder", NULL, "false", " false "},
    {BOTH, "use_sliding_window", NULL, "false", " false "},
    {BOTH, "use_qk_norm", NULL, "false", " false "},
    {BOTH, "logit_scale", NULL, "1", " 1 "},
    {BOTH, "pruned_heads", NULL, "{}", " {} "},
};

enum { FIELDS = sizeof fields / sizeof *fields };

/* Keys of GPT2Config, LlamaConfig and their base in any version of transformers, and some that
 * programs for training leave, by which none of them computes other logits. */
static const char *const harmless[] = {
    /* ids, which come with the model (token_ids.h) */
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id",
    "unk_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id",
    /* where it comes from, and as what it is held */
    "_name_or_path", "_commit_hash", "architectures", "transformers_version", "torch_dtype",
    "dtype", "tokenizer_class", "prefix", "model_max_length", "max_sequence_length",
    "unsloth_version", "unsloth_fixed", "torchao_version", "vocab_file",
    /* how it is computed, not what */
    "use_cache", "reorder_and_upcast_attn", "pretraining_tp", "gradient_checkpointing",
    "chunk_size_feed_forward", "attn_implementation", "_attn_implementation",
    "_attn_implementation_autoset", "_flash_attn_2_enabled", "torchscript", "use_bfloat16",
    "base_model_tp_plan", "base_model_pp_plan", "return_dict", "output_hidden_states",
    "output_attentions", "output_past", "keys_to_ignore_at_inference", "is_decoder",
    "tie_encoder_decoder", "cross_attention_hidden_size",
    /* how it was trained, and heads that it does not have here */
    "initializer_range", "neftune_noise_alpha", "loss_type", "tf_legacy_loss", "n_ctx", "n_special",
    "predict_special_tokens", "summary_type", "summary_use_proj", "summary_activation",
    "summary_proj_to_labels", "summary_first_dropout", "finetuning_task", "id2label", "label2id",
    "num_labels", "_num_labels", "problem_type",
    /* how it is sampled, by older versions */
    "task_specific_params", "max_length", "max_new_tokens", "min_length", "do_sample",
    "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k",
    "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
    "return_dict_in_generate", "remove_invalid_values", "exponential_decay_length_penalty",
    "suppress_tokens", "begin_suppress_tokens"};

/* Keys of rope_scaling and rope_parameters that say nothing when rope_type is default. */
static const char *const of_scaling[] = {"factor",          "original_max_position_embeddings",
                                         "low_freq_factor", "high_freq_factor",
                                         "beta_fast",       "beta_slow",
                                         "attention_factor"};

#define HAS(list, key) is_one_of(list, sizeof(list) / sizeof *(list), key)

static bool is_one_of(const char *const *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], key))
            return true;
    return false;
}

typedef struct reader {
    ps_json_reader json;
    char type[16];           /* model_type */
    char values[FIELDS][32]; /* as text; "": absent or null */
} reader;

static which owner_of(const char *type)
{
    return !strcmp(type, "gpt2") ? GPT2 : !strcmp(type, "llama") ? LLAMA : NEITHER;
}

/* ---- gathering ---- */

/* An object or a list is "{}" when it is empty. */
static ps_status read_empty(reader *r, const char *key, char *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (!st && token.kind != PS_JSON_OBJECT_END && token.kind != PS_JSON_ARRAY_END)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s has no value that is known here", key);
    if (!st)
        memcpy(out, "{}", 3);
    return st;
}

/* The value of the next token as it would stand in YAML. */
static ps_status read_value(reader *r, const char *key, char *out, size_t size)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st)
        return st;
    bool composed = token.kind == PS_JSON_OBJECT || token.kind == PS_JSON_ARRAY;
    if (composed && !strcmp(key, "pruned_heads"))
        return read_empty(r, key, out);
    const char *text = token.kind == PS_JSON_TRUE    ? "true"
                       : token.kind == PS_JSON_FALSE ? "false"
                       : token.kind == PS_JSON_NULL  ? ""
                       : composed                    ? "?"
                                                     : (const char *)token.text.data;
    size_t known = strspn(text, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._");
    bool zero = token.kind == PS_JSON_STRING && strlen(text) != token.text.len;
    if (text[known] || zero || known >= size)
        return ps_fail(PS_INVALID_ARGUMENT, "%s has no value that is known here", key);
    (void)snprintf(out, size, "%s", text);
    return PS_OK;
}

/* A key of no table. That it is null says as much as that it is absent. */
static ps_status read_unknown(reader *r, const char *key)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "key %s is not known here, and may change what the model computes; if it does "
                   "not, take it out",
                   ps_conf_quote(key).text);
}

static bool same_value(const char *a, const char *b)
{
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    return !strcmp(a, b) || (*a && *b && !*end_a && !*end_b && x == y);
}

static ps_status keep_value(reader *r, size_t i, const char *value)
{
    char *kept = r->values[i];
    if (*kept && *value && !same_value(kept, value))
        return ps_fail(PS_INVALID_ARGUMENT, "%s is there twice: %s and %s", fields[i].key, kept,
                       value);
    if (*value)
        memcpy(kept, value, sizeof r->values[i]);
    return PS_OK;
}

static ps_status read_field(reader *r, const char *key)
{
    char value[32] = "";
    ps_status st = read_value(r, key, value, sizeof value);
    for (size_t i = 0; !st && i < FIELDS; i++)
        if (!strcmp(fields[i].key, key))
            st = keep_value(r, i, value);
    return st;
}

static bool is_field(const char *key)
{
    bool found = false;
    for (size_t i = 0; i < FIELDS && !found; i++)
        found = !strcmp(fields[i].key, key);
    return found;
}

static ps_status read_object(reader *r, bool top);

static ps_status read_rope(reader *r, const char *key)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    return token.kind == PS_JSON_OBJECT
               ? read_object(r, false)
               : ps_fail(PS_INVALID_ARGUMENT, "%s must be an object or null", key);
}

static ps_status read_rope_key(reader *r, const char *key)
{
    if (!strcmp(key, "type")) /* what rope_type was called before */
        key = "rope_type";
    if (!strcmp(key, "rope_type") || !strcmp(key, "rope_theta") ||
        !strcmp(key, "partial_rotary_factor"))
        return read_field(r, key);
    return HAS(of_scaling, key) ? ps_json_skip(&r->json) : read_unknown(r, key);
}

static ps_status read_key(reader *r, const char *key)
{
    if (!strcmp(key, "model_type"))
        return read_value(r, key, r->type, sizeof r->type);
    if (!strcmp(key, "rope_scaling") || !strcmp(key, "rope_parameters"))
        return read_rope(r, key);
    if (is_field(key) && strcmp(key, "rope_type") != 0)
        return read_field(r, key);
    return HAS(harmless, key) ? ps_json_skip(&r->json) : read_unknown(r, key);
}

/* After its brace. */
static ps_status read_object(reader *r, bool top)
{
    for (;;) {
        ps_json_token token;
        ps_status st = ps_json_next(&r->json, &token);
        if (st || token.kind == PS_JSON_OBJECT_END)
            return st;
        char key[64];
        (void)snprintf(key, sizeof key, "%s", (const char *)token.text.data);
        st = top ? read_key(r, key) : read_rope_key(r, key);
        if (st)
            return st;
    }
}

/* ---- understanding ---- */

static const char *value_of(const reader *r, which owner, const char *key)
{
    for (size_t i = 0; i < FIELDS; i++)
        if ((fields[i].owner & owner) && !strcmp(fields[i].key, key))
            return *r->values[i] ? r->values[i] : fields[i].fallback;
    return NULL;
}

/* GPT2Config takes four of its keys by the names of the others too. */
static ps_status take_aliases(reader *r)
{
    static const char *const names[][2] = {{"hidden_size", "n_embd"},
                                           {"num_hidden_layers", "n_layer"},
                                           {"num_attention_heads", "n_head"},
                                           {"max_position_embeddings", "n_positions"}};
    size_t at[2] = {0};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        for (size_t i = 0; i < FIELDS; i++)
            for (size_t k = 0; k < 2; k++)
                at[k] = strcmp(fields[i].key, names[n][k]) ? at[k] : i;
        ps_status st = keep_value(r, at[1], r->values[at[0]]);
        if (st)
            return st;
    }
    return PS_OK;
}

/* head_dim, where it is written, must be hidden_size / num_attention_heads. */
static ps_status check_head(const reader *r, const ps_spec_model *m)
{
    char want[32];
    (void)snprintf(want, sizeof want, "%" PRId64, m->hidden_size / m->num_heads);
    const char *value = value_of(r, LLAMA, "head_dim");
    if (value && !same_value(value, want))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "head_dim: %s is not supported, only hidden_size / num_attention_heads",
                       value);
    return PS_OK;
}

/* One rate is kept: three that differ would be another training afterwards. */
static ps_status check_dropout(const reader *r)
{
    const char *rate = value_of(r, GPT2, "resid_pdrop");
    static const char *const others[] = {"embd_pdrop", "attn_pdrop"};
    for (size_t i = 0; i < 2; i++)
        if (!same_value(value_of(r, GPT2, others[i]), rate))
            return ps_fail(
                PS_INVALID_ARGUMENT,
                "%s is %s and resid_pdrop %s, but a model has one dropout here; give all "
                "three the same value (they count in training only)",
                others[i], value_of(r, GPT2, others[i]), rate);
    return PS_OK;
}

/* The value is one of those between the spaces of the list. */
static bool allows(const char *must, const char *value)
{
    char words[64], *rest = NULL;
    (void)snprintf(words, sizeof words, "%s", must);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (same_value(word, value))
            return true;
    return false;
}

static ps_status write_section(const reader *r, which owner, ps_buf *out)
{
    ps_buf_printf(out, "{architecture: %s", r->type);
    for (size_t i = 0; i < FIELDS; i++) {
        const field *f = &fields[i];
        const char *value = *r->values[i] ? r->values[i] : f->fallback;
        if (!(f->owner & owner) || !value)
            continue;
        if (f->name)
            ps_buf_printf(out, ", %s: %s", f->name, value);
        else if (f->must && !allows(f->must, value))
            return ps_fail(PS_INVALID_ARGUMENT, "%s: %s is not supported, only%.*s", f->key, value,
                           (int)strlen(f->must) - 1, f->must);
    }
    ps_buf_putc(out, '}');
    return PS_OK;
}

static ps_status make_model(reader *r, ps_spec_model **out)
{
    which owner = owner_of(r->type);
    if (!*r->type)
        return ps_fail(PS_INVALID_ARGUMENT, "model_type is missing; allowed: gpt2, llama");
    if (owner == NEITHER)
        return ps_fail(PS_INVALID_ARGUMENT, "model_type '%s' is not known; allowed: gpt2, llama",
                       r->type);
    ps_buf section = PS_BUF_EMPTY;
    ps_spec_model *model = NULL;
    ps_status st = owner == GPT2 ? take_aliases(r) : PS_OK;
    if (!st && owner == GPT2)
        st = check_dropout(r);
    if (!st)
        st = write_section(r, owner, &section);
    if (!st)
        st = ps_spec_model_parse(ps_buf_slice(&section), "config", &model);
    ps_buf_free(&section);
    if (!st && owner == LLAMA)
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
