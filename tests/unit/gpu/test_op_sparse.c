/* The k largest of a row, lengths of rows and counts, of every backend: against a sort, and against
 * float64. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"

#include <math.h>
#include <stdlib.h>

static ps_test_device device;

typedef struct size {
    int64_t rows, columns, k;
} size;
static const size sizes[] = {{1, 1, 1},    {3, 7, 2},     {5, 33, 40},   {4, 128, 128},
                             {9, 257, 17}, {2, 2000, 60}, {70, 1030, 1}, {3, 40000, 320}};
#define SIZES (int)(sizeof sizes / sizeof *sizes)

static int larger(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The row's k-th largest of what is above 0 and not left out; 0: there are not so many. */
static float kth(const float *z, const float *left_out, int64_t n, int64_t k)
{
    float *kept = ps_alloc_array((size_t)n, sizeof *kept);
    for (int64_t i = 0; i < n; i++)
        kept[i] = z[i] > 0 && !(left_out && left_out[i] > 0) ? z[i] : 0;
    qsort(kept, (size_t)n, sizeof *kept, larger);
    float found = k <= n ? kept[k - 1] : 0;
    ps_free(&kept);
    return found;
}

static void check_row(const float *y, const float *z, const float *left_out, size of)
{
    float least = kth(z, left_out, of.columns, of.k);
    int64_t stays = 0, equal = 0, fits = 0;
    for (int64_t i = 0; i < of.columns; i++)
        fits += least > 0 && z[i] > least && !(left_out && left_out[i] > 0);
    for (int64_t i = 0; i < of.columns; i++) {
        bool seen = z[i] > 0 && !(left_out && left_out[i] > 0);
        bool is_equal = seen && z[i] == least;
        bool wanted = seen && (z[i] > least || (is_equal && fits + equal < of.k));
        equal += is_equal;
        ck_assert_msg(y[i] == (wanted ? z[i] : 0), "column %lld of %lld: %g of %g", (long long)i,
                      (long long)of.columns, (double)y[i], (double)z[i]);
        stays += y[i] > 0;
    }
    ck_assert_int_le(stays, of.k);
}

/* round: numbers in steps of a half, of which many are equal. */
static void check_topk(size of, bool round, bool leave_out)
{
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor z = ps_test_f32(&device, of.rows, of.columns, NULL),
              y = ps_test_f32(&device, of.rows, of.columns, NULL),
              without = ps_test_f32(&device, 0, of.columns, NULL);
    float *values = ps_test_read(&device, z), *left_out = ps_test_read(&device, without);
    for (int64_t i = 0; round && i < of.rows * of.columns; i++)
        values[i] = 0.5f * rintf(2 * values[i]);
    ps_copy_to_device(device.stream, z, values, ps_tensor_bytes(z));
    ps_op_topk(
        device.stream,
        &(ps_topk){.y = y, .z = z, .left_out = leave_out ? without : (ps_tensor){0}, .k = of.k});
    float *found = ps_test_read(&device, y);
    for (int64_t row = 0; row < of.rows; row++)
        check_row(found + row * of.columns, values + row * of.columns, leave_out ? left_out : NULL,
                  of);
    ps_free(&found);
    ps_free(&values);
    ps_free(&left_out);
    ps_test_device_close(&device);
}

START_TEST(the_k_largest_above_zero_stay)
{
    if (ps_test_leave_out(sizes[_i].rows * sizes[_i].columns))
        return;
    for (int how = 0; how < 4; how++)
        check_topk(sizes[_i], how & 1, how & 2);
}
END_TEST

/* As relu does: a loss that has no number is seen, and not taken for one of fewer latents. */
START_TEST(what_is_no_number_stays_none_beside_the_k_largest)
{
    const float z[] = {NAN, 3, -1, 5, NAN, 4}, left_out[] = {0, 0, 0, 0, 1, 0};
    const float wanted[] = {NAN, 0, 0, 5, 0, 4};
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor in = ps_test_f32(&device, 1, 6, z), without = ps_test_f32(&device, 0, 6, left_out),
              y = ps_test_f32(&device, 1, 6, NULL);
    ps_op_topk(device.stream, &(ps_topk){.y = y, .z = in, .left_out = without, .k = 2});
    float *found = ps_test_read(&device, y);
    for (int i = 0; i < 6; i++)
        ck_assert_msg(isnan(wanted[i]) ? isnan(found[i]) : found[i] == wanted[i], "%d: %g", i,
                      (double)found[i]);
    ps_free(&found);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(lengths_of_rows_and_their_gradients_are_those_of_float64)
{
    int64_t rows = sizes[_i].rows, n = sizes[_i].columns;
    if (ps_test_leave_out(rows * n))
        return;
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor x = ps_test_f32(&device, rows, n, NULL), dx = ps_test_f32(&device, rows, n, NULL),
              norms = ps_test_f32(&device, 0, rows, NULL),
              dnorms = ps_test_f32(&device, 0, rows, NULL);
    ps_op_scale(device.stream, ps_tensor_head(x, 1), 0); /* a row of zeros has no direction */
    double *x64 = ps_test_read64(&device, x), *want = ps_test_read64(&device, dx),
           *d64 = ps_test_read64(&device, dnorms), *lengths = ps_alloc_array((size_t)rows, 8);
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t i = 0; i < n; i++)
            lengths[row] += x64[row * n + i] * x64[row * n + i];
        lengths[row] = sqrt(lengths[row]);
        for (int64_t i = 0; i < n && lengths[row] > 0; i++)
            want[row * n + i] += d64[row] / lengths[row] * x64[row * n + i];
    }
    ps_op_row_norms(device.stream, norms, x);
    ps_op_row_norms_backward(device.stream, dx, dnorms, norms, x);
    ck_assert_double_lt(ps_test_error(&device, norms, lengths), 1e-6);
    ck_assert_double_lt(ps_test_error(&device, dx, want), 1e-6);
    ps_free(&x64);
    ps_free(&want);
    ps_free(&d64);
    ps_free(&lengths);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(numbers_above_zero_are_counted)
{
    int64_t n = sizes[_i].rows * sizes[_i].columns;
    if (ps_test_leave_out(n))
        return;
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor x = ps_test_f32(&device, 0, n, NULL), out = ps_test_i32(&device, 1, NULL);
    float *values = ps_test_read(&device, x);
    int32_t want = 0;
    values[0] = 0;
    for (int64_t i = 0; i < n; i++)
        want += values[i] > 0;
    ps_copy_to_device(device.stream, x, values, ps_tensor_bytes(x));
    ps_op_count_positive(device.stream, out, x);
    int32_t *found = ps_test_read(&device, out);
    ck_assert_int_eq(*found, want);
    ps_free(&found);
    ps_free(&values);
    ps_test_device_close(&device);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_k_largest_above_zero_stay, .repeat = SIZES},
    {&lengths_of_rows_and_their_gradients_are_those_of_float64, .repeat = SIZES},
    {&what_is_no_number_stays_none_beside_the_k_largest},
    {&numbers_above_zero_are_counted, .repeat = SIZES},
    {NULL},
};

int main(void)
{
    return ps_check_main("gpu/op_sparse", cases);
}
