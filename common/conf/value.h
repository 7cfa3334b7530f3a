/* value: one scalar of a configuration, from text to what the schema says; private to common/conf.
 *
 * Failures carry only the tail of a message ("99999 is out of range, allowed 1 to 65535"); the
 * caller puts file, line and key before it.
 */
#ifndef PS_CONF_VALUE_H
#define PS_CONF_VALUE_H

#include "common/base/buf.h"
#include "common/conf/conf.h"

typedef struct ps_conf_value {
    bool flag;        /* BOOL */
    int64_t integer;  /* INT, INTS' entries */
    uint64_t amount;  /* BYTES, DURATION (ms) */
    double real;      /* REAL */
    unsigned word;    /* WORD */
    const char *text; /* TEXT, TEXTS' entries: the text that was given */
} ps_conf_value;

/* text is what was written; for lists, of one entry. */
PS_MUST_CHECK ps_status ps_conf_value_parse(const ps_conf_key *key, const char *text,
                                            ps_conf_value *out);
/* Appends the value as plain YAML that libcyaml reads: units resolved, texts quoted. */
void ps_conf_value_write(const ps_conf_key *key, const ps_conf_value *value, ps_buf *out);
/* "an integer", "a duration such as 30s": what the key takes. */
const char *ps_conf_type_words(const ps_conf_key *key);

/* 'text' for a message: cut at 40 bytes, control characters and broken UTF-8 shown as '?'. */
typedef struct ps_conf_quoted {
    char text[56];
} ps_conf_quoted;
ps_conf_quoted ps_conf_quote(const char *text);

#endif
