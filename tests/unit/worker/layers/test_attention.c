/* The attention layer against float64, alone and between the projections that its models have; its
 * gradients, and those of the projections through it, against finite differences there. */
#include "worker/layers/attention.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"
#include "tests/lib/ref64_transformer.h"
#include "worker/layers/linear.h"

#include <math.h>
#include <string.h>

typedef struct shape {
    int batch, length, heads, kv_heads, head_dim, hidden;
    double theta; /* 0: not turned */
    bool gpt2;    /* one projection with a bias, stored [in,out]; else three without, [out,in] */
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, 2, 3, 10000, false}, {2, 5, 4, 2, 6, 9, 10000, false},
    {3, 7, 3, 1, 5, 7, 0, false},     {1, 9, 6, 3, 4, 11, 100, false},
    {3, 1, 2, 2, 8, 5, 100, false},   {2, 6, 2, 2, 4, 8, 0, true},
    {1, 11, 3, 3, 3, 5, 0, true},     {1, 1, 1, 1, 3, 2, 0, true},
};
#define SHAPES (int)(sizeof shapes / sizeof *shapes)
#define CASES  (SHAPES * PS_TEST_TYPES)

enum { MOST = 600, POSITIONS = 40 }; /* of elements of any tensor */

static ps_test_device device;

typedef struct fixture {
    shape s;
    int rows, width, columns; /* of packed; of y */
    ps_attention_layer layer;
    ps_linear out, in[3]; /* in gpt2 the first alone */
    ps_tensor x, packed, y, lse, result, dresult, dy, dpacked, delta, dx;
    ps_tensor weight, bias, weight_gradient, bias_gradient; /* of all of `in` */
    int32_t positions[MOST];
    /* what the references read and write */
    double x64[MOST], weight64[MOST], bias64[MOST], out_weight64[MOST], out_bias64[MOST];
    double packed64[MOST], y64[MOST], lse64[MOST], result64[MOST], dy64[MOST], dresult64[MOST];
} fixture;

static fixture f;

/* Values so small that no softmax is near one of its ends. Copies them into out, unless NULL. */
static ps_tensor draw(ps_dtype type, int rows, int columns, double size, double *out)
{
    float values[MOST];
    int n = (rows ? rows : 1) * columns;
    ck_assert_int_le(n, MOST);
    for (int i = 0; i < n; i++)
        values[i] = (float)(size * ps_rng_normal(&device.rng));
    ps_tensor t = ps_test_real(&device, type, rows, columns, values);
    double *rounded = ps_test_read64(&device, t);
    if (out)
        memcpy(out, rounded, (size_t)n * sizeof *out);
    ps_free(&rounded);
    return t;
}

/* Those of queries, keys or values: so many rows of the [out,in] of all three. */
static ps_tensor rows_of(ps_tensor all, ps_attention_part part)
{
    const int begin[] = {0, f.s.heads, f.s.heads + f.s.kv_heads};
    all.offset += (size_t)(begin[part] * f.s.head_dim * f.s.hidden) * ps_dtype_bytes(all.dtype);
    return ps_tensor_head(all, (part ? f.s.kv_heads : f.s.heads) * f.s.head_dim);
}

static void open_projections(ps_dtype type)
{
    int hidden = f.s.hidden, width = f.width;
    f.weight = draw(type, f.s.gpt2 ? hidden : width, f.s.gpt2 ? width : hidden, 0.3, f.weight64);
    f.weight_gradient = ps_test_f32(&device, f.weight.shape[0], f.weight.shape[1], NULL);
    f.out = (ps_linear){.input_major = f.s.gpt2,
                        .weight = draw(type, f.s.gpt2 ? f.columns : hidden,
                                       f.s.gpt2 ? hidden : f.columns, 0.3, f.out_weight64)};
    f.out.weight_gradient =
        ps_test_f32(&device, f.out.weight.shape[0], f.out.weight.shape[1], NULL);
    if (!f.s.gpt2) {
        for (ps_attention_part p = PS_ATTENTION_QUERIES; p <= PS_ATTENTION_VALUES; p++)
            f.in[p] = (ps_linear){.weight = rows_of(f.weight, p),
                                  .weight_gradient = rows_of(f.weight_gradient, p)};
        return;
    }
    f.bias = draw(type, 0, width, 0.3, f.bias64);
    f.bias_gradient = ps_test_f32(&device, 0, width, NULL);
    f.in[0] = (ps_linear){f.weight, f.bias, f.weight_gradient, f.bias_gradient, true};
    f.out.bias = draw(type, 0, hidden, 0.3, f.out_bias64);
    f.out.bias_gradient = ps_test_f32(&device, 0, hidden, NULL);
}

