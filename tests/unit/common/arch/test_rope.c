/* Scaled rotary positions: what llama.cpp's tensor says is found again, and nothing else is taken
 * for it. The frequencies themselves are compared with transformers' in worker/models/archs. */
#include "common/arch/rope.h"
#include "tests/lib/check_main.h"

#include <check.h>
#include <math.h>

enum { HEAD = 64, PAIRS = HEAD / 2 };

static const ps_rope_spec llama32 = {.theta = 500000,
                                     .type = PS_ROPE_LLAMA3,
                                     .factor = 32,
                                     .original_context = 8192,
                                     .low_freq_factor = 1,
                                     .high_freq_factor = 4};

/* Llama 3.2 1B. Of its 32 pairs, 15 are as they were and 14 are divided by 32. */
START_TEST(factors_of_a_published_model_are_found_again)
{
    float factors[PAIRS];
    ps_rope_spec found = {.theta = 500000};
    ps_rope_factors(&llama32, HEAD, 131072, factors);
    int ones = 0, all = 0;
    for (int i = 0; i < PAIRS; i++) {
        ones += factors[i] == 1;
        all += factors[i] == 32;
    }
    ck_assert_int_eq(ones, 15);
    ck_assert_int_eq(all, 14);
    ck_assert(ps_rope_of_factors(factors, HEAD, &found));
    ck_assert_uint_eq(found.type, PS_ROPE_LLAMA3);
    ck_assert_double_eq(found.factor, 32);
    ck_assert_double_eq(found.low_freq_factor, 1);
    ck_assert_double_eq(found.high_freq_factor, 4);
    ck_assert_int_eq(found.original_context, 8192);
}
END_TEST

START_TEST(other_factors_are_none_of_llama3)
{
    static const float wrong[] = {NAN, INFINITY, 0, -1, 1e30f, 1.001f};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (int at = 0; at < PAIRS; at++) {
            float factors[PAIRS];
            ps_rope_spec found = {.theta = 500000};
            ps_rope_factors(&llama32, HEAD, 131072, factors);
            factors[at] = wrong[i];
            ck_assert_msg(!ps_rope_of_factors(factors, HEAD, &found), "%g at %d", (double)wrong[i],
                          at);
            ck_assert_uint_eq(found.type, PS_ROPE_DEFAULT);
        }
}
END_TEST

/* Which pairs are stretched, and what that does to the first and the last. */
START_TEST(frequencies)
{
    double f[PAIRS], scale;
    ps_rope_spec r = {.theta = 10000, .factor = 4, .beta_fast = 32, .beta_slow = 1};
    for (r.type = PS_ROPE_DEFAULT; r.type < PS_ROPE_TYPES; r.type++) {
        r.low_freq_factor = 1;
        r.high_freq_factor = 4;
        ps_rope_frequencies(&r, HEAD, 4096, f, &scale);
        bool all = r.type == PS_ROPE_LINEAR, last = all || r.type >= PS_ROPE_LLAMA3;
        double slowest = pow(10000, -62.0 / 64);
        ck_assert_double_eq_tol(f[0], all ? 0.25 : 1, 1e-15);
        ck_assert_double_eq_tol(f[PAIRS - 1], last ? slowest / 4 : slowest, 1e-15);
        ck_assert_double_eq_tol(scale, r.type == PS_ROPE_YARN ? 1 + 0.1 * log(4) : 1, 1e-15);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &factors_of_a_published_model_are_found_again},
    {.test = &other_factors_are_none_of_llama3},
    {.test = &frequencies},
    {0},
};

int main(void)
{
    return ps_check_main("arch/rope", tests);
}
