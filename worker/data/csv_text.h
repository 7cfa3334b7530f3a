/* csv_text: a csv file, plain or .gz, cut into records of fields.
 *
 * RFC 4180, with what files in the wild need: lines end in CR LF, LF or CR; one character,
 * whichever it is, separates; blanks around a field do not count, unless they separate; empty lines
 * are passed over, and so is a byte order mark in UTF-8. A field in double quotes may have
 * delimiters, line ends and, written twice, quotes in it; a quote within a field that does not
 * begin with one is a character like others. Errors name file and line. Not thread-safe (not
 * asserted: it is its reader's alone). */
#ifndef PS_WORKER_DATA_CSV_TEXT_H
#define PS_WORKER_DATA_CSV_TEXT_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { PS_CSV_MAX_RECORD = 16 << 20, PS_CSV_MAX_COLUMNS = 1 << 20 };

typedef struct ps_csv_text ps_csv_text;

typedef struct ps_csv_field {
    const char *text; /* without quotes and the blanks around it; len bytes, then a zero */
    size_t len;
} ps_csv_field;

typedef struct ps_csv_record {
    const ps_csv_field *fields;
    size_t n;    /* at least one */
    size_t line; /* from 1: where it begins */
} ps_csv_record;

PS_MUST_CHECK ps_status ps_csv_text_open(const char *path, char delimiter, ps_csv_text **out);
void ps_csv_text_close(ps_csv_text **text);
/* The next record, valid until the next call; PS_END after the last. PS_CORRUPT: a zero byte, text
 * behind a closing quote, a quote that is never closed, more than is allowed. */
PS_MUST_CHECK ps_status ps_csv_text_next(ps_csv_text *text, ps_csv_record *out);
/* "PATH:LINE: " before the current message. */
ps_status ps_csv_text_at(const ps_csv_text *text, size_t line, ps_status st);

#endif
