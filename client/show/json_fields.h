/* json_fields: members of JSON objects into structs, by tables of keys. Keys that no table has are
 * passed over: who wrote the document may be newer. Pure. */
#ifndef PS_SHOW_JSON_FIELDS_H
#define PS_SHOW_JSON_FIELDS_H

#include "common/json/json.h"

#include <stddef.h>

enum { PS_FIELD_TEXT = 160 }; /* of a text, with its zero; longer ones are cut */

/* A number, into a double: NaN where it is null. Or a text, into a char[PS_FIELD_TEXT]: empty where
 * it is null. */
typedef struct ps_json_field {
    const char *key;
    size_t offset;
    bool text;
} ps_json_field;

#define PS_FIELD_NUMBER(type, member)          \
    {                                          \
#member, offsetof(type, member), false \
    }
#define PS_FIELD_WORDS(key, type, member) \
    {                                     \
        key, offsetof(type, member), true \
    }

/* The value of the key: into its field, or passed over. */
PS_MUST_CHECK ps_status ps_json_field_read(ps_json_reader *json, const char *key,
                                           const ps_json_field *fields, size_t n, void *into);
PS_MUST_CHECK ps_status ps_json_text_read(ps_json_reader *json, char *out, size_t size);
PS_MUST_CHECK ps_status ps_json_number_read(ps_json_reader *json, double *out);

/* Reads the value of the key. */
typedef ps_status (*ps_json_member_read)(ps_json_reader *json, const char *key, void *into);
/* An object; and the members of one whose beginning was read. */
PS_MUST_CHECK ps_status ps_json_object_read(ps_json_reader *json, void *into,
                                            ps_json_member_read read);
PS_MUST_CHECK ps_status ps_json_members_read(ps_json_reader *json, void *into,
                                             ps_json_member_read read);

#endif
