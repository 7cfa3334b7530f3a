/* ref64_language: gpt2, llama and qwen2 in float64, forward alone and written naively, one token of
 * one head at a time; gradients are found by differences. */
#ifndef PS_TEST_REF64_LANGUAGE_H
#define PS_TEST_REF64_LANGUAGE_H

#include "worker/models/model.h"

typedef struct ps_ref64_language {
    const ps_model_config *config;
    const ps_model_layout *layout;
    double *const *parameters; /* [layout->count] */
    const double *embeddings;  /* [rows,length,hidden_size] in the place of the tokens'; or NULL */
    const double *kept;        /* what dropout makes of attention's weights,
                                  [num_layers,rows,num_heads,length,length]; or NULL */
} ps_ref64_language;

/* The mean loss of tokens[rows,length] with labels of the same shape (-1: left out). logits, unless
 * NULL: [rows,length,vocab_size]. */
double ps_ref64_language_loss(const ps_ref64_language *m, const int32_t *tokens,
                              const int32_t *labels, int rows, int length, double *logits);

#endif
