/* Convolutions as products of matrices: of each image, some rows of y at a time, the numbers of x
 * that each pixel of y is made of are put together in columns (im2col), which stay in the second
 * cache, and multiplied by the weight [out,taps]. The same columns make the weight's gradient, and
 * what the weight's transpose makes of y's is added up where the numbers came from. */
#include "gpu/cpu/conv.h"

#include "gpu/cpu/conv_direct.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/gemm.h"
#include "gpu/cpu/moments.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

#include <string.h>

enum { STRIP_FLOATS = 1 << 16, PIECES_MAX = 16, SUMS_FLOATS = 1 << 22 };

ps_conv_sizes ps_conv_sizes_of(const ps_conv *c)
{
    const int64_t *x = c->x.shape, *w = c->weight.shape, *y = c->y.shape;
    return (ps_conv_sizes){.images = x[0],
                           .in = x[1],
                           .h = x[2],
                           .w = x[3],
                           .out = w[0],
                           .kh = w[2],
                           .kw = w[3],
                           .oh = y[2],
                           .ow = y[3],
                           .stride = c->stride,
                           .padding = c->padding,
                           .taps = w[1] * w[2] * w[3],
                           .pixels = y[2] * y[3]};
}

PS_VECTOR
void ps_conv_add(float *y, const float *x, int64_t n, float add)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] + add;
}

PS_VECTOR
float ps_conv_sum(const float *x, int64_t n)
{
    float sum = 0;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

typedef struct conv_run {
    const ps_conv *c;
    ps_conv_sizes z;
    ps_conv_pieces p;
    int64_t rows, strips; /* of y, of an image */
    float *sums;          /* of pieces */
    float *columns;       /* [taps, rows·ow] a thread */
    size_t floats;        /* of these */
} conv_run;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static conv_run run_of(const ps_conv *c)
{
    conv_run r = {.c = c, .z = ps_conv_sizes_of(c)};
    int64_t fit = STRIP_FLOATS / (r.z.taps * r.z.ow);
    r.rows = fit < 1 ? 1 : least(fit, r.z.oh);
    r.strips = (r.z.oh + r.rows - 1) / r.rows;
    r.floats = ps_cpu_padded(r.z.taps * r.rows * r.z.ow);
    return r;
}

/* ---- columns ---- */

/* Rows [row, row + rows) of y of an image. */
typedef struct strip {
    int64_t row, rows;
    int64_t columns; /* rows·ow */
} strip;

static strip strip_of(const conv_run *r, int64_t number)
{
    strip t = {.row = number * r->rows};
    t.rows = least(r->rows, r->z.oh - t.row);
    t.columns = t.rows * r->z.ow;
    return t;
}

/* The pixels [first, end) of a row of y that tap j of a row finds within the image. */
static void inside(const ps_conv_sizes *z, int64_t j, int64_t *first, int64_t *end)
{
    int64_t before = z->padding - j, last = z->w - 1 + before; /* x's column 0, and its last */
    *first = before > 0 ? (before + z->stride - 1) / z->stride : 0;
    *end = last < 0 ? 0 : least(z->ow, last / z->stride + 1);
    if (*end < *first)
        *end = *first = 0;
}

/* A row of y of one tap: out[ow] from x's row, or zeros where that is outside. */
static void gather_row(const ps_conv_sizes *z, float *out, const float *x, int64_t j)
{
    int64_t first, end;
    inside(z, j, &first, &end);
    if (!x)
        first = end = 0;
    memset(out, 0, (size_t)first * sizeof *out);
    memset(out + end, 0, (size_t)(z->ow - end) * sizeof *out);
    if (z->stride == 1 && end > first) {
        memcpy(out + first, x + first + j - z->padding, (size_t)(end - first) * sizeof *out);
        return;
    }
    for (int64_t i = first; i < end; i++)
        out[i] = x[i * z->stride + j - z->padding];
}

static void scatter_row(const ps_conv_sizes *z, float *x, const float *from, int64_t j)
{
    int64_t first, end;
    inside(z, j, &first, &end);
    for (int64_t i = first; i < end; i++)
        x[i * z->stride + j - z->padding] += from[i];
}

/* Row `row` of y, tap (k, i): the number of x's row; -1: outside. */
static int64_t row_of(const ps_conv_sizes *z, int64_t row, int64_t i)
{
    int64_t at = row * z->stride + i - z->padding;
    return at >= 0 && at < z->h ? at : -1;
}

typedef void (*row_fn)(const ps_conv_sizes *z, float *column, float *x, int64_t j);

static void gather(const ps_conv_sizes *z, float *column, float *x, int64_t j)
{
    gather_row(z, column, x, j);
}

static void scatter(const ps_conv_sizes *z, float *column, float *x, int64_t j)
{
    if (x)
        scatter_row(z, x, column, j);
}

/* columns[taps, t.columns] and an image of x, row of y by row. */
static void each_row(const conv_run *r, const strip *t, float *columns, float *x, row_fn f)
{
    const ps_conv_sizes *z = &r->z;
    for (int64_t tap = 0; tap < z->taps; tap++) {
        int64_t channel = tap / (z->kh * z->kw), i = tap / z->kw % z->kh, j = tap % z->kw;
        float *plane = x + channel * z->h * z->w;
        for (int64_t k = 0; k < t->rows; k++) {
            int64_t row = row_of(z, t->row + k, i);
            f(z, columns + tap * t->columns + k * z->ow, row < 0 ? NULL : plane + row * z->w, j);
        }
    }
}

static float *image_of(ps_tensor t, int64_t image)
{
    return (float *)ps_tensor_address(t) + image * t.shape[1] * t.shape[2] * t.shape[3];
}

/* ---- forward ---- */

/* y of the strip begins as the bias, if there is one. */
static void put_bias(const conv_run *r, const strip *t, float *y)
{
    const float *bias = ps_tensor_address(r->c->bias);
    for (int64_t o = 0; o < r->z.out; o++)
        for (int64_t i = 0; i < t->columns; i++)
            y[o * r->z.pixels + i] = bias[o];
}

static void forward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const conv_run *r = context;
    bool bias = ps_tensor_present(r->c->bias);
    float *columns = r->columns + (size_t)slot * r->floats;
    for (int64_t i = begin; i < end; i++) {
        strip t = strip_of(r, i % r->strips);
        float *y = image_of(r->c->y, i / r->strips) + t.row * r->z.ow;
        each_row(r, &t, columns, image_of(r->c->x, i / r->strips), gather);
        if (bias)
            put_bias(r, &t, y);
        ps_cpu_product_run(&(ps_cpu_product){.m = r->z.out,
                                             .n = t.columns,
                                             .k = r->z.taps,
                                             .alpha = 1,
                                             .beta = bias ? 1 : 0,
                                             .a = ps_tensor_address(r->c->weight),
                                             .b = columns,
                                             .c = y,
                                             .ld_a = r->z.taps,
                                             .ld_b = t.columns,
                                             .ld_c = r->z.pixels});
    }
}

