/* peft: how Hugging Face's PEFT keeps an adapter: a folder of adapter_config.json and
 * adapter_model.safetensors, whose tensors are called after the modules that they stand beside. */
#ifndef PS_MODEL_PEFT_H
#define PS_MODEL_PEFT_H

#include "common/base/buf.h"
#include "common/conf/job_spec.h"
#include "common/model/lm_layout.h"

#define PS_PEFT_CONFIG "adapter_config.json"
#define PS_PEFT_FILE   "adapter_model.safetensors"

enum { PS_PEFT_NAME = 128 };

/* "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight" of psd's
 * "h.0.attn.c_attn.lora_A.weight". */
void ps_peft_name(const ps_spec_model *model, const char *name, char out[PS_PEFT_NAME]);

/* Of the layout's n tensors the one whose rows the adapter's tensor `name` has, which PEFT has in
 * another order (hf_rows.h): it is lora_B of it. NULL: they stand as they are. */
const ps_lm_tensor *ps_peft_rows(const ps_lm_tensor *tensors, size_t n, const char *name);

/* What adapter_config.json says of such an adapter; base: what the adapted model is called. */
void ps_peft_config_format(const ps_spec_model *model, const ps_spec_lora *lora, const char *base,
                           ps_buf *out);

#endif
