/* gguf_header: what stands before the data of a GGUF file (version 3; ggml's docs/gguf.md): keys
 * and the list of tensors. Private to gguf*.c. */
#ifndef PS_MODEL_GGUF_HEADER_H
#define PS_MODEL_GGUF_HEADER_H

#include "common/base/buf.h"
#include "common/model/gguf_types.h"
#include "common/model/model_out.h"

/* What a tensor is stored as when the file is of `type`: norms, biases and positions stay F32, and
 * rows that are no multiple of a block become F16 instead of Q8_0. */
ps_gguf_type ps_gguf_type_of(const ps_lm_tensor *tensor, ps_gguf_type type);
/* Sides of the stored tensor, the rows' length first. */
void ps_gguf_sides(const ps_lm_tensor *tensor, uint64_t out[2]);
uint64_t ps_gguf_bytes(const ps_lm_tensor *tensor, ps_gguf_type type); /* without padding */
static inline uint64_t ps_gguf_padded(uint64_t bytes)
{
    return (bytes + PS_GGUF_ALIGNMENT - 1) / PS_GGUF_ALIGNMENT * PS_GGUF_ALIGNMENT;
}

/* Appends the header with its padding. Cannot fail: a tokenizer that psd cannot use is left out,
 * with a remark. */
void ps_gguf_header(const ps_model_about *about, ps_gguf_type type, ps_buf *out);

#endif
