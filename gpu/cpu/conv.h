/* conv: what the ways to convolve on the CPU share: sizes, and the direct way. */
#ifndef PS_CPU_CONV_H
#define PS_CPU_CONV_H

#include "gpu/ops.h"

typedef struct ps_conv_sizes {
    int64_t images, in, h, w, out, kh, kw, oh, ow, stride, padding;
    int64_t taps;   /* numbers of x that make one of y: in·kh·kw */
    int64_t pixels; /* of a plane of y: oh·ow */
} ps_conv_sizes;

ps_conv_sizes ps_conv_sizes_of(const ps_conv *c);

/* Sums of the weight's gradient: images in pieces, rows of the weight in blocks. Where the cuts are
 * does not depend on the number of threads, and so results do not. */
typedef struct ps_conv_pieces {
    int64_t pieces, images; /* of a piece, the last may have fewer */
    int64_t blocks, rows;   /* of a block */
    size_t floats;          /* of the sums of a piece: [out,taps], and [out] of the bias */
} ps_conv_pieces;

enum { PS_CONV_BLOCK = 64 };
ps_conv_pieces ps_conv_pieces_of(const ps_conv_sizes *z);
/* The pieces' sums, in their order, into the gradients. */
void ps_conv_add_pieces(ps_stream *s, const ps_conv *c, const ps_conv_pieces *p, const float *sums);

/* y[n] = x[n] + add */
void ps_conv_add(float *y, const float *x, int64_t n, float add);
/* Sum of n numbers. */
float ps_conv_sum(const float *x, int64_t n);

#endif
