/* gpt_neox (Black 2022, arXiv 2204.06745; Pythia: Biderman 2023, arXiv 2304.01373), as Hugging
 * Face's GPTNeoXForCausalLM: a LayerNorm before each half of a block, both of which read what comes
 * in, unless the section says that the second reads what the first gives, as in GPT-2; rotary
 * positions of the first numbers of each head; biases everywhere, f is GELU, and the head is apart.
 *
 *     a = x + dense(attention(query_key_value(input_layernorm(x))))
 *     y = a + dense_4h_to_h(f(dense_h_to_4h(post_attention_layernorm(x))))    or of a
 */
#include "common/arch/rows.h"

static const ps_arch_key keys[] = {
    {"vocab_size", PS_ARCH_NEEDED},
    {"context_length", PS_ARCH_NEEDED},
    {"hidden_size", PS_ARCH_NEEDED},
    {"num_layers", PS_ARCH_NEEDED},
    {"num_heads", PS_ARCH_NEEDED},
    {"head_dim"},          /* hidden_size / num_heads */
    {"intermediate_size"}, /* 4 · hidden_size */
    PS_ARCH_ROPE_KEYS,
    {"rope_share"},
    {"norm_epsilon"},
    {"tie_embeddings"},
    {"attention_bias", PS_ARCH_TRUE}, /* of both products */
    {"parallel_residual", PS_ARCH_TRUE},
    {"hidden_act"},
    {"dropout"},
    {"attention_dropout"}, /* dropout */
    {"tokenizer"},
    {NULL},
};

#define OF_ATTENTION .option = PS_OPTION_ATTENTION_BIAS
#define BY_HEADS     .by_heads = true
#define NORM(part, name, gguf) \
    PS_ARCH_GAIN(part, name, gguf), PS_ARCH_BIAS(part, name, gguf, PS_SIDE_HIDDEN)

static const ps_arch_tensor tensors[] = {
    PS_ARCH_MATRIX(PS_PART_TOKENS, "gpt_neox.embed_in", "token_embd", PS_SIDE_VOCAB,
                   PS_SIDE_HIDDEN),
    NORM(PS_PART_NORM_ATTENTION, "input_layernorm", "attn_norm"),
    PS_ARCH_MATRIX(PS_PART_QKV, "attention.query_key_value", "attn_qkv", PS_SIDE_QKV,
                   PS_SIDE_HIDDEN, BY_HEADS),
    PS_ARCH_BIAS(PS_PART_QKV, "attention.query_key_value", "attn_qkv", PS_SIDE_QKV, BY_HEADS,
                 OF_ATTENTION),
    PS_ARCH_WEIGHT(PS_PART_O, "attention.dense", "attn_output", PS_SIDE_HIDDEN, PS_SIDE_HEADS,
                   PS_START_RESIDUAL),
    PS_ARCH_BIAS(PS_PART_O, "attention.dense", "attn_output", PS_SIDE_HIDDEN, OF_ATTENTION),
    NORM(PS_PART_NORM_MLP, "post_attention_layernorm", "ffn_norm"),
    PS_ARCH_MATRIX(PS_PART_UP, "mlp.dense_h_to_4h", "ffn_up", PS_SIDE_INNER, PS_SIDE_HIDDEN),
    PS_ARCH_BIAS(PS_PART_UP, "mlp.dense_h_to_4h", "ffn_up", PS_SIDE_INNER),
    PS_ARCH_WEIGHT(PS_PART_DOWN, "mlp.dense_4h_to_h", "ffn_down", PS_SIDE_HIDDEN, PS_SIDE_INNER,
                   PS_START_RESIDUAL),
    PS_ARCH_BIAS(PS_PART_DOWN, "mlp.dense_4h_to_h", "ffn_down", PS_SIDE_HIDDEN),
    NORM(PS_PART_NORM, "gpt_neox.final_layer_norm", "output_norm"),
    PS_ARCH_MATRIX(PS_PART_HEAD, "embed_out", "output", PS_SIDE_VOCAB, PS_SIDE_HIDDEN),
};

