/* hf_keys: the keys of a config.json that psd knows: those of all architectures, those of each,
 * which its row has (common/arch), and those by which no program computes other logits. Private to
 * hf_*.c; any thread. */
#ifndef PS_MODEL_HF_KEYS_H
#define PS_MODEL_HF_KEYS_H

#include "common/arch/arch.h"

/* Of all architectures; to a NULL. */
extern const ps_arch_hf_key ps_hf_shared_keys[];

/* What rope_scaling and rope_parameters have, under the names of the model section; to a NULL. */
typedef struct ps_hf_rope_key {
    const char *key, *name;
} ps_hf_rope_key;
extern const ps_hf_rope_key ps_hf_rope_keys[];

/* A key by which no program computes other logits. */
bool ps_hf_config_passes_over(const char *key);

/* Of that table, by either of its names; NULL. */
const ps_arch_hf_key *ps_hf_key_in(const ps_arch_hf_key *keys, const char *key);
/* The architecture's own, else that of all; NULL. */
const ps_arch_hf_key *ps_hf_key_of(const ps_arch *arch, const char *key);
/* In the first table that has it; NULL. */
const ps_arch_hf_key *ps_hf_key_any(const char *key);
/* A key of any table, by the name that the file has for it; NULL. */
const char *ps_hf_key_name(const char *key);
/* Does null say something to any architecture? */
bool ps_hf_null_says(const char *key);

#endif
