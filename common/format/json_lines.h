/* json_lines: texts out of JSON Lines (jsonlines.org): each line is an object, and texts are what
 * it has at some keys. Lines are counted from 1; blank ones are passed over. The bytes are hostile:
 * a line has at most PS_JSON_LINES_MOST bytes, and that is the memory that it takes. Not
 * thread-safe (not asserted: it is its reader's alone). */
#ifndef PS_FORMAT_JSON_LINES_H
#define PS_FORMAT_JSON_LINES_H

#include "common/base/buf.h"
#include "common/format/source.h"
#include "common/json/json.h"

enum { PS_JSON_LINES_MOST = PS_JSON_MAX_TEXT };

/* The text at a key of an object of JSON, which replaces what out has; "message.text" is that of
 * the object that the key "message" has. PS_CORRUPT: it is no object, the key is missing, twice
 * there, or has no text; begins with "byte N: " or "key 'KEY' ". */
PS_MUST_CHECK ps_status ps_json_text_at(ps_slice object, const char *key, ps_buf *out);

/* The same, and it may be a whole number from 0 on: *number, and out has its digits. */
PS_MUST_CHECK ps_status ps_json_label_at(ps_slice object, const char *key, ps_buf *out,
                                         bool *number);

typedef struct ps_json_lines ps_json_lines;

/* Borrows the source, of which nothing has been read. */
ps_json_lines *ps_json_lines_new(ps_source *source);
void ps_json_lines_free(ps_json_lines **lines);
/* *line, valid until the next call; PS_END: there are no more. PS_CORRUPT: one is too long; as
 * ps_source_read. */
PS_MUST_CHECK ps_status ps_json_lines_next(ps_json_lines *lines, ps_slice *line);
/* The same of any lines: blank ones are lines, too. */
PS_MUST_CHECK ps_status ps_json_lines_any(ps_json_lines *lines, ps_slice *line);
/* "FILE: line N", of the last that next gave, for what is wrong with it. */
ps_status ps_json_lines_wrap(const ps_json_lines *lines, ps_status status);

#endif
