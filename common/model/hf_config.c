/* Happy path: the values of a table's keys are gathered from the JSON, what must have one certain
 * value is compared with it, and the rest becomes the text of a model section, which is parsed like
 * any other: ranges and rules are checked there. A key of no table is refused by its name, unless
 * its value is null: it may be one by which another program computes something else. */
#include "common/model/hf_config.h"

#include "common/arch/arch.h"
#include "common/conf/value.h"
#include "common/json/json.h"
#include "common/model/hf_words.h"

#include <stdio.h>
#include <string.h>

/* Keys of all architectures; those of each are in its row (common/arch). */
static const ps_arch_hf_key shared[] = {
    {"vocab_size", "vocab_size"},
    {"psd_tokenizer", "tokenizer"},
    /* what is not in psd's models */
    {"attention_bias", .fallback = "false", .only = " false "},
    {"mlp_bias", .fallback = "false", .only = " false "},
    {"rope_type", .fallback = "default", .only = " default "}, /* of rope_scaling, ... */
    {"truncate", .fallback = "true", .only = " true "},        /* likewise */
    {"partial_rotary_factor", .fallback = "1", .only = " 1 "},
    {"rope_interleaved", .fallback = "false", .only = " false "},
    {"add_cross_attention", .fallback = "false", .only = " false "},
    {"is_encoder_decoder", .fallback = "false", .only = " false "},
    {"use_sliding_window", .fallback = "false", .only = " false "},
    {"use_qk_norm", .fallback = "false", .only = " false "},
    {"logit_scale", .fallback = "1", .only = " 1 "},
    {"pruned_heads", .fallback = "{}", .only = " {} "},
    {NULL},
};

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
    /* read by itself (hf_quantization.h) */
    "quantization_config",
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
    "summary_proj_to_labels", "summary_first_dropout", "classifier_dropout", "finetuning_task",
    "id2label", "label2id", "num_labels", "_num_labels", "problem_type",
    /* how it is sampled, by older versions */
    "task_specific_params", "max_length", "max_new_tokens", "min_length", "do_sample",
    "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k",
    "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
    "return_dict_in_generate", "remove_invalid_values", "exponential_decay_length_penalty",
    "suppress_tokens", "begin_suppress_tokens"};

/* Keys of rope_scaling and rope_parameters, each of some types of scaling, and of no meaning to the
 * others (common/arch/rope.h). They are kept under names that no other key has. */
const ps_hf_rope_key ps_hf_rope_keys[] = {
    {"factor", "rope_factor"},
    {"original_max_position_embeddings", "rope_original_context"},
    {"low_freq_factor", "rope_low_freq_factor"},
    {"high_freq_factor", "rope_high_freq_factor"},
    {"beta_fast", "rope_beta_fast"},
    {"beta_slow", "rope_beta_slow"},
    {"attention_factor", "rope_attention_factor"},
    {NULL, NULL},
};

#define HAS(list, key) is_one_of(list, sizeof(list) / sizeof *(list), key)

static bool is_one_of(const char *const *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], key))
            return true;
    return false;
}

bool ps_hf_config_passes_over(const char *key)
{
    return HAS(harmless, key);
}

enum { MAX_VALUES = 128 };

/* What the file has for a key of `shared` or of an architecture. */
typedef struct kept_value {
    const char *key; /* the table's */
    char text[32];
} kept_value;

typedef struct reader {
    ps_json_reader json;
    char type[16]; /* model_type */
    kept_value values[MAX_VALUES];
    size_t n;
    long long layers; /* entries of layer_types; 0: no such list */
} reader;

/* ---- tables ---- */

static const ps_arch_hf_key *find_in(const ps_arch_hf_key *keys, const char *key)
{
    for (; keys && keys->key; keys++)
        if (!strcmp(keys->key, key) || (keys->alias && !strcmp(keys->alias, key)))
            return keys;
    return NULL;
}

static const ps_arch_hf_key *find_key(const ps_arch *arch, const char *key)
{
    const ps_arch_hf_key *found = find_in(arch->hf.keys, key);
    return found ? found : find_in(shared, key);
}

