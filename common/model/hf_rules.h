/* hf_rules: the keys of quantization_config that there are, and the words that each may have: a
 * table a method. Constant; any thread. Private to hf_quantization.c. */
#ifndef PS_MODEL_HF_RULES_H
#define PS_MODEL_HF_RULES_H

#include "common/model/packed.h"

typedef enum ps_hf_field {
    PS_HF_NOTHING,
    PS_HF_KEY_BITS, /* of GPTQ and AWQ, and what follows */
    PS_HF_KEY_GROUP,
    PS_HF_KEY_SYMMETRIC,
    PS_HF_ZERO_POINT,
    PS_HF_KEY_CHECKPOINT,
    PS_HF_KEY_FORMAT, /* of all groups */
    PS_HF_OF_GROUP,
    PS_HF_W_FORMAT = PS_HF_OF_GROUP, /* of the one that is read, and what follows */
    PS_HF_W_BITS,
    PS_HF_W_TYPE,
    PS_HF_W_SYMMETRIC,
    PS_HF_W_STRATEGY,
    PS_HF_W_SIZE,
    PS_HF_A_TYPE, /* of what goes into its products */
    PS_HF_FIELDS
} ps_hf_field;

/* A key: one of the words in `only`, each between spaces; an object by `inside`, or of such objects
 * by `each`; empty: null or {}; else whatever it is, it changes no number. */
typedef struct ps_hf_rule {
    const char *key; /* NULL ends a list */
    const char *only;
    ps_hf_field field;
    const struct ps_hf_rule *inside, *each;
    bool empty, optional; /* optional: of `inside`, null is allowed */
} ps_hf_rule;

typedef struct ps_hf_method {
    const char *name;         /* the word of quant_method; NULL ends the list */
    const ps_packed_row *row; /* NULL: as its groups say */
    const ps_hf_rule *rules;
} ps_hf_method;

extern const ps_hf_method ps_hf_methods[];
#define PS_HF_METHODS "compressed-tensors, gptq, awq"

#endif
