/* peft: what PEFT calls tensors, and the configuration, of which target_modules mean what is
 * adapted and nothing else; and rows that PEFT's model has in another order. */
#include "common/model/peft.h"

#include "common/base/mem.h"
#include "common/model/hf_rows.h"
#include "tests/lib/check_main.h"

#include <string.h>

#define GPT2                                                                                 \
    "{architecture: gpt2, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: 2, " \
    "num_heads: 2}"
#define LLAMA                                                                                 \
    "{architecture: llama, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: 2, " \
    "num_heads: 2, intermediate_size: 8}"
#define NEOX                                                                                     \
    "{architecture: gpt_neox, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: 2, " \
    "num_heads: 2}"

static void config_is(const char *model, char *target, const char *targets, const char *fan)
{
    ps_spec_model *spec = NULL;
    ps_buf out = PS_BUF_EMPTY;
    const ps_spec_lora lora = {
        .rank = 4, .alpha = 8, .dropout = 0.5, .targets = &target, .n_targets = 1};
    ck_ok(ps_spec_model_parse(ps_slice_str(model), "model", &spec));
    ps_peft_config_format(spec, &lora, "base", &out);
    char *want = ps_asprintf(
        "{\"peft_type\":\"LORA\",\"task_type\":\"CAUSAL_LM\",\"base_model_name_or_path\":\"base\","
        "\"bias\":\"none\",\"target_modules\":[%s],\"fan_in_fan_out\":%s,\"inference_mode\":true,"
        "\"init_lora_weights\":true,\"lora_alpha\":8,\"lora_dropout\":0.5,\"modules_to_save\":null,"
        "\"r\":4,\"use_rslora\":false,\"use_dora\":false}\n",
        targets, fan);
    ck_assert_str_eq(ps_buf_cstr(&out), want);
    ps_free(&want);
    ps_buf_free(&out);
    ps_spec_model_free(&spec);
}

START_TEST(the_shortest_names_that_say_it)
{
    char q[] = "q", proj[] = "c_proj", mlp[] = "mlp.c_proj", one[] = "h.1.mlp.c_proj", up[] = "up",
         second[] = "*.1.*.v_proj";
    config_is(GPT2, q, "\"c_attn\"", "true");
    config_is(GPT2, proj, "\"c_proj\"", "true");
    config_is(GPT2, mlp, "\"mlp.c_proj\"", "true");
    config_is(GPT2, one, "\"transformer.h.1.mlp.c_proj\"", "true");
    config_is(LLAMA, up, "\"up_proj\"", "false");
    config_is(LLAMA, second, "\"model.layers.1.self_attn.v_proj\"", "false");
}
END_TEST

START_TEST(tensors_are_called_after_the_whole_model)
{
    ps_spec_model *spec = NULL;
    char name[PS_PEFT_NAME];
    ck_ok(ps_spec_model_parse(ps_slice_str(GPT2), "model", &spec));
    ps_peft_name(spec, "h.0.attn.c_attn.lora_A.weight", name);
    ck_assert_str_eq(name, "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight");
    ps_spec_model_free(&spec);
    ck_ok(ps_spec_model_parse(ps_slice_str(LLAMA), "model", &spec));
    ps_peft_name(spec, "model.layers.0.mlp.up_proj.lora_B.weight", name);
    ck_assert_str_eq(name, "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight");
    ps_spec_model_free(&spec);
}
END_TEST

/* Two heads of four numbers. */
START_TEST(rows_of_a_head_stand_together_elsewhere)
{
    static const char ours[] = "abcdefghABCDEFGH01234567", theirs[] = "abcdABCD0123efghEFGH4567";
    char out[sizeof ours] = "", in[sizeof ours] = "";
    ps_spec_model *spec = NULL;
    ps_lm_tensor *tensors = NULL;
    size_t n = 0;
    ck_ok(ps_spec_model_parse(ps_slice_str(NEOX), "model", &spec));
    ps_lm_layout(spec, &tensors, &n);
    const ps_lm_tensor *t =
        ps_peft_rows(tensors, n, "gpt_neox.layers.1.attention.query_key_value.lora_B.weight");
    ck_assert_ptr_nonnull(t);
    ck_assert_str_eq(t->name, "gpt_neox.layers.1.attention.query_key_value.weight");
    ps_hf_rows_out(t, ours, 1, out);
    ck_assert_str_eq(out, theirs);
    ps_hf_rows_in(t, theirs, 1, in);
    ck_assert_str_eq(in, ours);
    ck_assert_ptr_null(
        ps_peft_rows(tensors, n, "gpt_neox.layers.1.attention.query_key_value.lora_A.weight"));
    ck_assert_ptr_null(ps_peft_rows(tensors, n, "gpt_neox.layers.1.attention.dense.lora_B.weight"));
    ps_free(&tensors);
    ps_spec_model_free(&spec);
}
END_TEST

/* ---- reading ---- */

