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

/* Right behind the matrix or the gain. */
#define PS_ARCH_BIAS(part_, name_, gguf_, rows)                                           \
    {                                                                                     \
        .part = (part_), .name = name_ ".bias", .gguf = gguf_ ".bias", .sides = {(rows)}, \
        .bias = true                                                                      \
    }

/* Keys of the model section: of llama, and of those that differ from it in tensors alone. */
extern const ps_arch_key ps_arch_llama_keys[];

#endif
