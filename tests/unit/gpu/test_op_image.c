/* Convolutions, pools and GroupNorm of every backend against float64. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"

#include <math.h>
#include <stdlib.h>

static ps_test_device device;

static ps_tensor random_of(int64_t a, int64_t b, int64_t c, int64_t d)
{
    ps_tensor t = ps_test_f32(&device, 0, (int)(a * b * c * d), NULL);
    t.rank = 4;
    t.shape[0] = a, t.shape[1] = b, t.shape[2] = c, t.shape[3] = d;
    return t;
}

static double *doubles(ps_tensor t)
{
    return ps_alloc_array((size_t)ps_tensor_count(t), sizeof(double));
}

/* ---- convolutions ---- */

typedef struct conv_shape {
    int images, in, h, w, out, kh, kw, stride, padding;
} conv_shape;

/* One pixel; tails of all kinds; more rows of the weight, and larger images, than are taken at a
 * time; images in several pieces. */
static const conv_shape conv_shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0},     {2, 1, 5, 4, 3, 3, 3, 1, 1},    {3, 2, 7, 9, 5, 3, 2, 2, 1},
    {1, 3, 6, 6, 9, 5, 5, 1, 4},     {2, 4, 9, 8, 70, 3, 3, 1, 0},   {33, 2, 6, 5, 7, 3, 3, 1, 1},
    {2, 5, 13, 17, 8, 4, 4, 3, 2},   {1, 2, 40, 67, 16, 3, 3, 1, 1}, {1, 16, 70, 70, 4, 3, 3, 1, 1},
    {2, 17, 10, 50, 12, 1, 1, 1, 0},
};
enum { CONV_SHAPES = sizeof conv_shapes / sizeof *conv_shapes };

/* From the second half of the shapes on: with what computes them on other processors. */
static void open_device(int i)
{
    if (i >= CONV_SHAPES)
        (void)setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
    ps_test_device_open(&device, ps_test_backend());
    if (i >= CONV_SHAPES)
        (void)unsetenv("OPENBLAS_CORETYPE");
}

typedef struct conv_case {
    ps_conv c;
    double *x, *w, *bias, *y; /* as they are */
} conv_case;

static void open_conv(conv_case *t, int number)
{
    const conv_shape *s = &conv_shapes[number % CONV_SHAPES];
    open_device(number);
    int oh = (s->h + 2 * s->padding - s->kh) / s->stride + 1;
    int ow = (s->w + 2 * s->padding - s->kw) / s->stride + 1;
    t->c = (ps_conv){.x = random_of(s->images, s->in, s->h, s->w),
                     .weight = random_of(s->out, s->in, s->kh, s->kw),
                     .bias = ps_test_f32(&device, 0, s->out, NULL),
                     .y = random_of(s->images, s->out, oh, ow),
                     .stride = s->stride,
                     .padding = s->padding};
    t->x = ps_test_read64(&device, t->c.x);
    t->w = ps_test_read64(&device, t->c.weight);
    t->bias = ps_test_read64(&device, t->c.bias);
    t->y = ps_test_read64(&device, t->c.y);
}

static void close_conv(conv_case *t)
{
    ps_test_device_close(&device);
    ps_free(&t->x);
    ps_free(&t->w);
    ps_free(&t->bias);
    ps_free(&t->y);
}

/* f for each product that there is: numbers of y, x and the weight. */
typedef void (*term_fn)(void *user, int64_t y, int64_t x, int64_t w);

static void each_of_row(const ps_conv *c, int64_t y, int64_t w, int64_t plane, int64_t r, int64_t s,
                        term_fn f, void *user)
{
    const int64_t *xs = c->x.shape, *ws = c->weight.shape;
    for (int64_t i = 0; i < ws[2]; i++)
        for (int64_t j = 0; j < ws[3]; j++) {
            int64_t row = r * c->stride + i - c->padding, column = s * c->stride + j - c->padding;
            if (row >= 0 && row < xs[2] && column >= 0 && column < xs[3])
                f(user, y, (plane * xs[2] + row) * xs[3] + column, (w * ws[2] + i) * ws[3] + j);
        }
}

