/* hf_config: the config.json of a Hugging Face model folder. */
#ifndef PS_MODEL_HF_CONFIG_H
#define PS_MODEL_HF_CONFIG_H

#include "common/conf/job_spec.h"
#include "common/format/token_ids.h"

/* What rope_scaling and rope_parameters have, under the names of the model section; to a NULL. */
typedef struct ps_hf_rope_key {
    const char *key, *name;
} ps_hf_rope_key;
extern const ps_hf_rope_key ps_hf_rope_keys[];

/* json is hostile. What psd's models cannot do (biases in qwen2, another activation),
 * and a key that is not known, is refused by its name: PS_INVALID_ARGUMENT. Keys that are absent
 * have the defaults of transformers. tokenizer is "" unless an export of ours says bytes. *out:
 * ps_spec_model_free. */
PS_MUST_CHECK ps_status ps_hf_config_parse(ps_slice json, ps_spec_model **out);
/* A key by which no program computes other logits. */
bool ps_hf_config_passes_over(const char *key);
/* Every key that the architecture's class needs, and those that came with the model. dtype:
 * "float32", "bfloat16", "float16". quantization: the value of quantization_config; kept: as
 * hf_kept.h has them; NULL: none. */
void ps_hf_config_write(const ps_spec_model *model, const char *dtype, const ps_token_ids *ids,
                        const char *quantization, const char *kept, ps_buf *out);

#endif
