/* bert (Devlin 2019), as Hugging Face's BertModel and BertForSequenceClassification: learnt
 * positions and types of texts, a LayerNorm behind the embedding and behind each half of a block,
 * biases everywhere, and every token sees all of its text.
 *
 *     x = embeddings.LayerNorm(word + position + token_type)
 *     a = attention.output.LayerNorm(x + attention.output.dense(attention(x)))
 *     y = output.LayerNorm(a + output.dense(f(intermediate.dense(a))))
 *     classes = classifier(tanh(pooler.dense(y of the first token)))
 *
 * Without classes it embeds texts; the pooler is then carried along, where it is there.
 */
#include "common/arch/rows.h"

static const ps_arch_key keys[] = {
    {"vocab_size", PS_ARCH_NEEDED},
    {"context_length", PS_ARCH_NEEDED},
    {"hidden_size", PS_ARCH_NEEDED},
    {"num_layers", PS_ARCH_NEEDED},
    {"num_heads", PS_ARCH_NEEDED},
    {"intermediate_size"}, /* 4 · hidden_size */
    {"type_vocab_size"},
    {"norm_epsilon"},
    {"hidden_act"},
    {"dropout"},
    {"embedding_dropout"},  /* dropout */
    {"attention_dropout"},  /* dropout */
    {"classifier_dropout"}, /* dropout */
    {"num_classes"},
    {"classes"},
    {"pooler", PS_ARCH_TRUE},
    {"pooling"},
    {"max_text_length"}, /* context_length */
    {"tokenizer"},
    {NULL},
};

#define LINEAR(part, name, gguf, rows, columns, ...)              \
    PS_ARCH_MATRIX(part, name, gguf, rows, columns, __VA_ARGS__), \
        PS_ARCH_BIAS(part, name, gguf, rows, __VA_ARGS__)
#define NORM(part, name, gguf) \
    PS_ARCH_GAIN(part, name, gguf), PS_ARCH_BIAS(part, name, gguf, PS_SIDE_HIDDEN)

static const ps_arch_tensor tensors[] = {
    PS_ARCH_MATRIX(PS_PART_TOKENS, "embeddings.word_embeddings", "token_embd", PS_SIDE_VOCAB,
                   PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_POSITIONS, "embeddings.position_embeddings", "position_embd",
                   PS_SIDE_CONTEXT, PS_SIDE_HIDDEN),
    PS_ARCH_MATRIX(PS_PART_TYPES, "embeddings.token_type_embeddings", "token_types", PS_SIDE_TYPES,
                   PS_SIDE_HIDDEN),
    NORM(PS_PART_NORM_EMBEDDING, "embeddings.LayerNorm", "token_embd_norm"),
    LINEAR(PS_PART_Q, "attention.self.query", "attn_q", PS_SIDE_HEADS, PS_SIDE_HIDDEN),
    LINEAR(PS_PART_K, "attention.self.key", "attn_k", PS_SIDE_KV, PS_SIDE_HIDDEN),
    LINEAR(PS_PART_V, "attention.self.value", "attn_v", PS_SIDE_KV, PS_SIDE_HIDDEN),
    LINEAR(PS_PART_O, "attention.output.dense", "attn_output", PS_SIDE_HIDDEN, PS_SIDE_HEADS),
    NORM(PS_PART_NORM_ADDED_ATTENTION, "attention.output.LayerNorm", "attn_output_norm"),
    LINEAR(PS_PART_UP, "intermediate.dense", "ffn_up", PS_SIDE_INNER, PS_SIDE_HIDDEN),
    LINEAR(PS_PART_DOWN, "output.dense", "ffn_down", PS_SIDE_HIDDEN, PS_SIDE_INNER),
    NORM(PS_PART_NORM_ADDED_MLP, "output.LayerNorm", "layer_output_norm"),
    LINEAR(PS_PART_POOLER, "pooler.dense", "cls", PS_SIDE_HIDDEN, PS_SIDE_HIDDEN,
           .option = PS_OPTION_POOLER),
    LINEAR(PS_PART_CLASSES, "classifier", "cls.output", PS_SIDE_CLASSES, PS_SIDE_HIDDEN,
           .option = PS_OPTION_CLASSES),
};

