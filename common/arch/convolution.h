/* convolution: one convolution of a network for images, with what follows it: as the job file says
 * it, as a model is made of it, and what it makes of the size of an image. Pure; any thread. */
#ifndef PS_ARCH_CONVOLUTION_H
#define PS_ARCH_CONVOLUTION_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ps_convolution_norm {
    PS_CONVOLUTION_GROUP, /* GroupNorm */
    PS_CONVOLUTION_NO_NORM,
} ps_convolution_norm;

typedef enum ps_convolution_pool {
    PS_CONVOLUTION_NO_POOL,
    PS_CONVOLUTION_MAX,
    PS_CONVOLUTION_AVERAGE,
    PS_CONVOLUTION_GLOBAL, /* the mean of all that is left of the image */
} ps_convolution_pool;

/* In this order: convolution with a bias, norm, activation, pool. */
typedef struct ps_convolution {
    int64_t channels;                /* that it makes */
    int64_t kernel, stride, padding; /* of both sides */
    unsigned norm;                   /* ps_convolution_norm */
    int64_t norm_groups;             /* divides channels; 0 without a norm */
    unsigned pool;                   /* ps_convolution_pool */
    int64_t pool_size, pool_stride;  /* of max and average; else 0 */
} ps_convolution;

typedef struct ps_image_size {
    int64_t channels, height, width;
} ps_image_size;

static inline int64_t ps_image_numbers(ps_image_size s)
{
    return s.channels * s.height * s.width;
}

/* How often a window finds room in a side; 0: not at all. */
static inline int64_t ps_window_places(int64_t side, int64_t window, int64_t stride)
{
    return window <= side ? (side - window) / stride + 1 : 0;
}

/* At most so many numbers of x, or of y, are what a row of pixels is made of. */
enum { PS_CONVOLUTION_ROW_MAX = 1 << 26 };

static inline int64_t ps_convolution_row(const ps_convolution *c, ps_image_size in,
                                         ps_image_size given)
{
    int64_t channels = in.channels > given.channels ? in.channels : given.channels;
    int64_t width = in.width > given.width ? in.width : given.width;
    return channels * c->kernel * c->kernel * (width + 2 * c->kernel);
}

/* What the convolution gives; a side of 0: the image is too small for it. */
static inline ps_image_size ps_convolution_given(const ps_convolution *c, ps_image_size in)
{
    return (ps_image_size){
        .channels = c->channels,
        .height = ps_window_places(in.height + 2 * c->padding, c->kernel, c->stride),
        .width = ps_window_places(in.width + 2 * c->padding, c->kernel, c->stride)};
}

/* And what its pool leaves of that. */
static inline ps_image_size ps_convolution_pooled(const ps_convolution *c, ps_image_size given)
{
    if (c->pool == PS_CONVOLUTION_NO_POOL)
        return given;
    if (c->pool == PS_CONVOLUTION_GLOBAL)
        return (ps_image_size){given.channels, 1, 1};
    return (ps_image_size){.channels = given.channels,
                           .height = ps_window_places(given.height, c->pool_size, c->pool_stride),
                           .width = ps_window_places(given.width, c->pool_size, c->pool_stride)};
}

#endif
