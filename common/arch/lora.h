/* lora: low-rank adapters (Hu et al. 2021, arXiv 2106.09685): beside the weight W of a product
 * stand two thin matrices, and it is y = x·Wᵀ + (alpha/rank)·(x·Aᵀ)·Bᵀ. Which products of a
 * language model a job's words mean, and what the two are called. Pure; any thread. */
#ifndef PS_ARCH_LORA_H
#define PS_ARCH_LORA_H

#include "common/arch/layout.h"

enum { PS_LORA_RANK_MAX = 1024, PS_LORA_TARGETS_MAX = 64, PS_LORA_TARGET_MAX = 127 };

/* Which of the two. */
typedef enum ps_lora_half {
    PS_LORA_A, /* [rank,in], begins as PEFT's: uniform in ±1/√in */
    PS_LORA_B, /* [out,rank], begins as zeros, so that nothing changes at first */
} ps_lora_half;

/* Does a word of train.lora.targets mean this tensor? Only weights of products in blocks: by what
 * they do, "q", "k", "v" (also where these are one product), "o", "gate", "up", "down"; by the
 * module's name, or its end behind a dot, "c_attn"; by a pattern of that name with '*', which
 * stands for any text; "all-linear" means all. */
bool ps_lora_means(const ps_lm_tensor *tensor, const char *target);
/* The same of a list. */
bool ps_lora_adapts(const ps_lm_tensor *tensor, const char *const *targets, size_t n);

/* "h.0.attn.c_attn" of "h.0.attn.c_attn.weight": how many of its letters. */
size_t ps_lora_module(const char *name);
/* "h.0.attn.c_attn.lora_A.weight" of "h.0.attn.c_attn.weight". false: it has no room. */
bool ps_lora_name(const char *name, ps_lora_half half, char out[PS_LM_NAME]);
/* What goes in and comes out of the product whose weight it is. */
uint64_t ps_lora_inputs(const ps_lm_tensor *tensor);
uint64_t ps_lora_outputs(const ps_lm_tensor *tensor);

#endif
