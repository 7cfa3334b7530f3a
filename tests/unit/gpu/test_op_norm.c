/* LayerNorm and RMSNorm of every backend against float64. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"
#include "tests/lib/ref64_transformer.h"

#include <math.h>

static ps_test_device device;

static const int shapes[][2] = {{1, 1},    {3, 2},     {5, 17},  {16, 64},
                                {33, 100}, {130, 768}, {2, 4099}};
#define SHAPES  (int)(sizeof shapes / sizeof *shapes)
#define EPSILON 1e-5f

typedef struct norm_case {
    ps_norm n;
    ps_ref64_norm ref;
    bool centred;
    double tolerance;
} norm_case;

static double *doubles(int64_t n)
{
    return ps_alloc_array((size_t)n, sizeof(double));
}

static void open_case(norm_case *c, ps_dtype type, int rows, int n, bool centred)
{
    ps_test_device_open(&device, ps_test_backend());
    *c = (norm_case){.centred = centred, .tolerance = ps_test_tolerance(type, 4e-6)};
    c->n = (ps_norm){.x = ps_test_real(&device, type, rows, n, NULL),
                     .y = ps_test_real(&device, type, rows, n, NULL),
                     .gain = ps_test_real(&device, type, 0, n, NULL),
                     .rstd = ps_test_f32(&device, 0, rows, NULL),
                     .epsilon = EPSILON};
    if (centred) {
        c->n.bias = ps_test_real(&device, type, 0, n, NULL);
        c->n.mean = ps_test_f32(&device, 0, rows, NULL);
    }
    c->ref = (ps_ref64_norm){.rows = rows,
                             .n = n,
                             .epsilon = (double)EPSILON,
                             .x = ps_test_read64(&device, c->n.x),
                             .gain = ps_test_read64(&device, c->n.gain),
                             .bias = centred ? ps_test_read64(&device, c->n.bias) : NULL,
                             .y = doubles((int64_t)rows * n),
                             .mean = doubles(rows),
                             .rstd = doubles(rows)};
    ps_ref64_norm_forward(&c->ref);
}

static void close_case(norm_case *c)
{
    ps_test_device_close(&device);
    free((void *)(uintptr_t)c->ref.x);
    free((void *)(uintptr_t)c->ref.gain);
    free((void *)(uintptr_t)c->ref.bias);
    ps_free(&c->ref.y);
    ps_free(&c->ref.mean);
    ps_free(&c->ref.rstd);
}

static void run_forward(const norm_case *c)
{
    if (c->centred)
        ps_op_layernorm(device.stream, &c->n);
    else
        ps_op_rmsnorm(device.stream, &c->n);
}

/* A mean may be near 0: it is off by parts of its row's spread, which is what it is used for. */
static void check_means(const norm_case *c)
{
    double *mean = ps_test_read64(&device, c->n.mean);
    for (int r = 0; r < c->ref.rows; r++)
        ck_assert_double_lt(fabs(mean[r] - c->ref.mean[r]) * c->ref.rstd[r], 1e-6);
    ps_free(&mean);
}

static void check_forward(ps_dtype type, const int *shape, bool centred)
{
    norm_case c;
    open_case(&c, type, shape[0], shape[1], centred);
    run_forward(&c);
    ck_assert_double_lt(ps_test_error(&device, c.n.y, c.ref.y), c.tolerance);
    /* of one column the variance is 0 but for epsilon */
    ck_assert_double_lt(ps_test_error(&device, c.n.rstd, c.ref.rstd), 4e-6);
    if (centred)
        check_means(&c);
    close_case(&c);
}

START_TEST(rows_are_normalised_as_in_float64)
{
    if (ps_test_leave_out((int64_t)shapes[_i][0] * shapes[_i][1]))
        return;
    for (int t = 0; t < PS_TEST_TYPES; t++) {
        check_forward(ps_test_types[t], shapes[_i], true);
        check_forward(ps_test_types[t], shapes[_i], false);
    }
}
END_TEST

/* Numbers of 1000 ± 1, so many that their sum is imprecise: what is squared must be the difference.
 */
