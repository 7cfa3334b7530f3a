/* hf_read: a Hugging Face model folder as the one file that psd stores: safetensors with F32
 * tensors under psd's names, the config as metadata "psd.model" and the tokenizer as
 * "tokenizer.json".
 *
 * The folder has config.json and model.safetensors, or model.safetensors.index.json and its shards
 * (F32, F16, BF16). All of it is hostile. What is checked before the first byte comes out: each
 * tensor of the model is there once with its shape, and nothing unknown is. Bytes come out as they
 * are read, so a model is never held in memory. Not thread-safe. */
#ifndef PS_FORMAT_HF_READ_H
#define PS_FORMAT_HF_READ_H

#include "common/conf/job_spec.h"

#include <stddef.h>
#include <stdint.h>

/* Names of metadata in psd's model files. */
#define PS_MODEL_META_CONFIG    "psd.model"
#define PS_MODEL_META_TOKENIZER "tokenizer.json"

typedef struct ps_hf_reader ps_hf_reader;

/* PS_NOT_FOUND: a file is missing; PS_INVALID_ARGUMENT: what is wrong with which. */
PS_MUST_CHECK ps_status ps_hf_reader_open(const char *folder, ps_hf_reader **out);
void ps_hf_reader_close(ps_hf_reader **reader);
/* NULL, or why psd cannot use the folder's tokenizer; it travels with the model all the same. */
const char *ps_hf_reader_remark(const ps_hf_reader *reader);
/* The next bytes of the file, at most len; *got is 0 at the end. */
PS_MUST_CHECK ps_status ps_hf_reader_read(ps_hf_reader *reader, void *out, size_t len, size_t *got);

#endif
