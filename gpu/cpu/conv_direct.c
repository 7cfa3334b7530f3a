/* Convolutions of stride 1 without columns: rows of an image are put down with zeros around them,
 * some at a time so that they stay in the second cache, and kernels read what a tap finds right
 * from there (conv_kernels.h). What they make is as wide as that, of which the ends of rows are
 * left out. The gradient of x is a convolution, too: of y's with the weight turned around. */
#include "gpu/cpu/conv_direct.h"

#include "gpu/cpu/conv.h"
#include "gpu/cpu/conv_kernels.h"
#include "gpu/cpu/run.h"

#include <string.h>

enum { STRIP_FLOATS = 1 << 16, CHUNK_FLOATS = 1 << 18 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t rounded(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* From planes [in,h,w] of images to planes [out,oh,ow]. */
typedef struct direct {
    const ps_conv_kernels *kernels;
    const float *x;
    float *y;
    const float *bias; /* may be NULL */
    int64_t images, in, h, w, out, kh, kw, oh, ow, above, left;
    int64_t taps, row;    /* of an image with zeros around it: numbers of a row */
    int64_t rows, strips; /* of y at a time, of an image */
    int64_t plane;        /* of a strip of x */
    int64_t wide;         /* of a strip of y */
    int64_t *offsets;     /* [taps] */
    float *weight;        /* [out / 8][taps][8] */
    float *room;          /* a thread's: the strip of x, and of y for 8 planes */
    size_t floats;        /* of that */
} direct;

/* Sizes that follow. */
static void plan(direct *d)
{
    d->taps = d->in * d->kh * d->kw;
    d->row = d->w + 2 * d->left;
    int64_t fit = STRIP_FLOATS / (d->in * d->row) - d->kh + 1;
    d->strips = fit < 1 ? d->oh : (d->oh + fit - 1) / fit;
    d->rows = (d->oh + d->strips - 1) / d->strips; /* all about as many */
    d->strips = (d->oh + d->rows - 1) / d->rows;
    d->plane = (d->rows + d->kh - 1) * d->row;
    d->wide = rounded(d->rows * d->row, PS_CONV_STEP);
    d->floats =
        ps_cpu_padded(d->in * d->plane + PS_CONV_SLACK) + ps_cpu_padded(PS_CONV_ROWS * d->wide);
}

static void put_offsets(const direct *d)
{
    for (int64_t t = 0; t < d->taps; t++)
        d->offsets[t] = t / (d->kh * d->kw) * d->plane + t / d->kw % d->kh * d->row + t % d->kw;
}

/* Rows of all planes of an image, from the one above which y's row `first` begins, to
 * out[in,plane], and zeros behind them. */
static void lay_out(const direct *d, int64_t image, int64_t first, float *out)
{
    for (int64_t k = 0; k < d->in; k++) {
        const float *plane = d->x + (image * d->in + k) * d->h * d->w;
        for (int64_t i = 0; i < d->rows + d->kh - 1; i++, out += d->row) {
            int64_t at = first + i - d->above;
            if (at < 0 || at >= d->h) {
                memset(out, 0, (size_t)d->row * sizeof *out);
                continue;
            }
            memset(out, 0, (size_t)d->left * sizeof *out);
            memcpy(out + d->left, plane + at * d->w, (size_t)d->w * sizeof *out);
            memset(out + d->left + d->w, 0, (size_t)d->left * sizeof *out);
        }
    }
    memset(out, 0, PS_CONV_SLACK * sizeof *out);
}

/* Without the ends of rows: `rows` of them from y's row `first` on, of plane `plane`. */
static void take_rows(const direct *d, int64_t plane, int64_t first, int64_t rows,
                      const float *from, float add)
{
    float *y = d->y + (plane * d->oh + first) * d->ow;
    for (int64_t i = 0; i < rows; i++)
        ps_conv_add(y + i * d->ow, from + i * d->row, d->ow, add);
}

static void convolve_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const direct *d = context;
    float *x = d->room + (size_t)slot * d->floats;
    float *y = x + ps_cpu_padded(d->in * d->plane + PS_CONV_SLACK);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t image = unit / d->strips, first = unit % d->strips * d->rows;
        int64_t rows = least(d->rows, d->oh - first);
        int64_t wide = rounded(rows * d->row, PS_CONV_STEP);
        lay_out(d, image, first, x);
        for (int64_t o = 0; o < d->out; o += PS_CONV_ROWS) {
            ps_conv_sum_of s = {.weight = d->weight + o * d->taps,
                                .offsets = d->offsets,
                                .taps = d->taps,
                                .ld = d->wide};
            for (int64_t p = 0; p < wide; p += PS_CONV_WIDE) {
                s.x = x + p;
                s.y = y + p;
                s.wide = least(wide - p, PS_CONV_WIDE);
                d->kernels->sum(&s);
            }
            for (int64_t i = 0; i < least(PS_CONV_ROWS, d->out - o); i++)
                take_rows(d, image * d->out + o + i, first, rows, y + i * d->wide,
                          d->bias ? d->bias[o + i] : 0);
        }
    }
}

