/* gguf_types: what reader and writer of GGUF (version 3; ggml's docs/gguf.md) have in common: the
 * numbering of its types, and numbers to bytes and back. Private to gguf*.c and model_in.c. Any
 * thread. */
#ifndef PS_MODEL_GGUF_TYPES_H
#define PS_MODEL_GGUF_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_GGUF_MAGIC "GGUF"

/* llama.cpp's key for tokenizers whose texts get a space in front, and psd's own for those that
 * GGUF has no word for: "bytes". */
#define PS_GGUF_KEY_PREFIX_SPACE  "tokenizer.ggml.add_space_prefix"
#define PS_GGUF_KEY_TOKENIZER     "psd.tokenizer"
#define PS_GGUF_KEY_CHAT_TEMPLATE "tokenizer.chat_template"

enum { PS_GGUF_ALIGNMENT = 32, PS_GGUF_BLOCK = 32 /* numbers of a Q8_0 block */ };

/* Types of values, in ggml's numbering. */
typedef enum ps_gguf_value {
    PS_GGUF_U8,
    PS_GGUF_I8,
    PS_GGUF_U16,
    PS_GGUF_I16,
    PS_GGUF_U32,
    PS_GGUF_I32,
    PS_GGUF_FLOAT,
    PS_GGUF_BOOL,
    PS_GGUF_STRING,
    PS_GGUF_ARRAY,
    PS_GGUF_U64,
    PS_GGUF_I64,
    PS_GGUF_DOUBLE,
    PS_GGUF_VALUES, /* how many there are */
} ps_gguf_value;

/* Kinds of tokens, in llama.cpp's numbering. */
typedef enum ps_gguf_token {
    PS_GGUF_TOKEN_NORMAL = 1,
    PS_GGUF_TOKEN_CONTROL = 3,
    PS_GGUF_TOKEN_USER_DEFINED = 4,
    PS_GGUF_TOKEN_UNUSED = 5,
} ps_gguf_token;

/* Types of tensors that psd knows, in ggml's numbering. */
typedef enum ps_gguf_type {
    PS_GGUF_F32 = 0,
    PS_GGUF_F16 = 1,
    PS_GGUF_Q8_0 = 8,  /* blocks of 32: an f16 scale and 32 int8 */
    PS_GGUF_BF16 = 30, /* read only */
} ps_gguf_type;

/* Whether psd knows the type of this number. */
bool ps_gguf_known(uint32_t type);
/* "Q4_K" also of types that psd does not know; NULL: of none of ggml's. */
const char *ps_gguf_type_name(uint32_t type);
/* Numbers that stand together: a row is whole blocks. */
size_t ps_gguf_block_numbers(ps_gguf_type type);
size_t ps_gguf_block_bytes(ps_gguf_type type);

/* The magnitude from which on the type has no number. Q8_0: its scale, the largest of a block /
 * 127, is an F16. */
float ps_gguf_limit(ps_gguf_type type);
/* n numbers, whole blocks, to bytes (returns how many; never BF16) and back. */
size_t ps_gguf_encode(ps_gguf_type type, const float *values, size_t n, uint8_t *out);
void ps_gguf_decode(ps_gguf_type type, const uint8_t *bytes, size_t n, float *out);

#endif
