/* Optimizers, clipping, random bits, casts and quantisation of every backend. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"
#include "tests/lib/ref64_update.h"

#include <math.h>
#include <string.h>

static ps_test_device device;

/* Around the places where vectors, pieces of a thread's and blocks of BF16 change over. */
static const int64_t sizes[] = {1, 7, 16, 33, 1023, 1025, 16385, 100003};
#define SIZES (int)(sizeof sizes / sizeof *sizes)

START_TEST(adamw_agrees_with_float64_over_many_steps)
{
    if (ps_test_leave_out(30 * sizes[_i]))
        return;
    ps_test_device_open(&device, ps_test_backend());
    int64_t n = sizes[_i] < 2000 ? sizes[_i] : 20000;
    ps_tensor p = ps_test_f32(&device, 0, n, NULL), g = ps_test_f32(&device, 0, n, NULL);
    ps_tensor m = ps_test_f32(&device, 0, n, NULL), v = ps_test_f32(&device, 0, n, NULL);
    ps_op_fill(device.stream, m, 0);
    ps_op_fill(device.stream, v, 0);
    double *p64 = ps_test_read64(&device, p), *g64 = ps_test_read64(&device, g);
    double *m64 = ps_test_read64(&device, m), *v64 = ps_test_read64(&device, v);
    ps_adamw a = {p, m, v, g, 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 0};
    ps_ref64_adamw ref = {(double)a.rate, (double)a.beta1, (double)a.beta2, (double)a.epsilon,
                          (double)a.decay};
    for (int step = 1; step <= 30; step++) {
        a.step = step;
        ps_op_adamw(device.stream, &a);
        ps_ref64_adamw_step(&ref, step, (int)n, p64, m64, v64, g64);
        ps_op_scale(device.stream, g, -0.75f); /* another gradient */
        for (int64_t i = 0; i < n; i++)
            g64[i] *= -0.75;
    }
    ck_assert_double_lt(ps_test_error(&device, p, p64), 5e-6);
    ck_assert_double_lt(ps_test_error(&device, m, m64), 5e-6);
    ck_assert_double_lt(ps_test_error(&device, v, v64), 1e-5);
    ps_free(&p64);
    ps_free(&g64);
    ps_free(&m64);
    ps_free(&v64);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(clipping_shortens_what_is_longer_and_nothing_else)
{
    if (ps_test_leave_out(sizes[_i]))
        return;
    ps_test_device_open(&device, ps_test_backend());
    int64_t n = sizes[_i];
    ps_tensor x = ps_test_f32(&device, 0, n, NULL), norm = ps_test_f32(&device, 0, 1, NULL);
    double *want = ps_test_read64(&device, x), sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += want[i] * want[i];
    ps_op_squared_norm(device.stream, norm, x, false);
    ps_op_clip_norm(device.stream, x, norm, 1.01f * (float)sqrt(sum));
    ck_assert_double_eq(ps_test_error(&device, x, want), 0);
    double limit = 0.25 * sqrt(sum); /* below the norm, whatever was drawn */
    ps_op_clip_norm(device.stream, x, norm, (float)limit);
    for (int64_t i = 0; i < n; i++)
        want[i] *= 0.25;
    ck_assert_double_lt(ps_test_error(&device, x, want), 5e-7);

    ps_op_squared_norm(device.stream, norm, x, false);
    ps_op_squared_norm(device.stream, norm, x, true);
    double twice = 2 * limit * limit;
    ck_assert_double_lt(ps_test_error(&device, norm, &twice), 2e-6);
    ps_free(&want);
    ps_test_device_close(&device);
}
END_TEST

/* Random123's own vectors (kat_vectors, philox4x32 10), so that the reference is the real one. */
START_TEST(the_reference_makes_the_published_random_words)
{
    static const uint32_t counters[3][4] = {{0, 0, 0, 0},
                                            {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF},
                                            {0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}};
    static const uint32_t keys[3][2] = {{0, 0}, {0xFFFFFFFF, 0xFFFFFFFF}, {0xA4093822, 0x299F31D0}};
    static const uint32_t want[3][4] = {{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8},
                                        {0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD},
                                        {0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}};
    uint32_t got[4];
    ps_ref64_philox(counters[_i], keys[_i], got);
    ck_assert_mem_eq(got, want[_i], sizeof got);
}
END_TEST

static void check_dropout(ps_dtype type, int64_t n, float rate, uint64_t seed, uint64_t offset)
{
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor x = ps_test_real(&device, type, 0, n, NULL);
    ps_tensor y = ps_test_real(&device, type, 0, n, NULL);
    double *want = ps_test_read64(&device, x);
    double *factors = ps_alloc_array((size_t)n, sizeof *factors);
    ps_ref64_dropout(factors, n, rate, seed, offset);
    for (int64_t i = 0; i < n; i++)
        want[i] *= factors[i];
    ps_dropout d = {.y = y, .x = x, .rate = rate, .seed = seed, .offset = offset};
    ps_op_dropout(device.stream, &d);
    ck_assert_double_lt(ps_test_error(&device, y, want), ps_test_tolerance(type, 2e-7));
    double *got = ps_test_read64(&device, y);
    for (int64_t i = 0; i < n; i++)
        ck_assert((got[i] == 0) == (want[i] == 0));
    d.y = x; /* in place */
    ps_op_dropout(device.stream, &d);
    ck_assert_double_eq(ps_test_error(&device, x, got), 0);
    ps_free(&factors);
    ps_free(&want);
    ps_free(&got);
    ps_test_device_close(&device);
}

START_TEST(dropout_keeps_what_its_random_words_say)
{
    if (ps_test_leave_out(sizes[_i]))
        return;
    for (int t = 0; t < PS_TEST_TYPES; t++) {
        check_dropout(ps_test_types[t], sizes[_i], 0.1f, 0, 0);
        check_dropout(ps_test_types[t], sizes[_i], 0.5f, 0x123456789ABCDEF0, 3);
        check_dropout(ps_test_types[t], sizes[_i], 0, 99, 5);
        /* here the counter's low half turns over */
        check_dropout(ps_test_types[t], sizes[_i], 0.4f, 99, (UINT64_C(1) << 34) - 500);
    }
}
END_TEST

START_TEST(dropout_drops_its_share)
{
    enum { N = 1000000 };
    if (ps_test_leave_out(N))
        return;
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor x = ps_test_f32(&device, 0, N, NULL);
    ps_op_fill(device.stream, x, 1);
    ps_op_dropout(device.stream, &(ps_dropout){.y = x, .x = x, .rate = 0.3f, .seed = 7});
    float *got = ps_test_read(&device, x);
    int dropped = 0;
    for (int i = 0; i < N; i++)
        dropped += got[i] == 0;
    ck_assert_double_eq_tol(dropped, 0.3 * N, 5 * sqrt(0.3 * 0.7 * N)); /* five deviations */
    ps_free(&got);
    ps_test_device_close(&device);
}
END_TEST

/* Every BF16 there is, what lies halfway to its neighbour, and a little to both sides of that. */
START_TEST(casts_round_to_the_nearest_with_ties_to_even)
{
    enum { N = 65536 * 4 };
    if (ps_test_leave_out(N))
        return;
    ps_test_device_open(&device, ps_test_backend());
    float *x = ps_alloc_array(N, sizeof *x);
    for (uint32_t i = 0; i < N; i++) {
        static const uint32_t low[] = {0, 0x7FFF, 0x8000, 0x8001};
        uint32_t bits = (i / 4) << 16 | low[i % 4];
        memcpy(&x[i], &bits, sizeof bits);
    }
    ps_tensor from = ps_test_f32(&device, 0, N, x),
              to = ps_test_real(&device, PS_DTYPE_BF16, 0, N, NULL);
    ps_tensor back = ps_test_f32(&device, 0, N, NULL);
    ps_op_cast(device.stream, to, from);
    ps_op_cast(device.stream, back, to);
    float *got = ps_test_read(&device, back);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t high = i / 4, bits;
        bool up = i % 4 == 3 || (i % 4 == 2 && high % 2);
        uint32_t want = (high + up) << 16;
        memcpy(&bits, &got[i], sizeof bits);
        if (isnan(x[i]))
            ck_assert_msg(isnan(got[i]), "a NaN became %g", (double)got[i]);
        else
            ck_assert_msg(bits == want, "%a became %a", (double)x[i], (double)got[i]);
    }
    ps_free(&x);
    ps_free(&got);
    ps_test_device_close(&device);
}
END_TEST