START_TEST(a_mean_far_from_zero_costs_no_precision)
{
    norm_case c;
    enum { ROWS = 4, COLUMNS = 8192 };
    open_case(&c, PS_DTYPE_F32, ROWS, COLUMNS, true);
    float *x = ps_test_read(&device, c.n.x);
    double *shifted = doubles(ROWS * COLUMNS);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        shifted[i] = (double)(x[i] += 1000);
    ps_copy_to_device(device.stream, c.n.x, x, ps_tensor_bytes(c.n.x));
    free((void *)(uintptr_t)c.ref.x);
    c.ref.x = shifted;
    ps_ref64_norm_forward(&c.ref);
    run_forward(&c);
    ck_assert_double_lt(ps_test_error(&device, c.n.y, c.ref.y), 2e-5);
    ps_free(&x);
    close_case(&c);
}
END_TEST

typedef struct gradients {
    ps_tensor dy, dx, dgain, dbias;
    double *dy64, *dx64, *dgain64, *dbias64; /* wanted, of dgain and dbias the whole result */
} gradients;

/* beta 0: dgain and dbias hold NaN before. */
static void open_gradients(gradients *g, const norm_case *c, float beta)
{
    int rows = c->ref.rows, n = c->ref.n;
    *g = (gradients){.dy = ps_test_real(&device, c->n.x.dtype, rows, n, NULL),
                     .dx = ps_test_real(&device, c->n.x.dtype, rows, n, NULL),
                     .dgain = ps_test_f32(&device, 0, n, NULL),
                     .dbias = ps_test_f32(&device, 0, n, NULL),
                     .dx64 = doubles((int64_t)rows * n),
                     .dgain64 = doubles(n),
                     .dbias64 = doubles(n)};
    g->dy64 = ps_test_read64(&device, g->dy);
    ps_ref64_norm_backward(&c->ref, g->dy64, g->dx64, g->dgain64, c->centred ? g->dbias64 : NULL);
    double *gain = ps_test_read64(&device, g->dgain), *bias = ps_test_read64(&device, g->dbias);
    for (int i = 0; i < n; i++) {
        g->dgain64[i] += (double)beta * gain[i];
        g->dbias64[i] += (double)beta * bias[i];
    }
    if (beta == 0) {
        ps_op_fill(device.stream, g->dgain, NAN);
        ps_op_fill(device.stream, g->dbias, NAN);
    }
    ps_free(&gain);
    ps_free(&bias);
}

static void close_gradients(gradients *g)
{
    ps_free(&g->dy64);
    ps_free(&g->dx64);
    ps_free(&g->dgain64);
    ps_free(&g->dbias64);
}

static void run_backward(const norm_case *c, const gradients *g, ps_tensor dx, float beta, bool add)
{
    ps_norm_backward b = {.dx = dx,
                          .dgain = g->dgain,
                          .dbias = c->centred ? g->dbias : (ps_tensor){0},
                          .dy = g->dy,
                          .x = c->n.x,
                          .gain = c->n.gain,
                          .mean = c->n.mean,
                          .rstd = c->n.rstd,
                          .beta = beta,
                          .add_dx = add};
    if (c->centred)
        ps_op_layernorm_backward(device.stream, &b);
    else
        ps_op_rmsnorm_backward(device.stream, &b);
}

static void check_backward(ps_dtype type, const int *shape, bool centred, float beta, bool add)
{
    norm_case c;
    gradients g;
    open_case(&c, type, shape[0], shape[1], centred);
    open_gradients(&g, &c, beta);
    run_forward(&c);
    ps_tensor dx = add ? g.dx : g.dy; /* else over dy, which is allowed */
    double *before = ps_test_read64(&device, g.dx);
    for (int i = 0; add && i < shape[0] * shape[1]; i++)
        g.dx64[i] += before[i];
    run_backward(&c, &g, dx, beta, add);
    double e = ps_test_error(&device, dx, g.dx64);
    if (shape[1] > 2) /* of one or two columns the gradient is the difference of equals */
        ck_assert_msg(e < ps_test_tolerance(type, 2e-5), "%d × %d: dx off by %g", shape[0],
                      shape[1], e);
    ck_assert_double_lt(ps_test_error(&device, g.dgain, g.dgain64), 1e-5);
    if (centred)
        ck_assert_double_lt(ps_test_error(&device, g.dbias, g.dbias64), 1e-5);
    ps_free(&before);
    close_gradients(&g);
    close_case(&c);
}

