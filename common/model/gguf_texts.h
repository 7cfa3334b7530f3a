/* gguf_texts: what keys of a GGUF file say of a model of texts: that its tokens see all of their
 * text, how a text is embedded, and which classes it may be of. Classes stand there by their names
 * alone, so those without have LABEL_0 and so on, as Hugging Face calls them. Private to gguf*.c
 * and tests; any thread. */
#ifndef PS_MODEL_GGUF_TEXTS_H
#define PS_MODEL_GGUF_TEXTS_H

#include "common/conf/job_spec.h"
#include "common/model/gguf_keys.h"
#include "common/model/gguf_parse.h"

/* Is it, behind the architecture's name, a key that is read here? */
bool ps_gguf_texts_has(const ps_arch *arch, ps_slice key);
/* Puts ", type_vocab_size: 2, …" into a section; of other architectures nothing. The file is
 * hostile. PS_INVALID_ARGUMENT: a key that is missing, or says what psd's models do not do. */
PS_MUST_CHECK ps_status ps_gguf_texts_read(const ps_gguf *file, const ps_arch *arch, ps_buf *out);
/* A line where the file pools in a way that psd does not. */
void ps_gguf_texts_remark(const ps_gguf *file, const ps_spec_model *model, ps_buf *remarks);

void ps_gguf_texts_write(ps_gguf_keys *keys, const ps_spec_model *model);

#endif
