/* hf_config: config.json as models that are published have it, what transformers takes for a key
 * that is absent, and what is refused by its key. */
#include "common/format/hf_config.h"

#include "tests/lib/check_main.h"

#include <string.h>

/* As openai-community/gpt2 has it, but for keys of no interest. */
static const char gpt2[] =
    "{\"activation_function\":\"gelu_new\",\"architectures\":[\"GPT2LMHeadModel\"],"
    "\"attn_pdrop\":0.1,\"bos_token_id\":50256,\"embd_pdrop\":0.1,\"eos_token_id\":50256,"
    "\"initializer_range\":0.02,\"layer_norm_epsilon\":1e-05,\"model_type\":\"gpt2\","
    "\"n_ctx\":1024,\"n_embd\":768,\"n_head\":12,\"n_layer\":12,\"n_positions\":1024,"
    "\"resid_pdrop\":0.1,\"summary_use_proj\":true,"
    "\"task_specific_params\":{\"text-generation\":{\"do_sample\":true,\"max_length\":50}},"
    "\"vocab_size\":50257}";

/* As TinyLlama/TinyLlama-1.1B-Chat-v1.0 has it. */
static const char llama[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":false,\"bos_token_id\":1,"
    "\"eos_token_id\":2,\"hidden_act\":\"silu\",\"hidden_size\":2048,\"initializer_range\":0.02,"
    "\"intermediate_size\":5632,\"max_position_embeddings\":2048,\"model_type\":\"llama\","
    "\"num_attention_heads\":32,\"num_hidden_layers\":22,\"num_key_value_heads\":4,"
    "\"pretraining_tp\":1,\"rms_norm_eps\":1e-05,\"rope_scaling\":null,\"rope_theta\":10000.0,"
    "\"tie_word_embeddings\":false,\"torch_dtype\":\"bfloat16\",\"transformers_version\":"
    "\"4.35.0\",\"use_cache\":true,\"vocab_size\":32000}";

static ps_spec_model *parsed(const char *json)
{
    ps_spec_model *m = NULL;
    ps_status st = ps_hf_config_parse(ps_slice_str(json), &m);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    return m;
}

START_TEST(published_configurations_are_read)
{
    ps_spec_model *m = parsed(gpt2);
    ck_assert_str_eq(m->architecture, "gpt2");
    ck_assert_int_eq(m->vocab_size, 50257);
    ck_assert_int_eq(m->context_length, 1024);
    ck_assert_int_eq(m->hidden_size, 768);
    ck_assert_int_eq(m->num_layers, 12);
    ck_assert_int_eq(m->num_heads, 12);
    ck_assert_int_eq(m->intermediate_size, 3072);
    ck_assert_double_eq(m->norm_epsilon, 1e-5);
    ck_assert_double_eq(m->dropout, 0.1);
    ps_spec_model_free(&m);

    m = parsed(llama);
    ck_assert_str_eq(m->architecture, "llama");
    ck_assert_int_eq(m->vocab_size, 32000);
    ck_assert_int_eq(m->context_length, 2048);
    ck_assert_int_eq(m->num_layers, 22);
    ck_assert_int_eq(m->num_kv_heads, 4);
    ck_assert_int_eq(m->intermediate_size, 5632);
    ck_assert_double_eq(m->rope_theta, 10000);
    ck_assert(!m->tie_embeddings);
    ps_spec_model_free(&m);
}
END_TEST

START_TEST(absent_keys_have_the_defaults_of_transformers)
{
    ps_spec_model *m = parsed("{\"model_type\":\"gpt2\",\"vocab_size\":50257}");
    ck_assert_int_eq(m->context_length, 1024);
    ck_assert_int_eq(m->hidden_size, 768);
    ps_spec_model_free(&m);
    m = parsed("{\"model_type\":\"llama\",\"vocab_size\":32000}");
    ck_assert_int_eq(m->hidden_size, 4096);
    ck_assert_int_eq(m->num_layers, 32);
    ck_assert_int_eq(m->num_kv_heads, 32);
    ck_assert_int_eq(m->intermediate_size, 11008);
    ck_assert_double_eq(m->norm_epsilon, 1e-6);
    ps_spec_model_free(&m);
}
END_TEST

START_TEST(what_the_models_cannot_do_is_refused_by_its_key)
{
#define LLAMA(more) "{\"model_type\":\"llama\",\"vocab_size\":32000," more "}"
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"{\"model_type\":\"bert\"}", "bert"},
        {"[1]", ""},
        {LLAMA("\"hidden_act\":\"relu\""), "hidden_act: relu is not supported"},
        {LLAMA("\"hidden_act\":\"silu\\u0000x\""), "hidden_act has no value"},
        {LLAMA("\"hidden_act\":\"silu, dropout: 1\""), "hidden_act has no value"},
        {LLAMA("\"attention_bias\":true"), "attention_bias: true is not supported"},
        {LLAMA("\"head_dim\":64"), "head_dim: 64 is not supported"},
        {LLAMA("\"head_dim\":\"a\""), "head_dim: a is not supported"},
        {LLAMA("\"head_dim\":128.5"), "head_dim: 128.5 is not supported"},
        {LLAMA("\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}"), "rope_type: linear"},
        {LLAMA("\"rope_scaling\":7"), "rope_scaling must be an object"},
        {LLAMA("\"num_attention_heads\":31"), ""},
        {LLAMA("\"hidden_size\":{}"), "hidden_size has no value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_spec_model *m = NULL;
        ps_status st = ps_hf_config_parse(ps_slice_str(cases[i].json), &m);
        ck_assert_msg(st == PS_INVALID_ARGUMENT, "%s", cases[i].json);
        ck_assert_msg(strstr(ps_error_message(), cases[i].words) != NULL, "%s: %s", cases[i].json,
                      ps_error_message());
        ck_assert_ptr_null(m);
    }
    ps_spec_model *m = parsed(LLAMA("\"head_dim\":128"));
    ps_spec_model_free(&m);
}
END_TEST

START_TEST(what_is_written_reads_back_as_the_same)
{
    for (int i = 0; i < 2; i++) {
        ps_spec_model *m = parsed(i ? llama : gpt2), *again = NULL;
        ps_buf json = PS_BUF_EMPTY, a = PS_BUF_EMPTY, b = PS_BUF_EMPTY;
        ps_hf_config_write(m, "float32", 5, &json);
        again = parsed(ps_buf_cstr(&json));
        ps_spec_model_format(m, &a);
        ps_spec_model_format(again, &b);
        ck_assert_str_eq(ps_buf_cstr(&a), ps_buf_cstr(&b));
        ps_buf_free(&json);
        ps_buf_free(&a);
        ps_buf_free(&b);
        ps_spec_model_free(&m);
        ps_spec_model_free(&again);
    }
}
END_TEST

static const ps_check_case tests[] = {{&published_configurations_are_read},
                                      {&absent_keys_have_the_defaults_of_transformers},
                                      {&what_the_models_cannot_do_is_refused_by_its_key},
                                      {&what_is_written_reads_back_as_the_same},
                                      {0}};

int main(void)
{
    return ps_check_main("common/format/hf_config", tests);
}
