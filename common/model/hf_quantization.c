/* Happy path: quant_method is looked for, then all keys are read by the table of that method: each
 * has one of a few words, or says nothing about numbers. It fails on a key or word that is in no
 * table. */
#include "common/model/hf_quantization.h"

#include <stdio.h>
#include <string.h>

enum { WORD = 32, METHODS = 3 };

typedef enum field { NOTHING, SYMMETRIC, ZERO_POINT, CHECKPOINT, GROUP, TYPE, FORMAT } field;

/* A key: one of the words in `only`, each between spaces; an object by `inside`, or of such objects
 * by `each`; empty: null or {}; else whatever it is, it changes no number. */
typedef struct rule {
    const char *key; /* NULL ends a list */
    const char *only;
    field field;
    const struct rule *inside, *each;
    bool empty;
} rule;

#define PASSED_OVER(name) \
    {                     \
        .key = (name)     \
    }

static const rule ct_weights[] = {
    {"num_bits", " 4 8 "},
    {"type", " int float ", TYPE},
    {"symmetric", " true "},
    {"strategy", " group channel ", GROUP},
    {"dynamic", " false "},
    {"actorder", " null static weight "},
    {"block_structure", " null "},
    {"scale_dtype", " null "},
    {"zp_dtype", " null torch.int8 "},
    PASSED_OVER("group_size"), /* as its scales are many */
    PASSED_OVER("observer"),
    PASSED_OVER("observer_kwargs"),
    {NULL},
};

static const rule ct_group[] = {
    {"weights", .inside = ct_weights},
    {"input_activations", " null "},
    {"output_activations", " null "},
    {"format", " null pack-quantized float-quantized "},
    PASSED_OVER("targets"), /* tensors say what they are */
    {NULL},
};

static const rule ct_keys[] = {
    {"quant_method", " compressed-tensors "},
    {"format", " pack-quantized float-quantized ", FORMAT},
    {"config_groups", .each = ct_group},
    {"kv_cache_scheme", " null "},
    {"quantization_status", " compressed "},
    {"sparsity_config", .empty = true},
    {"transform_config", .empty = true},
    PASSED_OVER("ignore"),
    PASSED_OVER("global_compression_ratio"),
    PASSED_OVER("version"),
    {NULL},
};

static const rule gptq_keys[] = {
    {"quant_method", " gptq "},
    {"bits", " 2 3 4 8 "},
    {"group_size", " -1 32 64 128 256 ", GROUP},
    {"sym", " true false ", SYMMETRIC},
    {"desc_act", " true false "}, /* g_idx says whether it did anything */
    {"checkpoint_format", " gptq gptq_v2 ", CHECKPOINT},
    {"lm_head", " false "},
    {"is_marlin_format", " false "},
    {"pack_dtype", " int32 "},
    {"dynamic", .empty = true},
    PASSED_OVER("true_sequential"),
    PASSED_OVER("static_groups"),
    PASSED_OVER("damp_percent"),
    PASSED_OVER("damp_auto_increment"),
    PASSED_OVER("model_name_or_path"),
    PASSED_OVER("model_file_base_name"),
    PASSED_OVER("model_seqlen"),
    PASSED_OVER("block_name_to_quantize"),
    PASSED_OVER("modules_in_block_to_quantize"),
    PASSED_OVER("dataset"),
    PASSED_OVER("tokenizer"),
    PASSED_OVER("use_exllama"),
    PASSED_OVER("exllama_config"),
    PASSED_OVER("cache_block_outputs"),
    PASSED_OVER("batch_size"),
    PASSED_OVER("pad_token_id"),
    PASSED_OVER("max_input_length"),
    PASSED_OVER("meta"),
    {NULL},
};

static const rule awq_keys[] = {
    {"quant_method", " awq "},
    {"bits", " 4 "},
    {"group_size", " 32 64 128 256 "},
    {"zero_point", " true false ", ZERO_POINT},
    {"version", " gemm GEMM "},
    PASSED_OVER("modules_to_not_convert"),
    PASSED_OVER("backend"),
    PASSED_OVER("do_fuse"),
    PASSED_OVER("fuse_max_seq_len"),
    PASSED_OVER("modules_to_fuse"),
    PASSED_OVER("exllama_config"),
    {NULL},
};

static const struct {
    const char *method;
    const ps_packed_row *row;
    const rule *rules;
} methods[METHODS] = {{"compressed-tensors", &ps_packed_ct, ct_keys},
                      {"gptq", &ps_packed_gptq, gptq_keys},
                      {"awq", &ps_packed_awq, awq_keys}};

/* ---- values ---- */

/* A scalar as a word; what is longer is none of ours. */
static void word_of(const ps_json_token *token, char out[WORD])
{
    static const char *const words[] = {
        [PS_JSON_TRUE] = "true", [PS_JSON_FALSE] = "false", [PS_JSON_NULL] = "null"};
    bool text = token->kind == PS_JSON_STRING || token->kind == PS_JSON_NUMBER;
    bool named =
        token->kind == PS_JSON_TRUE || token->kind == PS_JSON_FALSE || token->kind == PS_JSON_NULL;
    (void)snprintf(out, WORD, "%s",
                   text    ? (const char *)token->text.data
                   : named ? words[token->kind]
                           : "an object or a list");
}