/* In the first table that has it; NULL. */
static const ps_arch_hf_key *find_any(const char *key)
{
    const ps_arch_hf_key *found = find_in(shared, key);
    for (size_t i = 0; !found && ps_archs[i]; i++)
        found = find_in(ps_archs[i]->hf.keys, key);
    return found;
}

/* A key of any table, by the name that the file has for it; NULL. */
static const char *known_name(const char *key)
{
    const ps_arch_hf_key *found = find_any(key);
    if (!found)
        return NULL;
    return strcmp(found->key, key) ? found->alias : found->key;
}

/* ---- gathering ---- */

static ps_status no_value(const char *key)
{
    return ps_fail(PS_INVALID_ARGUMENT, "%s has no value that is known here", key);
}

/* One that is no object and no list, as it would stand in YAML. */
static ps_status take_scalar(const ps_json_token *token, const char *key, char *out, size_t size)
{
    const char *text = token->kind == PS_JSON_TRUE    ? "true"
                       : token->kind == PS_JSON_FALSE ? "false"
                       : token->kind == PS_JSON_NULL  ? ""
                                                      : (const char *)token->text.data;
    size_t known = strspn(text, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._");
    bool zero = token->kind == PS_JSON_STRING && strlen(text) != token->text.len;
    if (text[known] || zero || known >= size)
        return no_value(key);
    (void)snprintf(out, size, "%s", text);
    return PS_OK;
}

static bool is_composed(const ps_json_token *token)
{
    return token->kind == PS_JSON_OBJECT || token->kind == PS_JSON_ARRAY;
}

/* After its bracket: one word for each layer (common/model/hf_words.h). */
static ps_status read_list(reader *r, const char *key, char *out, size_t size)
{
    ps_json_token token;
    ps_hf_layers layers = {.n = 0};
    for (;;) {
        ps_status st = ps_json_next(&r->json, &token);
        if (!st && token.kind == PS_JSON_ARRAY_END)
            r->layers = layers.n;
        if (!st && token.kind == PS_JSON_ARRAY_END)
            return ps_hf_layers_word(&layers, out, size) ? PS_OK : no_value(key);
        if (st)
            return st;
        char word[PS_HF_WORD] = "";
        if (token.kind != PS_JSON_STRING)
            return no_value(key);
        st = take_scalar(&token, key, word, sizeof word);
        if (st)
            return st;
        ps_hf_layers_add(&layers, word);
    }
}

/* What is empty is "{}", where that is allowed. */
static ps_status read_empty(reader *r, const char *key, char *out, size_t size)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (!st && token.kind != PS_JSON_OBJECT_END && token.kind != PS_JSON_ARRAY_END)
        return no_value(key);
    (void)snprintf(out, size, "{}");
    return st;
}

/* An object or a list, after its brace or bracket. */
static ps_status read_composed(reader *r, ps_json_kind kind, const char *key, char *out,
                               size_t size)
{
    const ps_arch_hf_key *row = find_any(key);
    if (row && row->list && kind == PS_JSON_ARRAY)
        return read_list(r, key, out, size);
    if (row && row->only && strstr(row->only, " {} "))
        return read_empty(r, key, out, size);
    return no_value(key);
}

/* out is empty. */
static ps_status read_value(reader *r, const char *key, char *out, size_t size)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st)
        return st;
    if (is_composed(&token))
        return read_composed(r, token.kind, key, out, size);
    const ps_arch_hf_key *row = find_any(key);
    if (row && row->list && token.kind != PS_JSON_NULL)
        return no_value(key); /* words for lists (hf_words.h) are none of a file's */
    return take_scalar(&token, key, out, size);
}

static ps_status unknown(const char *key)
{
    return ps_fail(PS_INVALID_ARGUMENT,
                   "key %s is not known here, and may change what the model computes; if it does "
                   "not, take it out",
                   ps_conf_quote(key).text);
}

/* A key of no table. That it is null says as much as that it is absent. */
static ps_status read_unknown(reader *r, const char *key)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    return st || token.kind == PS_JSON_NULL ? st : unknown(key);
}

/* What is kept under this name of a table; NULL: the file does not have it, or null. */
static char *kept(reader *r, const char *key)
{
    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(r->values[i].key, key))
            return r->values[i].text;
    return NULL;
}