static void each_term(const ps_conv *c, term_fn f, void *user)
{
    const int64_t *ys = c->y.shape;
    int64_t in = c->x.shape[1];
    for (int64_t y = 0; y < ps_tensor_count(c->y); y++) {
        int64_t s = y % ys[3], r = y / ys[3] % ys[2], o = y / (ys[3] * ys[2]) % ys[1];
        int64_t image = y / (ys[3] * ys[2] * ys[1]);
        for (int64_t k = 0; k < in; k++)
            each_of_row(c, y, o * in + k, image * in + k, r, s, f, user);
    }
}

typedef struct sums {
    double *to;
    const double *a, *b;
    int which; /* of y, x and weight `to` is */
} sums;

static void add_term(void *user, int64_t y, int64_t x, int64_t w)
{
    const sums *s = user;
    if (s->which == 0)
        s->to[y] += s->a[x] * s->b[w];
    else if (s->which == 1)
        s->to[x] += s->a[y] * s->b[w];
    else
        s->to[w] += s->a[y] * s->b[x];
}

static bool too_large(const conv_case *t)
{
    return ps_test_leave_out(ps_tensor_count(t->c.y) * t->c.weight.shape[1]);
}

START_TEST(a_convolution_is_as_in_float64)
{
    conv_case t;
    open_conv(&t, _i);
    double *want = doubles(t.c.y);
    int64_t pixels = t.c.y.shape[2] * t.c.y.shape[3];
    for (int with = 0; with < 2 && !too_large(&t); with++) {
        ps_conv c = t.c;
        if (!with)
            c.bias = (ps_tensor){0};
        for (int64_t i = 0; i < ps_tensor_count(c.y); i++)
            want[i] = with ? t.bias[i / pixels % c.y.shape[1]] : 0;
        each_term(&c, add_term, &(sums){.to = want, .a = t.x, .b = t.w, .which = 0});
        ps_op_conv(device.stream, &c);
        ck_assert_double_lt(ps_test_error(&device, c.y, want), 1e-5);
    }
    ps_free(&want);
    close_conv(&t);
}
END_TEST

START_TEST(the_gradient_of_images)
{
    conv_case t;
    open_conv(&t, _i);
    double *want = doubles(t.c.x);
    if (!too_large(&t)) {
        each_term(&t.c, add_term, &(sums){.to = want, .a = t.y, .b = t.w, .which = 1});
        ps_op_fill(device.stream,
                   ps_tensor_1d(t.c.x.buffer, t.c.x.offset, PS_DTYPE_F32, ps_tensor_count(t.c.x)),
                   NAN);
        ps_op_conv_backward_input(device.stream, &t.c);
        ck_assert_double_lt(ps_test_error(&device, t.c.x, want), 1e-5);
    }
    ps_free(&want);
    close_conv(&t);
}
END_TEST

static void check_weights(conv_case *t, float beta)
{
    double *weight = doubles(t->c.weight), *bias = doubles(t->c.bias);
    int64_t pixels = t->c.y.shape[2] * t->c.y.shape[3];
    for (int64_t i = 0; i < ps_tensor_count(t->c.weight); i++)
        weight[i] = (double)beta * t->w[i];
    for (int64_t i = 0; i < ps_tensor_count(t->c.bias); i++)
        bias[i] = (double)beta * t->bias[i];
    for (int64_t i = 0; i < ps_tensor_count(t->c.y); i++)
        bias[i / pixels % t->c.y.shape[1]] += t->y[i];
    each_term(&t->c, add_term, &(sums){.to = weight, .a = t->y, .b = t->x, .which = 2});
    if (beta == 0) {
        ps_op_fill(device.stream,
                   ps_tensor_1d(t->c.weight.buffer, t->c.weight.offset, PS_DTYPE_F32,
                                ps_tensor_count(t->c.weight)),
                   NAN);
        ps_op_fill(device.stream, t->c.bias, NAN);
    }
    t->c.beta = beta;
    ps_op_conv_backward_weight(device.stream, &t->c);
    ck_assert_double_lt(ps_test_error(&device, t->c.weight, weight), 1e-5);
    ck_assert_double_lt(ps_test_error(&device, t->c.bias, bias), 1e-5);
    ps_free(&weight);
    ps_free(&bias);
}

