/* mistral (Jiang 2023, arXiv 2310.06825), as Hugging Face's MistralForCausalLM: llama whose queries
 * see a window of keys, if the section says so. llama.cpp has it as a llama, without windows.
 *
 *     a = x + o_proj(attention(q_proj(x'), k_proj(x'), v_proj(x')))  x' = input_layernorm(x)
 *     y = a + down_proj(silu(gate_proj(a')) · up_proj(a'))  a' = post_attention_layernorm(a)
 */
#include "common/arch/rows.h"

static const ps_arch_key keys[] = {PS_ARCH_DECODER_KEYS, {"sliding_window"}, {NULL}};

#define PAIRS .change = PS_LM_ROPE_PAIRS

static const ps_arch_tensor tensors[] = {
    PS_ARCH_MATRIX(PS_PART_TOKENS, "model.embed_tokens", "token_embd", PS_SIDE_VOCAB,
                   PS_SIDE_HIDDEN),
    PS_ARCH_GAIN(PS_PART_NORM_ATTENTION, "input_layernorm", "attn_norm"),
    PS_ARCH_MATRIX(PS_PART_Q, "self_attn.q_proj", "attn_q", PS_SIDE_HEADS, PS_SIDE_HIDDEN, PAIRS),
    PS_ARCH_MATRIX(PS_PART_K, "self_attn.k_proj", "attn_k", PS_SIDE_KV, PS_SIDE_HIDDEN, PAIRS),
    PS_ARCH_MATRIX(PS_PART_V, "self_attn.v_proj", "attn_v", PS_SIDE_KV, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_O, "self_attn.o_proj", "attn_output", PS_SIDE_HIDDEN, PS_SIDE_HEADS),
    PS_ARCH_GAIN(PS_PART_NORM_MLP, "post_attention_layernorm", "ffn_norm"),
    PS_ARCH_MATRIX(PS_PART_GATE, "mlp.gate_proj", "ffn_gate", PS_SIDE_INNER, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_UP, "mlp.up_proj", "ffn_up", PS_SIDE_INNER, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_DOWN, "mlp.down_proj", "ffn_down", PS_SIDE_HIDDEN, PS_SIDE_INNER),
    PS_ARCH_GAIN(PS_PART_NORM, "model.norm", "output_norm"),
    PS_ARCH_MATRIX(PS_PART_HEAD, "lm_head", "output", PS_SIDE_VOCAB, PS_SIDE_HIDDEN),
};

/* Frequencies that older versions saved. */
static const char *const buffers[] = {".rotary_emb.inv_freq", NULL};

static const ps_arch_hf_key hf_keys[] = {
    {"max_position_embeddings", "context_length", "131072"},
    {"hidden_size", "hidden_size", "4096"},
    {"num_hidden_layers", "num_layers", "32"},
    {"num_attention_heads", "num_heads", "32"},
    {"num_key_value_heads", "num_kv_heads", "8"},
    {"head_dim", "head_dim"},
    {"intermediate_size", "intermediate_size", "14336"},
    {"rope_theta", "rope_theta", "10000"},
    {"rms_norm_eps", "norm_epsilon", "1e-6"},
    {"tie_word_embeddings", "tie_embeddings", "false"},
    {"attention_dropout", "dropout", "0"},
    {"hidden_act", .fallback = "silu", .only = " silu swish "},
    {"sliding_window", "sliding_window", "4096", .null = "0"},
    {NULL},
};

static const ps_arch_hf_out hf_out[] = {
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
    {"sliding_window", "sliding_window", .zero_null = true},
    {NULL},
};

static const ps_arch_gguf_key gguf[] = {
    {".attention.head_count_kv", "num_kv_heads"},
    {".attention.layer_norm_rms_epsilon", "norm_epsilon", .real = true, .needed = true},
    {".attention.key_length", "head_dim", .own_heads = true},
    {".attention.value_length", "head_dim", .implied = true, .own_heads = true},
    {".rope.dimension_count", "head_dim", .implied = true},
    {".rope.freq_base", "rope_theta", .real = true}, /* 10000 in both */
    {NULL},
};

const ps_arch ps_arch_mistral = {
    .name = "mistral",
    .gguf_name = "llama",
    .family = PS_ARCH_LANGUAGE,
    .keys = keys,
    .traits = {.act = PS_ACT_SILU},
    .tensors = tensors,
    .n_tensors = sizeof tensors / sizeof *tensors,
    .block = "model.layers",
    .hf = {.type = "MistralForCausalLM", .buffers = buffers, .keys = hf_keys, .out = hf_out},
    .gguf = gguf,
    .gguf_factors = true,
};