/* Masks and frequencies that older versions saved. */
static const char *const buffers[] = {".attention.bias", ".attention.masked_bias",
                                      ".rotary_emb.inv_freq", NULL};

static const ps_arch_hf_key hf_keys[] = {
    /* of older files; it has others now */
    {"attention_probs_dropout_prob", .fallback = "0", .only = " 0 "},
    {"hidden_dropout_prob", .fallback = "0", .only = " 0 "},
    {"max_position_embeddings", "context_length", "2048"},
    {"hidden_size", "hidden_size", "6144"},
    {"num_hidden_layers", "num_layers", "44"},
    {"num_attention_heads", "num_heads", "64"},
    {"intermediate_size", "intermediate_size", "24576"},
    {"head_dim", "head_dim"}, /* only what follows */
    {"rope_theta", "rope_theta", "10000", .alias = "rotary_emb_base"},
    {"partial_rotary_factor", "rope_share", "0.25", .alias = "rotary_pct"},
    {"layer_norm_eps", "norm_epsilon", "1e-5"},
    {"tie_word_embeddings", "tie_embeddings", "false"},
    {"attention_bias", "attention_bias", "true"},
    {"use_parallel_residual", "parallel_residual", "true"},
    {"hidden_dropout", "dropout", "0"},
    {"attention_dropout", "attention_dropout", "0"},
    {"hidden_act", "hidden_act", "gelu",
     .words = "gelu=gelu gelu_new=gelu_tanh gelu_fast=gelu_tanh gelu_pytorch_tanh=gelu_tanh "
              "relu=relu silu=silu"},
    {NULL},
};

static const ps_arch_hf_out hf_out[] = {
    {"attention_bias", "attention_bias"},
    {"attention_dropout", "attention_dropout", .or_else = "dropout"},
    {"hidden_act", "hidden_act", .words = "gelu_tanh=gelu_new gelu=gelu relu=relu silu=silu"},
    {"hidden_dropout", "dropout"},
    {"hidden_size", "hidden_size"},
    {"intermediate_size", "intermediate_size"},
    {"layer_norm_eps", "norm_epsilon"},
    {"max_position_embeddings", "context_length"},
    {"num_attention_heads", "num_heads"},
    {"num_hidden_layers", "num_layers"},
    {"rope_scaling", .rope = true},
    {"rotary_emb_base", "rope_theta"},
    {"rotary_pct", "rope_share"},
    {"use_parallel_residual", "parallel_residual"},
    {NULL},
};

static const ps_arch_gguf_key gguf[] = {
    {".attention.layer_norm_epsilon", "norm_epsilon", .real = true, .needed = true},
    {".attention.head_count_kv", "num_heads", .implied = true, .unwritten = true},
    {".rope.dimension_count", "rope_share", .share = true},
    {".rope.freq_base", "rope_theta", .real = true}, /* 10000 in both */
    {".use_parallel_residual", "parallel_residual", .flag = true, .needed = true},
    {NULL},
};

static const ps_arch_gguf_fixed gguf_fixed[] = {
    {"attention_bias", true, .by_tensors = true},
    {"tie_embeddings", false, .by_tensors = true},
    {NULL},
};

const ps_arch ps_arch_gpt_neox = {
    .name = "gpt_neox",
    .gguf_name = "gptneox",
    .family = PS_ARCH_LANGUAGE,
    .keys = keys,
    .traits = {.act = PS_ACT_GELU},
    .tensors = tensors,
    .n_tensors = sizeof tensors / sizeof *tensors,
    .block = "gpt_neox.layers",
    .hf = {.type = "GPTNeoXForCausalLM", .buffers = buffers, .keys = hf_keys, .out = hf_out},
    .gguf = gguf,
    .gguf_fixed = gguf_fixed,
    .gguf_remark = "llama.cpp computes gelu in its form of tanh: its answers differ a little",
};
