#include "server/optim/schedule.h"

#include "tests/lib/check_main.h"

#include <math.h>

static double factor(const ps_schedule *s, uint64_t step, uint64_t rows, uint64_t warm,
                     uint64_t total)
{
    return ps_schedule_factor(
        s,
        &(ps_schedule_point){.step = step, .rows = rows, .rows_warm = warm, .rows_total = total});
}

START_TEST(the_rate_climbs_in_a_straight_line_and_stays)
{
    ps_schedule s = {.kind = PS_SCHEDULE_CONSTANT, .warmup_steps = 4};
    const double want[] = {0.2, 0.4, 0.6, 0.8, 1, 1, 1};
    for (uint64_t t = 0; t < 7; t++)
        ck_assert_double_eq_tol(factor(&s, t, 10 * t, 40, 70), want[t], 1e-12);
}
END_TEST

/* However many updates there were: the rows say where the job is. */
START_TEST(linear_and_cosine_end_at_the_final_factor_with_the_last_row)
{
    for (int kind = PS_SCHEDULE_LINEAR; kind <= PS_SCHEDULE_COSINE; kind++) {
        ps_schedule s = {.kind = kind, .warmup_steps = 10, .final_factor = 0.1};
        ck_assert_double_eq_tol(factor(&s, 10, 320, 320, 1320), 1, 1e-12);
        ck_assert_double_eq_tol(factor(&s, 99, 820, 320, 1320), 0.55, 1e-12);
        ck_assert_double_eq_tol(factor(&s, 12, 1320, 320, 1320), 0.1, 1e-12);
        ck_assert_double_eq_tol(factor(&s, 12, UINT64_MAX, 320, 1320), 0.1, 1e-12);
        double quarter = kind == PS_SCHEDULE_LINEAR ? 0.75 : (1 + sqrt(0.5)) / 2;
        ck_assert_double_eq_tol(factor(&s, 11, 570, 320, 1320), 0.1 + 0.9 * quarter, 1e-12);
        /* a warm-up that took all the rows */
        ck_assert_double_eq_tol(factor(&s, 10, 1320, 1320, 1320), 1, 1e-12);
    }
}
END_TEST

START_TEST(without_a_known_end_the_rate_stays)
{
    ps_schedule s = {.kind = PS_SCHEDULE_COSINE, .warmup_steps = 2};
    ck_assert_double_eq(factor(&s, 1000000, 0, 0, 0), 1);
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
    ck_ok(ps_schedule_check(&s));
    s.kind = 7;
    ck_assert_int_eq(ps_schedule_check(&s), PS_INVALID_ARGUMENT);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_rate_climbs_in_a_straight_line_and_stays},
    {&linear_and_cosine_end_at_the_final_factor_with_the_last_row},
    {&without_a_known_end_the_rate_stays},
    {&a_final_factor_outside_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("optim/schedule", cases);
}