/* Does null say something to any architecture? */
static bool null_says(const char *key)
{
    bool says = false;
    for (size_t i = 0; ps_archs[i]; i++) {
        const ps_arch_hf_key *row = find_in(ps_archs[i]->hf.keys, key);
        says |= row && row->null;
    }
    return says;
}

static ps_status keep_value(reader *r, const char *key, const char *text)
{
    const char *before = kept(r, key);
    if (!*text && null_says(key))
        text = "null";
    if (!*text)
        return PS_OK;
    if (before && !ps_hf_same(before, text))
        return ps_fail(PS_INVALID_ARGUMENT, "%s is there twice: %s and %s", key, before, text);
    if (before)
        return PS_OK;
    if (r->n == MAX_VALUES)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d keys", MAX_VALUES);
    r->values[r->n] = (kept_value){.key = key};
    (void)snprintf(r->values[r->n++].text, sizeof r->values->text, "%s", text);
    return PS_OK;
}

static ps_status read_field(reader *r, const char *name)
{
    char text[32] = "";
    ps_status st = read_value(r, name, text, sizeof text);
    return st ? st : keep_value(r, name, text);
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
        !strcmp(key, "partial_rotary_factor") || !strcmp(key, "truncate"))
        return read_field(r, known_name(key));
    for (const ps_hf_rope_key *k = ps_hf_rope_keys; k->key; k++)
        if (!strcmp(k->key, key))
            return read_field(r, k->name);
    return read_unknown(r, key);
}

static ps_status read_key(reader *r, const char *key)
{
    if (!strcmp(key, "model_type"))
        return read_value(r, key, r->type, sizeof r->type);
    if (!strcmp(key, "rope_scaling") || !strcmp(key, "rope_parameters"))
        return read_rope(r, key);
    const char *name = known_name(key);
    if (name && strcmp(key, "rope_type") != 0 && strcmp(key, "truncate") != 0)
        return read_field(r, name);
    return HAS(harmless, key) ? ps_json_skip(&r->json) : read_unknown(r, key);
}

/* After its brace. */
static ps_status read_object(reader *r, bool top)
{
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(&r->json, &token, &st)) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s", (const char *)token.text.data);
        st = top ? read_key(r, key) : read_rope_key(r, key);
    }
    return st;
}

/* ---- understanding ---- */

static const char *value_of(reader *r, const ps_arch_hf_key *key)
{
    const char *value = kept(r, key->key);
    if (value && !strcmp(value, "null"))
        return key->null ? key->null : key->fallback;
    return value ? value : key->fallback;
}

/* Keys of other architectures say nothing, but where those say so. */
static ps_status check_known(reader *r, const ps_arch *arch)
{
    for (size_t i = 0; i < r->n; i++) {
        const char *key = r->values[i].key;
        if (!strcmp(r->values[i].text, "null"))
            continue;
        for (size_t k = 0; !find_key(arch, key) && ps_archs[k]; k++) {
            const ps_arch_hf_key *other = find_in(ps_archs[k]->hf.keys, key);
            if (other && other->own)
                return unknown(key);
        }
    }
    return PS_OK;
}

/* A key that is there by its other name becomes the one of the table. */
static ps_status take_aliases(reader *r, const ps_arch *arch)
{
    ps_status st = PS_OK;
    for (const ps_arch_hf_key *key = arch->hf.keys; !st && key->key; key++)
        if (key->alias && kept(r, key->alias))
            st = keep_value(r, key->key, kept(r, key->alias));
    return st;
}

static ps_status write_word(const ps_arch_hf_key *key, const char *value, ps_buf *out)
{
    char word[PS_HF_WORD], known[PS_HF_WORDS];
    const char *every;
    if (key->list && ps_hf_every(value, &every)) {
        ps_buf_printf(out, ", %s: %s", key->name, every);
        return PS_OK;
    }
    if (ps_hf_word(key->words, value, word)) {
        ps_buf_printf(out, ", %s: %s", key->name, word);
        return PS_OK;
    }
    ps_hf_words_known(key->words, known);
    return ps_fail(PS_INVALID_ARGUMENT, "%s: %s is not supported, only %s", key->key, value, known);
}

