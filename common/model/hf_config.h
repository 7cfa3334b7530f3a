/* hf_config: the config.json of a Hugging Face model folder. */
#ifndef PS_MODEL_HF_CONFIG_H
#define PS_MODEL_HF_CONFIG_H

#include "common/conf/job_spec.h"
#include "common/format/token_ids.h"

/* json is hostile. What psd's models cannot do (biases in qwen2, another activation),
 * and a key that is not known, is refused by its name: PS_INVALID_ARGUMENT. Keys that are absent
 * have the defaults of transformers. tokenizer is "" unless an export of ours says bytes. *out:
 * ps_spec_model_free. */
PS_MUST_CHECK ps_status ps_hf_config_parse(ps_slice json, ps_spec_model **out);
/* Every key that the architecture's class needs, and those that came with the model. dtype:
 * "float32", "bfloat16", "float16". quantization: the value of quantization_config; kept: as
 * hf_kept.h has them; NULL: none. */
void ps_hf_config_write(const ps_spec_model *model, const char *dtype, const ps_token_ids *ids,
                        const char *quantization, const char *kept, ps_buf *out);

#endif
