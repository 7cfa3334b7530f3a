/* mix: which form each tensor of a language model has in a GGUF file of one of llama.cpp's kinds,
 * "q4_0", "q4_k_m" …: what its llama-quantize decides (src/llama-quant.cpp), so that a file of
 * psd's has the forms, and the size, that people know under that word.
 *
 *     norms, biases, learnt positions     float32
 *     the head, or the embedding that is one   q6_k (of q8_0 and mxfp4: q8_0)
 *     all others                          the kind's own form, but what its rules say
 *     rows that are not whole blocks      q2_k q3_k → q4_0, q4_k → q5_0, q5_k → q5_1, q6_k → q8_0,
 *                                         and where they are no multiple of 32: float16
 *
 * A kind is a row in mix.c. Constant. Any thread.
 */
#ifndef PS_FORM_MIX_H
#define PS_FORM_MIX_H

#include "common/arch/arch.h"
#include "common/form/form.h"

typedef struct ps_mix ps_mix;

/* Every kind's name, to a NULL; the first is the default of files that people load elsewhere. */
extern const char *const ps_mix_names[];

const ps_mix *ps_mix_find(const char *name); /* NULL: there is none */
const char *ps_mix_name(const ps_mix *mix);
uint32_t ps_mix_file_type(const ps_mix *mix); /* llama.cpp's number of the kind */
/* The form of most of its tensors. */
ps_form ps_mix_base(const ps_mix *mix);

/* A tensor and its model. */
typedef struct ps_mix_tensor {
    ps_arch_part part;
    uint32_t n_dims;
    uint64_t columns; /* of its rows, which run along the input */
    uint64_t layer, layers;
    int64_t heads, kv_heads;
    bool head;       /* it is the head's weight, alone or as the embedding */
    bool importance; /* what columns count is known where codes are found */
} ps_mix_tensor;

ps_form ps_mix_form(const ps_mix *mix, const ps_mix_tensor *tensor);

/* What stands for a form of ggml's whose blocks rows of `columns` are not whole ones of; the form
 * itself where they are. */
ps_form ps_mix_fallback(ps_form form, uint64_t columns);

#endif
