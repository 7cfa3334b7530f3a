/* Tables, and straight lines between their rows. Cannot fail. */
#include "client/report/palette.h"

#include <math.h>
#include <stdio.h>

static const ps_rgb categories[PS_PALETTE_CATEGORIES] = {
    {0x00, 0x72, 0xb2}, {0xe6, 0x9f, 0x00}, {0x00, 0x9e, 0x73}, {0xcc, 0x79, 0xa7},
    {0x56, 0xb4, 0xe9}, {0xd5, 0x5e, 0x00}, {0xf0, 0xe4, 0x42}, {0x99, 0x99, 0x99},
};

/* Every sixteenth of cividis. */
static const ps_rgb cividis[] = {
    {0x00, 0x22, 0x4e}, {0x00, 0x2e, 0x6a}, {0x1a, 0x38, 0x6f}, {0x32, 0x43, 0x6d},
    {0x43, 0x4e, 0x6c}, {0x53, 0x5a, 0x6d}, {0x61, 0x65, 0x6f}, {0x6f, 0x70, 0x73},
    {0x7d, 0x7c, 0x78}, {0x8c, 0x88, 0x78}, {0x9b, 0x94, 0x76}, {0xab, 0xa0, 0x72},
    {0xbc, 0xae, 0x6c}, {0xcd, 0xbb, 0x63}, {0xde, 0xc9, 0x58}, {0xf0, 0xd8, 0x46},
    {0xfe, 0xe8, 0x38},
};

/* From all of less to all of more. */
static const ps_rgb signs[] = {
    {0x1f, 0x5a, 0x96}, {0x4a, 0x90, 0xc8}, {0x9c, 0xc6, 0xe6}, {0xff, 0xff, 0xff},
    {0xfa, 0xc8, 0x8c}, {0xe8, 0x8a, 0x2e}, {0xb3, 0x58, 0x06},
};

static ps_rgb between(const ps_rgb *rows, size_t n, double place)
{
    place = place > 0 ? fmin(place, 1) : 0; /* NAN: 0 */
    double at = place * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n)
        return rows[n - 1];
    double part = at - (double)i;
    ps_rgb a = rows[i], b = rows[i + 1];
#define MIX(c) (uint8_t) lround((1 - part) * a.c + part * b.c)
    return (ps_rgb){MIX(r), MIX(g), MIX(b)};
#undef MIX
}

ps_rgb ps_palette_category(size_t i)
{
    return categories[i % PS_PALETTE_CATEGORIES];
}

ps_rgb ps_palette_sequential(double place)
{
    return between(cividis, sizeof cividis / sizeof *cividis, place);
}

ps_rgb ps_palette_diverging(double place)
{
    return between(signs, sizeof signs / sizeof *signs, isnan(place) ? 0.5 : (place + 1) / 2);
}

static double linear(uint8_t byte)
{
    double c = byte / 255.0;
    return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

static double luminance(ps_rgb c)
{
    return 0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b);
}

double ps_palette_contrast(ps_rgb a, ps_rgb b)
{
    double x = luminance(a), y = luminance(b);
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

ps_rgb ps_palette_on(ps_rgb background)
{
    const ps_rgb white = {0xff, 0xff, 0xff}, black = {0, 0, 0};
    return ps_palette_contrast(white, background) >= ps_palette_contrast(black, background) ? white
                                                                                            : black;
}

ps_rgb_text ps_rgb_hex(ps_rgb c)
{
    ps_rgb_text out;
    (void)snprintf(out.text, sizeof out.text, "#%02x%02x%02x", c.r, c.g, c.b);
    return out;
}

ps_color ps_color_of_place(double place)
{
    if (isnan(place))
        return PS_COLOR_NONE;
    int steps = PS_COLOR_SCALE_LAST - PS_COLOR_SCALE_FIRST;
    return (ps_color)(PS_COLOR_SCALE_FIRST + (int)lround(fmin(fmax(place, 0), 1) * steps));
}
