/* heat: numbers of a row as pictures: of an image a map of its pixels, of a text its words on
 * coloured ground, of other rows bars. Blue is less, orange more, white always 0; limits are
 * symmetrical, the 99th percentile of the sizes. Pure. One thread (not asserted: psctl has no
 * other). */
#ifndef PS_REPORT_HEAT_H
#define PS_REPORT_HEAT_H

#include "client/report/numbers.h"

/* Rows and columns of a square image; 0: it is none, or larger than is drawn. */
uint32_t ps_image_side(uint64_t features);

/* An <svg> of `side` squared numbers with a title: with signs, or grey from the least to the most.
 */
void ps_heat_image(ps_buf *out, const ps_numbers *numbers, uint32_t side, bool with_sign,
                   const char *title);
/* The most, by size, as rows of a table with bars; values: what the row holds there, or none. */
void ps_heat_bars(ps_buf *out, const ps_numbers *numbers, const ps_numbers *values, size_t most);
/* Tokens as <span>s; words that begin a line do so. */
void ps_heat_tokens(ps_buf *out, const ps_explain_view *view, const ps_numbers *numbers,
                    const ps_numbers *tokens);
/* The classes that spans of tokens have. */
void ps_heat_style(ps_buf *out);
/* What the colours mean: a strip. */
void ps_heat_legend(ps_buf *out);

#endif
