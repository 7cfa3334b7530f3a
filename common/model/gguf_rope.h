/* gguf_rope: scaled rotary positions in a GGUF file. linear and yarn are keys there; llama3 is a
 * tensor of factors, of which psd finds the numbers again by those that it has written beside it,
 * or that published models have; dynamic has nothing, and does nothing within context_length.
 * Private to gguf_*.c; any thread. */
#ifndef PS_MODEL_GGUF_ROPE_H
#define PS_MODEL_GGUF_ROPE_H

#include "common/conf/job_spec.h"
#include "common/model/gguf_keys.h"
#include "common/model/gguf_parse.h"

#define PS_GGUF_ROPE_TENSOR "rope_freqs.weight"

/* Is it, behind the architecture's name, a key that is read here? */
bool ps_gguf_rope_has(const ps_arch *arch, ps_slice key);
/* Puts ", rope_type: yarn, …" into a section. PS_INVALID_ARGUMENT: a type that is not known. */
PS_MUST_CHECK ps_status ps_gguf_rope_read(const ps_gguf *file, const ps_arch *arch, ps_buf *out);
/* The tensor's factors[head_dim/2] (hostile) become numbers of the model, whose other keys are
 * there. PS_INVALID_ARGUMENT: they are not those of a type that is known. */
PS_MUST_CHECK ps_status ps_gguf_rope_take(const ps_gguf *file, const float *factors,
                                          ps_spec_model *model);

/* remarks: a line for what llama.cpp has to be told beside it. */
void ps_gguf_rope_write(ps_gguf_keys *keys, const ps_spec_model *model, ps_buf *remarks);
/* How many factors the tensor has, into *out (the caller's, ps_free) unless out is NULL; 0: the
 * file has none. */
size_t ps_gguf_rope_factors(const ps_spec_model *model, float **out);

#endif