/* Positions of a row are neither its number nor the same in each sequence. */
static void open_positions(void)
{
    float table[POSITIONS * MOST];
    for (int r = 0; r < f.rows; r++)
        f.positions[r] = r % f.s.length * 3 + r / f.s.length;
    ck_assert_int_lt(f.positions[f.rows - 1], POSITIONS);
    if (f.s.theta == 0)
        return;
    double frequencies[16];
    ck_assert_int_le(f.s.head_dim / 2, 16);
    for (int64_t i = 0; i < f.s.head_dim / 2; i++)
        frequencies[i] = pow(f.s.theta, -2.0 * (double)i / (double)f.s.head_dim);
    ps_attention_rope_table(table, POSITIONS, frequencies, f.s.head_dim / 2, 1);
    f.layer.rope = ps_test_f32(&device, POSITIONS, f.s.head_dim / 2 * 2, table);
    f.layer.rope.rank = 3;
    f.layer.rope.shape[1] = f.s.head_dim / 2;
    f.layer.rope.shape[2] = 2;
    f.layer.positions = ps_test_i32(&device, f.rows, f.positions);
}

static void open_fixture(int number)
{
    ps_dtype type = ps_test_types[number % PS_TEST_TYPES];
    ps_test_device_open(&device, "cpu");
    f = (fixture){.s = shapes[number / PS_TEST_TYPES]};
    f.layer = (ps_attention_layer){
        .heads = f.s.heads, .kv_heads = f.s.kv_heads, .head_dim = f.s.head_dim};
    f.rows = f.s.batch * f.s.length;
    f.columns = f.s.heads * f.s.head_dim;
    f.width = f.columns + 2 * f.s.kv_heads * f.s.head_dim;
    ck_assert_int_eq(ps_attention_layer_width(&f.layer), f.width);
    f.x = draw(type, f.rows, f.s.hidden, 1, f.x64);
    f.packed = draw(type, f.rows, f.width, 0.8, f.packed64);
    f.dresult = draw(type, f.rows, f.s.hidden, 1, f.dresult64);
    f.dy = draw(type, f.rows, f.columns, 1, f.dy64);
    f.y = draw(type, f.rows, f.columns, 1, NULL);
    f.result = draw(type, f.rows, f.s.hidden, 1, NULL);
    f.dpacked = draw(type, f.rows, f.width, 1, NULL);
    f.dx = draw(type, f.rows, f.s.hidden, 1, NULL);
    f.lse = draw(PS_DTYPE_F32, 0, f.rows * f.s.heads, 1, NULL);
    f.delta = draw(PS_DTYPE_F32, 0, f.rows * f.s.heads, 1, NULL);
    open_positions();
    open_projections(type);
}

static void close_fixture(void)
{
    ps_test_device_close(&device);
}

/* ---- the references ---- */

/* Columns [begin, begin + n) of packed64, turned if they are to be. */
static void part64(double *out, int begin, int heads, bool turned)
{
    int n = heads * f.s.head_dim;
    for (int r = 0; r < f.rows; r++)
        memcpy(out + r * n, f.packed64 + r * f.width + begin, (size_t)n * sizeof *out);
    if (turned && f.s.theta > 0)
        ps_ref64_rope(out, f.rows, heads, f.s.head_dim, f.positions, f.s.theta, false);
}

/* packed64 -> y64, lse64 */
static void attend64(void)
{
    double q[MOST], k[MOST], v[MOST];
    int keys = f.s.kv_heads * f.s.head_dim;
    part64(q, 0, f.s.heads, true);
    part64(k, f.columns, f.s.kv_heads, true);
    part64(v, f.columns + keys, f.s.kv_heads, false);
    ps_ref64_attention_forward(
        &(ps_ref64_attention){f.s.batch, f.s.length, f.s.length, f.s.heads, f.s.kv_heads,
                              f.s.head_dim, true, 1 / sqrt(f.s.head_dim), q, k, v, f.y64, f.lse64});
}

static void linear64(double *y, int out, const double *x, int in, const double *weight,
                     const double *bias)
{
    for (int i = 0; i < f.rows * out; i++)
        y[i] = bias[i % out];
    ps_ref64_gemm(false, !f.s.gpt2, f.rows, out, in, 1, x, in, weight, f.s.gpt2 ? out : in, 1, y,
                  out);
}

/* The sum over y·dy, from packed64, and over result·dresult, from x64: the slope along an input is
 * that input's gradient. */
static double attended_cb(void *context)
{
    (void)context;
    attend64();
    return ps_ref64_dot(f.y64, f.dy64, (size_t)(f.rows * f.columns));
}