START_TEST(gradients_agree_with_float64)
{
    if (ps_test_leave_out((int64_t)shapes[_i][0] * shapes[_i][1]))
        return;
    for (int i = 0; i < 8; i++)
        check_backward(ps_test_types[i & 1], shapes[_i], i & 2, i & 4 ? 1.0f : 0.0f, i & 4);
}
END_TEST

/* dx64 = rstd·(g - mean(g)), g = dy·gain; rmsnorm: rstd·g */
static void with_constant_rstd(const norm_case *c, gradients *g)
{
    int n = c->ref.n;
    for (int row = 0; row < c->ref.rows; row++) {
        const double *dy = g->dy64 + row * n;
        double mean = c->centred ? ps_ref64_dot(dy, c->ref.gain, (size_t)n) / n : 0;
        for (int i = 0; i < n; i++)
            g->dx64[row * n + i] = c->ref.rstd[row] * (dy[i] * c->ref.gain[i] - mean);
    }
}

/* In dy's place, with nothing of the gain's and the bias's. */
static void check_input_alone(ps_dtype type, const int *shape, bool centred, bool constant_rstd)
{
    norm_case c;
    gradients g;
    open_case(&c, type, shape[0], shape[1], centred);
    open_gradients(&g, &c, 1);
    run_forward(&c);
    if (constant_rstd)
        with_constant_rstd(&c, &g);
    ps_norm_backward b = {.dx = g.dy,
                          .dy = g.dy,
                          .x = c.n.x,
                          .gain = c.n.gain,
                          .mean = c.n.mean,
                          .rstd = c.n.rstd,
                          .constant_rstd = constant_rstd};
    if (centred)
        ps_op_layernorm_backward(device.stream, &b);
    else
        ps_op_rmsnorm_backward(device.stream, &b);
    ck_assert_double_lt(ps_test_error(&device, g.dy, g.dx64), ps_test_tolerance(type, 2e-5));
    close_gradients(&g);
    close_case(&c);
}

START_TEST(the_gradient_of_the_input_alone_and_with_a_constant_deviation)
{
    const int *shape = shapes[2 + _i % 3];
    for (int i = 0; i < 8; i++)
        check_input_alone(ps_test_types[i & 1], shape, i & 2, i & 4);
}
END_TEST

/* HEADS rows of n in each of STORED longer ones. */
enum { STORED = 13, HEADS = 3, PACKED = STORED * HEADS };

/* t [STORED,ld] -> rows of n one after the other */
static double *gather(ps_tensor t, int ld, int n)
{
    double *all = ps_test_read64(&device, t), *out = doubles((int64_t)PACKED * n);
    for (int i = 0; i < PACKED * n; i++)
        out[i] = all[i / (HEADS * n) * ld + i % (HEADS * n)];
    ps_free(&all);
    return out;
}

/* The same tensor seen as ps_norm wants it. */
static ps_tensor heads_of(ps_tensor t, int n)
{
    t.shape[0] = PACKED;
    t.shape[1] = n;
    return t;
}

typedef struct packed_case {
    ps_tensor x, y, dy, dgain; /* [STORED,ld_x], others [STORED,ld_y] */
    int n, ld_x, ld_y;
    ps_norm norm;
    ps_ref64_norm ref; /* dense */
} packed_case;

static void open_packed(packed_case *c, ps_dtype type, int n, float offset)
{
    ps_test_device_open(&device, ps_test_backend());
    *c = (packed_case){.n = n, .ld_x = HEADS * n + 5, .ld_y = HEADS * n + 2 * n};
    c->x = ps_test_real(&device, type, STORED, c->ld_x, NULL);
    c->y = ps_test_real(&device, type, STORED, c->ld_y, NULL);
    c->dy = ps_test_real(&device, type, STORED, c->ld_y, NULL);
    c->dgain = ps_test_f32(&device, 0, n, NULL);
    c->norm = (ps_norm){.x = heads_of(c->x, n),
                        .y = heads_of(c->y, n),
                        .gain = ps_test_real(&device, type, 0, n, NULL),
                        .rstd = ps_test_f32(&device, 0, PACKED, NULL),
                        .epsilon = EPSILON,
                        .gain_offset = offset,
                        .each = HEADS,
                        .ld_x = c->ld_x,
                        .ld_y = c->ld_y};
    double *gain = ps_test_read64(&device, c->norm.gain);
    for (int i = 0; i < n; i++)
        gain[i] += (double)offset;
    c->ref = (ps_ref64_norm){.rows = PACKED,
                             .n = n,
                             .epsilon = (double)EPSILON,
                             .x = gather(c->x, c->ld_x, n),
                             .gain = gain,
                             .y = doubles((int64_t)PACKED * n),
                             .mean = doubles(PACKED),
                             .rstd = doubles(PACKED)};
    ps_ref64_norm_forward(&c->ref);
}

