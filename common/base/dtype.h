/* dtype: what the numbers of a tensor are, in memory, in files and on the wire. The names are those
 * of safetensors. A new type is a new row, at the end. */
#ifndef PS_BASE_DTYPE_H
#define PS_BASE_DTYPE_H

#include <stddef.h>

/* name, safetensors' name, bytes of one element */
#define PS_DTYPE_TABLE(X) \
    X(F32, "F32", 4)      \
    X(I32, "I32", 4)      \
    X(BF16, "BF16", 2)    \
    X(I8, "I8", 1)        \
    X(U8, "U8", 1)

typedef enum ps_dtype {
#define X(name, text, bytes) PS_DTYPE_##name,
    PS_DTYPE_TABLE(X)
#undef X
        PS_DTYPE_COUNT
} ps_dtype;

static inline size_t ps_dtype_bytes(ps_dtype type)
{
    switch (type) {
#define X(name, text, bytes) \
    case PS_DTYPE_##name:    \
        return bytes;
        PS_DTYPE_TABLE(X)
#undef X
    default:
        return 0;
    }
}

static inline const char *ps_dtype_name(ps_dtype type)
{
    switch (type) {
#define X(name, text, bytes) \
    case PS_DTYPE_##name:    \
        return text;
        PS_DTYPE_TABLE(X)
#undef X
    default:
        return "?";
    }
}

#endif
