/* model_keys: what common/conf knows of each key of a model section: which architectures have it,
 * and what it is for. Everything that is done for each key goes by this table. Private to
 * common/conf. */
#ifndef PS_CONF_MODEL_KEYS_H
#define PS_CONF_MODEL_KEYS_H

#include "common/base/buf.h"
#include "common/conf/job_spec.h"

enum { PS_MODEL_MLP = 1, PS_MODEL_GPT2 = 2, PS_MODEL_LLAMA = 4 };

typedef struct ps_model_key {
    const char *key; /* one of ps_spec_model_keys; architecture itself is none of the table */
    unsigned owners; /* architectures */
    bool needed;
    size_t offset;  /* of the integer, when it is needed */
    unsigned fixed; /* architectures in which it has one value only, and is not written */
    bool training; /* matters while a model is trained alone: a job on a stored one may change it */
    bool open;     /* a list or a word: empty, or the first, it is left to the data, or to the model
                      that     the job begins from, and is not written */
} ps_model_key;

extern const char *const ps_spec_missing_words[];
extern const ps_conf_key ps_spec_model_keys[];
extern const ps_model_key ps_model_keys[];
extern const size_t ps_n_model_keys;

/* The architecture's bit. */
unsigned ps_model_bit(const ps_spec_model *model);
const ps_conf_key *ps_model_key_find(const char *name); /* a key that there is */
bool ps_model_key_is_open(const ps_spec_model *model, const ps_model_key *key); /* left open */
/* The key's value as a file has it; numbers in the shortest form that reads back the same. */
void ps_model_key_put(const ps_spec_model *model, const ps_conf_key *key, ps_buf *out);

#endif