static void close_packed(packed_case *c)
{
    free((void *)(uintptr_t)c->ref.x);
    free((void *)(uintptr_t)c->ref.gain);
    ps_free(&c->ref.y);
    ps_free(&c->ref.mean);
    ps_free(&c->ref.rstd);
    ps_test_device_close(&device);
}

/* The heads are as wanted, and what lies behind them is as it was. */
static void check_packed(ps_tensor t, int ld, int n, const double *before, const double *want,
                         double tolerance)
{
    double *after = ps_test_read64(&device, t);
    float *heads = ps_alloc_array((size_t)(PACKED * n), sizeof *heads);
    for (int i = 0; i < STORED * ld; i++) {
        if (i % ld < HEADS * n)
            heads[i / ld * HEADS * n + i % ld] = (float)after[i];
        else
            ck_assert_double_eq(after[i], before[i]);
    }
    ck_assert_double_lt(ps_ref64_error(heads, want, (size_t)(PACKED * n)), tolerance);
    ps_free(&after);
    ps_free(&heads);
}

static void check_packed_backward(packed_case *c, ps_dtype type, double *dy)
{
    int n = c->n;
    double *dx = doubles((int64_t)PACKED * n), *dgain = doubles(n);
    double *before = ps_test_read64(&device, c->dy);
    ps_ref64_norm_backward(&c->ref, dy, dx, dgain, NULL);
    ps_op_rmsnorm_backward(device.stream, &(ps_norm_backward){.dx = heads_of(c->dy, n),
                                                              .dgain = c->dgain,
                                                              .dy = heads_of(c->dy, n),
                                                              .x = c->norm.x,
                                                              .gain = c->norm.gain,
                                                              .rstd = c->norm.rstd,
                                                              .gain_offset = c->norm.gain_offset,
                                                              .each = HEADS,
                                                              .ld_x = c->ld_x,
                                                              .ld_dy = c->ld_y});
    check_packed(c->dy, c->ld_y, n, before, dx, ps_test_tolerance(type, 2e-5));
    ck_assert_double_lt(ps_test_error(&device, c->dgain, dgain), 1e-5);
    ps_free(&dx);
    ps_free(&dgain);
    ps_free(&before);
}

/* As the queries and keys of Qwen 3 and Gemma 3 are; Gemma's gain is 1 more than its parameter. */
static void check_heads(ps_dtype type, int n, float offset)
{
    packed_case c;
    open_packed(&c, type, n, offset);
    double *y = ps_test_read64(&device, c.y), *x = ps_test_read64(&device, c.x);
    double *dy = gather(c.dy, c.ld_y, n), tolerance = ps_test_tolerance(type, 4e-6);
    ps_op_rmsnorm(device.stream, &c.norm);
    check_packed(c.y, c.ld_y, n, y, c.ref.y, tolerance);
    check_packed_backward(&c, type, dy);
    c.norm.y = c.norm.x;
    c.norm.ld_y = c.norm.ld_x;
    ps_op_rmsnorm(device.stream, &c.norm);
    check_packed(c.x, c.ld_x, n, x, c.ref.y, tolerance);
    ps_free(&y);
    ps_free(&x);
    ps_free(&dy);
    close_packed(&c);
}

START_TEST(heads_of_packed_rows_are_normalised_where_they_are)
{
    static const int widths[] = {5, 64, 128};
    for (int i = 0; i < 4; i++)
        check_heads(ps_test_types[i & 1], widths[_i], i & 2 ? 1.0f : 0.0f);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &heads_of_packed_rows_are_normalised_where_they_are, .repeat = 3},
    {.test = &rows_are_normalised_as_in_float64, .repeat = SHAPES},
    {.test = &a_mean_far_from_zero_costs_no_precision},
    {.test = &gradients_agree_with_float64, .repeat = SHAPES},
    {.test = &the_gradient_of_the_input_alone_and_with_a_constant_deviation, .repeat = 3},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_norm", tests);
}
