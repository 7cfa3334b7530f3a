/* png: a small picture of numbers as a PNG (RFC 2083; W3C PNG 2003) of a palette, a byte a pixel
 * and nothing packed: a heat map is smaller so than as a rectangle a number. Pure. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_REPORT_PNG_H
#define PS_REPORT_PNG_H

#include "client/report/palette.h"
#include "common/base/buf.h"

/* pixels: [height, width], each below n, which is at most 256; both sides 1 to 4096. */
void ps_png(ps_buf *out, const uint8_t *pixels, uint32_t width, uint32_t height,
            const ps_rgb *palette, uint32_t n);

#endif
