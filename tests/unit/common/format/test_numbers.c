/* numbers: what narrowing and widening must not let through, the first place named, and tensors
 * compared by what they mean. */
#include "common/format/numbers.h"

#include "common/base/half.h"
#include "common/base/slice.h"
#include "common/form/form.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

START_TEST(the_first_that_is_not_below_is_found_wherever_it_is)
{
    static float values[10000];
    static const float bad[] = {INFINITY, -INFINITY, NAN, -NAN};
    enum { N = sizeof values / sizeof *values };
    for (size_t i = 0; i < N; i++)
        values[i] = i % 2 ? -3.4e38f : 3.4e38f;
    ck_assert_uint_eq(ps_numbers_beyond(values, N, INFINITY), N);
    for (size_t i = 0; i < N; i += 997) {
        float kept = values[i];
        values[i] = bad[i % 4];
        ck_assert_uint_eq(ps_numbers_beyond(values, N, INFINITY), i);
        ck_assert_uint_eq(ps_numbers_beyond(values, i, INFINITY), i);
        values[i] = kept;
    }
    values[4096] = 5;
    ck_assert_uint_eq(ps_numbers_beyond(values + 4096, 1, 5), 0);
    ck_assert_uint_eq(ps_numbers_beyond(values + 4096, 1, nextafterf(5, 6)), 1);
    ck_assert_uint_eq(ps_numbers_beyond(values, 0, 1), 0);
}
END_TEST

START_TEST(the_element_is_named_by_its_place)
{
    float values[6] = {0, 1, 2, NAN, 4, 5};
    const uint64_t shape[] = {4, 2, 3};
    ck_assert_int_eq(ps_numbers_check("a", shape, 3, 12, values, 6), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "tensor a: element [2, 1, 0] is nan; a model's numbers "
                                         "must be finite, in float32");
    ck_ok(ps_numbers_check("a", shape, 3, 12, values, 3));
    ck_assert_str_eq(ps_sides_of(shape, 3).text, "[4, 2, 3]");
    ck_assert_str_eq(ps_sides_of(shape, 0).text, "[]");
}
END_TEST

START_TEST(what_float32_cannot_hold_is_named_as_it_stands)
{
    double values[4] = {0, 3.4028234e38, -3.5e38, NAN};
    const uint64_t shape[] = {2, 2};
    const uint8_t *bytes = (const uint8_t *)values;
    ck_assert_int_eq(ps_numbers_check_wide("a", shape, 2, 0, bytes, 4), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "tensor a: element [1, 0] is -3.5e+38, which is beyond float32");
    ck_ok(ps_numbers_check_wide("a", shape, 2, 0, bytes, 2));
    ck_ok(ps_numbers_check_wide("a", shape, 2, 3, bytes + 24, 1));
}
END_TEST

/* 1.5, -0.25 and, where there is one, 1e300. */
START_TEST(all_floats_become_float32)
{
    static const double wide[] = {1.5, -0.25, 1e300};
    static const float single[] = {1.5f, -0.25f};
    static const uint8_t half[] = {0x00, 0x3e, 0x00, 0xb4}, brain[] = {0xc0, 0x3f, 0x80, 0xbe};
    const struct {
        ps_safetensors_dtype dtype;
        const void *bytes;
    } from[] = {{PS_SAFETENSORS_F64, wide},
                {PS_SAFETENSORS_F32, single},
                {PS_SAFETENSORS_F16, half},
                {PS_SAFETENSORS_BF16, brain}};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        float out[3] = {0};
        ck_assert(ps_numbers_known(from[i].dtype));
        ps_numbers_widen(from[i].dtype, from[i].bytes, 2, out);
        ck_assert(out[0] == 1.5f && out[1] == -0.25f && out[2] == 0);
    }
    float out[3];
    ps_numbers_widen(PS_SAFETENSORS_F64, (const uint8_t *)wide, 3, out);
    ck_assert(isinf(out[2]));
    ck_assert(!ps_numbers_known(PS_SAFETENSORS_I64) && !ps_numbers_known(PS_SAFETENSORS_OTHER));
}
END_TEST

/* Just below the limit of each type everything is finite again; at the limit nothing is. */
START_TEST(limits_are_where_narrowing_gives_infinity)
{
    static const char *const names[] = {"float16", "bfloat16", "q8_0"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ps_form form;
        ck_assert(ps_form_parse(names[i], &form));
        float limit = form.row->limit, block[32] = {0}, back[32];
        uint8_t bytes[sizeof block];
        block[7] = -nextafterf(limit, 0);
        ps_form_encode(form, block, NULL, 1, 32, bytes);
        ps_form_decode(form, bytes, 1, 32, back);
        ck_assert_uint_eq(ps_numbers_beyond(back, 32, INFINITY), 32);
        block[7] = limit;
        ps_form_encode(form, block, NULL, 1, 32, bytes);
        ps_form_decode(form, bytes, 1, 32, back);
        ck_assert(isinf(back[7]));
    }
    ck_assert(isinf(ps_form_find("float32")->limit));
}
END_TEST

typedef struct two {
    float values[2][9000];
    uint64_t fails_at;
} two;

static ps_status read_two(void *state, int which, uint64_t first, size_t n, float *out)
{
    const two *t = state;
    if (first >= t->fails_at)
        return ps_fail(PS_UNAVAILABLE, "gone");
    ck_assert_uint_eq(first % 4096, 0);
    memcpy(out, t->values[which] + first, n * sizeof *out);
    return PS_OK;
}

START_TEST(tensors_are_compared_by_their_numbers)
{
    static two t = {.fails_at = UINT64_MAX};
    ps_numbers_differ differ;
    for (size_t i = 0; i < 9000; i++)
        t.values[0][i] = t.values[1][i] = (float)i;
    t.values[0][5] = t.values[1][5] = NAN;
    ck_ok(ps_numbers_compare(read_two, &t, 9000, &differ));
    ck_assert(!differ.any);
    t.values[1][8999] = 7;
    ck_ok(ps_numbers_compare(read_two, &t, 9000, &differ));
    ck_assert(differ.any && differ.at == 8999 && differ.values[0] == 8999 && differ.values[1] == 7);
    ck_ok(ps_numbers_compare(read_two, &t, 8999, &differ));
    ck_assert(!differ.any);
    t.fails_at = 8192;
    ck_assert_int_eq(ps_numbers_compare(read_two, &t, 9000, &differ), PS_UNAVAILABLE);
}
END_TEST

static const ps_check_case tests[] = {{&the_first_that_is_not_below_is_found_wherever_it_is},
                                      {&the_element_is_named_by_its_place},
                                      {&what_float32_cannot_hold_is_named_as_it_stands},
                                      {&all_floats_become_float32},
                                      {&limits_are_where_narrowing_gives_infinity},
                                      {&tensors_are_compared_by_their_numbers},
                                      {0}};

int main(void)
{
    return ps_check_main("common/format/numbers", tests);
}
