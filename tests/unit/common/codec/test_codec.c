#include "common/codec/codec.h"

#include "tests/lib/check_main.h"

#include "common/base/half.h"
#include "common/base/rng.h"

#include <math.h>
#include <stdlib.h>

START_TEST(the_table_is_found_by_number_and_by_name)
{
    const ps_codec *codec = ps_codec_by_number(1); /* CODEC_FLOAT32 of parameters.proto */
    ck_assert_ptr_nonnull(codec);
    ck_assert_str_eq(codec->name, "float32");
    ck_assert_ptr_eq(ps_codec_by_number(0), codec);
    ck_assert_ptr_eq(ps_codec_by_name("float32"), codec);
    ck_assert_ptr_null(ps_codec_by_number(99));
    ck_assert_ptr_null(ps_codec_by_name("float33"));
}
END_TEST

START_TEST(float32_is_ieee_754_little_endian)
{
    const ps_codec *codec = ps_codec_by_name("float32");
    const float values[] = {1.0f, -2.0f, 0.15625f};
    const uint8_t want[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0x20, 0x3e};
    uint8_t bytes[12];
    float again[3];
    ck_assert_uint_eq(codec->encoded_max(3), sizeof bytes);
    size_t len = codec->encode(NULL, values, 3, bytes);
    ck_assert_uint_eq(len, sizeof bytes);
    ck_assert_mem_eq(bytes, want, sizeof want);
    ck_ok(ps_codec_check(codec, ps_slice_of(bytes, len), 3));
    codec->decode(ps_slice_of(bytes, len), 3, again);
    ck_assert_mem_eq(again, values, sizeof values);
    for (size_t n = 0; n < 20; n++)
        ck_assert_int_eq(ps_codec_check(codec, ps_slice_of(bytes, n), 3),
                         n == 12 ? PS_OK : PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_codec_check(codec, ps_slice_of(bytes, 0), UINT32_MAX), PS_INVALID_ARGUMENT);
}
END_TEST

static ps_codec_scan scan_at(size_t odd, const float *values, size_t n, bool norm)
{
    static uint8_t bytes[40000];
    memcpy(bytes + odd, values, n * sizeof *values);
    return ps_codec_scan_values((const ps_wire_float *)(const void *)(bytes + odd), n, norm);
}

START_TEST(nan_and_infinity_are_found_wherever_they_are)
{
    static float values[9000];
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    const size_t places[] = {0, 1, 7, 15, 4095, 4096, 8191, 8999};
    for (size_t odd = 0; odd < 3; odd++) {
        ck_assert(scan_at(odd, values, 9000, false).finite);
        for (int b = 0; b < 4; b++) {
            for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                values[places[i]] = bad[b];
                ck_assert(!scan_at(odd, values, 9000, b % 2).finite);
                values[places[i]] = 0;
            }
        }
    }
    for (size_t n = 0; n < 70; n++) { /* the bad one is just outside */
        values[n] = NAN;
        ck_assert(scan_at(1, values, n, true).finite);
        values[n] = 3.402823e38f;
    }
}
END_TEST

