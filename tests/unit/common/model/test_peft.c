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

static const ps_check_case tests[] = {
    {.test = &the_shortest_names_that_say_it},
    {.test = &tensors_are_called_after_the_whole_model},
    {.test = &rows_of_a_head_stand_together_elsewhere},
    {0},
};

int main(void)
{
    return ps_check_main("model/peft", tests);
}