static ps_status check_word(const rule *r, const char *word)
{
    char spaced[WORD + 2];
    (void)snprintf(spaced, sizeof spaced, " %s ", word);
    if (strstr(r->only, spaced) && !strpbrk(word, " "))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "quantization_config: key '%s' is '%s', which psd does not read; allowed:%s",
                   r->key, word, r->only);
}

static void keep(const rule *r, const char *word, ps_hf_quantization *out)
{
    bool yes = !strcmp(word, "true");
    if (r->field == SYMMETRIC)
        out->symmetric = yes;
    if (r->field == ZERO_POINT)
        out->symmetric = !yes;
    if (r->field == GROUP)
        out->by_rows = !strcmp(word, "channel") || !strcmp(word, "-1");
    if (r->field == TYPE)
        out->floats = !strcmp(word, "float");
    if (r->field == FORMAT && !strcmp(word, "float-quantized"))
        out->row = &ps_packed_fp8;
    if (r->field == CHECKPOINT)
        out->plain_zeros = !strcmp(word, "gptq_v2");
}

static ps_status read_empty(ps_json_reader *json, const rule *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(json, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    if (token.kind == PS_JSON_OBJECT)
        st = ps_json_next(json, &token);
    if (!st && token.kind != PS_JSON_OBJECT_END)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "quantization_config: key '%s' says something, which psd does not read",
                     r->key);
    return st;
}

static ps_status read_object(ps_json_reader *json, const rule *rules, ps_hf_quantization *out);

static ps_status read_each(ps_json_reader *json, const rule *rules, ps_hf_quantization *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(json, PS_JSON_OBJECT, &token);
    while (ps_json_member(json, &token, &st))
        st = read_object(json, rules, out);
    return st;
}

static ps_status read_value(ps_json_reader *json, const rule *r, ps_hf_quantization *out)
{
    char word[WORD];
    ps_json_token token;
    if (r->inside)
        return read_object(json, r->inside, out);
    if (r->each)
        return read_each(json, r->each, out);
    if (r->empty)
        return read_empty(json, r);
    if (!r->only)
        return ps_json_skip(json);
    ps_status st = ps_json_next(json, &token);
    if (st)
        return st;
    word_of(&token, word);
    st = check_word(r, word);
    if (!st)
        keep(r, word, out);
    return st;
}

static ps_status read_object(ps_json_reader *json, const rule *rules, ps_hf_quantization *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(json, PS_JSON_OBJECT, &token);
    while (ps_json_member(json, &token, &st)) {
        const rule *r = rules;
        while (r->key && strcmp(r->key, (const char *)token.text.data) != 0)
            r++;
        st = r->key ? read_value(json, r, out)
                    : ps_fail(PS_INVALID_ARGUMENT,
                              "quantization_config: key '%.60s' is not known, and may change what "
                              "the numbers mean",
                              (const char *)token.text.data);
    }
    return st;
}

/* ---- the whole ---- */

/* Before the value of the key, of the object that comes; false: there is none. */
static bool go_to(ps_json_reader *json, const char *key, ps_status *st)
{
    ps_json_token token;
    *st = ps_json_expect(json, PS_JSON_OBJECT, &token);
    while (ps_json_member(json, &token, st)) {
        if (!strcmp((const char *)token.text.data, key))
            return true;
        *st = ps_json_skip(json);
    }
    return false;
}

/* *i: of the methods; METHODS: there is no quantization_config. */
static ps_status find_method(ps_slice bytes, size_t *i)
{
    char word[WORD] = "";
    ps_json_reader json;
    ps_json_token token;
    ps_status st;
    *i = METHODS;
    ps_json_reader_init(&json, bytes);
    bool there = go_to(&json, "quantization_config", &st);
    if (there && go_to(&json, "quant_method", &st) && !(st = ps_json_next(&json, &token)))
        word_of(&token, word);
    ps_json_reader_free(&json);
    if (st || !there)
        return st;
    for (*i = 0; *i < METHODS && strcmp(methods[*i].method, word) != 0; ++*i)
        ;
    return *i < METHODS ? PS_OK
                        : ps_fail(PS_INVALID_ARGUMENT,
                                  "quantization_config: quant_method '%s' is not known; allowed: "
                                  "compressed-tensors, gptq, awq",
                                  word);
}

ps_status ps_hf_quantization_parse(ps_slice bytes, ps_hf_quantization *out)
{
    size_t i = METHODS;
    ps_json_reader json;
    *out = (ps_hf_quantization){.symmetric = true};
    ps_status st = find_method(bytes, &i);
    if (!st && i < METHODS) {
        ps_json_reader_init(&json, bytes);
        out->row = methods[i].row;
        if (go_to(&json, "quantization_config", &st))
            st = read_object(&json, methods[i].rules, out);
        ps_json_reader_free(&json);
        if (!st && out->floats != (out->row == &ps_packed_fp8))
            st = ps_fail(PS_INVALID_ARGUMENT,
                         "quantization_config: key 'type' and key 'format' say different things");
    }
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}