static void check_quantise(int64_t n, int64_t block)
{
    ps_test_device_open(&device, ps_test_backend());
    int64_t blocks = (n + block - 1) / block;
    ps_tensor x = ps_test_f32(&device, 0, n, NULL), scales = ps_test_f32(&device, 0, blocks, NULL);
    ps_tensor back = ps_test_f32(&device, 0, n, NULL),
              bytes = ps_test_i32(&device, (n + 3) / 4, NULL);
    ps_tensor q = ps_tensor_1d(bytes.buffer, 0, PS_DTYPE_I8, n);
    float *host = ps_test_read(&device, x);
    for (int64_t i = block; i < n && i < 2 * block; i++)
        host[i] = 0; /* the second block */
    ps_copy_to_device(device.stream, x, host, ps_tensor_bytes(x));
    ps_op_quantise(device.stream, q, scales, x, block);
    ps_op_dequantise(device.stream, back, q, scales, block);
    float *scale = ps_test_read(&device, scales), *got = ps_test_read(&device, back);
    int8_t *number = ps_test_read(&device, q);
    for (int64_t b = 0; b < blocks; b++) {
        float largest = 0;
        for (int64_t i = b * block; i < n && i < (b + 1) * block; i++)
            largest = fmaxf(largest, fabsf(host[i]));
        ck_assert_float_eq(scale[b], largest / 127);
    }
    for (int64_t i = 0; i < n; i++) {
        float s = scale[i / block];
        ck_assert_int_eq(number[i], s == 0 ? 0 : (int)nearbyint((double)(host[i] / s)));
        ck_assert_float_eq_tol(got[i], (float)number[i] * s, 1e-7f);
    }
    ps_free(&host);
    ps_free(&scale);
    ps_free(&got);
    ps_free(&number);
    ps_test_device_close(&device);
}

