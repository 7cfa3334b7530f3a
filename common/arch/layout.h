/* layout: the tensors of a language model of given sizes: their names in psd (those of Hugging
 * Face), their shapes, what they begin as, and what becomes of them in a GGUF file. Any thread. */
#ifndef PS_ARCH_LAYOUT_H
#define PS_ARCH_LAYOUT_H

#include "common/arch/arch.h"

#include <stdint.h>

enum { PS_LM_NAME = 64 }; /* GGUF's limit; Hugging Face's names here are shorter */

/* Under the names of the model section; all are at least 1. */
typedef struct ps_arch_sizes {
    int64_t vocab_size, context_length;
    int64_t hidden_size, num_layers, num_heads, num_kv_heads, head_dim;
    int64_t intermediate_size;
    bool tie_embeddings;
    ps_arch_choices choices;
} ps_arch_sizes;

typedef struct ps_lm_tensor {
    char name[PS_LM_NAME]; /* "h.0.attn.c_attn.weight" */
    char gguf[PS_LM_NAME]; /* "blk.0.attn_qkv.weight"; "": there is none */
    uint32_t n_dims;       /* 1 or 2 */
    uint64_t shape[2];     /* in psd */
    ps_arch_change change; /* into GGUF */
    uint64_t heads;        /* PS_LM_ROPE_PAIRS, by_heads */
    ps_arch_part part;
    ps_arch_side sides[2]; /* of shape */
    bool bias;
    bool by_heads; /* Hugging Face's rows stand in another order: common/model/hf_rows.h */
    ps_arch_start start;
    float deviation; /* of PS_START_NORMAL and PS_START_RESIDUAL */
} ps_lm_tensor;

static inline uint64_t ps_lm_numbers(const ps_lm_tensor *tensor)
{
    return tensor->shape[0] * (tensor->n_dims == 2 ? tensor->shape[1] : 1);
}

/* Of a tensor of a block, which one. false: it is no tensor's of a block. */
bool ps_lm_block_of(const char *name, size_t *block);
/* The name that the tensor of a block, "model.layers.7.mlp.up_proj.weight", has in another one.
 * false: it is no tensor's of a block. */
bool ps_lm_name_in_block(const char *name, size_t block, char out[PS_LM_NAME]);

/* In the order of the forward pass. arch is of a language model; *out is the caller's (ps_free). */
void ps_arch_layout(const ps_arch *arch, const ps_arch_sizes *sizes, ps_lm_tensor **out, size_t *n);

#endif