/* Room for all, and offsets; false: the stream has failed. */
static bool take_scratch(ps_stream *s, direct *d)
{
    size_t offsets = ps_cpu_padded(2 * d->taps);
    size_t weight = ps_cpu_padded(rounded(d->out, PS_CONV_ROWS) * d->taps);
    float *scratch = ps_cpu_scratch(s, offsets + weight + d->floats * (size_t)ps_cpu_threads(s));
    if (!scratch)
        return false;
    d->offsets = (int64_t *)(void *)scratch;
    d->weight = scratch + offsets;
    d->room = d->weight + weight;
    put_offsets(d);
    return true;
}

bool ps_conv_direct_is(ps_stream *s, const ps_conv *c)
{
    return c->stride == 1 && ps_cpu_conv_kernels(s);
}

/* As the convolution itself goes, over its x. */
static direct forward_of(ps_stream *s, const ps_conv *c, const ps_conv_sizes *z)
{
    direct d = {.kernels = ps_cpu_conv_kernels(s),
                .x = ps_tensor_address(c->x),
                .images = z->images,
                .in = z->in,
                .h = z->h,
                .w = z->w,
                .out = z->out,
                .kh = z->kh,
                .kw = z->kw,
                .oh = z->oh,
                .ow = z->ow,
                .above = z->padding,
                .left = z->padding};
    plan(&d);
    return d;
}

void ps_conv_direct(ps_stream *s, const ps_conv *c)
{
    ps_conv_sizes z = ps_conv_sizes_of(c);
    direct d = forward_of(s, c, &z);
    d.y = ps_tensor_address(c->y);
    d.bias = ps_tensor_present(c->bias) ? ps_tensor_address(c->bias) : NULL;
    if (!take_scratch(s, &d))
        return;
    const float *w = ps_tensor_address(c->weight);
    for (int64_t o = 0; o < rounded(z.out, PS_CONV_ROWS); o++)
        for (int64_t t = 0; t < d.taps; t++)
            d.weight[(o / PS_CONV_ROWS * d.taps + t) * PS_CONV_ROWS + o % PS_CONV_ROWS] =
                o < z.out ? w[o * d.taps + t] : 0;
    ps_cpu_for(s, d.images * d.strips, 1, convolve_cb, &d);
}

/* Tap (o, i, j) of plane c is the weight's [o, c, kh - 1 - i, kw - 1 - j]. */
void ps_conv_direct_backward_input(ps_stream *s, const ps_conv *c)
{
    ps_conv_sizes z = ps_conv_sizes_of(c);
    direct d = {.kernels = ps_cpu_conv_kernels(s),
                .x = ps_tensor_address(c->y),
                .y = ps_tensor_address(c->x),
                .images = z.images,
                .in = z.out,
                .h = z.oh,
                .w = z.ow,
                .out = z.in,
                .kh = z.kh,
                .kw = z.kw,
                .oh = z.h,
                .ow = z.w,
                .above = z.kh - 1 - z.padding,
                .left = z.kw - 1 - z.padding};
    plan(&d);
    if (!take_scratch(s, &d))
        return;
    const float *w = ps_tensor_address(c->weight);
    int64_t size = z.kh * z.kw;
    for (int64_t k = 0; k < rounded(z.in, PS_CONV_ROWS); k++)
        for (int64_t t = 0; t < d.taps; t++)
            d.weight[(k / PS_CONV_ROWS * d.taps + t) * PS_CONV_ROWS + k % PS_CONV_ROWS] =
                k < z.in ? w[(t / size * z.in + k) * size + size - 1 - t % size] : 0;
    ps_cpu_for(s, d.images * d.strips, 1, convolve_cb, &d);
}

/* ---- the weight's gradient ---- */

typedef struct weight_run {
    direct d;
    const float *dy;
    ps_conv_pieces p;
    int64_t chunk;              /* strips that are laid out at a time */
    int64_t x_floats, y_floats; /* of a strip: [in,plane] and slack, [block,wide] */
    float *sums;                /* of pieces */
} weight_run;

/* Rows of dy as wide as x's, with zeros at their ends, of a block of planes; what is not there is
 * 0. */
