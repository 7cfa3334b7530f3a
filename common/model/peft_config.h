/* peft_config: what adapter_config.json says (hostile): how much each adapter counts, and which
 * modules have one. Private to peft*.c. */
#ifndef PS_MODEL_PEFT_CONFIG_H
#define PS_MODEL_PEFT_CONFIG_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

/* Modules by the end of their names, behind a dot, or with '^' by the whole of it. */
typedef struct ps_peft_word {
    char *name;
    double number; /* of a list without numbers, 0 */
} ps_peft_word;

typedef struct ps_peft_words {
    ps_peft_word *at;
    size_t n;
} ps_peft_words;

typedef struct ps_peft_config {
    double alpha, rank; /* rank 0: not said */
    bool rslora;
    ps_peft_words alphas, ranks;
    ps_peft_words targets, excluded;
    bool any_target, any_excluded; /* they are a pattern, or not said: the tensors alone say it */
    uint64_t *layers;              /* of layers_to_transform */
    size_t n_layers;               /* 0: all */
    ps_buf base, pattern;          /* base_model_name_or_path; target_modules, if it is a text */
} ps_peft_config;

/* PS_INVALID_ARGUMENT: the key that psd does nothing with, and what to do. Always followed by
 * free. */
PS_MUST_CHECK ps_status ps_peft_config_read(ps_slice json, ps_peft_config *out);
void ps_peft_config_free(ps_peft_config *config);

/* As PEFT looks for it: the first that means this module. NULL: none. */
const ps_peft_word *ps_peft_words_find(const ps_peft_words *words, const char *module);
/* Is it a module that the configuration gives an adapter, as far as it says so by names? */
bool ps_peft_config_names(const ps_peft_config *config, const char *module);

#endif