START_TEST(the_norm_is_that_of_float64)
{
    static float values[9001];
    ps_rng rng;
    ps_rng_seed(&rng, 5);
    for (size_t n = 0; n <= 9001; n += n < 40 ? 1 : 1493) {
        double want = 0;
        for (size_t i = 0; i < n; i++) {
            values[i] = (float)ps_rng_normal(&rng) * (i % 3 ? 1e-3f : 1e15f);
            want += (double)values[i] * (double)values[i];
        }
        ck_assert_double_eq_tol(scan_at(1, values, n, true).sum_sq, want, 1e-12 * want + 1e-300);
        ck_assert_double_eq(scan_at(1, values, n, false).sum_sq, 0);
    }
}
END_TEST

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Against the rounding of files, which is checked against numpy; at odd addresses. */
START_TEST(bf16_is_the_upper_half_rounded_to_even)
{
    const ps_codec *codec = ps_codec_by_number(2);
    static float values[70000], again[70000];
    static uint8_t bytes[140001], odd[280001];
    const uint32_t count = 70000;
    for (uint32_t i = 0; i < count; i++)
        values[i] = float_of(i * 61356u); /* all exponents, ties, NaN and infinities among them */
    memcpy(odd + 1, values, sizeof values);
    ck_assert_uint_eq(
        codec->encode(NULL, (const ps_wire_float *)(const void *)(odd + 1), count, bytes + 1),
        2 * count);
    codec->decode(ps_slice_of(bytes + 1, 2 * count), count, again);
    for (uint32_t i = 0; i < count; i++) {
        float want = ps_bf16_value(ps_bf16_of(values[i]));
        ck_assert_msg(again[i] == want || (isnan(again[i]) && isnan(want)), "%a: %a, not %a",
                      (double)values[i], (double)again[i], (double)want);
    }
    const float nan_at_the_end = float_of(0x7fffffff); /* rounded up it would be -0 */
    codec->encode(NULL, &nan_at_the_end, 1, bytes);
    ck_assert(!codec->scan(ps_slice_of(bytes, 2), 1, false).finite);
}
END_TEST

static float random_value(ps_rng *rng, size_t i)
{
    return (float)ps_rng_normal(rng) * (i / 128 % 3 ? 1e-3f : 1e3f);
}

/* Codecs of groups with a scale: payloads of 4 bytes a group and so many bits an element. */
typedef struct grouped {
    const char *name;
    uint32_t number, group, most, bits;
} grouped;

static const grouped groups[] = {{"int8", 3, 128, 127, 8}, {"int4", 4, 64, 7, 4}};
enum { GROUPED = sizeof groups / sizeof *groups };

static size_t grouped_bytes(const grouped *g, uint32_t count)
{
    return 4 * ((count + g->group - 1) / g->group) + (count * g->bits + 7) / 8;
}

/* The error of a value is at most half a code of its group's largest. */
START_TEST(a_group_is_as_near_as_its_codes_allow)
{
    const grouped *g = &groups[_i];
    const ps_codec *codec = ps_codec_by_number(g->number);
    enum { MOST = 400 };
    float values[MOST], residual[MOST], again[MOST];
    uint8_t bytes[2 * MOST];
    ck_assert_str_eq(codec->name, g->name);
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    ck_assert_uint_eq(codec->state_bytes, sizeof(float));
    for (uint32_t count = 1; count <= MOST; count += count < 3 ? 1 : 63) {
        memset(residual, 0, sizeof residual);
        for (size_t i = 0; i < count; i++)
            values[i] = random_value(&rng, i);
        size_t len = codec->encode(residual, values, count, bytes + 1);
        ck_assert_uint_eq(len, grouped_bytes(g, count));
        ck_ok(ps_codec_check(codec, ps_slice_of(bytes + 1, len), count));
        ck_assert_int_eq(ps_codec_check(codec, ps_slice_of(bytes + 1, len - 1), count),
                         PS_INVALID_ARGUMENT);
        codec->decode(ps_slice_of(bytes + 1, len), count, again);
        for (size_t i = 0; i < count; i++) {
            double most = 0;
            for (size_t k = i / g->group * g->group; k < count && k / g->group == i / g->group; k++)
                most = fmax(most, fabs((double)values[k]));
            double error = fabs((double)again[i] - (double)values[i]);
            ck_assert_double_le(error, most / g->most * 0.5001);
        }
    }
}
END_TEST

