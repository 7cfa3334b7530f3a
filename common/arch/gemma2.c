/* gemma2 (Gemma Team 2024, arXiv 2408.00118), as Hugging Face's Gemma2ForCausalLM: llama with norms
 * behind both halves of a block, too, gains stored less 1, an embedding that is scaled, GeGLU,
 * capped scores and logits, and a window in every other block.
 *
 *     a = x + post_attention_layernorm(o_proj(attention(…)))        of input_layernorm(x)
 *     y = a + post_feedforward_layernorm(down_proj(gelu(gate_proj(a')) · up_proj(a')))
 *                                                           a' = pre_feedforward_layernorm(a)
 *
 * llama.cpp keeps the halves that rotate as they are, and gains whole.
 */
#include "common/arch/rows.h"

static const ps_arch_key keys[] = {
    PS_ARCH_SIZE_KEYS,
    PS_ARCH_ROPE_KEYS,
    {"norm_epsilon"},
    {"tie_embeddings", PS_ARCH_TRUE},
    {"dropout"},
    {"tokenizer"},
    {"sliding_window"},
    {"full_attention_every"},
    {"query_pre_attn_scalar"}, /* head_dim */
    {"attention_softcap"},
    {"logit_softcap"},
    {NULL},
};

static const ps_arch_tensor tensors[] = {
    PS_ARCH_MATRIX(PS_PART_TOKENS, "model.embed_tokens", "token_embd", PS_SIDE_VOCAB,
                   PS_SIDE_HIDDEN),
    PS_ARCH_GAIN_LESS_ONE(PS_PART_NORM_ATTENTION, "input_layernorm", "attn_norm", PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_Q, "self_attn.q_proj", "attn_q", PS_SIDE_HEADS, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_K, "self_attn.k_proj", "attn_k", PS_SIDE_KV, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_V, "self_attn.v_proj", "attn_v", PS_SIDE_KV, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_O, "self_attn.o_proj", "attn_output", PS_SIDE_HIDDEN, PS_SIDE_HEADS),
    PS_ARCH_GAIN_LESS_ONE(PS_PART_NORM_AFTER_ATTENTION, "post_attention_layernorm",
                          "post_attention_norm", PS_SIDE_HIDDEN),
    PS_ARCH_GAIN_LESS_ONE(PS_PART_NORM_MLP, "pre_feedforward_layernorm", "ffn_norm",
                          PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_GATE, "mlp.gate_proj", "ffn_gate", PS_SIDE_INNER, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_UP, "mlp.up_proj", "ffn_up", PS_SIDE_INNER, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_DOWN, "mlp.down_proj", "ffn_down", PS_SIDE_HIDDEN, PS_SIDE_INNER),
    PS_ARCH_GAIN_LESS_ONE(PS_PART_NORM_AFTER_MLP, "post_feedforward_layernorm", "post_ffw_norm",
                          PS_SIDE_HIDDEN),
    PS_ARCH_GAIN_LESS_ONE(PS_PART_NORM, "model.norm", "output_norm", PS_SIDE_HIDDEN),
    {.part = PS_PART_HEAD, /* llama.cpp has none */
     .name = "lm_head.weight",
     .sides = {PS_SIDE_VOCAB, PS_SIDE_HIDDEN},
     .start = PS_START_NORMAL},
};

static const char *const buffers[] = {".rotary_emb.inv_freq", NULL};

static const ps_arch_hf_key hf_keys[] = {
    {"sliding_window_size"}, /* what sliding_window was called; transformers reads that alone */
    {"max_position_embeddings", "context_length", "8192"},
    {"hidden_size", "hidden_size", "2304"},
    {"num_hidden_layers", "num_layers", "26"},
    {"num_attention_heads", "num_heads", "8"},
    {"num_key_value_heads", "num_kv_heads", "4"},
    {"head_dim", "head_dim", "256"},
    {"intermediate_size", "intermediate_size", "9216"},
    {"rope_theta", "rope_theta", "10000"},
    {"rms_norm_eps", "norm_epsilon", "1e-6"},
    {"tie_word_embeddings", "tie_embeddings", "true"},
    {"attention_dropout", "dropout", "0"},
    {"hidden_activation", .fallback = "gelu_pytorch_tanh", .only = " gelu_pytorch_tanh "},
    {"hidden_act", .only = " gelu_pytorch_tanh "}, /* the same, in older files */
    {"query_pre_attn_scalar", "query_pre_attn_scalar", "256"},
    {"attn_logit_softcapping", "attention_softcap", "50", .null = "0"},
    {"final_logit_softcapping", "logit_softcap", "30", .null = "0"},
    {"sliding_window", "sliding_window", "4096", .null = "0"},
    {"layer_types", "full_attention_every", "every 2", .list = true,
     .words = "full_attention=1 sliding_attention=0"},
    {"use_bidirectional_attention", .fallback = "false", .only = " false "},
    {"cache_implementation"}, /* how, not what */
    {NULL},
};

static const ps_arch_hf_out hf_out[] = {
    {"attention_bias", .json = "false"},
    {"attention_dropout", "dropout"},
    {"attn_logit_softcapping", "attention_softcap", .zero_null = true},
    {"final_logit_softcapping", "logit_softcap", .zero_null = true},
    {"head_dim", "head_dim"},
    {"hidden_act", .json = "\"gelu_pytorch_tanh\""},
    {"hidden_activation", .json = "\"gelu_pytorch_tanh\""},
    {"hidden_size", "hidden_size"},
    {"intermediate_size", "intermediate_size"},
    {"layer_types", .layers = true},
    {"max_position_embeddings", "context_length"},
    {"num_attention_heads", "num_heads"},
    {"num_hidden_layers", "num_layers"},
    {"num_key_value_heads", "num_kv_heads"},
    {"query_pre_attn_scalar", "query_pre_attn_scalar", .or_else = "head_dim", .whole = true},
    {"rms_norm_eps", "norm_epsilon"},
    {"rope_scaling", .rope = true},
    {"rope_theta", "rope_theta"},
    {"sliding_window", "sliding_window", .or_else = "context_length"}, /* all layers see all */
    {NULL},
};

static const ps_arch_gguf_key gguf[] = {
    {".attention.head_count_kv", "num_kv_heads"},
    {".attention.layer_norm_rms_epsilon", "norm_epsilon", .real = true, .needed = true},
    {".attention.key_length", "head_dim"},
    {".attention.value_length", "head_dim", .implied = true},
    {".attention.sliding_window", "sliding_window", .needed = true},
    {".attn_logit_softcapping", "attention_softcap", .real = true, .needed = true},
    {".final_logit_softcapping", "logit_softcap", .real = true, .needed = true},
    {".rope.freq_base", "rope_theta", .real = true}, /* 10000 in both */
    {NULL},
};

static const ps_arch_gguf_fixed gguf_fixed[] = {
    {"full_attention_every", 2},
    {NULL},
};

const ps_arch ps_arch_gemma2 = {
    .name = "gemma2",
    .family = PS_ARCH_LANGUAGE,
    .keys = keys,
    .traits = {.act = PS_ACT_GELU_TANH, .gains_less_one = true, .scaled_embedding = true},
    .tensors = tensors,
    .n_tensors = sizeof tensors / sizeof *tensors,
    .block = "model.layers",
    .hf = {.type = "Gemma2ForCausalLM", .buffers = buffers, .keys = hf_keys, .out = hf_out},
    .gguf = gguf,
    .gguf_fixed = gguf_fixed,
    .gguf_by_width = 46, /* its 27B */
};
