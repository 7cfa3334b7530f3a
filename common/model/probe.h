/* probe: a forward pass of a few tokens over a model that is nowhere as a whole: tensor by tensor,
 * in the order of the pass, as a source hands out their numbers. What comes of it tells whether a
 * file says what a model says, without the memory of one: that of activations, [width] of four
 * tokens. Sums are float64 and in the order of the numbers, so that the same numbers give the same
 * bits. Training and answers are worker/models' affair. Any thread. */
#ifndef PS_MODEL_PROBE_H
#define PS_MODEL_PROBE_H

#include "common/model/lm_layout.h"

enum { PS_PROBE_TOKENS = 4 }; /* or rows of features */

/* Numbers first to first + n - 1 of a tensor, in psd's order. */
typedef struct ps_probe_sink {
    void (*numbers)(void *user, uint64_t first, const float *values, size_t n);
    void *user;
} ps_probe_sink;

/* Token t of a vocabulary. */
static inline uint64_t ps_probe_token(uint64_t t, uint64_t vocab)
{
    return (t * 2654435761u + 7) % vocab;
}

typedef struct ps_probe_source {
    /* All numbers of the tensor, once and in order. An embedding that is the head comes twice. */
    PS_MUST_CHECK ps_status (*visit)(void *user, const ps_lm_tensor *tensor, ps_probe_sink sink);
    void *user;
} ps_probe_source;

/* The tensors of any model: those of ps_lm_layout, or of an mlp, of which name, n_dims, shape and
 * bias are said. *out is the caller's (ps_free). */
void ps_probe_tensors(const ps_spec_model *model, ps_lm_tensor **out, size_t *n);

/* *out, the caller's (ps_free): the logits of each token that may follow each of the tokens, or the
 * outputs, [*n / PS_PROBE_TOKENS, PS_PROBE_TOKENS]. Fails as the source does; PS_NO_MEMORY: no
 * memory. */
PS_MUST_CHECK ps_status ps_probe_run(const ps_spec_model *model, const ps_probe_source *source,
                                     double **out, size_t *n);

#endif