#define CONFIG(more)                                                                         \
    "{\"peft_type\":\"LORA\",\"auto_mapping\":null,\"bias\":\"none\",\"eva_config\":null,"   \
    "\"exclude_modules\":null,\"init_lora_weights\":true,\"layer_replication\":null,"        \
    "\"loftq_config\":{},\"lora_bias\":false,\"lora_dropout\":0.0,\"megatron_config\":null," \
    "\"trainable_token_indices\":null,\"use_dora\":false,\"lora_alpha\":6,\"r\":2," more "}"
#define HALF(layer, module, half, sides) \
    "\"base_model.model.model.layers." layer "." module ".lora_" half ".weight\":" sides
#define F32(rows, columns, from, to) \
    "{\"dtype\":\"F32\",\"shape\":[" rows "," columns "],\"data_offsets\":[" from "," to "]}"
#define TENSORS                                                             \
    HALF("1", "mlp.up_proj", "A", F32("2", "8", "0", "64"))                 \
    "," HALF("1", "mlp.up_proj", "B", F32("8", "2", "64", "128")) "," HALF( \
        "0", "self_attn.q_proj", "A",                                       \
        F32("2", "8", "128", "192")) "," HALF("0", "self_attn.q_proj", "B", \
                                              F32("8", "2", "192", "256"))

static ps_status read_adapter(const char *config, const char *tensors, ps_peft_pair **out,
                              size_t *n)
{
    ps_spec_model *spec = NULL;
    ps_safetensors *file = NULL;
    ps_buf head = PS_BUF_EMPTY;
    size_t len = strlen(tensors) + 2;
    ps_buf_put_u64le(&head, len);
    ps_buf_printf(&head, "{%s}", tensors);
    ck_ok(ps_spec_model_parse(ps_slice_str(LLAMA), "model", &spec));
    ck_ok(ps_safetensors_parse(ps_buf_slice(&head), UINT64_MAX, &file));
    ps_status st = ps_peft_read(spec, ps_slice_str(config), file, out, n);
    for (size_t i = 0; !st && i < *n; i++) { /* names are the file's, in its own order */
        ck_assert(strstr(file->tensors[(*out)[i].a].name, "lora_A"));
        ck_assert(strstr(file->tensors[(*out)[i].b].name, "lora_B"));
    }
    ps_safetensors_free(&file);
    ps_spec_model_free(&spec);
    ps_buf_free(&head);
    return st;
}

static void scales_are(const char *config, double query, double up)
{
    ps_peft_pair *pairs = NULL;
    size_t n = 0;
    ck_ok(read_adapter(config, TENSORS, &pairs, &n));
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(pairs[0].beside.name, "model.layers.0.self_attn.q_proj.weight");
    ck_assert_str_eq(pairs[1].beside.name, "model.layers.1.mlp.up_proj.weight");
    ck_assert_double_eq_tol(pairs[0].scale, query, 1e-12);
    ck_assert_double_eq_tol(pairs[1].scale, up, 1e-12);
    ck_assert_uint_eq(pairs[0].rank, 2);
    ps_free(&pairs);
}

START_TEST(scales_are_those_of_peft)
{
    scales_are(CONFIG("\"target_modules\":[\"0.self_attn.q_proj\",\"1.mlp.up_proj\"]"), 3, 3);
    scales_are(CONFIG("\"target_modules\":\"all-linear\",\"use_rslora\":true"),
               6 / 1.4142135623730951, 6 / 1.4142135623730951);
    scales_are(CONFIG("\"alpha_pattern\":{\"layers.1.mlp.up_proj\":1,\"_proj\":9,\"q_proj\":5},"
                      "\"target_modules\":\".*\""),
               2.5, .5);
    scales_are("{\"peft_type\":\"LORA\",\"lora_alpha\":6,\"r\":8,"
               "\"rank_pattern\":{\"q_proj\":2,\"^model.layers.1.mlp.up_proj\":2},"
               "\"target_modules\":null}",
               3, 3);
    scales_are(
        CONFIG("\"fan_in_fan_out\":true,\"target_modules\":[\"q_proj\",\"k_proj\",\"up_proj\"],"
               "\"exclude_modules\":[\"layers.1.self_attn.q_proj\",\"k_proj\",\"0.mlp.up_proj\"]"),
        3, 3);
}
END_TEST

static void refuses(const char *config, const char *tensors, const char *why)
{
    ps_peft_pair *pairs = NULL;
    size_t n = 0;
    ck_assert_int_eq(read_adapter(config, tensors, &pairs, &n), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), why) != NULL, "%s", ps_error_message());
    ck_assert_ptr_null(pairs);
}