static ps_status write_keys(reader *r, const ps_arch *arch, const ps_arch_hf_key *key, ps_buf *out)
{
    for (; key->key; key++) {
        if (find_key(arch, key->key) != key) /* the architecture has one of its own */
            continue;
        if (!strcmp(key->key, "rope_type") && ps_arch_key_find(arch, key->key))
            continue; /* write_rope */
        const char *value = value_of(r, key);
        ps_status st = key->words && value ? write_word(key, value, out) : PS_OK;
        if (st)
            return st;
        if (key->name && !key->words && value)
            ps_buf_printf(out, ", %s: %s", key->name, value);
        if (key->only && value && !ps_hf_allows(key->only, value))
            return ps_fail(PS_INVALID_ARGUMENT, "%s: %s is not supported, only%.*s", key->key,
                           value, (int)strlen(key->only) - 1, key->only);
    }
    return PS_OK;
}

/* What the type of scaling takes; other numbers say nothing to it. */
static ps_status write_rope(reader *r, ps_buf *out)
{
    const char *type = kept(r, "rope_type");
    unsigned i = 0;
    while (type && ps_rope_type_names[i] && strcmp(ps_rope_type_names[i], type) != 0)
        i++;
    if (!type)
        return PS_OK;
    if (!ps_rope_type_names[i])
        return ps_fail(
            PS_INVALID_ARGUMENT,
            "rope_type: %s is not supported, only default, linear, dynamic, llama3, yarn", type);
    ps_buf_printf(out, ", rope_type: %s", type);
    for (const ps_hf_rope_key *k = ps_hf_rope_keys; k->key; k++)
        if (ps_rope_takes(i, k->name) && kept(r, k->name))
            ps_buf_printf(out, ", %s: %s", k->name, kept(r, k->name));
    return PS_OK;
}

static ps_status write_section(reader *r, const ps_arch *arch, ps_buf *out)
{
    ps_buf_printf(out, "{architecture: %s", arch->name);
    ps_status st = write_keys(r, arch, arch->hf.keys, out);
    if (!st)
        st = write_keys(r, arch, shared, out);
    if (!st && ps_arch_key_find(arch, "rope_type"))
        st = write_rope(r, out);
    ps_buf_putc(out, '}');
    return st;
}

static ps_status find_arch(const reader *r, const ps_arch **out)
{
    *out = ps_arch_find(r->type);
    if (!*r->type)
        return ps_fail(PS_INVALID_ARGUMENT, "model_type is missing; allowed: %s",
                       ps_arch_list_language().text);
    if (!*out || (*out)->family != PS_ARCH_LANGUAGE)
        return ps_fail(PS_INVALID_ARGUMENT, "model_type '%s' is not known; allowed: %s", r->type,
                       ps_arch_list_language().text);
    return PS_OK;
}

static ps_status understand(reader *r, const ps_arch *arch, ps_spec_model **out)
{
    ps_buf section = PS_BUF_EMPTY;
    ps_status st = check_known(r, arch);
    if (!st)
        st = take_aliases(r, arch);
    if (!st)
        st = write_section(r, arch, &section);
    if (!st)
        st = ps_spec_model_parse(ps_buf_slice(&section), "config", out);
    if (!st && r->layers && r->layers != (*out)->num_layers) {
        st = ps_fail(PS_INVALID_ARGUMENT, "layer_types has %lld layers, num_hidden_layers is %lld",
                     r->layers, (long long)(*out)->num_layers);
        ps_spec_model_free(out);
    }
    ps_buf_free(&section);
    return st;
}

ps_status ps_hf_config_parse(ps_slice json, ps_spec_model **out)
{
    reader r = {.type = ""};
    const ps_arch *arch = NULL;
    ps_json_token token;
    ps_json_reader_init(&r.json, json);
    ps_status st = ps_json_expect(&r.json, PS_JSON_OBJECT, &token);
    if (!st)
        st = read_object(&r, true);
    if (!st)
        st = ps_json_expect(&r.json, PS_JSON_END, &token);
    ps_json_reader_free(&r.json);
    if (!st)
        st = find_arch(&r, &arch);
    if (!st)
        st = understand(&r, arch, out);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}
