/* text: words of peers, files and people, made fit for logs, messages and terminals. Pure; any
 * thread.
 *
 * A character is fit to be shown as it is unless it is no well-formed UTF-8 (RFC 3629), a control
 * character (C0, DEL and C1, which a terminal obeys), the end of a line or paragraph (U+2028,
 * U+2029), or one that turns the direction of what is written (the bidi controls of UAX #9, by
 * which text is made to look like another). Instead of each such character stands '?'.
 */
#ifndef PS_BASE_TEXT_H
#define PS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at the start of text, at least 1 where len is; *fit: see above. */
size_t ps_text_character(const char *text, size_t len, bool *fit);

/* Replaces, in place, whatever is not fit; text that is fit is not written to. A protobuf string
 * must be UTF-8, too. */
void ps_text_clean(char *text);

/* Bytes of what a terminal shows as one character, with all that belongs to it (combining marks,
 * variation selectors, what a zero width joiner joins), and the cells that takes: mostly 1, 2 for
 * East Asian wide characters and emoji, 0 for a mark without a letter. 0 bytes: len is 0. */
size_t ps_text_cluster(const char *text, size_t len, size_t *columns);

/* Cells that text takes on a terminal. */
size_t ps_text_columns(const char *text, size_t len);

/* Do the first n bytes of text fit the pattern, in which each '*' stands for any text? Takes time
 * by the product of both lengths at most. */
bool ps_text_fits(const char *pattern, const char *text, size_t n);

/* Does it end so? */
bool ps_text_ends(const char *text, const char *end);

#endif
