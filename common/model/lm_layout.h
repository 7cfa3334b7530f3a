/* lm_layout: the tensors of a gpt2 or llama model: their names in psd (those of Hugging Face),
 * their shapes, and what becomes of them in a GGUF file. Any thread. */
#ifndef PS_MODEL_LM_LAYOUT_H
#define PS_MODEL_LM_LAYOUT_H

#include "common/conf/job_spec.h"

#include <stddef.h>
#include <stdint.h>

enum { PS_LM_NAME = 64 }; /* GGUF's limit; Hugging Face's names here are shorter */

typedef enum ps_lm_change {
    PS_LM_SAME,
    PS_LM_TRANSPOSE,  /* Conv1D's [in, out] to [out, in] */
    PS_LM_ROPE_PAIRS, /* rows of each head: halves that rotate to pairs that rotate */
} ps_lm_change;

typedef struct ps_lm_tensor {
    char name[PS_LM_NAME]; /* "h.0.attn.c_attn.weight" */
    char gguf[PS_LM_NAME]; /* "blk.0.attn_qkv.weight" */
    uint32_t n_dims;       /* 1 or 2 */
    uint64_t shape[2];     /* in psd */
    ps_lm_change change;   /* into GGUF */
    uint64_t heads;        /* PS_LM_ROPE_PAIRS */
} ps_lm_tensor;

static inline uint64_t ps_lm_numbers(const ps_lm_tensor *tensor)
{
    return tensor->shape[0] * (tensor->n_dims == 2 ? tensor->shape[1] : 1);
}

/* In the order of the forward pass. model is a language model; *out is the caller's (ps_free). */
void ps_lm_layout(const ps_spec_model *model, ps_lm_tensor **out, size_t *n);

#endif
