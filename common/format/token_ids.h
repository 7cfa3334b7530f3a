/* token_ids: which tokens begin a text, end it, and fill a batch: the keys bos_token_id,
 * eos_token_id and pad_token_id as config.json and generation_config.json have them. They come in
 * with a model, stay with it as metadata "psd.token_ids", end what it generates, and go out with
 * it. Any thread. */
#ifndef PS_FORMAT_TOKEN_IDS_H
#define PS_FORMAT_TOKEN_IDS_H

#include "common/format/safetensors.h"
#include "common/json/json.h"

enum { PS_TOKEN_IDS_MAX = 64 }; /* as many as a job's generate.stop */

#define PS_MODEL_META_TOKEN_IDS  "psd.token_ids"
#define PS_MODEL_META_GENERATION "generation_config.json"

typedef enum ps_token_role {
    PS_TOKEN_BOS,
    PS_TOKEN_EOS,
    PS_TOKEN_PAD,
    PS_TOKEN_ROLES
} ps_token_role;

/* Ids are as they were written, -1 and those beyond the vocabulary included. */
typedef struct ps_token_ids {
    struct {
        int64_t at[PS_TOKEN_IDS_MAX];
        size_t n;  /* 0: not said, or null */
        bool list; /* written as a list */
    } of[PS_TOKEN_ROLES];
} ps_token_ids;

/* json is an object, hostile; keys that are there and not null replace what ids has, others are
 * passed over. PS_INVALID_ARGUMENT: a value is no id and no list of ids. */
PS_MUST_CHECK ps_status ps_token_ids_read(ps_slice json, ps_token_ids *ids);
bool ps_token_ids_any(const ps_token_ids *ids);
void ps_token_ids_add(ps_token_ids *ids, ps_token_role role, int64_t id); /* once each */
/* The three keys of an object that is being written. */
void ps_token_ids_put(ps_json_writer *w, const ps_token_ids *ids);
/* The i-th of a role that is a row of the vocabulary; false: there are no more. */
bool ps_token_ids_usable(const ps_token_ids *ids, ps_token_role role, size_t i, int64_t vocab_size,
                         uint32_t *id);

/* What a model's file says; what it does not say is left as it is. */
void ps_token_ids_of_file(const ps_safetensors *file, ps_token_ids *ids);
/* The same of its generation_config.json, which goes before config.json where text is made. */
void ps_token_ids_of_generation(const ps_safetensors *file, ps_token_ids *ids);

#endif
