/* gguf_model: what the keys of a GGUF file say about its model. Private to gguf_*.c. */
#ifndef PS_MODEL_GGUF_MODEL_H
#define PS_MODEL_GGUF_MODEL_H

#include "common/model/gguf_parse.h"
#include "common/model/model_in.h"
#include "common/tokenizer/tokenizer.h"

/* Keys for the ids of token_ids.h; several of a role are its first, second and third. */
enum { PS_GGUF_ID_KEYS = 5 };
typedef struct ps_gguf_id_key {
    const char *key;
    ps_token_role role;
} ps_gguf_id_key;
extern const ps_gguf_id_key ps_gguf_id_keys[PS_GGUF_ID_KEYS];

/* The model section; tokenizer is "", or "bytes" when psd wrote the file. PS_INVALID_ARGUMENT with
 * the key: it is missing, or says what psd's models cannot do. *out: ps_spec_model_free. */
PS_MUST_CHECK ps_status ps_gguf_model(const ps_gguf *file, ps_spec_model **out);
/* What llama.cpp divides the scores of such a model by the root of; 0: the model cannot be. */
double ps_gguf_score_scalar(const ps_spec_model *model);
/* What a real of a model becomes that is written as a float32 and read by ps_gguf_model. */
double ps_gguf_real_as_read(double v);
/* Fills in tokenizer, ids, chat template and remarks of about, whose model is there. A tokenizer
 * that psd cannot use, or whose keys do not fit each other, is left out with a remark. */
/* The tokenizer of keys tokenizer.ggml.*; *out is NULL where they say that there is none.
 * PS_INVALID_ARGUMENT: what of it is not supported, or does not fit. */
PS_MUST_CHECK ps_status ps_gguf_tokenizer(const ps_gguf *file, ps_tokenizer **out);
PS_MUST_CHECK ps_status ps_gguf_words(const ps_gguf *file, ps_model_in_about *about);

#endif
