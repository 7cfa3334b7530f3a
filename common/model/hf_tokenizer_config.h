/* hf_tokenizer_config: tokenizer_config.json for a model that came without one. Any thread. */
#ifndef PS_MODEL_HF_TOKENIZER_CONFIG_H
#define PS_MODEL_HF_TOKENIZER_CONFIG_H

#include "common/model/model_out.h"

/* Appends what AutoTokenizer needs besides tokenizer.json, whatever the model's type is; of a
 * tokenizer that psd does not know, without the words of its roles. */
void ps_hf_tokenizer_config(const ps_model_about *about, ps_buf *out);

#endif