static double projected_cb(void *context)
{
    (void)context;
    linear64(f.packed64, f.width, f.x64, f.s.hidden, f.weight64, f.bias64);
    attend64();
    linear64(f.result64, f.s.hidden, f.y64, f.columns, f.out_weight64, f.out_bias64);
    return ps_ref64_dot(f.result64, f.dresult64, (size_t)(f.rows * f.s.hidden));
}

/* roundings: how often values are rounded to the layer's type on the longest way to got, each off
 * by 2^-8 of the largest at most. The values drawn keep scores near 0, so that attention enlarges
 * none of that. */
static double tolerance_of(int roundings)
{
    return 3e-6 + (f.x.dtype == PS_DTYPE_BF16 ? roundings / 256.0 : 0);
}

static void check(ps_tensor got, const double *want, int roundings, const char *name)
{
    double e = ps_test_error(&device, got, want), tolerance = tolerance_of(roundings);
    ck_assert_msg(e < tolerance, "%s: off by %g, and %g is the most", name, e, tolerance);
}

static void check_slopes(ps_ref64_cb loss_cb, ps_tensor got, double *x64, int roundings,
                         const char *name)
{
    double want[MOST];
    ps_ref64_differences(loss_cb, NULL, x64, (size_t)ps_tensor_count(got), want);
    check(got, want, roundings, name);
}

/* ---- the layer alone ---- */

static void attend_backward(void)
{
    ps_attention_layer_backward(device.stream, &f.layer,
                                &(ps_attention_layer_gradient){.dpacked = f.dpacked,
                                                               .dy = f.dy,
                                                               .y = f.y,
                                                               .lse = f.lse,
                                                               .packed = f.packed,
                                                               .delta = f.delta,
                                                               .batch = f.s.batch});
}

/* Turned once (of lse: queries and keys), and y rounded once. Without lse, y is the same. */
START_TEST(forward_agrees_with_float64)
{
    open_fixture(_i);
    ps_tensor again = draw(f.packed.dtype, f.rows, f.width, 1, NULL);
    ps_tensor same = draw(f.packed.dtype, f.rows, f.columns, 1, NULL);
    ps_copy(device.stream, again, f.packed);
    attend64();
    ps_attention_layer_forward(device.stream, &f.layer, f.y, f.lse, f.packed, f.s.batch);
    check(f.y, f.y64, 2, "y");
    check(f.lse, f.lse64, 2, "lse");
    ps_attention_layer_forward(device.stream, &f.layer, same, (ps_tensor){0}, again, f.s.batch);
    check(same, f.y64, 2, "y without lse");
    close_fixture();
}
END_TEST

/* Turned, y and dpacked rounded, dpacked turned back. */
START_TEST(gradients_agree_with_finite_differences)
{
    open_fixture(_i);
    ps_attention_layer_forward(device.stream, &f.layer, f.y, f.lse, f.packed, f.s.batch);
    attend_backward();
    check_slopes(attended_cb, f.dpacked, f.packed64, 4, "dpacked");
    close_fixture();
}
END_TEST

/* Queries and keys of 0 weigh all alike, and values are 1: y is 1 in the mean, and its variance
 * that of the mean of as many numbers as there are keys. */
START_TEST(dropout_keeps_means_and_has_its_variance)
{
    enum { HEADS = 8, LENGTH = 400, WIDTH = 3 * HEADS };
    ps_test_device_open(&device, "cpu");
    ps_attention_layer layer = {.heads = HEADS,
                                .kv_heads = HEADS,
                                .head_dim = 1,
                                .dropout = 0.2f,
                                .dropout_seed = 77,
                                .dropout_offset = 3};
    float *values = ps_alloc_array(LENGTH * WIDTH, sizeof *values);
    for (int i = 0; i < LENGTH * WIDTH; i++)
        values[i] = i % WIDTH < 2 * HEADS ? 0 : 1;
    ps_tensor packed = ps_test_f32(&device, LENGTH, WIDTH, values);
    ps_tensor y = ps_test_f32(&device, LENGTH, HEADS, NULL);
    ps_attention_layer_forward(device.stream, &layer, y, (ps_tensor){0}, packed, 1);
    double *got = ps_test_read64(&device, y), mean = 0, variance = 0;
    for (int i = 0; i < LENGTH * HEADS; i++) {
        int keys = i / HEADS + 1;
        mean += (got[i] - 1) * sqrt(keys) / (LENGTH * HEADS);
        variance += (got[i] - 1) * (got[i] - 1) * keys / (LENGTH * HEADS);
    }
    /* four deviations of each, of numbers that are nearly normal */
    ck_assert_double_lt(fabs(mean), 4 * sqrt(0.25 / (LENGTH * HEADS)));
    ck_assert_double_lt(fabs(variance / 0.25 - 1), 4 * sqrt(2.0 / (LENGTH * HEADS)));
    ps_free(&values);
    ps_free(&got);
    ps_test_device_close(&device);
}
END_TEST

