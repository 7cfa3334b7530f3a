/* hf_config: config.json as models that are published have it, what transformers takes for a key
 * that is absent, and what is refused by its key. */
#include "common/model/hf_config.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <stdlib.h>
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

/* As Qwen/Qwen2.5-0.5B has it. */
static const char qwen2[] =
    "{\"architectures\":[\"Qwen2ForCausalLM\"],\"attention_dropout\":0.0,\"bos_token_id\":151643,"
    "\"eos_token_id\":151643,\"hidden_act\":\"silu\",\"hidden_size\":896,"
    "\"initializer_range\":0.02,\"intermediate_size\":4864,\"max_position_embeddings\":32768,"
    "\"max_window_layers\":24,\"model_type\":\"qwen2\",\"num_attention_heads\":14,"
    "\"num_hidden_layers\":24,\"num_key_value_heads\":2,\"rms_norm_eps\":1e-06,"
    "\"rope_theta\":1000000.0,\"sliding_window\":32768,\"tie_word_embeddings\":true,"
    "\"torch_dtype\":\"bfloat16\",\"transformers_version\":\"4.40.1\",\"use_cache\":true,"
    "\"use_mrope\":false,\"use_sliding_window\":false,\"vocab_size\":151936}";

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
    ck_assert_double_eq(m->rope.theta, 10000);
    ck_assert(!m->tie_embeddings);
    ps_spec_model_free(&m);

    m = parsed(qwen2);
    ck_assert_str_eq(m->architecture, "qwen2");
    ck_assert_int_eq(m->vocab_size, 151936);
    ck_assert_int_eq(m->context_length, 32768);
    ck_assert_int_eq(m->num_layers, 24);
    ck_assert_int_eq(m->num_heads, 14);
    ck_assert_int_eq(m->num_kv_heads, 2);
    ck_assert_int_eq(m->intermediate_size, 4864);
    ck_assert_double_eq(m->rope.theta, 1e6);
    ck_assert_double_eq(m->norm_epsilon, 1e-6);
    ck_assert(m->tie_embeddings);
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

#define LLAMA(more) "{\"model_type\":\"llama\",\"vocab_size\":32000," more "}"
#define QWEN2(more) "{\"model_type\":\"qwen2\",\"vocab_size\":32000," more "}"
#define GPT2_(more) "{\"model_type\":\"gpt2\",\"vocab_size\":50257," more "}"

typedef struct refusal {
    const char *json, *words;
} refusal;

static void refused(const refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ps_spec_model *m = NULL;
        ps_status st = ps_hf_config_parse(ps_slice_str(cases[i].json), &m);
        ck_assert_msg(st == PS_INVALID_ARGUMENT, "%s", cases[i].json);
        ck_assert_msg(strstr(ps_error_message(), cases[i].words) != NULL, "%s: %s", cases[i].json,
                      ps_error_message());
        ck_assert_ptr_null(m);
    }
}

START_TEST(rope_scaling_that_is_not_known_is_refused)
{
    static const refusal cases[] = {
        {LLAMA("\"rope_scaling\":{\"rope_type\":\"llama3\"}"),
         "rope_factor: missing; rope_type llama3 needs it"},
        {LLAMA("\"rope_scaling\":{\"type\":\"longrope\",\"factor\":2}"),
         "rope_type: longrope is not supported, only default, linear, dynamic, llama3, yarn"},
        {LLAMA("\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"truncate\":false}"),
         "truncate: false is not supported"},
        {LLAMA("\"rope_scaling\":{\"type\":\"linear\",\"factor\":0.5}"),
         "rope_factor: 0.5 is out of range, allowed from 1"},
        {LLAMA("\"rope_scaling\":{\"type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4}"),
         "rope_low_freq_factor: 4 is not less than rope_high_freq_factor, 4"},
        {LLAMA("\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"beta_slow\":64}"),
         "rope_beta_slow: 64 is more than rope_beta_fast, 32"},
        {LLAMA("\"rope_scaling\":{\"type\":null,\"factor\":2}"),
         "rope_type is missing, and factor is there"},
        {LLAMA("\"rope_scaling\":{\"type\":\"\",\"factor\":2}"), "rope_type has no value"},
        {LLAMA("\"rope_scaling\":{\"factor\":2}"), "rope_type is missing, and factor is there"},
        {LLAMA("\"rope_theta\":1,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2}"),
         "rope_theta: 1 is out of range, rope_type yarn needs more than 1"},
        {LLAMA("\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"attention_factor\":0.0}"),
         "attention_factor: 0.0 is not supported"},
        {LLAMA("\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,"
               "\"original_max_position_embeddings\":0}"),
         "original_max_position_embeddings: 0 is not supported"},
    };
    refused(cases, sizeof cases / sizeof *cases);
}
END_TEST

