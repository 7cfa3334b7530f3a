/* gguf_kept: what goes through a GGUF file unread. Keys of others, that psd does not use: who made
 * the model, under which license, whether llama.cpp is to put a token before a text; they come in
 * with the model, stay with it as metadata "psd.gguf", an object of JSON, and go out with it into
 * GGUF. And keys of psd, for what GGUF has no word for: "psd.hf_config" (hf_kept.h) and
 * "psd.file.NAME", the texts of side_files.h, so that a folder of Hugging Face comes back as it
 * was. Private to gguf*.c, model_in.c and tests; any
 * thread. */
#ifndef PS_MODEL_GGUF_KEPT_H
#define PS_MODEL_GGUF_KEPT_H

#include "common/base/buf.h"
#include "common/model/gguf_keys.h"
#include "common/model/gguf_parse.h"
#include "common/model/model_in.h"

#define PS_MODEL_META_GGUF "psd.gguf"

/* Appends the object; nothing when there is no such key. What is of a type that none of these keys
 * has, or is no UTF-8, is passed over. */
void ps_gguf_kept_read(const ps_gguf *file, ps_buf *json);
/* json is hostile: what is none of these keys is not written. vocab_size: ids are below it. */
void ps_gguf_kept_write(ps_gguf_keys *keys, const char *json, int64_t vocab_size);

/* All that a file has to go through, into about; of about's file, into GGUF. */
void ps_gguf_kept_take(const ps_gguf *file, ps_model_in_about *about);
void ps_gguf_kept_put(ps_gguf_keys *keys, const ps_safetensors *file, int64_t vocab_size);
/* Whether ps_gguf_kept_put writes the key. */
bool ps_gguf_kept_has(const ps_safetensors *file, const char *key);

#endif