START_TEST(the_gradients_of_weight_and_bias)
{
    for (int add = 0; add < 2; add++) {
        conv_case t;
        open_conv(&t, _i);
        if (!too_large(&t))
            check_weights(&t, add ? 0.5f : 0);
        close_conv(&t);
    }
}
END_TEST

/* ---- pools ---- */

typedef struct pool_shape {
    int images, channels, h, w, window_h, window_w, stride;
} pool_shape;

static const pool_shape pool_shapes[] = {
    {1, 1, 1, 1, 1, 1, 1},    {2, 3, 4, 6, 2, 2, 2},     {2, 3, 5, 7, 2, 2, 2},
    {1, 2, 9, 8, 3, 3, 1},    {3, 1, 6, 6, 3, 2, 2},     {2, 2, 7, 5, 7, 5, 1},
    {2, 40, 14, 14, 2, 2, 2}, {1, 2, 16, 16, 16, 16, 3},
};
enum { POOL_SHAPES = sizeof pool_shapes / sizeof *pool_shapes };

typedef struct pool_case {
    ps_pool p;
    double *x, *y, *dy, *dx;
    int64_t *from; /* of MAX: the number of x */
} pool_case;

static void pool_one(pool_case *t, int64_t at)
{
    const int64_t *x = t->p.x.shape, *y = t->p.y.shape;
    int64_t column = at % y[3], row = at / y[3] % y[2], plane = at / (y[3] * y[2]);
    int64_t first = (plane * x[2] + row * t->p.stride) * x[3] + column * t->p.stride, best = first;
    double sum = 0, size = (double)(t->p.window_h * t->p.window_w);
    for (int64_t i = 0; i < t->p.window_h; i++)
        for (int64_t j = 0; j < t->p.window_w; j++) {
            int64_t k = first + i * x[3] + j;
            best = t->x[k] > t->x[best] ? k : best;
            sum += t->x[k];
            if (t->p.kind == PS_POOL_AVERAGE)
                t->dx[k] += t->dy[at] / size;
        }
    t->y[at] = t->p.kind == PS_POOL_MAX ? t->x[best] : sum / size;
    if (t->p.kind == PS_POOL_MAX)
        t->dx[best] += t->dy[at];
}

static void check_pool(const pool_shape *s, ps_pool_kind kind)
{
    pool_case t = {0};
    ps_test_device_open(&device, ps_test_backend());
    int oh = (s->h - s->window_h) / s->stride + 1, ow = (s->w - s->window_w) / s->stride + 1;
    t.p = (ps_pool){.kind = kind,
                    .x = random_of(s->images, s->channels, s->h, s->w),
                    .y = random_of(s->images, s->channels, oh, ow),
                    .window_h = s->window_h,
                    .window_w = s->window_w,
                    .stride = s->stride};
    ps_tensor dy = random_of(s->images, s->channels, oh, ow);
    if (kind == PS_POOL_MAX) { /* bytes in the place of numbers */
        t.p.index = ps_test_f32(&device, 0, (int)ps_tensor_count(t.p.y), NULL);
        t.p.index.dtype = PS_DTYPE_U8;
    }
    t.x = ps_test_read64(&device, t.p.x);
    t.dy = ps_test_read64(&device, dy);
    t.y = doubles(t.p.y);
    t.dx = doubles(t.p.x);
    for (int64_t i = 0; i < ps_tensor_count(t.p.y); i++)
        pool_one(&t, i);
    ps_op_pool(device.stream, &t.p);
    ck_assert_double_lt(ps_test_error(&device, t.p.y, t.y), 1e-6);
    ps_pool without = t.p;
    without.index = (ps_tensor){0};
    ps_op_pool(device.stream, &without);
    ck_assert_double_lt(ps_test_error(&device, t.p.y, t.y), 1e-6);
    t.p.y = dy;
    ps_op_pool_backward(device.stream, &t.p);
    ck_assert_double_lt(ps_test_error(&device, t.p.x, t.dx), 1e-6);
    ps_test_device_close(&device);
    ps_free(&t.x);
    ps_free(&t.y);
    ps_free(&t.dx);
    ps_free(&t.dy);
}

