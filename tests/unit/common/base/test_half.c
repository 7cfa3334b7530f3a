/* half: every 16-bit float comes back from float32, and a float32 becomes the nearest of them, ties
 * to the even one: found by search among all of them, not by the same arithmetic. */
#include "common/base/half.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static float float_of(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

START_TEST(every_half_comes_back)
{
    uint32_t h = 0; /* one assertion: Check writes a line for each */
    for (bool good = true; good && h < 65536; h += good) {
        float f = ps_f16_value((uint16_t)h), b = ps_bf16_value((uint16_t)h);
        good = isnan(f) ? isnan(ps_f16_value(ps_f16_of(f))) : ps_f16_of(f) == h;
        good &= isnan(b) ? isnan(ps_bf16_value(ps_bf16_of(b))) : ps_bf16_of(b) == h;
    }
    ck_assert_msg(h == 65536, "0x%04x does not come back", h);
    ck_assert(ps_f16_value(0x3c00) == 1 && ps_f16_value(0x7bff) == 65504);
    ck_assert(ps_f16_value(0x0001) == ldexpf(1, -24) && ps_f16_value(0xc000) == -2);
    ck_assert(ps_bf16_value(0x3f80) == 1 && isinf(ps_bf16_value(0x7f80)));
}
END_TEST

/* Of the positive finite ones, by bisection: `value` rises with its argument. */
static uint16_t nearest(float (*value)(uint16_t), uint16_t most, double v)
{
    uint16_t low = 0, high = most;
    while (high - low > 1) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        *((double)value(middle) <= v ? &low : &high) = middle;
    }
    double below = v - (double)value(low), above = (double)value(high) - v;
    return below < above || (below == above && low % 2 == 0) ? low : high;
}

static bool is_nearest(float v)
{
    bool good =
        ps_f16_of(-v) == (ps_f16_of(v) | 0x8000) && ps_bf16_of(-v) == (ps_bf16_of(v) | 0x8000);
    if (v < 65504)
        good &= ps_f16_of(v) == nearest(ps_f16_value, 0x7bff, (double)v);
    else if (v >= 65520)
        good &= ps_f16_of(v) == 0x7c00;
    if (v < ps_bf16_value(0x7f7f))
        good &= ps_bf16_of(v) == nearest(ps_bf16_value, 0x7f7f, (double)v);
    return good;
}

START_TEST(a_float_becomes_the_nearest)
{
    ps_rng rng;
    ps_rng_seed(&rng, 9);
    float v = 0;
    for (uint32_t i = 0; i < 100000 && is_nearest(v); i++) {
        v = float_of((uint32_t)ps_rng_next(&rng) & 0x7fffffff);
        if (i % 3 == 0 || !isfinite(v)) { /* half way between two, where ties are */
            uint16_t h = (uint16_t)(i % 0x7bff);
            v = (ps_f16_value(h) + ps_f16_value((uint16_t)(h + 1))) / 2;
        }
    }
    ck_assert_msg(is_nearest(v), "%a is not rounded to the nearest", (double)v);
    ck_assert_uint_eq(ps_f16_of(nextafterf(PS_F16_LIMIT, 0)), 0x7bff);
    ck_assert_uint_eq(ps_f16_of(PS_F16_LIMIT), 0x7c00); /* a tie with what would be 65536 */
    ck_assert_uint_eq(ps_bf16_of(nextafterf(PS_BF16_LIMIT, 0)), 0x7f7f);
    ck_assert_uint_eq(ps_bf16_of(PS_BF16_LIMIT), 0x7f80);
    ck_assert_uint_eq(ps_f16_of(INFINITY), 0x7c00);
    ck_assert(isnan(ps_f16_value(ps_f16_of(float_of(0x7f800001)))));
    ck_assert(isnan(ps_bf16_value(ps_bf16_of(float_of(0x7f800001)))));
}
END_TEST

static const ps_check_case tests[] = {
    {&every_half_comes_back}, {&a_float_becomes_the_nearest}, {0}};

int main(void)
{
    return ps_check_main("format/half", tests);
}