/* Numbers of positions, which older versions saved. */
static const char *const buffers[] = {"embeddings.position_ids", "embeddings.token_type_ids", NULL};

/* Of files that were TensorFlow's first. */
static const char *const older[][2] = {{".gamma", ".weight"}, {".beta", ".bias"}, {NULL}};

/* What it was trained to say before. */
static const char *const others[] = {"cls.", NULL};

static const ps_arch_hf_key hf_keys[] = {
    {"max_position_embeddings", "context_length", "512"},
    {"hidden_size", "hidden_size", "768"},
    {"num_hidden_layers", "num_layers", "12"},
    {"num_attention_heads", "num_heads", "12"},
    {"intermediate_size", "intermediate_size", "3072"},
    {"type_vocab_size", "type_vocab_size", "2"},
    {"layer_norm_eps", "norm_epsilon", "1e-12"},
    {"hidden_dropout_prob", "dropout", "0.1"},
    {"attention_probs_dropout_prob", "attention_dropout", "0.1"},
    {"classifier_dropout", "classifier_dropout"},
    {"psd_pooling", "pooling", .only = " mean cls "}, /* which stand in files of their own */
    {"psd_max_text_length", "max_text_length"},
    {"tie_word_embeddings"}, /* of a head, which is not there */
    {"is_decoder", .fallback = "false", .only = " false "},
    {"hidden_act", "hidden_act", "gelu",
     .words = "gelu=gelu gelu_new=gelu_tanh gelu_pytorch_tanh=gelu_tanh relu=relu silu=silu"},
    {"position_embedding_type", .fallback = "absolute", .only = " absolute "},
    {NULL},
};

static const ps_arch_hf_out hf_out[] = {
    {"attention_probs_dropout_prob", "attention_dropout", .or_else = "dropout"},
    {"classifier_dropout", "classifier_dropout", .or_else = "dropout"},
    {"hidden_act", "hidden_act", .words = "gelu=gelu gelu_tanh=gelu_new relu=relu silu=silu"},
    {"hidden_dropout_prob", "dropout"},
    {"hidden_size", "hidden_size"},
    {"intermediate_size", "intermediate_size"},
    {"layer_norm_eps", "norm_epsilon"},
    {"max_position_embeddings", "context_length"},
    {"num_attention_heads", "num_heads"},
    {"num_hidden_layers", "num_layers"},
    {"position_embedding_type", .json = "\"absolute\""},
    {"type_vocab_size", "type_vocab_size"},
    {NULL},
};

static const ps_arch_gguf_key gguf[] = {
    {".attention.layer_norm_epsilon", "norm_epsilon", .real = true, .needed = true},
    {".attention.head_count_kv", "num_heads", .implied = true, .unwritten = true},
    {NULL},
};

const ps_arch ps_arch_bert = {
    .name = "bert",
    .family = PS_ARCH_ENCODER,
    .keys = keys,
    .traits = {.act = PS_ACT_GELU},
    .tensors = tensors,
    .n_tensors = sizeof tensors / sizeof *tensors,
    .block = "encoder.layer",
    .hf = {.type = "BertModel",
           .type_classes = "BertForSequenceClassification",
           .prefix = "bert.",
           .outside = "classifier.",
           .others = others,
           .buffers = buffers,
           .older = older,
           .keys = hf_keys,
           .out = hf_out},
    .gguf = gguf,
    .gguf_remark = "llama.cpp computes gelu in its form of tanh, so its answers differ a little; "
                   "the second text of a pair is to it one more of the first kind, and of pairs "
                   "they differ more",
};