static ps_tensor from_row(ps_tensor t, int row, int n)
{
    t.offset += (size_t)(row * t.shape[1]) * ps_dtype_bytes(t.dtype);
    return ps_tensor_head(t, n);
}

static ps_attention_cache open_cache(ps_dtype type)
{
    int columns = f.s.kv_heads * f.s.head_dim;
    return (ps_attention_cache){.k = draw(type, f.s.length, columns, 1, NULL),
                                .v = draw(type, f.s.length, columns, 1, NULL)};
}

/* The first sequence in steps of 1, 2, 3, … tokens. */
START_TEST(a_sequence_that_goes_on_agrees_with_float64)
{
    open_fixture(_i);
    attend64();
    ps_attention_cache cache = open_cache(f.packed.dtype);
    ps_tensor positions = f.layer.positions;
    for (int before = 0, n = 1; before < f.s.length; before += n, n++) {
        n = n < f.s.length - before ? n : f.s.length - before;
        if (f.s.theta > 0)
            f.layer.positions.offset = positions.offset + (size_t)before * sizeof(int32_t);
        ps_attention_layer_extend(device.stream, &f.layer, from_row(f.y, before, n),
                                  from_row(f.packed, before, n), &cache, before);
    }
    check(ps_tensor_head(f.y, f.s.length), f.y64, 2, "y");
    close_fixture();
}
END_TEST

/* ---- between its projections ---- */

static void project_in(void)
{
    if (f.s.gpt2) {
        ps_linear_forward(device.stream, &f.in[0], f.packed, 0, f.x);
        return;
    }
    for (ps_attention_part p = PS_ATTENTION_QUERIES; p <= PS_ATTENTION_VALUES; p++)
        ps_linear_forward(device.stream, &f.in[p], ps_attention_layer_part(&f.layer, f.packed, p),
                          f.width, f.x);
}

static void project_in_backward(void)
{
    for (int p = 0; p < (f.s.gpt2 ? 1 : 3); p++) {
        ps_tensor d = f.dpacked;
        if (!f.s.gpt2)
            d = ps_attention_layer_part(&f.layer, d, (ps_attention_part)p);
        ps_linear_backward_weight(device.stream, &f.in[p], d, f.width, f.x, 0);
        ps_linear_backward_input(device.stream, &f.in[p], f.dx, d, f.width, p ? 1 : 0);
    }
    if (f.s.gpt2)
        ps_linear_backward_bias(device.stream, &f.in[0], f.dpacked, 0, 0);
}

/* Rounded on the way: packed, turned, y, result; dy, dpacked, turned back; dx thrice. */
START_TEST(gradients_of_projections_agree_with_finite_differences)
{
    open_fixture(_i);
    project_in();
    ps_attention_layer_forward(device.stream, &f.layer, f.y, f.lse, f.packed, f.s.batch);
    ps_linear_forward(device.stream, &f.out, f.result, 0, f.y);
    (void)projected_cb(NULL);
    check(f.result, f.result64, 4, "result");
    ps_linear_backward_weight(device.stream, &f.out, f.dresult, 0, f.y, 0);
    ps_linear_backward_input(device.stream, &f.out, f.dy, f.dresult, 0, 0);
    attend_backward();
    project_in_backward();
    check_slopes(projected_cb, f.out.weight_gradient, f.out_weight64, 3, "output weight");
    check_slopes(projected_cb, f.weight_gradient, f.weight64, 6, "q, k, v weight");
    check_slopes(projected_cb, f.dx, f.x64, 9, "x");
    if (f.s.gpt2) {
        ps_linear_backward_bias(device.stream, &f.out, f.dresult, 0, 0);
        check_slopes(projected_cb, f.out.bias_gradient, f.out_bias64, 0, "output bias");
        check_slopes(projected_cb, f.bias_gradient, f.bias64, 6, "q, k, v bias");
    }
    close_fixture();
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &forward_agrees_with_float64, .repeat = CASES},
    {.test = &dropout_keeps_means_and_has_its_variance},
    {.test = &gradients_agree_with_finite_differences, .repeat = CASES},
    {.test = &a_sequence_that_goes_on_agrees_with_float64, .repeat = CASES},
    {.test = &gradients_of_projections_agree_with_finite_differences, .repeat = CASES},
    {0},
};

int main(void)
{
    return ps_check_main("layers/attention", tests);
}
