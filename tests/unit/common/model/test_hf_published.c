/* hf_config, hf_part: config.json of models that are published with keys of no meaning, or as a
 * part of a model of images and texts. */
#include "common/model/hf_config.h"

#include "tests/lib/check_main.h"

#include <string.h>

static ps_spec_model *parsed(const char *json)
{
    ps_spec_model *m = NULL;
    ps_status st = ps_hf_config_parse(ps_slice_str(json), &m);
    ck_assert_msg(st == PS_OK, "%s: %s", json, ps_error_message());
    return m;
}

static void refused(const char *json, const char *words)
{
    ps_spec_model *m = NULL;
    ck_assert_msg(ps_hf_config_parse(ps_slice_str(json), &m) == PS_INVALID_ARGUMENT, "%s", json);
    ck_assert_msg(strstr(ps_error_message(), words) != NULL, "%s: %s", json, ps_error_message());
    ck_assert_ptr_null(m);
}

/* Keys that published files have, and nobody computes by. */
START_TEST(published_keys_that_say_nothing_are_passed_over)
{
    static const char *const configs[] = {
        /* HuggingFaceTB/SmolLM2-135M-Instruct */
        "{\"model_type\":\"llama\",\"vocab_size\":49152,\"is_llama_config\":true,"
        "\"rope_interleaved\":false,\"transformers.js_config\":{\"kv_cache_dtype\":{\"fp16\":"
        "\"float16\"}}}",
        /* google-bert/bert-base-multilingual-cased */
        "{\"model_type\":\"bert\",\"vocab_size\":119547,\"directionality\":\"bidi\","
        "\"pooler_fc_size\":768,\"pooler_num_attention_heads\":12,\"pooler_num_fc_layers\":3,"
        "\"pooler_size_per_head\":128,\"pooler_type\":\"first_token_transform\"}",
        /* EleutherAI/gpt-neox-20b */
        "{\"model_type\":\"gpt_neox\",\"vocab_size\":50432,\"hidden_act\":\"gelu_fast\","
        "\"attention_probs_dropout_prob\":0,\"hidden_dropout_prob\":0}",
        /* google/gemma-2-27b */
        "{\"model_type\":\"gemma2\",\"vocab_size\":256000,\"sliding_window_size\":4096,"
        "\"_attn_implementation\":\"eager\"}",
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        ps_spec_model *m = parsed(configs[i]);
        ps_spec_model_free(&m);
    }
}
END_TEST

/* As google/gemma-3-4b-it has it: what is not said is transformers' own default. */
START_TEST(of_a_model_of_images_its_text_config_is_read)
{
    ps_spec_model *m = parsed(
        "{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"boi_token_index\":255999,"
        "\"eos_token_id\":[1,106],\"image_token_index\":262144,\"mm_tokens_per_image\":256,"
        "\"model_type\":\"gemma3\",\"text_config\":{\"hidden_size\":2560,"
        "\"intermediate_size\":10240,\"model_type\":\"gemma3_text\",\"num_hidden_layers\":34,"
        "\"rope_scaling\":{\"factor\":8.0,\"rope_type\":\"linear\"},\"sliding_window\":1024},"
        "\"vision_config\":{\"hidden_size\":1152,\"model_type\":\"siglip_vision_model\"}}");
    ck_assert_str_eq(m->architecture, "gemma3");
    ck_assert_int_eq(m->vocab_size, 262208);
    ck_assert_int_eq(m->hidden_size, 2560);
    ck_assert_int_eq(m->num_layers, 34);
    ck_assert_int_eq(m->num_heads, 8);
    ck_assert_int_eq(m->num_kv_heads, 4);
    ck_assert_int_eq(m->context_length, 131072);
    ck_assert_double_eq(m->rope.theta, 1e6);
    ck_assert_double_eq(m->rope.factor, 8);
    ck_assert_int_eq(m->choices.sliding_window, 1024);
    ps_spec_model_free(&m);
    refused("{\"model_type\":\"gemma3\"}", "model_type is 'gemma3', and text_config is no object");
    refused("{\"model_type\":\"gemma3\",\"text_config\":[]}", "text_config is no object");
    refused("{\"model_type\":\"gemma3\",\"text_config\":{\"model_type\":\"gemma2\"}}",
            "text_config: model_type is 'gemma2', only 'gemma3_text' is known here");
    refused("{\"model_type\":\"gemma3\",\"text_config\":{\"odd\":1}}",
            "text_config: key 'odd' is not known here");
    refused("{\"model_type\":\"gemma3\\u0000\",\"text_config\":{}}", "model_type has no value");
    refused("{\"model_type\":\"llava\",\"text_config\":{}}", "model_type 'llava' is not known");
}
END_TEST

static const ps_check_case tests[] = {
    {&published_keys_that_say_nothing_are_passed_over},
    {&of_a_model_of_images_its_text_config_is_read},
    {0},
};

int main(void)
{
    return ps_check_main("common/model/hf_published", tests);
}