/* Columns for each thread behind `before` floats; false: the stream has failed. */
static bool take_scratch(ps_stream *s, conv_run *r, size_t before)
{
    float *scratch = ps_cpu_scratch(s, before + r->floats * (size_t)ps_cpu_threads(s));
    r->sums = scratch;
    r->columns = scratch + before;
    return scratch;
}

void ps_cpu_conv(ps_stream *s, const ps_conv *c)
{
    if (ps_conv_direct_is(s, c)) {
        ps_conv_direct(s, c);
        return;
    }
    conv_run r = run_of(c);
    if (take_scratch(s, &r, 0))
        ps_cpu_for(s, r.z.images * r.strips, 1, forward_cb, &r);
}

/* ---- the input's gradient ---- */

static void input_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const conv_run *r = context;
    float *columns = r->columns + (size_t)slot * r->floats;
    for (int64_t image = begin; image < end; image++) {
        float *dx = image_of(r->c->x, image);
        memset(dx, 0, (size_t)(r->z.in * r->z.h * r->z.w) * sizeof *dx);
        for (int64_t i = 0; i < r->strips; i++) {
            strip t = strip_of(r, i);
            ps_cpu_product_run(&(ps_cpu_product){.transpose_a = true,
                                                 .m = r->z.taps,
                                                 .n = t.columns,
                                                 .k = r->z.out,
                                                 .alpha = 1,
                                                 .a = ps_tensor_address(r->c->weight),
                                                 .b = image_of(r->c->y, image) + t.row * r->z.ow,
                                                 .c = columns,
                                                 .ld_a = r->z.taps,
                                                 .ld_b = r->z.pixels,
                                                 .ld_c = t.columns});
            each_row(r, &t, columns, dx, scatter);
        }
    }
}

