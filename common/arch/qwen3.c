/* qwen3 (Qwen Team 2025, arXiv 2505.09388), as Hugging Face's Qwen3ForCausalLM: llama with a norm
 * of each head's queries and keys, of one gain for all heads, before they are turned. Behind
 * the first blocks queries may see a window, in no GGUF file. llama.cpp keeps the halves that
 * rotate as they are.
 *
 *     q = q_norm(q_proj(x')), k = k_norm(k_proj(x'))    x' = input_layernorm(x)
 *     a = x + o_proj(attention(q, k, v_proj(x')))
 *     y = a + down_proj(silu(gate_proj(a')) · up_proj(a'))  a' = post_attention_layernorm(a)
 */
#include "common/arch/rows.h"

static const ps_arch_key keys[] = {
    PS_ARCH_DECODER_KEYS, {"attention_bias"}, /* of all four products */
    {"sliding_window"},   {"full_attention_first"}, {NULL},
};

#define OF_ATTENTION .option = PS_OPTION_ATTENTION_BIAS

static const ps_arch_tensor tensors[] = {
    PS_ARCH_MATRIX(PS_PART_TOKENS, "model.embed_tokens", "token_embd", PS_SIDE_VOCAB,
                   PS_SIDE_HIDDEN),
    PS_ARCH_GAIN(PS_PART_NORM_ATTENTION, "input_layernorm", "attn_norm"),
    PS_ARCH_MATRIX(PS_PART_Q, "self_attn.q_proj", "attn_q", PS_SIDE_HEADS, PS_SIDE_HIDDEN),
    PS_ARCH_OWN_BIAS(PS_PART_Q, "self_attn.q_proj", PS_SIDE_HEADS, OF_ATTENTION),
    PS_ARCH_MATRIX(PS_PART_K, "self_attn.k_proj", "attn_k", PS_SIDE_KV, PS_SIDE_HIDDEN),
    PS_ARCH_OWN_BIAS(PS_PART_K, "self_attn.k_proj", PS_SIDE_KV, OF_ATTENTION),
    PS_ARCH_MATRIX(PS_PART_V, "self_attn.v_proj", "attn_v", PS_SIDE_KV, PS_SIDE_HIDDEN),
    PS_ARCH_OWN_BIAS(PS_PART_V, "self_attn.v_proj", PS_SIDE_KV, OF_ATTENTION),
    PS_ARCH_HEAD_GAIN(PS_PART_NORM_Q, "self_attn.q_norm", "attn_q_norm"),
    PS_ARCH_HEAD_GAIN(PS_PART_NORM_K, "self_attn.k_norm", "attn_k_norm"),
    PS_ARCH_MATRIX(PS_PART_O, "self_attn.o_proj", "attn_output", PS_SIDE_HIDDEN, PS_SIDE_HEADS),
    PS_ARCH_OWN_BIAS(PS_PART_O, "self_attn.o_proj", PS_SIDE_HIDDEN, OF_ATTENTION),
    PS_ARCH_GAIN(PS_PART_NORM_MLP, "post_attention_layernorm", "ffn_norm"),
    PS_ARCH_MATRIX(PS_PART_GATE, "mlp.gate_proj", "ffn_gate", PS_SIDE_INNER, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_UP, "mlp.up_proj", "ffn_up", PS_SIDE_INNER, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_DOWN, "mlp.down_proj", "ffn_down", PS_SIDE_HIDDEN, PS_SIDE_INNER),
    PS_ARCH_GAIN(PS_PART_NORM, "model.norm", "output_norm"),
    PS_ARCH_MATRIX(PS_PART_HEAD, "lm_head", "output", PS_SIDE_VOCAB, PS_SIDE_HIDDEN),
};

static const char *const buffers[] = {".rotary_emb.inv_freq", NULL};

static const ps_arch_hf_key hf_keys[] = {
    {"max_position_embeddings", "context_length", "32768"},
    {"hidden_size", "hidden_size", "4096"},
    {"num_hidden_layers", "num_layers", "32"},
    {"num_attention_heads", "num_heads", "32"},
    {"num_key_value_heads", "num_kv_heads", "32"},
    {"head_dim", "head_dim", "128"},
    {"intermediate_size", "intermediate_size", "22016"},
    {"rope_theta", "rope_theta", "10000"},
    {"rms_norm_eps", "norm_epsilon", "1e-6"},
    {"tie_word_embeddings", "tie_embeddings", "false"},
    {"attention_dropout", "dropout", "0"},
    {"attention_bias", "attention_bias", "false"},
    {"hidden_act", .fallback = "silu", .only = " silu swish "},
    /* read together (hf_config.c) */
    {"use_sliding_window", .fallback = "false", .only = " false true "},
    {"sliding_window"},
    {"max_window_layers"},
    {"layer_types", .list = true},
    {NULL},
};

static const ps_arch_hf_out hf_out[] = {
    {"attention_bias", "attention_bias"},
    {"attention_dropout", "dropout"},
    {"head_dim", "head_dim"},
    {"hidden_act", .json = "\"silu\""},
    {"hidden_size", "hidden_size"},
    {"intermediate_size", "intermediate_size"},
    {"max_position_embeddings", "context_length"},
    {"num_attention_heads", "num_heads"},
    {"num_hidden_layers", "num_layers"},
    {"num_key_value_heads", "num_kv_heads"},
    {"rms_norm_eps", "norm_epsilon"},
    {"rope_scaling", .rope = true},
    {"rope_theta", "rope_theta"},
    {"use_sliding_window", "sliding_window", .whether = true},
    {"sliding_window", "sliding_window", .windowed = true},
    {"max_window_layers", "full_attention_first", .windowed = true},
    {"layer_types", .layers = true, .windowed = true},
    {NULL},
};

static const ps_arch_gguf_key gguf[] = {
    {".attention.head_count_kv", "num_kv_heads"},
    {".attention.layer_norm_rms_epsilon", "norm_epsilon", .real = true, .needed = true},
    {".attention.key_length", "head_dim"},
    {".attention.value_length", "head_dim", .implied = true},
    {".rope.freq_base", "rope_theta", .real = true}, /* 10000 in both */
    {NULL},
};

const ps_arch ps_arch_qwen3 = {
    .name = "qwen3",
    .family = PS_ARCH_LANGUAGE,
    .keys = keys,
    .traits = {.act = PS_ACT_SILU},
    .tensors = tensors,
    .n_tensors = sizeof tensors / sizeof *tensors,
    .block = "model.layers",
    .hf = {.type = "Qwen3ForCausalLM", .buffers = buffers, .keys = hf_keys, .out = hf_out},
    .gguf = gguf,
};