#define GEMMA2(more) "{\"model_type\":\"gemma2\",\"vocab_size\":256000," more "}"

/* In a model section 0 is what is not said. */
START_TEST(what_is_0_and_what_is_empty_is_not_unsaid)
{
    static const refusal cases[] = {
        {GEMMA2("\"query_pre_attn_scalar\":0"), "query_pre_attn_scalar: 0 is not supported"},
        {GEMMA2("\"attn_logit_softcapping\":0.0"), "attn_logit_softcapping: 0.0 is not supported"},
        {GEMMA2("\"final_logit_softcapping\":-0e1"), "final_logit_softcapping: -0e1 is not"},
        {GEMMA2("\"final_logit_softcapping\":1e-308"), "logit_softcap: 1e-308 is out of range"},
        {GEMMA2("\"query_pre_attn_scalar\":1e-308"), "scalar: 1e-308 is out of range"},
        {GEMMA2("\"sliding_window\":0"), "sliding_window: 0 is not supported"},
        {LLAMA("\"head_dim\":0"), "head_dim: 0 is not supported"},
        {LLAMA("\"num_key_value_heads\":0"), "num_key_value_heads: 0 is not supported"},
        {GPT2_("\"n_inner\":0"), "n_inner: 0 is not supported"},
        {LLAMA("\"head_dim\":\"\""), "head_dim has no value that is known"},
        {LLAMA("\"head_dim\":\"128\""), "head_dim has no value that is known"},
        {LLAMA("\"tie_word_embeddings\":\"false\""), "tie_word_embeddings has no value"},
        {LLAMA("\"rope_theta\":\"inf\""), "rope_theta has no value that is known"},
        {LLAMA("\"hidden_act\":\"\""), "hidden_act has no value that is known"},
        {LLAMA("\"hidden_act\":\"null\""), "hidden_act has no value that is known"},
        {LLAMA("\"psd_tokenizer\":\"\""), "psd_tokenizer has no value that is known"},
        {LLAMA("\"psd_tokenizer\":\"bpe\""), "psd_tokenizer: bpe is not supported, only bytes"},
        {QWEN2("\"layer_types\":[]"), "layer_types has no value that is known"},
        {QWEN2("\"layer_types\":[\"from_2\"]"), "layer_types: these are not supported"},
        {"{\"model_type\":\"\"}", "model_type has no value that is known"},
        {LLAMA("\"hidden_size\\u0000x\":64"),
         "a key that begins with 'hidden_size' has a zero byte"},
        {LLAMA("\"rope_scaling\":{\"factor\\u0000\":2}"), "a key that begins with 'factor' has"},
    };
    refused(cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(what_the_models_cannot_do_is_refused_by_its_key)
{
    static const refusal cases[] = {
        {"{\"model_type\":\"roberta\"}", "roberta"},
        {"[1]", ""},
        {LLAMA("\"hidden_act\":\"relu\""), "hidden_act: relu is not supported"},
        {LLAMA("\"hidden_act\":\"silu\\u0000x\""), "hidden_act has no value"},
        {LLAMA("\"hidden_act\":\"silu, dropout: 1\""), "hidden_act has no value"},
        {LLAMA("\"attention_bias\":1"), "attention_bias"},
        {LLAMA("\"truncate\":true"), "key 'truncate' is not known here"},
        {LLAMA("\"head_dim\":63"), "head_dim: a head has 63 numbers; RoPE needs an even number"},
        {LLAMA("\"head_dim\":\"a\""), "head_dim: expected an integer, got 'a'"},
        {LLAMA("\"head_dim\":128.5"), "head_dim: expected an integer, got '128.5'"},
        {LLAMA("\"rope_scaling\":7"), "rope_scaling must be an object"},
        {LLAMA("\"num_attention_heads\":31"), ""},
        {LLAMA("\"hidden_size\":{}"), "hidden_size has no value"},
        {LLAMA("\"hidden_size\":[64]"), "hidden_size has no value"},
        {LLAMA("\"sliding_window\":4096"), "key 'sliding_window' is not known here"},
        {LLAMA("\"auto_map\":{}"), "key 'auto_map' is not known here"},
        {LLAMA("\"final_logit_softcapping\":30.0"), "key 'final_logit_softcapping' is not known"},
        {LLAMA("\"partial_rotary_factor\":0.5"), "partial_rotary_factor: 0.5 is not supported"},
        {LLAMA("\"rope_parameters\":{\"partial_rotary_factor\":0.5}"),
         "partial_rotary_factor: 0.5"},
        {LLAMA("\"rope_parameters\":{\"mscale\":2}"), "key 'mscale' is not known here"},
        {LLAMA("\"rope_theta\":5e5,\"rope_parameters\":{\"rope_theta\":1e4}"),
         "rope_theta is there twice: 5e5 and 1e4"},
        {LLAMA("\"pruned_heads\":{\"1\":[0]}"), "pruned_heads has no value"},
        {LLAMA("\"a\\u001b[31m\":1"), "key 'a?[31m' is not known here"},
        {LLAMA("\"max_window_layers\":28"), "key 'max_window_layers' is not known here"},
        {QWEN2("\"layer_types\":[\"full_attention\",\"sliding_attention\"]"),
         "layer_types: these are not supported"},
        {QWEN2("\"layer_types\":[\"sliding_attention\"]"), "layer_types: these are not supported"},
        {QWEN2("\"use_sliding_window\":true,\"num_hidden_layers\":2,"
               "\"layer_types\":[\"sliding_attention\",\"full_attention\"]"),
         "layer_types: these are not supported"},
        {QWEN2("\"use_sliding_window\":true,\"layer_types\":[\"full_attention\",\"chunked\"]"),
         "layer_types has no value that is known"},
        {QWEN2("\"use_sliding_window\":true,\"sliding_window\":0,\"max_window_layers\":1"),
         "sliding_window: 0 is not supported"},
        {QWEN2("\"use_sliding_window\":1"), "use_sliding_window: 1 is not supported"},
        {LLAMA("\"use_sliding_window\":true"), "use_sliding_window: true is not supported"},
        {QWEN2("\"layer_types\":[[]]"), "layer_types has no value that is known"},
        {QWEN2("\"hidden_act\":[\"silu\"]"), "hidden_act has no value that is known"},
        {QWEN2("\"mlp_bias\":true"), "mlp_bias: true is not supported, only false"},
        {GPT2_("\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}"), "rope_type: yarn is not"},
        {QWEN2("\"attention_bias\":true"), "attention_bias: true is not supported"},
        {GPT2_("\"scale_attn_by_inverse_layer_idx\":true"), "layer_idx: true is not supported"},
        {GPT2_("\"scale_attn_weights\":false"), "scale_attn_weights: false is not supported"},
        {GPT2_("\"add_cross_attention\":true"), "add_cross_attention: true is not supported"},
        {GPT2_("\"activation_function\":\"tanh\""),
         "activation_function: tanh is not supported, only gelu_new gelu_pytorch_tanh gelu relu "
         "silu"},
        {GPT2_("\"embd_pdrop\":1.5"), "embedding_dropout"},
        {GPT2_("\"n_embd\":64,\"hidden_size\":96"), "n_embd is there twice: 64 and 96"},
    };
    refused(cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(windows_behind_the_first_layers_are_read)
{
    static const struct {
        const char *more;
        int64_t window, first;
    } cases[] = {
        {"\"use_sliding_window\":true,\"max_window_layers\":3", 4096, 3},
        {"\"use_sliding_window\":true,\"sliding_window\":7,\"max_window_layers\":0", 7, 0},
        {"\"use_sliding_window\":true,\"sliding_window\":7,\"num_hidden_layers\":30", 7, 28},
        {"\"use_sliding_window\":true,\"sliding_window\":7,\"max_window_layers\":4", 0, 0},
        {"\"use_sliding_window\":true,\"sliding_window\":null,\"max_window_layers\":1", 0, 0},
        {"\"use_sliding_window\":false,\"sliding_window\":7,\"max_window_layers\":1", 0, 0},
        {"\"use_sliding_window\":true,\"sliding_window\":7,\"max_window_layers\":1,"
         "\"num_hidden_layers\":3,\"layer_types\":[\"full_attention\",\"full_attention\","
         "\"sliding_attention\"]",
         7, 2},
        {"\"use_sliding_window\":true,\"sliding_window\":7,\"num_hidden_layers\":1,"
         "\"layer_types\":[\"sliding_attention\"]",
         7, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *layers = strstr(cases[i].more, "num_hidden") ? "" : "\"num_hidden_layers\":4,";
        char *json =
            ps_asprintf("{\"model_type\":\"qwen2\",\"vocab_size\":9,%s%s}", layers, cases[i].more);
        ps_spec_model *m = parsed(json);
        ck_assert_msg(m->choices.sliding_window == cases[i].window, "%s", json);
        ck_assert_msg(m->choices.full_attention_first == cases[i].first, "%s", json);
        ps_spec_model_free(&m);
        ps_free(&json);
    }
}
END_TEST

START_TEST(kinds_of_layers_become_how_often_one_sees_all)
{
    static const struct {
        const char *types;
        int64_t every; /* -1: refused; of layers that all see all there is no window */
        int layers;
    } cases[] = {
        {"[\"sliding_attention\",\"full_attention\",\"sliding_attention\"]", 2, 3},
        {"[\"sliding_attention\",\"sliding_attention\",\"full_attention\"]", 3, 3},
        {"[\"sliding_attention\",\"sliding_attention\"]", 0, 2},
        {"[\"full_attention\",\"full_attention\"]", 0, 2},
        {"null", 2, 26},
        {"[\"full_attention\",\"sliding_attention\"]", -1, 2},
        {"[\"sliding_attention\",\"full_attention\",\"full_attention\"]", -1, 3},
        {"[\"chunked_attention\",\"full_attention\"]", -1, 2},
        {"[\"chunked_attention\"]", -1, 1},
        {"[1]", -1, 1},
        /* of another number of layers, and words that psd has for lists */
        {"[\"full_attention\"]", -1, 2},
        {"[\"sliding_attention\",\"full_attention\",\"sliding_attention\"]", -1, 2},
        {"\"every_2\"", -1, 2},
        {"\"every 2\"", -1, 2},
        {"[\"every_2\"]", -1, 1},
        {"[\"every 2\",\"every 2\"]", -1, 2},
        {"[]", -1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *json = ps_asprintf(GEMMA2("\"num_hidden_layers\":%d,\"layer_types\":%s"),
                                 cases[i].layers, cases[i].types);
        ps_spec_model *m = NULL;
        ps_status st = ps_hf_config_parse(ps_slice_str(json), &m);
        ck_assert_msg(st == (cases[i].every < 0 ? PS_INVALID_ARGUMENT : PS_OK), "%s", json);
        if (!st) {
            ck_assert_int_eq(m->choices.full_attention_every, cases[i].every);
            bool windows = strstr(json, "\"sliding_attention\"") || m->choices.full_attention_every;
            ck_assert_int_eq(m->choices.sliding_window, windows ? 4096 : 0);
            ck_assert_double_eq(m->choices.attention_softcap, 50);
            ps_spec_model_free(&m);
        }
        ps_free(&json);
    }
}
END_TEST

#define GEMMA3(more) "{\"model_type\":\"gemma3_text\",\"vocab_size\":262144," more "}"

/* As versions 4 and 5 have them: of all layers, and of each kind. */
START_TEST(rotary_positions_of_kinds_of_layers_are_read)
{
    static const char *const same[] = {
        GEMMA3("\"rope_theta\":2e6,\"rope_local_base_freq\":500,"
               "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8},"
               "\"sliding_window_pattern\":3,\"sliding_window\":512"),
        GEMMA3("\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":8,"
               "\"rope_theta\":2e6},\"sliding_attention\":{\"rope_type\":\"default\","
               "\"rope_theta\":500}},\"_sliding_window_pattern\":3,\"num_hidden_layers\":26,"
               "\"sliding_window_pattern\":3,\"sliding_window\":512"),
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        ps_spec_model *m = parsed(same[i]);
        ck_assert_str_eq(m->architecture, "gemma3");
        ck_assert_double_eq(m->rope.theta, 2e6);
        ck_assert_double_eq(m->rope.local_theta, 500);
        ck_assert_uint_eq(m->rope.type, PS_ROPE_LINEAR);
        ck_assert_double_eq(m->rope.factor, 8);
        ck_assert_int_eq(m->choices.full_attention_every, 3);
        ck_assert_int_eq(m->choices.sliding_window, 512);
        ps_spec_model_free(&m);
    }
    ps_spec_model *m = parsed(GEMMA3("\"rope_parameters\":{\"sliding_attention\":null}"));
    ck_assert_double_eq(m->rope.theta, 1e6);
    ck_assert_double_eq(m->rope.local_theta, 10000);
    ck_assert_int_eq(m->choices.full_attention_every, 6);
    ps_spec_model_free(&m);
    static const refusal cases[] = {
        {LLAMA("\"rope_parameters\":{\"full_attention\":{}}"), "are not for a llama"},
        {GEMMA3("\"rope_parameters\":{\"full_attention\":{\"full_attention\":{}}}"),
         "key 'full_attention' is not known"},
        {GEMMA3("\"rope_parameters\":{\"sliding_attention\":{\"rope_type\":\"linear\"}}"),
         "rope_type of sliding_attention: linear is not supported"},
        {GEMMA3("\"rope_parameters\":{\"sliding_attention\":{\"factor\":8}}"),
         "key 'factor' is not known"},
        {GEMMA3("\"sliding_window_pattern\":0"), "sliding_window_pattern: 0 is not supported"},
        {GEMMA3("\"sliding_window\":null"), "sliding_window"},
        {GEMMA3("\"attn_logit_softcapping\":50.0"),
         "attn_logit_softcapping: 50.0 is not supported"},
        {"{\"model_type\":\"gemma\",\"boi_token_index\":1}",
         "model_type 'gemma' is not known; allowed: gpt2, llama, qwen2, qwen3, mistral, gemma2, "
         "gemma3_text, gpt_neox"},
    };
    refused(cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(what_says_nothing_new_is_taken)
{
    static const char *const more[] = {
        "\"head_dim\":128",
        "\"sliding_window\":null",
        "\"partial_rotary_factor\":1.0",
        "\"rope_theta\":10000,\"rope_theta\":1e4",
        "\"rope_scaling\":{\"rope_type\":\"default\",\"factor\":8,\"beta_fast\":null}",
        "\"pruned_heads\":{},\"pretraining_tp\":2,\"anything\":null"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        char *json =
            ps_asprintf("\xef\xbb\xbf{\"model_type\":\"llama\",\"vocab_size\":32000,%s}", more[i]);
        ps_spec_model *m = parsed(json);
        ck_assert_int_eq(m->vocab_size, 32000);
        ps_spec_model_free(&m);
        ps_free(&json);
    }
    ps_spec_model *m = parsed(GPT2_("\"resid_pdrop\":0,\"embd_pdrop\":0.0,\"attn_pdrop\":0,"
                                    "\"hidden_size\":96,\"max_position_embeddings\":64"));
    ck_assert_double_eq(m->dropout, 0);
    ck_assert_int_eq(m->hidden_size, 96);
    ck_assert_int_eq(m->context_length, 64);
    ps_spec_model_free(&m);
}
END_TEST

/* What transformers writes with all its defaults (tests/golden/hf/make_configs.py), and what the
 * base of all configurations had besides in versions 4. */
START_TEST(every_default_of_transformers_is_read)
{
    static const char *const names[] = {"gpt2", "llama", "qwen2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path =
            ps_asprintf("%s/tests/golden/hf/config-%s.json", getenv("PSD_SOURCE_ROOT"), names[i]);
        ps_buf json = PS_BUF_EMPTY;
        ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &json));
        ps_spec_model *m = parsed(ps_buf_cstr(&json));
        ck_assert_str_eq(m->architecture, names[i]);
        ck_assert_int_eq(m->hidden_size, i ? 4096 : 768);
        ck_assert_double_eq(m->dropout, i ? 0 : 0.1);
        ps_spec_model_free(&m);
        ps_buf_free(&json);
        ps_free(&path);
    }
    ps_spec_model *m = parsed(GPT2_(
        "\"torchscript\":false,\"torch_dtype\":null,\"use_bfloat16\":false,\"tf_legacy_loss\":"
        "false,"
        "\"pruned_heads\":{},\"is_decoder\":false,\"cross_attention_hidden_size\":null,"
        "\"add_cross_attention\":false,\"tie_encoder_decoder\":false,\"max_length\":20,"
        "\"min_length\":0,\"do_sample\":false,\"early_stopping\":false,\"num_beams\":1,"
        "\"num_beam_groups\":1,\"diversity_penalty\":0.0,\"temperature\":1.0,\"top_k\":50,"
        "\"top_p\":1.0,\"typical_p\":1.0,\"repetition_penalty\":1.0,\"length_penalty\":1.0,"
        "\"no_repeat_ngram_size\":0,\"encoder_no_repeat_ngram_size\":0,\"bad_words_ids\":null,"
        "\"num_return_sequences\":1,\"output_scores\":false,\"return_dict_in_generate\":false,"
        "\"forced_bos_token_id\":null,\"forced_eos_token_id\":null,\"remove_invalid_values\":false,"
        "\"exponential_decay_length_penalty\":null,\"suppress_tokens\":null,"
        "\"begin_suppress_tokens\":null,\"finetuning_task\":null,\"tokenizer_class\":null,"
        "\"prefix\":null,\"sep_token_id\":null,\"decoder_start_token_id\":null,"
        "\"task_specific_params\":null,\"gradient_checkpointing\":false,"
        "\"_attn_implementation_autoset\":true"));
    ps_spec_model_free(&m);
}
END_TEST

START_TEST(what_is_written_reads_back_as_the_same)
{
    static const char *const configs[] = {gpt2, llama, qwen2};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        ps_spec_model *m = parsed(configs[i]), *again = NULL;
        ps_buf json = PS_BUF_EMPTY, a = PS_BUF_EMPTY, b = PS_BUF_EMPTY;
        const ps_token_ids ids = {0};
        ps_hf_config_write(m, "float32", &ids, NULL, NULL, &json);
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
                                      {&rope_scaling_that_is_not_known_is_refused},
                                      {&what_is_0_and_what_is_empty_is_not_unsaid},
                                      {&windows_behind_the_first_layers_are_read},
                                      {&kinds_of_layers_become_how_often_one_sees_all},
                                      {&rotary_positions_of_kinds_of_layers_are_read},
                                      {&what_says_nothing_new_is_taken},
                                      {&every_default_of_transformers_is_read},
                                      {&what_is_written_reads_back_as_the_same},
                                      {0}};

int main(void)
{
    return ps_check_main("common/model/hf_config", tests);
}
