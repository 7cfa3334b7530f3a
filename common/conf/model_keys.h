/* model_keys: what common/conf knows of each key of a model section: its type and range, and what
 * it is for. Which architectures have it, their rows say (common/arch). Everything that is done for
 * each key goes by this table. Private to common/conf. */
#ifndef PS_CONF_MODEL_KEYS_H
#define PS_CONF_MODEL_KEYS_H

#include "common/arch/arch.h"
#include "common/base/buf.h"
#include "common/conf/job_spec.h"

typedef struct ps_model_key {
    const char *key; /* one of ps_spec_model_keys; architecture itself is none of the table */
    bool training; /* matters while a model is trained alone: a job on a stored one may change it */
    bool open;     /* a list, a text or a word: empty, or the first, it is left to the data, or to
                      the model that the job begins from, and is not written */
    bool follows;  /* from other keys, unless it is said: head_dim; then it is not written */
    bool of_rope;  /* of some types of scaling alone (common/arch/rope.h) */
    bool quiet;    /* not written where it says what it says unwritten */
} ps_model_key;

extern const char *const ps_spec_missing_words[];
extern const ps_conf_key ps_spec_model_keys[];
extern const ps_model_key ps_model_keys[];
extern const size_t ps_n_model_keys;

/* The row of the model's architecture. */
const ps_arch *ps_model_arch(const ps_spec_model *model);
/* Has the architecture the key? */
bool ps_model_has_key(const ps_spec_model *model, const ps_model_key *key);
const ps_conf_key *ps_model_key_find(const char *name); /* a key that there is */
bool ps_model_key_is_open(const ps_spec_model *model, const ps_model_key *key); /* left open */

#endif