static void lay_out_dy(const weight_run *r, int64_t strip, int64_t block, float *out)
{
    const direct *d = &r->d;
    int64_t image = strip / d->strips, first = strip % d->strips * d->rows;
    int64_t rows = least(d->rows, d->oh - first);
    memset(out, 0, (size_t)r->y_floats * sizeof *out);
    for (int64_t o = block; o < least(block + r->p.rows, d->out); o++, out += d->wide)
        for (int64_t i = 0; i < rows; i++)
            memcpy(out + i * d->row, r->dy + ((image * d->out + o) * d->oh + first + i) * d->ow,
                   (size_t)d->ow * sizeof *out);
}

/* What `count` strips add to rows [block, …) of the sums of a piece. */
static void add_chunk(const weight_run *r, int64_t count, int64_t block, const float *x,
                      const float *dy, float *sums)
{
    const direct *d = &r->d;
    int64_t rows = least(r->p.rows, d->out - block);
    for (int64_t o = 0; o < rows; o += PS_CONV_DYS)
        for (int64_t t = 0; t < d->taps; t += PS_CONV_TAPS) {
            int64_t offsets[PS_CONV_TAPS];
            for (int64_t i = 0; i < PS_CONV_TAPS; i++)
                offsets[i] = d->offsets[least(t + i, d->taps - 1)];
            ps_conv_gradient_of g = {.dy = dy + o * d->wide,
                                     .x = x,
                                     .ld = d->wide,
                                     .images = count,
                                     .dy_image = r->y_floats,
                                     .x_image = r->x_floats,
                                     .offsets = offsets,
                                     .n = d->wide};
            d->kernels->gradient(&g);
            for (int64_t i = 0; i < least(PS_CONV_DYS, rows - o); i++)
                for (int64_t k = 0; k < least(PS_CONV_TAPS, d->taps - t); k++)
                    sums[(block + o + i) * d->taps + t + k] += g.sums[i][k];
        }
}

static void add_bias(const weight_run *r, int64_t image, int64_t block, float *sums)
{
    const direct *d = &r->d;
    int64_t pixels = d->oh * d->ow;
    for (int64_t o = block; o < least(block + r->p.rows, d->out); o++)
        sums[d->out * d->taps + o] += ps_conv_sum(r->dy + (image * d->out + o) * pixels, pixels);
}

static void weight_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const weight_run *r = context;
    const direct *d = &r->d;
    float *x = d->room + (size_t)slot * d->floats, *dy = x + r->chunk * r->x_floats;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t piece = unit / r->p.blocks, block = unit % r->p.blocks * r->p.rows;
        int64_t image = piece * r->p.images, last = least(image + r->p.images, d->images);
        float *sums = r->sums + (size_t)piece * r->p.floats;
        int64_t rows = least(r->p.rows, d->out - block);
        memset(sums + block * d->taps, 0, (size_t)(rows * d->taps) * sizeof *sums);
        memset(sums + d->out * d->taps + block, 0, (size_t)rows * sizeof *sums);
        for (int64_t i = image; i < last; i++)
            add_bias(r, i, block, sums);
        for (int64_t strip = image * d->strips; strip < last * d->strips; strip += r->chunk) {
            int64_t count = least(r->chunk, last * d->strips - strip);
            for (int64_t i = 0; i < count; i++) {
                lay_out(d, (strip + i) / d->strips, (strip + i) % d->strips * d->rows,
                        x + i * r->x_floats);
                lay_out_dy(r, strip + i, block, dy + i * r->y_floats);
            }
            add_chunk(r, count, block, x, dy, sums);
        }
    }
}

void ps_conv_direct_backward_weight(ps_stream *s, const ps_conv *c)
{
    ps_conv_sizes z = ps_conv_sizes_of(c);
    weight_run r = {
        .d = forward_of(s, c, &z), .dy = ps_tensor_address(c->y), .p = ps_conv_pieces_of(&z)};
    r.x_floats = (int64_t)ps_cpu_padded(r.d.in * r.d.plane + PS_CONV_SLACK);
    r.y_floats = rounded(least(r.p.rows, z.out), PS_CONV_DYS) * r.d.wide;
    int64_t fit = CHUNK_FLOATS / (r.x_floats + r.y_floats);
    r.chunk = fit < 1 ? 1 : least(fit, r.p.images * r.d.strips);
    r.d.floats = (size_t)(r.chunk * (r.x_floats + r.y_floats));
    size_t offsets = ps_cpu_padded(2 * r.d.taps), sums = r.p.floats * (size_t)r.p.pieces;
    float *scratch = ps_cpu_scratch(s, offsets + sums + r.d.floats * (size_t)ps_cpu_threads(s));
    if (!scratch)
        return;
    r.d.offsets = (int64_t *)(void *)scratch;
    r.sums = scratch + offsets;
    r.d.room = r.sums + sums;
    put_offsets(&r.d);
    ps_cpu_for(s, r.p.pieces * r.p.blocks, 1, weight_cb, &r);
    ps_conv_add_pieces(s, c, &r.p, r.sums);
}
