/* table: tables for people, into a ps_buf that is written out at the end, as JSON for programs is.
 *
 * Text that came from elsewhere (names, reasons, log lines) is cleaned of control characters before
 * it reaches a terminal. One thread (not asserted: psctl has no other). */
#ifndef PS_SHOW_TABLE_H
#define PS_SHOW_TABLE_H

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/json/json.h"

#include <stdio.h>

/* How to write on where it goes. */
typedef struct ps_style {
    bool color;
    bool utf8;      /* may use more than ASCII */
    unsigned width; /* columns; 0: no limit (a file, a pipe) */
} ps_style;

typedef enum ps_color {
    PS_COLOR_NONE,
    PS_COLOR_BOLD,
    PS_COLOR_DIM,
    PS_COLOR_RED,
    PS_COLOR_GREEN,
    PS_COLOR_YELLOW,
    PS_COLOR_CYAN,
    PS_COLOR_SCALE_FIRST, /* from less to more, eight steps */
    PS_COLOR_SCALE_LAST = PS_COLOR_SCALE_FIRST + 7,
} ps_color;

/* The style for a stream: colours and a width only on a terminal, no colours with NO_COLOR set,
 * TERM=dumb, or `no_color`. */
ps_style ps_style_for(int fd, bool no_color);

/* Appends text, cleaned and coloured. */
void ps_put_text(ps_buf *out, const ps_style *style, ps_color color, const char *text);
/* Appends text, what is not fit to be shown (text.h) as '?', and no more than `columns` cells of
 * it; cut text ends with "..." (or its one character with utf8). */
void ps_put_clean(ps_buf *out, const ps_style *style, const char *text, size_t columns);

/* Appends several lines of text, whole UTF-8; tabs stay, what is not fit to be shown is '?'. */
void ps_put_clean_lines(ps_buf *out, ps_slice text);

/* A table: columns as wide as their widest cell, two spaces between. On a terminal texts are cut
 * where the line would wrap, and where that does not do, columns left out from the right. */
typedef struct ps_table ps_table;

/* Headers, NULL-terminated; one that starts with '>' is of a right-aligned column (numbers).
 * headers NULL: two columns without a header, for ps_table_field. */
ps_table *ps_table_new(const char *const *headers);
void ps_table_free(ps_table **table);
void ps_table_text(ps_table *table, const char *text);
void ps_table_color(ps_table *table, ps_color color, const char *text);
void ps_table_printf(ps_table *table, const char *format, ...) PS_PRINTF(2, 3);
/* A row "label  value", on a terminal as many lines as the value needs. Empty values are left out.
 */
void ps_table_field(ps_table *table, const char *label, const char *format, ...) PS_PRINTF(3, 4);
size_t ps_table_rows(const ps_table *table);
void ps_table_render(const ps_table *table, const ps_style *style, ps_buf *out);

/* Writes all of it and empties the buffer. PS_IO with the reason. */
PS_MUST_CHECK ps_status ps_output_flush(ps_buf *out, int fd);

#endif
