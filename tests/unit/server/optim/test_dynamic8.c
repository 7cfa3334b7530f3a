/* The 8-bit code against golden values, and its promises over all of its range. */
#include "server/optim/dynamic8.h"

#include "tests/lib/check_main.h"
#include "tests/unit/server/optim/dynamic8_golden.h"

#include "common/base/rng.h"

#include <float.h>
#include <math.h>

enum { N = PS_DYNAMIC8_GROUP, SAMPLES = 96 };

typedef float (*packer)(const float *numbers, size_t n, uint8_t *out);
typedef void (*unpacker)(const uint8_t *bytes, float scale, size_t n, float *out);

/* The table's own last bit is free: 1e-7 of each. */
static void every_code(unpacker unpack, packer pack, const float golden[N])
{
    uint8_t bytes[N], again[N];
    float out[N];
    for (int i = 0; i < N; i++)
        bytes[i] = (uint8_t)i;
    unpack(bytes, 1, N, out);
    for (int i = 0; i < N; i++)
        ck_assert_float_le(fabsf(out[i] - golden[i]), 1.2e-7f * fabsf(golden[i]));
    ck_assert_float_eq(pack(out, N, again), 1);
    ck_assert_mem_eq(again, bytes, N);
}

START_TEST(the_code_is_the_published_one)
{
    every_code(ps_dynamic8_unpack_signed, ps_dynamic8_pack_signed, golden_signed);
    every_code(ps_dynamic8_unpack_unsigned, ps_dynamic8_pack_unsigned, golden_unsigned);
}
END_TEST

/* Beside a 1 that makes the scale 1; in groups of any length. */
static void every_sample(packer pack, const golden_sample samples[SAMPLES])
{
    for (size_t n = 2; n <= SAMPLES; n++) {
        float numbers[SAMPLES];
        uint8_t bytes[SAMPLES];
        for (size_t i = 0; i + 1 < n; i++)
            numbers[i] = samples[i].number;
        numbers[n - 1] = 1;
        ck_assert_float_eq(pack(numbers, n, bytes), 1);
        for (size_t i = 0; i + 1 < n; i++)
            ck_assert_msg(bytes[i] == samples[i].byte, "%.9g is %u, should be %u",
                          (double)numbers[i], bytes[i], samples[i].byte);
        ck_assert_uint_eq(bytes[n - 1], 255);
    }
}

START_TEST(numbers_get_the_nearest_code)
{
    every_sample(ps_dynamic8_pack_signed, golden_signed_samples);
    every_sample(ps_dynamic8_pack_unsigned, golden_unsigned_samples);
}
END_TEST

/* Half the width of the cell in which x lies, of a decade of `cells` 1, 2, 4 ... (header). */
static double half_cell(double x, int cells)
{
    double decade = 1e-6;
    while (decade < 0.999 && fabs(x) > decade) {
        decade *= 10;
        cells *= 2;
    }
    return decade * 0.45 / cells;
}

START_TEST(what_comes_back_is_off_by_half_a_cell_at_most)
{
    ps_rng rng;
    ps_rng_seed(&rng, 5);
    for (int round = 0; round < 400; round++) {
        float in[N], out[N], squares[N];
        uint8_t bytes[N];
        double scale = pow(10, 60 * ps_rng_uniform(&rng) - 30);
        for (int i = 0; i < N; i++) {
            in[i] = (float)(scale * pow(10, -8 * ps_rng_uniform(&rng)));
            squares[i] = in[i];
            if (ps_rng_next(&rng) & 1)
                in[i] = -in[i];
        }
        float by = ps_dynamic8_pack_signed(in, N, bytes);
        ps_dynamic8_unpack_signed(bytes, by, N, out);
        unsigned far = 0, none = 0; /* an assertion for each would take minutes */
        for (int i = 0; i < N; i++)
            far += fabs((double)out[i] - in[i]) / by >
                   1.0001 * half_cell(in[i] / by, 1) + (in[i] == -by ? 0.0036 : 0);
        by = ps_dynamic8_pack_unsigned(squares, N, bytes);
        ps_dynamic8_unpack_unsigned(bytes, by, N, out);
        for (int i = 0; i < N; i++) {
            none += !(out[i] > 0); /* the exception: never 0, for which the bound is more */
            double room = squares[i] < 2e-7f * by ? 3.3e-7 : half_cell(squares[i] / by, 2);
            far += fabs((double)out[i] - squares[i]) / by > 1.0001 * room;
        }
        ck_assert_uint_eq(far, 0);
        ck_assert_uint_eq(none, 0);
    }
}
END_TEST

START_TEST(what_cannot_be_scaled_is_zero_or_the_greatest)
{
    float zeros[3] = {0, -0.0f, 0}, tiny[3] = {1e-40f, 0, 0}, out[3];
    uint8_t bytes[3];
    ck_assert_float_eq(ps_dynamic8_pack_signed(zeros, 3, bytes), 0);
    ck_assert_uint_eq(bytes[1], PS_DYNAMIC8_SIGNED_ZERO);
    ck_assert_float_eq(ps_dynamic8_pack_unsigned(zeros, 3, bytes), 0);
    ck_assert_uint_eq(bytes[1], 0);
    ck_assert_float_eq(ps_dynamic8_pack_unsigned(tiny, 3, bytes), 0);
    const float wild[3] = {INFINITY, 1, FLT_MAX / 10};
    float scale = ps_dynamic8_pack_unsigned(wild, 3, bytes);
    ps_dynamic8_unpack_unsigned(bytes, scale, 3, out);
    ck_assert_float_eq(out[0], FLT_MAX);
    ck_assert_float_le(out[1], 1e-6f * FLT_MAX);
    ck_assert_double_eq_tol(out[2] / FLT_MAX, 0.1, 0.002);
    const float none[3] = {NAN, -INFINITY,
                           -1}; /* state of a damaged file: anything, but no fault */
    (void)ps_dynamic8_pack_signed(none, 3, bytes);
    (void)ps_dynamic8_pack_unsigned(none, 3, bytes);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_code_is_the_published_one},
    {&numbers_get_the_nearest_code},
    {&what_comes_back_is_off_by_half_a_cell_at_most},
    {&what_cannot_be_scaled_is_zero_or_the_greatest},
    {0},
};

int main(void)
{
    return ps_check_main("optim/dynamic8", cases);
}