/* What is sent adds up to what was meant, but for what the last one still owes. */
START_TEST(what_a_group_leaves_out_comes_with_the_next)
{
    const grouped *g = &groups[_i];
    const ps_codec *codec = ps_codec_by_name(g->name);
    enum { COUNT = 300, STEPS = 200 };
    float values[COUNT], residual[COUNT] = {0}, again[COUNT];
    double meant[COUNT] = {0}, sent[COUNT] = {0};
    uint8_t bytes[2 * COUNT];
    ps_rng rng;
    ps_rng_seed(&rng, 4);
    for (int step = 0; step < STEPS; step++) {
        for (size_t i = 0; i < COUNT; i++) /* most are far below a code */
            values[i] = i % g->group ? (float)ps_rng_normal(&rng) * 1e-3f : 1.0f;
        size_t len = codec->encode(residual, values, COUNT, bytes);
        codec->decode(ps_slice_of(bytes, len), COUNT, again);
        for (size_t i = 0; i < COUNT; i++) {
            meant[i] += (double)values[i];
            sent[i] += (double)again[i];
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_double_eq_tol(sent[i] + (double)residual[i], meant[i], 1e-4);
        ck_assert_double_le(fabs((double)residual[i]), 1.0 / g->most);
    }
}
END_TEST

START_TEST(encoded_nan_and_infinity_are_found_and_sums_are_those_of_float64)
{
    enum { COUNT = 300 };
    float values[COUNT], state[COUNT], again[COUNT];
    uint8_t bytes[4 * COUNT];
    ps_rng rng;
    ps_rng_seed(&rng, 9);
    for (size_t i = 0; i < COUNT; i++)
        values[i] = random_value(&rng, i);
    for (size_t c = 0; ps_codec_plain_names[c]; c++)
        ck_assert_uint_eq(ps_codec_by_name(ps_codec_plain_names[c])->state_bytes, 0);
    for (size_t c = 0; ps_codec_names[c]; c++) {
        const ps_codec *codec = ps_codec_by_name(ps_codec_names[c]);
        memset(state, 0, sizeof state);
        size_t len = codec->encode(state, values, COUNT, bytes);
        ps_slice payload = ps_slice_of(bytes, len);
        codec->decode(payload, COUNT, again);
        double want = 0;
        for (size_t i = 0; i < COUNT; i++)
            want += (double)again[i] * (double)again[i];
        ps_codec_scan scan = codec->scan(payload, COUNT, true);
        ck_assert(scan.finite);
        ck_assert_double_eq_tol(scan.sum_sq, want, 1e-5 * want);
        const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
        for (size_t i = 0; i < COUNT; i += 23) {
            float good = values[i];
            values[i] = bad[i % 4];
            len = codec->encode(state, values, COUNT, bytes);
            ck_assert_msg(!codec->scan(ps_slice_of(bytes, len), COUNT, i % 2).finite, "%s [%zu]",
                          codec->name, i);
            values[i] = good;
        }
        for (size_t i = 0; i < COUNT; i++)
            ck_assert(isfinite(state[i]));
    }
}
END_TEST

/* A scale that only a hostile sender writes. */
START_TEST(int8_scales_that_make_infinities_are_found)
{
    const ps_codec *codec = ps_codec_by_name("int8");
    const float scales[] = {3e38f, -3e38f, INFINITY, NAN, 2.7e36f, 2.6e36f};
    for (size_t i = 0; i < 6; i++) {
        uint8_t bytes[5] = {0, 0, 0, 0, 0x80};
        memcpy(bytes, &scales[i], 4);
        ck_assert_int_eq(codec->scan(ps_slice_of(bytes, 5), 1, false).finite, i == 5);
        float value;
        codec->decode(ps_slice_of(bytes, 5), 1, &value);
        ck_assert_int_eq(isfinite(value), i == 5);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&the_table_is_found_by_number_and_by_name},
    {&float32_is_ieee_754_little_endian},
    {&nan_and_infinity_are_found_wherever_they_are},
    {&the_norm_is_that_of_float64},
    {&bf16_is_the_upper_half_rounded_to_even},
    {.test = &a_group_is_as_near_as_its_codes_allow, .repeat = GROUPED},
    {.test = &what_a_group_leaves_out_comes_with_the_next, .repeat = GROUPED},
    {&encoded_nan_and_infinity_are_found_and_sums_are_those_of_float64},
    {&int8_scales_that_make_infinities_are_found},
    {0},
};

int main(void)
{
    return ps_check_main("codec/codec", cases);
}
