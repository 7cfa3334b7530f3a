/* peft: how Hugging Face's PEFT keeps an adapter: a folder of adapter_config.json and
 * adapter_model.safetensors, whose tensors are called after the modules that they stand beside. */
#ifndef PS_MODEL_PEFT_H
#define PS_MODEL_PEFT_H

#include "common/arch/layout.h"
#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/conf/job_spec.h"
#include "common/format/safetensors.h"
#include "common/model/lm_layout.h"

#define PS_PEFT_CONFIG "adapter_config.json"
#define PS_PEFT_FILE   "adapter_model.safetensors"

enum { PS_PEFT_NAME = 128, PS_PEFT_CONFIG_MAX = 1 << 20 };

/* "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight" of psd's
 * "h.0.attn.c_attn.lora_A.weight". */
void ps_peft_name(const ps_spec_model *model, const char *name, char out[PS_PEFT_NAME]);

/* Of the layout's n tensors the one whose rows the adapter's tensor `name` has, which PEFT has in
 * another order (hf_rows.h): it is lora_B of it. NULL: they stand as they are. */
const ps_lm_tensor *ps_peft_rows(const ps_lm_tensor *tensors, size_t n, const char *name);

/* What adapter_config.json says of such an adapter; base: what the adapted model is called. */
void ps_peft_config_format(const ps_spec_model *model, const ps_spec_lora *lora, const char *base,
                           ps_buf *out);

/* What is added to the weight of a product: scale · B·A. */
typedef struct ps_peft_pair {
    ps_lm_tensor beside; /* that weight, as psd has it */
    uint64_t rank;
    double scale;
    size_t a, b; /* tensors of adapter_model.safetensors: [rank, in] and [out, rank], B's rows as
                    Hugging Face has them (hf_rows.h) */
} ps_peft_pair;

/* An adapter (hostile) of such a model: json is adapter_config.json, file the header of
 * adapter_model.safetensors, of any dtype. *out is the caller's (ps_free), in the order of the
 * model. PS_INVALID_ARGUMENT: the key or the tensor that psd does nothing with, or that does not
 * fit. */
PS_MUST_CHECK ps_status ps_peft_read(const ps_spec_model *model, ps_slice json,
                                     const ps_safetensors *file, ps_peft_pair **out, size_t *n);

/* ---- without the model that it is for ---- */

/* Is a path an adapter's: a folder with one of its files and no model's config.json, either of the
 * files, or a safetensors file whose tensors are called so? *folder is the one that has both, the
 * caller's; NULL: it is none. disk: where its files are (model_files.h). PS_NOT_FOUND: nothing is
 * there. */
PS_MUST_CHECK ps_status ps_peft_find(const ps_disk *disk, const char *path, char **folder);

typedef struct ps_peft_about {
    double rank, alpha;
    bool ranks, alphas, rslora; /* modules have ranks, or alphas, of their own */
    ps_buf base, targets;       /* what it says that it is for; modules, or a pattern of them */
    uint64_t adapters, numbers, bytes;
} ps_peft_about;

/* What the files of an adapter's folder (hostile) say. PS_INVALID_ARGUMENT, PS_NOT_FOUND: why psd
 * takes it beside no model, or which file is missing. Always followed by free. */
PS_MUST_CHECK ps_status ps_peft_look(const ps_disk *disk, const char *folder, ps_peft_about *out);
void ps_peft_about_free(ps_peft_about *about);

#endif
