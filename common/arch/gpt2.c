/* gpt2 (Radford 2019), as Hugging Face's GPT2LMHeadModel: learnt positions, LayerNorm before each
 * half of a block, biases everywhere, weights stored [in, out]; f is GELU by tanh, and the token
 * embedding is the head's weight, unless the section says otherwise.
 *
 *     a = x + c_proj(attention(c_attn(ln_1(x))))
 *     y = a + mlp.c_proj(f(mlp.c_fc(ln_2(a))))
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
    {"norm_epsilon"},
    {"tie_embeddings", PS_ARCH_TRUE},
    {"hidden_act"},
    {"dropout"},
    {"embedding_dropout"}, /* dropout */
    {"attention_dropout"}, /* dropout */
    {"tokenizer"},
    {NULL},
};

/* [in, out] */
#define CONV1D(part, name, gguf, in, out, start)                                 \
    PS_ARCH_WEIGHT(part, name, gguf, in, out, start, .change = PS_LM_TRANSPOSE), \
        PS_ARCH_BIAS(part, name, gguf, out)
#define NORM(part, name, gguf) \
    PS_ARCH_GAIN(part, name, gguf), PS_ARCH_BIAS(part, name, gguf, PS_SIDE_HIDDEN)

static const ps_arch_tensor tensors[] = {
    PS_ARCH_MATRIX(PS_PART_TOKENS, "wte", "token_embd", PS_SIDE_VOCAB, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_POSITIONS, "wpe", "position_embd", PS_SIDE_CONTEXT, PS_SIDE_HIDDEN),
    NORM(PS_PART_NORM_ATTENTION, "ln_1", "attn_norm"),
    CONV1D(PS_PART_QKV, "attn.c_attn", "attn_qkv", PS_SIDE_HIDDEN, PS_SIDE_QKV, PS_START_NORMAL),
    CONV1D(PS_PART_O, "attn.c_proj", "attn_output", PS_SIDE_HEADS, PS_SIDE_HIDDEN,
           PS_START_RESIDUAL),
    NORM(PS_PART_NORM_MLP, "ln_2", "ffn_norm"),
    CONV1D(PS_PART_UP, "mlp.c_fc", "ffn_up", PS_SIDE_HIDDEN, PS_SIDE_INNER, PS_START_NORMAL),
    CONV1D(PS_PART_DOWN, "mlp.c_proj", "ffn_down", PS_SIDE_INNER, PS_SIDE_HIDDEN,
           PS_START_RESIDUAL),
    NORM(PS_PART_NORM, "ln_f", "output_norm"),
    PS_ARCH_MATRIX(PS_PART_HEAD, "lm_head", "output", PS_SIDE_VOCAB, PS_SIDE_HIDDEN),
};

/* Masks that older versions saved. */
static const char *const buffers[] = {".attn.bias", ".attn.masked_bias", NULL};

static const ps_arch_hf_key hf_keys[] = {
    {"n_positions", "context_length", "1024", .alias = "max_position_embeddings"},
    {"n_embd", "hidden_size", "768", .alias = "hidden_size"},
    {"n_layer", "num_layers", "12", .alias = "num_hidden_layers"},
    {"n_head", "num_heads", "12", .alias = "num_attention_heads"},
    {"n_inner", "intermediate_size"},
    {"layer_norm_epsilon", "norm_epsilon", "1e-5"},
    {"resid_pdrop", "dropout", "0.1"},
    {"embd_pdrop", "embedding_dropout", "0.1"},
    {"attn_pdrop", "attention_dropout", "0.1"},
    {"activation_function", "hidden_act", "gelu_new",
     .words = "gelu_new=gelu_tanh gelu_pytorch_tanh=gelu_tanh gelu=gelu relu=relu silu=silu"},
    {"scale_attn_weights", .fallback = "true", .only = " true "},
    {"scale_attn_by_inverse_layer_idx", .fallback = "false", .only = " false "},
    {"tie_word_embeddings", "tie_embeddings", "true"},
    {NULL},
};

static const ps_arch_hf_out hf_out[] = {
    {"activation_function", "hidden_act",
     .words = "gelu_tanh=gelu_new gelu=gelu relu=relu silu=silu"},
    {"attn_pdrop", "attention_dropout", .or_else = "dropout"},
    {"embd_pdrop", "embedding_dropout", .or_else = "dropout"},
    {"resid_pdrop", "dropout"},
    {"layer_norm_epsilon", "norm_epsilon"},
    {"n_ctx", "context_length"},
    {"n_positions", "context_length"},
    {"n_embd", "hidden_size"},
    {"n_layer", "num_layers"},
    {"n_head", "num_heads"},
    {"n_inner", "intermediate_size"},
    {"scale_attn_weights", .json = "true"},
    {"scale_attn_by_inverse_layer_idx", .json = "false"},
    {"reorder_and_upcast_attn", .json = "false"},
    {NULL},
};

static const ps_arch_gguf_key gguf[] = {
    {".attention.layer_norm_epsilon", "norm_epsilon", .real = true, .needed = true},
    {".attention.head_count_kv", "num_heads", .implied = true, .unwritten = true},
    {NULL},
};

const ps_arch ps_arch_gpt2 = {
    .name = "gpt2",
    .family = PS_ARCH_LANGUAGE,
    .keys = keys,
    .traits = {.act = PS_ACT_GELU_TANH},
    .tensors = tensors,
    .n_tensors = sizeof tensors / sizeof *tensors,
    .block = "h",
    .hf = {.type = "GPT2LMHeadModel",
           .prefix = "transformer.",
           .buffers = buffers,
           .keys = hf_keys,
           .out = hf_out},
    .gguf = gguf,
    .gguf_pre = "gpt-2", /* files of before 2024 */
};
