/* json_rows: an object of JSON whose members are known: a table says them, and who reads each.
 *
 *     static const ps_json_row rows[] = {{"name", read_name, true}, {"size", read_size}, {0}};
 *     st = ps_json_rows_read(&reader, rows, PS_JSON_NO_OTHERS, &mine);
 *
 * One that is there twice is refused always: two readers might each take another of them. Not
 * thread-safe (not asserted: a reader is its maker's alone). */
#ifndef PS_JSON_JSON_ROWS_H
#define PS_JSON_JSON_ROWS_H

#include "common/json/json.h"

#include <stdbool.h>

typedef struct ps_json_row {
    const char *name; /* NULL ends the table, of at most 32 */
    PS_MUST_CHECK ps_status (*read)(ps_json_reader *reader, void *user); /* its whole value */
    bool needed;
} ps_json_row;

typedef enum ps_json_others { PS_JSON_NO_OTHERS, PS_JSON_SKIP_OTHERS } ps_json_others;

/* Reads the whole object, which begins with the next token. PS_CORRUPT: it is none, a member is
 * there twice, missing or, with PS_JSON_NO_OTHERS, not known; what a read() fails with, behind the
 * member's name. */
PS_MUST_CHECK ps_status ps_json_rows_read(ps_json_reader *reader, const ps_json_row *rows,
                                          ps_json_others others, void *user);
/* The same of an object's bytes, after which nothing follows. */
PS_MUST_CHECK ps_status ps_json_rows_read_bytes(ps_slice bytes, const ps_json_row *rows,
                                                ps_json_others others, void *user);
/* The next value is a string of one to `most` bytes, without zeros: appended to out. */
PS_MUST_CHECK ps_status ps_json_rows_text(ps_json_reader *reader, size_t most, ps_buf *out);
/* The next value is this string. */
PS_MUST_CHECK ps_status ps_json_rows_word(ps_json_reader *reader, const char *word);

#endif
