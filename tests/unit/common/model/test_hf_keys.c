/* hf_keys: no key that could change what a model computes is passed over. In a config.json of each
 * architecture it is refused, or the model section is another one with it. */
#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "common/model/hf_config.h"
#include "tests/lib/check_main.h"

#include <string.h>

#define SIZES                                                      \
    "\"vocab_size\":9,\"hidden_size\":32,\"num_hidden_layers\":2," \
    "\"num_attention_heads\":4,\"intermediate_size\":16,\"sliding_window\":null"

/* What each architecture has beside these; of gpt2 intermediate_size is none. */
static const char *const models[] = {
    "{\"model_type\":\"gpt2\",\"vocab_size\":9,\"n_embd\":32,\"n_layer\":2,\"n_head\":4",
    "{\"model_type\":\"llama\"," SIZES,
    "{\"model_type\":\"qwen2\",\"num_key_value_heads\":4," SIZES,
    "{\"model_type\":\"qwen3\",\"num_key_value_heads\":4," SIZES,
    "{\"model_type\":\"mistral\",\"num_key_value_heads\":4," SIZES,
    "{\"model_type\":\"gemma2\"," SIZES,
    "{\"model_type\":\"gemma3_text\",\"layer_types\":[\"full_attention\",\"full_attention\"],"
    "\"vocab_size\":9,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
    "\"intermediate_size\":16",
    "{\"model_type\":\"gpt_neox\"," SIZES,
    "{\"model_type\":\"bert\"," SIZES,
};

/* Each at a value that none of them has anyway. */
static const char *const keys[] = {
    "\"head_dim\":16",
    "\"num_key_value_heads\":2",
    "\"n_inner\":7",
    "\"rope_theta\":7.5",
    "\"rotary_emb_base\":7.5",
    "\"rotary_pct\":0.75",
    "\"partial_rotary_factor\":0.75",
    "\"rope_local_base_freq\":7.5",
    "\"rope_scaling\":{\"type\":\"linear\",\"factor\":3}",
    "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":3}",
    "\"rope_parameters\":{\"rope_theta\":7.5}",
    "\"rope_parameters\":{\"partial_rotary_factor\":0.75}",
    "\"rope_interleaved\":true",
    "\"rms_norm_eps\":0.007",
    "\"layer_norm_eps\":0.007",
    "\"layer_norm_epsilon\":0.007",
    "\"hidden_act\":\"relu\"",
    "\"hidden_activation\":\"relu\"",
    "\"activation_function\":\"relu\"",
    "\"query_pre_attn_scalar\":7",
    "\"attn_logit_softcapping\":7.5",
    "\"final_logit_softcapping\":7.5",
    "\"logit_scale\":2",
    "\"use_qk_norm\":true",
    "\"use_bidirectional_attention\":true",
    "\"is_causal\":false",
    "\"use_sliding_window\":true,\"sliding_window\":3,\"max_window_layers\":1",
    "\"layer_types\":[\"sliding_attention\",\"chunked_attention\"]",
    "\"attention_chunk_size\":3",
    "\"attention_multiplier\":2",
    "\"embedding_multiplier\":2",
    "\"scale_attn_weights\":false",
    "\"scale_attn_by_inverse_layer_idx\":true",
    "\"add_cross_attention\":true",
    "\"is_encoder_decoder\":true",
    "\"position_embedding_type\":\"relative_key\"",
    "\"pruned_heads\":{\"0\":[1]}",
    "\"mlp_bias\":true",
    "\"num_experts\":4",
    "\"num_local_experts\":4",
    "\"hidden_dropout\":0.75",
    "\"attention_dropout\":0.75",
    "\"attn_pdrop\":0.75",
    "\"hidden_dropout_prob\":0.75",
    "\"use_parallel_residual\":false",
    "\"type_vocab_size\":7",
};

static bool read_as(const char *json, ps_buf *section)
{
    ps_spec_model *m = NULL;
    if (ps_hf_config_parse(ps_slice_str(json), &m) != PS_OK)
        return false;
    ps_spec_model_format(m, section);
    ps_spec_model_free(&m);
    return true;
}

START_TEST(what_counts_is_read_or_refused)
{
    ps_buf was = PS_BUF_EMPTY, is = PS_BUF_EMPTY;
    char *plain = ps_asprintf("%s}", models[_i]);
    size_t refused = 0;
    ck_assert_msg(read_as(plain, &was), "%s: %s", plain, ps_error_message());
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *json = ps_asprintf("%s,%s}", models[_i], keys[i]);
        ps_buf_clear(&is);
        if (read_as(json, &is))
            ck_assert_msg(strcmp(ps_buf_cstr(&was), ps_buf_cstr(&is)) != 0, "%s", json);
        else
            refused++;
        ps_free(&json);
    }
    ck_assert_uint_gt(refused, 20);
    ck_assert_uint_lt(refused, sizeof keys / sizeof *keys);
    ps_free(&plain);
    ps_buf_free(&was);
    ps_buf_free(&is);
}
END_TEST

/* Of a class that has no such key its heads are as wide as follows. */
START_TEST(a_width_that_follows_is_taken)
{
    static const char neox[] = "{\"model_type\":\"gpt_neox\"," SIZES ",\"head_dim\":%d}";
    ps_buf section = PS_BUF_EMPTY;
    char *eight = ps_asprintf(neox, 8), *more = ps_asprintf(neox, 16);
    ck_assert_msg(read_as(eight, &section), "%s", ps_error_message());
    ck_assert(!read_as(more, &section));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "head_dim: 16 is not supported, only hidden"));
    ps_free(&more);
    ps_free(&eight);
    ps_buf_free(&section);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &what_counts_is_read_or_refused, .repeat = sizeof models / sizeof *models},
    {.test = &a_width_that_follows_is_taken},
    {0}};

int main(void)
{
    return ps_check_main("common/model/hf_keys", tests);
}
