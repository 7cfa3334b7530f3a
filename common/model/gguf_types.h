/* gguf_types: what reader and writer of GGUF (version 3; ggml's docs/gguf.md) have in common: the
 * numbering of values and tokens, and names of types. What a tensor's type means, its form, stands
 * in common/form. Private to gguf*.c and model_in.c. Any thread. */
#ifndef PS_MODEL_GGUF_TYPES_H
#define PS_MODEL_GGUF_TYPES_H

#include "common/form/form.h"

#include <stddef.h>
#include <stdint.h>

#define PS_GGUF_MAGIC "GGUF"

/* llama.cpp's key for tokenizers whose texts get a space in front, and psd's own for those that
 * GGUF has no word for: "bytes". */
#define PS_GGUF_KEY_PREFIX_SPACE  "tokenizer.ggml.add_space_prefix"
#define PS_GGUF_KEY_TOKENIZER     "psd.tokenizer"
#define PS_GGUF_KEY_TEXT_LENGTH   "psd.max_text_length" /* of a model of texts, likewise */
#define PS_GGUF_KEY_CHAT_TEMPLATE "tokenizer.chat_template"

enum { PS_GGUF_ALIGNMENT = 32 };

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
    PS_GGUF_TOKEN_UNKNOWN = 2,
    PS_GGUF_TOKEN_CONTROL = 3,
    PS_GGUF_TOKEN_USER_DEFINED = 4,
    PS_GGUF_TOKEN_UNUSED = 5,
    PS_GGUF_TOKEN_BYTE = 6,
} ps_gguf_token;

/* "Q4_K" of ggml's type of this number, also of those that have no form here; NULL: of none. */
const char *ps_gguf_type_name(uint32_t type);
/* How such a tensor's bytes are read; NULL: not here. Of F64 it is no form that psd keeps. */
const ps_form_row *ps_gguf_form_row(uint32_t type);
/* Of those that can be read: "F32, F16, Q4_0". */
typedef struct ps_gguf_types {
    char text[256];
} ps_gguf_types;
ps_gguf_types ps_gguf_types_known(void);

#endif
