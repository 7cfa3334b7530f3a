/* palette: colours that people with any colour vision can tell apart. Okabe and Ito (2008) for
 * categories, cividis (Nunez, Anderton and Renslow 2018) for less and more, and blue, white, orange
 * for signs, with 0 always white. Pure; any thread. */
#ifndef PS_REPORT_PALETTE_H
#define PS_REPORT_PALETTE_H

#include "client/show/table.h"

#include <stdint.h>

typedef struct ps_rgb {
    uint8_t r, g, b;
} ps_rgb;

typedef struct ps_rgb_text {
    char text[8]; /* "#0072b2" */
} ps_rgb_text;

enum { PS_PALETTE_CATEGORIES = 8 };

ps_rgb ps_palette_category(size_t i);       /* again from the first after the eighth */
ps_rgb ps_palette_sequential(double place); /* 0..1; what is beyond is the end's */
ps_rgb ps_palette_diverging(double place);  /* -1..1, 0 white; likewise */
/* White or black, whichever reads better on it (WCAG 2.1, relative luminance). */
ps_rgb ps_palette_on(ps_rgb background);
/* The contrast of two colours, 1 to 21, as WCAG 2.1 defines it. */
double ps_palette_contrast(ps_rgb a, ps_rgb b);
ps_rgb_text ps_rgb_hex(ps_rgb c);

/* Of a terminal, 0..1; NAN: none. */
ps_color ps_color_of_place(double place);

#endif
