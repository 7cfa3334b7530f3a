/* hf_values: what a config.json says, key by key, before it is known of which architecture it is.
 * Private to hf_*.c. Not thread-safe (not asserted: it is its reader's alone). */
#ifndef PS_MODEL_HF_VALUES_H
#define PS_MODEL_HF_VALUES_H

#include "common/base/slice.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { PS_HF_VALUES = 128, PS_HF_VALUE = 32 };

typedef struct ps_hf_value {
    const char *key;        /* of hf_keys.h */
    char text[PS_HF_VALUE]; /* as it would stand in YAML; "null" where that says something */
} ps_hf_value;

typedef struct ps_hf_values {
    ps_hf_value at[PS_HF_VALUES];
    size_t n;
    long long layers; /* entries of layer_types; 0: no such list */
    bool by_layers;   /* rope_parameters are those of kinds of layers */
} ps_hf_values;

/* json is hostile. *out is zeroed. PS_INVALID_ARGUMENT, PS_CORRUPT name the key: it is not known,
 * its value is none that a key here has, or another one of it is there. */
PS_MUST_CHECK ps_status ps_hf_values_read(ps_slice json, ps_hf_values *out);

/* NULL: the file does not have it, or null. */
const char *ps_hf_values_get(const ps_hf_values *values, const char *key);
/* Once: one that is there already is the same. */
PS_MUST_CHECK ps_status ps_hf_values_keep(ps_hf_values *values, const char *key, const char *text);
/* What a key of no table fails with. */
PS_MUST_CHECK ps_status ps_hf_values_unknown(const char *key);

#endif
