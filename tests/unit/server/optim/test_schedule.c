#include "server/optim/schedule.h"

#include "tests/lib/check_main.h"

#include <math.h>

START_TEST(the_rate_climbs_in_a_straight_line_and_stays)
{
    ps_schedule s = {.kind = PS_SCHEDULE_CONSTANT, .warmup_steps = 4};
    const double want[] = {0.2, 0.4, 0.6, 0.8, 1, 1, 1};
    for (uint64_t t = 0; t < 7; t++)
        ck_assert_double_eq_tol(ps_schedule_factor(&s, t), want[t], 1e-12);
}
END_TEST

START_TEST(linear_and_cosine_end_at_the_final_factor)
{
    for (int kind = PS_SCHEDULE_LINEAR; kind <= PS_SCHEDULE_COSINE; kind++) {
        ps_schedule s = {.kind = kind, .warmup_steps = 10, .total_steps = 110, .final_factor = 0.1};
        ck_assert_double_eq_tol(ps_schedule_factor(&s, 10), 1, 1e-12);
        ck_assert_double_eq_tol(ps_schedule_factor(&s, 60), 0.55, 1e-12);
        ck_assert_double_eq_tol(ps_schedule_factor(&s, 110), 0.1, 1e-12);
        ck_assert_double_eq_tol(ps_schedule_factor(&s, UINT64_MAX), 0.1, 1e-12);
        double quarter = kind == PS_SCHEDULE_LINEAR ? 0.75 : (1 + sqrt(0.5)) / 2;
        ck_assert_double_eq_tol(ps_schedule_factor(&s, 35), 0.1 + 0.9 * quarter, 1e-12);
    }
}
END_TEST

START_TEST(without_a_known_end_the_rate_stays)
{
    ps_schedule s = {.kind = PS_SCHEDULE_COSINE, .warmup_steps = 2};
    ck_assert_double_eq(ps_schedule_factor(&s, 1000000), 1);
}
END_TEST

START_TEST(a_final_factor_outside_is_refused)
{
    const double bad[] = {-0.1, 1.1, NAN};
    for (int i = 0; i < 3; i++) {
        ps_schedule s = {.final_factor = bad[i]};
        ck_assert_int_eq(ps_schedule_check(&s), PS_INVALID_ARGUMENT);
    }
    ps_schedule s = {.final_factor = 1};
    ck_assert_int_eq(ps_schedule_check(&s), PS_OK);
    s.kind = 7;
    ck_assert_int_eq(ps_schedule_check(&s), PS_INVALID_ARGUMENT);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_rate_climbs_in_a_straight_line_and_stays},
    {&linear_and_cosine_end_at_the_final_factor},
    {&without_a_known_end_the_rate_stays},
    {&a_final_factor_outside_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("optim/schedule", cases);
}
