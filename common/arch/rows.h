/* rows: what rows of several architectures are written with. For the files of common/arch alone. */
#ifndef PS_ARCH_ROWS_H
#define PS_ARCH_ROWS_H

#include "common/arch/arch.h"

/* [rows, columns]; what else the tensor is follows. */
#define PS_ARCH_WEIGHT(part_, name_, gguf_, rows, columns, start_, ...)    \
    {                                                                      \
        .part = (part_), .name = name_ ".weight", .gguf = gguf_ ".weight", \
        .sides = {(rows), (columns)}, .start = (start_), __VA_ARGS__       \
    }
#define PS_ARCH_MATRIX(part, name, gguf, rows, columns, ...) \
    PS_ARCH_WEIGHT(part, name, gguf, rows, columns, PS_START_NORMAL, __VA_ARGS__)

/* A norm's. */
#define PS_ARCH_GAIN(part_, name_, gguf_)                                  \
    {                                                                      \
        .part = (part_), .name = name_ ".weight", .gguf = gguf_ ".weight", \
        .sides = {PS_SIDE_HIDDEN}, .start = PS_START_ONES                  \
    }

/* Of each head's queries or keys. */
#define PS_ARCH_HEAD_GAIN(part_, name_, gguf_)                             \
    {                                                                      \
        .part = (part_), .name = name_ ".weight", .gguf = gguf_ ".weight", \
        .sides = {PS_SIDE_HEAD}, .start = PS_START_ONES                    \
    }

/* Stored less 1, of either. */
#define PS_ARCH_GAIN_LESS_ONE(part_, name_, gguf_, side)                                      \
    {                                                                                         \
        .part = (part_), .name = name_ ".weight", .gguf = gguf_ ".weight", .sides = {(side)}, \
        .start = PS_START_ZEROS, .change = PS_LM_PLUS_ONE                                     \
    }

/* Right behind the matrix or the gain; what else it is follows. */
#define PS_ARCH_BIAS(part_, name_, gguf_, rows, ...)                                      \
    {                                                                                     \
        .part = (part_), .name = name_ ".bias", .gguf = gguf_ ".bias", .sides = {(rows)}, \
        .bias = true, __VA_ARGS__                                                         \
    }

/* Likewise, and llama.cpp has none. */
#define PS_ARCH_OWN_BIAS(part_, name_, rows, ...)                                            \
    {                                                                                        \
        .part = (part_), .name = name_ ".bias", .sides = {(rows)}, .bias = true, __VA_ARGS__ \
    }

/* ---- decoders as llama is one ---- */

/* Keys of the model section: rotary positions, */
#define PS_ARCH_ROPE_KEYS                                                        \
    {"rope_theta"}, {"rope_type"}, {"rope_factor"}, {"rope_original_context"},   \
        {"rope_low_freq_factor"}, {"rope_high_freq_factor"}, {"rope_beta_fast"}, \
        {"rope_beta_slow"},                                                      \
    {                                                                            \
        "rope_attention_factor"                                                  \
    }
/* sizes, and all. */
#define PS_ARCH_SIZE_KEYS                                                \
    {"vocab_size", PS_ARCH_NEEDED}, {"context_length", PS_ARCH_NEEDED},  \
        {"hidden_size", PS_ARCH_NEEDED}, {"num_layers", PS_ARCH_NEEDED}, \
        {"num_heads", PS_ARCH_NEEDED}, {"num_kv_heads"} /* num_heads */, \
        {"head_dim"} /* hidden_size / num_heads */,                      \
    {                                                                    \
        "intermediate_size", PS_ARCH_NEEDED                              \
    }
#define PS_ARCH_DECODER_KEYS                                                                 \
    PS_ARCH_SIZE_KEYS, PS_ARCH_ROPE_KEYS, {"norm_epsilon"}, {"tie_embeddings"}, {"dropout"}, \
    {                                                                                        \
        "tokenizer"                                                                          \
    }

#endif