START_TEST(pools_and_their_gradients)
{
    check_pool(&pool_shapes[_i], PS_POOL_MAX);
    check_pool(&pool_shapes[_i], PS_POOL_AVERAGE);
}
END_TEST

/* Windows of 2 × 2, which have a loop of their own, and of 3 × 1. */
START_TEST(a_pool_takes_the_first_of_equals_and_lets_nan_through)
{
    static const float x[] = {1, 1, 1, 1, 0, NAN, 2, 3, -1, -1, 5, -1};
    ps_test_device_open(&device, ps_test_backend());
    ps_pool p = {.kind = PS_POOL_MAX,
                 .x = random_of(1, 1, 2, 6),
                 .y = random_of(1, 1, 1, 3),
                 .index = ps_test_f32(&device, 0, 3, NULL),
                 .window_h = 2,
                 .window_w = 2,
                 .stride = 2};
    p.index.dtype = PS_DTYPE_U8;
    ps_copy_to_device(device.stream, p.x, x, sizeof x);
    ps_op_pool(device.stream, &p);
    float *y = ps_test_read(&device, p.y);
    uint8_t index[3];
    ck_assert_int_eq(ps_copy_to_host(device.stream, index, p.index, 3), PS_OK);
    ck_assert(y[0] == 3 && isnan(y[2]) && y[1] == 1);
    ck_assert(index[0] == 3 && index[1] == 0 && index[2] == 1);
    ps_free(&y);
    ps_test_device_close(&device);
}
END_TEST

/* ---- GroupNorm ---- */

static const int norm_shapes[][4] = {/* images, channels, pixels, groups */
                                     {1, 1, 1, 1},   {2, 3, 5, 1},  {3, 8, 17, 4},
                                     {2, 6, 100, 6}, {40, 4, 9, 2}, {1, 10, 784, 5}};
enum { NORM_SHAPES = sizeof norm_shapes / sizeof *norm_shapes };

typedef struct norm_case {
    ps_group_norm n;
    ps_tensor dy, dgain, dbias;
    double *x, *gain, *bias, *dy64, *y, *dx, *dgain64, *dbias64;
    int64_t each, pixels;
} norm_case;

static void one_group(norm_case *t, int64_t i)
{
    int64_t size = t->each * t->pixels, first = i * size, channel = i % t->n.groups * t->each;
    double mean = 0, squares = 0, g = 0, gh = 0;
    for (int64_t k = 0; k < size; k++)
        mean += t->x[first + k] / (double)size;
    for (int64_t k = 0; k < size; k++)
        squares += (t->x[first + k] - mean) * (t->x[first + k] - mean) / (double)size;
    double rstd = 1 / sqrt(squares + (double)t->n.epsilon);
    for (int64_t k = 0; k < size; k++) {
        int64_t c = channel + k / t->pixels;
        double h = (t->x[first + k] - mean) * rstd, dy = t->dy64[first + k];
        t->y[first + k] = h * t->gain[c] + t->bias[c];
        t->dgain64[c] += dy * h;
        t->dbias64[c] += dy;
        g += dy * t->gain[c] / (double)size;
        gh += dy * t->gain[c] * h / (double)size;
    }
    for (int64_t k = 0; k < size; k++) {
        double h = (t->x[first + k] - mean) * rstd;
        double d = t->dy64[first + k] * t->gain[channel + k / t->pixels];
        t->dx[first + k] = rstd * (d - g - h * gh);
    }
}