START_TEST(what_is_more_than_an_adapter_is_named)
{
#define ALL "\"target_modules\":\"all-linear\""
    refuses("[]", TENSORS, "adapter_config.json: ");
    refuses("{\"peft_type\":\"LORA\"", TENSORS, "adapter_config.json: byte");
    refuses("{\"lora_alpha\":6}", TENSORS, "peft_type: the key is missing");
    refuses("{\"peft_type\":\"LORA\"}", TENSORS, "lora_alpha: the key is missing");
    refuses("{\"peft_type\":\"LOHA\"}", TENSORS,
            "peft_type: it is no adapter of type LORA, but LOHA; merge it");
    refuses("{\"alpha\":8,\"peft_type\":\"LOKR\"}", TENSORS, "no adapter of type LORA, but LOKR");
    refuses(CONFIG("\"use_dora\":true"), TENSORS, "use_dora: DoRA scales the weights");
    refuses(CONFIG("\"modules_to_save\":[\"lm_head\"]"), TENSORS,
            "modules_to_save: whole modules were trained beside it, and are not read; merge it");
    refuses(CONFIG("\"layer_replication\":[[0,1]]"), TENSORS, "layer_replication: its model has");
    refuses(CONFIG("\"another\":1"), TENSORS, "another: psd does not know");
    refuses(CONFIG("\"bias\":\"all\""), TENSORS, "bias: biases were trained");
    refuses(CONFIG("\"init_lora_weights\":\"pissa\""), TENSORS,
            "init_lora_weights: 'pissa' changes the model");
    refuses(CONFIG("\"use_rslora\":1"), TENSORS, "use_rslora: it is true or false");
    refuses(CONFIG("\"lora_alpha\":0"), TENSORS, "lora_alpha: it must be a number");
    refuses(CONFIG("\"alpha_pattern\":{\"q.*\":1}"), TENSORS, "alpha_pattern: 'q.*' is a pattern");
    refuses(CONFIG("\"alpha_pattern\":[]"), TENSORS, "alpha_pattern: it must be an object");
    refuses(CONFIG("\"target_modules\":[\"up_proj\"]"), TENSORS,
            "has an adapter of model.layers.0.self_attn.q_proj, which target_modules, ");
    refuses(CONFIG("\"target_modules\":[\"up_proj\",\"q_proj\"],\"layers_to_transform\":0"),
            TENSORS, "has an adapter of model.layers.1.mlp.up_proj, which target_modules, ");
    refuses(CONFIG("\"target_modules\":[\"0.self_attn.q_proj\",\"1.mlp.up_proj\",\"v_proj\"]"),
            TENSORS, "target_modules names model.layers.0.self_attn.v_proj, of which");
    refuses(CONFIG("\"layers_to_transform\":[true]"), TENSORS, "layers_to_transform: it must be");
    refuses(CONFIG("\"rank_pattern\":{\"q_proj\":3}," ALL), TENSORS,
            "q_proj.lora_A.weight is of rank 2, adapter_config.json says 3 (rank_pattern: q_proj)");
    refuses(CONFIG("\"target_modules\":[1]"), TENSORS,
            "target_modules: it must be a list of texts");
    refuses(CONFIG("\"r\":4," ALL), TENSORS,
            "lora_A.weight is of rank 2, adapter_config.json says 4 (r)");
    refuses(CONFIG(ALL), "", "adapter_model.safetensors has no tensors");
    refuses(CONFIG(ALL), HALF("0", "mlp.up_proj", "A", F32("2", "8", "0", "64")),
            "model.layers.0.mlp.up_proj.weight has one half of an adapter");
    refuses(CONFIG(ALL),
            HALF("0", "mlp.up_proj", "A", F32("2", "4", "0", "32")) "," HALF(
                "0", "mlp.up_proj", "B", F32("8", "2", "32", "96")),
            "has 4 inputs, the product beside it 8: the adapter is for a model of other sizes");
    refuses(CONFIG(ALL),
            HALF("0", "mlp.up_proj", "A", F32("2", "8", "0", "64")) "," HALF(
                "0", "mlp.up_proj", "B", F32("4", "2", "64", "96")),
            "has 4 outputs, the product beside it 8");
    refuses(CONFIG(ALL),
            HALF("0", "mlp.up_proj", "A", F32("2", "8", "0", "64")) "," HALF(
                "0", "mlp.up_proj", "B", F32("8", "1", "64", "96")),
            "is of rank 2, its lora_B of another");
    refuses(
        CONFIG(ALL), TENSORS "," HALF("2", "mlp.up_proj", "A", F32("2", "8", "256", "320")),
        "layers.2.mlp.up_proj.lora_A.weight is beside no product of the model's blocks: the model "
        "has no such block");
    refuses(
        CONFIG("\"base_model_name_or_path\":\"a/b\"," ALL),
        HALF("9", "mlp.fc", "A", F32("2", "8", "0", "64")),
        "the adapter is for another architecture (adapter_config.json says that it is for a/b)");
#undef ALL
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &the_shortest_names_that_say_it},
    {.test = &tensors_are_called_after_the_whole_model},
    {.test = &rows_of_a_head_stand_together_elsewhere},
    {.test = &scales_are_those_of_peft},
    {.test = &what_is_more_than_an_adapter_is_named},
    {0},
};

int main(void)
{
    return ps_check_main("model/peft", tests);
}
