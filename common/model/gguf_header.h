/* gguf_header: what stands before the data of a GGUF file (version 3; ggml's docs/gguf.md): keys
 * and the list of tensors. Private to gguf*.c. */
#ifndef PS_MODEL_GGUF_HEADER_H
#define PS_MODEL_GGUF_HEADER_H

#include "common/base/buf.h"
#include "common/form/mix.h"
#include "common/model/gguf_types.h"
#include "common/model/model_out.h"

/* What a tensor is stored as in a file of the mix. */
ps_form ps_gguf_form_of(const ps_mix *mix, const ps_spec_model *model, const ps_lm_tensor *tensor);
/* Sides of the stored tensor, the rows' length first. */
void ps_gguf_sides(const ps_lm_tensor *tensor, uint64_t out[2]);
uint64_t ps_gguf_bytes(const ps_lm_tensor *tensor, ps_form form); /* without padding */
static inline uint64_t ps_gguf_padded(uint64_t bytes)
{
    return (bytes + PS_GGUF_ALIGNMENT - 1) / PS_GGUF_ALIGNMENT * PS_GGUF_ALIGNMENT;
}

/* Which of the files of a model, if it goes into several (gguf_parts.h). */
typedef struct ps_gguf_share {
    size_t begin, end; /* of about's tensors */
    size_t at, n;      /* which file of how many; n 0: it is no part of anything */
} ps_gguf_share;

/* Appends the header with its padding; forms: of about's tensors. The keys are in the first file.
 * Cannot fail: a tokenizer that psd cannot use is left out, with a remark. */
void ps_gguf_header(const ps_model_about *about, const ps_mix *mix, const ps_form *forms,
                    const ps_gguf_share *share, ps_buf *out);

#endif