static void open_norm(norm_case *t, const int *shape, float beta)
{
    ps_test_device_open(&device, ps_test_backend());
    *t = (norm_case){.each = shape[1] / shape[3], .pixels = shape[2]};
    t->n = (ps_group_norm){.x = random_of(shape[0], shape[1], shape[2], 1),
                           .y = random_of(shape[0], shape[1], shape[2], 1),
                           .gain = ps_test_f32(&device, 0, shape[1], NULL),
                           .bias = ps_test_f32(&device, 0, shape[1], NULL),
                           .mean = ps_test_f32(&device, 0, shape[0] * shape[3], NULL),
                           .rstd = ps_test_f32(&device, 0, shape[0] * shape[3], NULL),
                           .groups = shape[3],
                           .epsilon = 1e-5f};
    t->dy = random_of(shape[0], shape[1], shape[2], 1);
    t->dgain = ps_test_f32(&device, 0, shape[1], NULL);
    t->dbias = ps_test_f32(&device, 0, shape[1], NULL);
    t->x = ps_test_read64(&device, t->n.x);
    t->gain = ps_test_read64(&device, t->n.gain);
    t->bias = ps_test_read64(&device, t->n.bias);
    t->dy64 = ps_test_read64(&device, t->dy);
    t->dgain64 = ps_test_read64(&device, t->dgain);
    t->dbias64 = ps_test_read64(&device, t->dbias);
    t->y = doubles(t->n.y);
    t->dx = doubles(t->n.x);
    for (int64_t i = 0; i < shape[1]; i++) {
        t->dgain64[i] *= (double)beta;
        t->dbias64[i] *= (double)beta;
    }
    for (int64_t i = 0; i < (int64_t)shape[0] * shape[3]; i++)
        one_group(t, i);
    if (beta == 0) {
        ps_op_fill(device.stream, t->dgain, NAN);
        ps_op_fill(device.stream, t->dbias, NAN);
    }
}

static void close_norm(norm_case *t)
{
    double **all[] = {&t->x, &t->gain, &t->bias, &t->dy64, &t->y, &t->dx, &t->dgain64, &t->dbias64};
    ps_test_device_close(&device);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ps_free(all[i]);
}

START_TEST(groups_are_normalised_as_in_float64)
{
    for (int i = 0; i < 2; i++) {
        norm_case t;
        float beta = i ? 1.5f : 0;
        open_norm(&t, norm_shapes[_i], beta);
        ps_op_group_norm(device.stream, &t.n);
        ck_assert_double_lt(ps_test_error(&device, t.n.y, t.y), 4e-6);
        ps_group_norm_backward b = {.dx = i ? t.dy : t.n.y,
                                    .dgain = t.dgain,
                                    .dbias = t.dbias,
                                    .dy = t.dy,
                                    .x = t.n.x,
                                    .gain = t.n.gain,
                                    .mean = t.n.mean,
                                    .rstd = t.n.rstd,
                                    .groups = t.n.groups,
                                    .beta = beta};
        ps_op_group_norm_backward(device.stream, &b);
        if (t.each * t.pixels > 2) /* of one or two numbers it is the difference of equals */
            ck_assert_double_lt(ps_test_error(&device, b.dx, t.dx), 2e-5);
        ck_assert_double_lt(ps_test_error(&device, t.dgain, t.dgain64), 1e-5);
        ck_assert_double_lt(ps_test_error(&device, t.dbias, t.dbias64), 1e-5);
        close_norm(&t);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &a_convolution_is_as_in_float64, .repeat = 2 * CONV_SHAPES},
    {.test = &the_gradient_of_images, .repeat = 2 * CONV_SHAPES},
    {.test = &the_gradients_of_weight_and_bias, .repeat = 2 * CONV_SHAPES},
    {.test = &pools_and_their_gradients, .repeat = POOL_SHAPES},
    {.test = &a_pool_takes_the_first_of_equals_and_lets_nan_through},
    {.test = &groups_are_normalised_as_in_float64, .repeat = NORM_SHAPES},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_image", tests);
}
