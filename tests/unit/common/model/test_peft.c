/* peft: what PEFT calls tensors, and the configuration, of which target_modules mean what is
 * adapted and nothing else. */
#include "common/model/peft.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <string.h>

#define GPT2                                                                                 \
    "{architecture: gpt2, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: 2, " \
    "num_heads: 2}"
#define LLAMA                                                                                 \
    "{architecture: llama, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: 2, " \
    "num_heads: 2, intermediate_size: 8}"

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

static const ps_check_case tests[] = {
    {.test = &the_shortest_names_that_say_it},
    {.test = &tensors_are_called_after_the_whole_model},
    {0},
};

int main(void)
{
    return ps_check_main("model/peft", tests);
}