void ps_cpu_conv_backward_input(ps_stream *s, const ps_conv *c)
{
    if (ps_conv_direct_is(s, c)) {
        ps_conv_direct_backward_input(s, c);
        return;
    }
    conv_run r = run_of(c);
    if (take_scratch(s, &r, 0))
        ps_cpu_for(s, r.z.images, 1, input_cb, &r);
}

/* ---- the weight's gradient ---- */

ps_conv_pieces ps_conv_pieces_of(const ps_conv_sizes *z)
{
    ps_conv_pieces p = {.floats = ps_cpu_padded(z->out * (z->taps + 1)), .rows = PS_CONV_BLOCK};
    int64_t pieces = SUMS_FLOATS / (int64_t)p.floats;
    pieces = least(pieces < 1 ? 1 : pieces, least(PIECES_MAX, z->images));
    p.images = (z->images + pieces - 1) / pieces;
    p.pieces = (z->images + p.images - 1) / p.images;
    p.blocks = (z->out + p.rows - 1) / p.rows;
    return p;
}

typedef struct add_run {
    float *d;
    float beta;
    const float *sums;
    const ps_conv_pieces *p;
} add_run;

static void add_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const add_run *r = context;
    ps_cpu_add_pieces(r->d + begin, r->beta, r->sums + begin, r->p->floats, r->p->pieces,
                      end - begin);
}

void ps_conv_add_pieces(ps_stream *s, const ps_conv *c, const ps_conv_pieces *p, const float *sums)
{
    int64_t n = ps_tensor_count(c->weight), grain = ps_cpu_grain(p->pieces);
    add_run r = {.d = ps_tensor_address(c->weight), .beta = c->beta, .sums = sums, .p = p};
    ps_cpu_for(s, n, grain, add_cb, &r);
    if (!ps_tensor_present(c->bias))
        return;
    r.d = ps_tensor_address(c->bias);
    r.sums = sums + n;
    ps_cpu_for(s, c->weight.shape[0], grain, add_cb, &r);
}

/* Rows [row, row + rows) of the weight, and of the bias, of one image: added to the sums of a
 * piece, or, of its first strip, these. */
static void weight_of_image(const conv_run *r, int64_t image, int64_t row, int64_t rows, bool first,
                            float *sums, float *columns)
{
    const float *dy = image_of(r->c->y, image) + row * r->z.pixels;
    float *bias = sums + r->z.out * r->z.taps + row;
    for (int64_t i = 0; i < r->strips; i++) {
        strip t = strip_of(r, i);
        each_row(r, &t, columns, image_of(r->c->x, image), gather);
        ps_cpu_product_run(&(ps_cpu_product){.transpose_b = true,
                                             .m = rows,
                                             .n = r->z.taps,
                                             .k = t.columns,
                                             .alpha = 1,
                                             .beta = first && i == 0 ? 0 : 1,
                                             .a = dy + t.row * r->z.ow,
                                             .b = columns,
                                             .c = sums + row * r->z.taps,
                                             .ld_a = r->z.pixels,
                                             .ld_b = t.columns,
                                             .ld_c = r->z.taps});
    }
    for (int64_t o = 0; o < rows; o++)
        bias[o] = (first ? 0 : bias[o]) + ps_conv_sum(dy + o * r->z.pixels, r->z.pixels);
}

static void weight_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const conv_run *r = context;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t piece = unit / r->p.blocks, row = unit % r->p.blocks * r->p.rows;
        int64_t first = piece * r->p.images, last = least(r->z.images, first + r->p.images);
        for (int64_t image = first; image < last; image++)
            weight_of_image(r, image, row, least(r->p.rows, r->z.out - row), image == first,
                            r->sums + (size_t)piece * r->p.floats,
                            r->columns + (size_t)slot * r->floats);
    }
}

void ps_cpu_conv_backward_weight(ps_stream *s, const ps_conv *c)
{
    if (ps_conv_direct_is(s, c)) {
        ps_conv_direct_backward_weight(s, c);
        return;
    }
    conv_run r = run_of(c);
    r.p = ps_conv_pieces_of(&r.z);
    if (!take_scratch(s, &r, r.p.floats * (size_t)r.p.pieces))
        return;
    ps_cpu_for(s, r.p.pieces * r.p.blocks, 1, weight_cb, &r);
    ps_conv_add_pieces(s, c, &r.p, r.sums);
}
