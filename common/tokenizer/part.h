/* part: an object of a tokenizer.json with the place it stands at, for messages; private to
 * common/tokenizer. Its bytes are hostile, but of JSON's grammar: whoever makes one has read over
 * them (ps_json_value). Parts are small, so each key is looked for anew. */
#ifndef PS_TOKENIZER_PART_H
#define PS_TOKENIZER_PART_H

#include "common/base/buf.h"
#include "common/json/json.h"

typedef struct ps_part {
    ps_slice json;
    char path[160]; /* "pre_tokenizer.pretokenizers[1]" */
} ps_part;

/* The bytes of the value of a key; false: it is not there, or null. */
bool ps_part_find(const ps_part *part, const char *key, ps_slice *value);
/* It is there, and null. */
bool ps_part_is_null(const ps_part *part, const char *key);
/* The part below, whatever its value is; index < 0: none. An absent one has no bytes. */
ps_part ps_part_below(const ps_part *part, const char *key, long index, ps_slice json);
/* What an absent key is stays as it was. PS_INVALID_ARGUMENT: the value is of another kind. */
PS_MUST_CHECK ps_status ps_part_bool(const ps_part *part, const char *key, bool *out);
PS_MUST_CHECK ps_status ps_part_text(const ps_part *part, const char *key, ps_buf *out);
PS_MUST_CHECK ps_status ps_part_uint(const ps_part *part, const char *key, uint64_t *out);
/* One of a list of words, which ends with NULL; *out is its place. */
PS_MUST_CHECK ps_status ps_part_word(const ps_part *part, const char *key, const char *const *words,
                                     size_t *out);
/* PS_INVALID_ARGUMENT: "path: what". */
PS_MUST_CHECK ps_status ps_part_fail(const ps_part *part, const char *what);

#endif
