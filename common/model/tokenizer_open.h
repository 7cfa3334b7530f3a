/* tokenizer_open: a tokenizer by whatever file people have it in: those of ps_tokenizer_open, and a
 * GGUF file, whose own it is. Any thread. */
#ifndef PS_MODEL_TOKENIZER_OPEN_H
#define PS_MODEL_TOKENIZER_OPEN_H

#include "common/tokenizer/tokenizer.h"

/* As ps_tokenizer_open; disk: where the files are (model_files.h). PS_NOT_FOUND, too: the GGUF file
 * has none. */
PS_MUST_CHECK ps_status ps_model_tokenizer_open(const ps_disk *disk, const char *source,
                                                ps_tokenizer **out);

#endif
