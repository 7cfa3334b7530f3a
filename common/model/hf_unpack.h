/* hf_unpack: a matrix of codes out of the tensors that stand for it. Private to hf_read.c. Not
 * thread-safe (not asserted: it reads through its reader's files). */
#ifndef PS_MODEL_HF_UNPACK_H
#define PS_MODEL_HF_UNPACK_H

#include "common/model/hf_places.h"

/* All blocks of a packed place, as psd stores them; *out is the caller's (ps_free).
 * PS_INVALID_ARGUMENT names the tensor: a scale that is no F16, a zero or an order that the form
 * has not. */
PS_MUST_CHECK ps_status ps_hf_unpack(ps_hf_shards *shards, const ps_hf_quantization *quantization,
                                     const ps_hf_place *place, uint8_t **out);

/* All numbers of one whose layout has `decode`, likewise. */
PS_MUST_CHECK ps_status ps_hf_unpack_numbers(ps_hf_shards *shards,
                                             const ps_hf_quantization *quantization,
                                             const ps_hf_place *place, float **out);

#endif
