/* llama (Touvron 2023), as Hugging Face's LlamaForCausalLM: rotary positions, RMSNorm before each
 * half of a block, grouped queries, SwiGLU, no biases.
 *
 *     a = x + o_proj(attention(q_proj(x'), k_proj(x'), v_proj(x')))  x' = input_layernorm(x)
 *     y = a + down_proj(silu(gate_proj(a')) · up_proj(a'))  a' = post_attention_layernorm(a)
 */
#include "common/arch/rows.h"

const ps_arch_key ps_arch_llama_keys[] = {
    {"vocab_size", PS_ARCH_NEEDED},
    {"context_length", PS_ARCH_NEEDED},
    {"hidden_size", PS_ARCH_NEEDED},
    {"num_layers", PS_ARCH_NEEDED},
    {"num_heads", PS_ARCH_NEEDED},
    {"num_kv_heads"}, /* num_heads */
    {"head_dim"},     /* hidden_size / num_heads */
    {"intermediate_size", PS_ARCH_NEEDED},
    {"rope_theta"},
    {"norm_epsilon"},
    {"tie_embeddings"},
    {"dropout"},
    {"tokenizer"},
    {NULL},
};

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
    {"max_position_embeddings", "context_length", "2048"},
    {"hidden_size", "hidden_size", "4096"},
    {"num_hidden_layers", "num_layers", "32"},
    {"num_attention_heads", "num_heads", "32"},
    {"num_key_value_heads", "num_kv_heads"},
    {"intermediate_size", "intermediate_size", "11008"},
    {"rope_theta", "rope_theta", "10000"},
    {"rms_norm_eps", "norm_epsilon", "1e-6"},
    {"tie_word_embeddings", "tie_embeddings", "false"},
    {"attention_dropout", "dropout", "0"},
    {"hidden_act", .fallback = "silu", .only = " silu swish "},
    {"head_dim", "head_dim"},
    {NULL},
};

static const ps_arch_hf_out hf_out[] = {
    {"attention_bias", .json = "false"},
    {"attention_dropout", "dropout"},
    {"head_dim", "head_dim"},
    {"hidden_act", .json = "\"silu\""},
    {"hidden_size", "hidden_size"},
    {"intermediate_size", "intermediate_size"},
    {"max_position_embeddings", "context_length"},
    {"mlp_bias", .json = "false"},
    {"num_attention_heads", "num_heads"},
    {"num_hidden_layers", "num_layers"},
    {"num_key_value_heads", "num_kv_heads"},
    {"pretraining_tp", .json = "1"},
    {"rms_norm_eps", "norm_epsilon"},
    {"rope_scaling", .json = "null"},
    {"rope_theta", "rope_theta"},
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

const ps_arch ps_arch_llama = {
    .name = "llama",
    .family = PS_ARCH_LANGUAGE,
    .keys = ps_arch_llama_keys,
    .tensors = tensors,
    .n_tensors = sizeof tensors / sizeof *tensors,
    .block = "model.layers",
    .hf = {.type = "LlamaForCausalLM", .buffers = buffers, .keys = hf_keys, .out = hf_out},
    .gguf = gguf,
};