START_TEST(blocks_are_quantised_by_their_largest)
{
    static const int64_t blocks[] = {1, 5, 64, 4096};
    if (ps_test_leave_out(4 * sizes[_i]))
        return;
    for (int b = 0; b < 4; b++)
        check_quantise(sizes[_i], blocks[b]);
}
END_TEST

/* Where a number of a block is NaN or infinite, nothing that comes back may be taken for one of the
 * block; its neighbours are as they are without it. */
START_TEST(a_block_with_no_number_comes_back_as_none)
{
    enum { N = 200, BLOCK = 40, AT = 3 * BLOCK };
    const float none[] = {NAN, -NAN, INFINITY, -INFINITY};
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor x = ps_test_f32(&device, 0, N, NULL), back = ps_test_f32(&device, 0, N, NULL);
    ps_tensor scales = ps_test_f32(&device, 0, N / BLOCK, NULL);
    ps_tensor bytes = ps_test_i32(&device, N / 4, NULL);
    ps_tensor q = ps_tensor_1d(bytes.buffer, 0, PS_DTYPE_I8, N);
    float *host = ps_test_read(&device, x);
    for (int where = 0; where < BLOCK; where++) {
        float was = host[AT + where];
        host[AT + where] = none[where % 4];
        ps_copy_to_device(device.stream, x, host, ps_tensor_bytes(x));
        ps_op_quantise(device.stream, q, scales, x, BLOCK);
        ps_op_dequantise(device.stream, back, q, scales, BLOCK);
        float *got = ps_test_read(&device, back);
        for (int i = 0; i < N; i++)
            ck_assert_msg(!isfinite(got[i]) == (i / BLOCK == AT / BLOCK), "%d: %g", i,
                          (double)got[i]);
        host[AT + where] = was;
        ps_free(&got);
    }
    ps_free(&host);
    ps_test_device_close(&device);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &adamw_agrees_with_float64_over_many_steps, .repeat = SIZES},
    {.test = &clipping_shortens_what_is_longer_and_nothing_else, .repeat = SIZES},
    {.test = &the_reference_makes_the_published_random_words, .repeat = 3},
    {.test = &dropout_keeps_what_its_random_words_say, .repeat = SIZES},
    {.test = &dropout_drops_its_share},
    {.test = &casts_round_to_the_nearest_with_ties_to_even},
    {.test = &blocks_are_quantised_by_their_largest, .repeat = SIZES},
    {.test = &a_block_with_no_number_comes_back_as_none},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_update", tests);
}
