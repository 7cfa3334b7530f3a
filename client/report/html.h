/* html: HTML and SVG, written so that no text becomes markup. Names, labels and tokens are hostile:
 * whatever goes through %s is escaped, for text and for attributes in double quotes alike, and what
 * is not fit to be shown (common/base/text.h) is U+FFFD. Pure. One thread (not asserted: psctl has
 * no other). */
#ifndef PS_REPORT_HTML_H
#define PS_REPORT_HTML_H

#include "common/base/buf.h"

/* Of printf: %s, escaped; d, u, g, f with length, width and precision; %%. Markup is in the format
 * alone. */
void ps_html(ps_buf *out, const char *format, ...) PS_PRINTF(2, 3);
/* Text alone. */
void ps_html_text(ps_buf *out, const char *text);

/* A block of data for the page's script, <script type="application/json" id="…">. json: whole; what
 * could end the block, or begin a comment, is escaped in it. */
void ps_html_data(ps_buf *out, const char *id, ps_slice json);

#endif
