/* Sums of answers whose errors are known. */
#include "worker/explain/calibration.h"

#include "tests/lib/check_main.h"

#include "common/base/rng.h"

#include <math.h>

static void add(ps_calibration *c, const double *p, size_t classes, size_t label,
                uint64_t *confusion)
{
    ps_calibration_add(c, p, classes, label, -log(p[label]), confusion);
}

START_TEST(a_few_rows_by_hand)
{
    const double rows[4][3] = {{0.7, 0.2, 0.1}, {0.1, 0.8, 0.1}, {0.4, 0.35, 0.25}, {0, 0, 1}};
    const size_t labels[4] = {0, 2, 1, 2};
    ps_calibration c = {0};
    uint64_t confusion[9] = {0};
    for (size_t i = 0; i < 4; i++)
        add(&c, rows[i], 3, labels[i], confusion);
    const uint64_t want[9] = {1, 0, 0, 1, 0, 0, 0, 1, 1};
    ck_assert_mem_eq(confusion, want, sizeof want);
    ck_assert_double_eq_tol(c.brier, 0.14 + 1.46 + 0.645 + 0, 1e-12);
    ck_assert_double_eq_tol(c.nll, -log(0.7) - log(0.1) - log(0.35), 1e-12);
    ck_assert_double_eq_tol(ps_calibration_ece(&c), (0.3 + 0.8 + 0.4 + 0) / 4, 1e-12);
    ck_assert_double_eq_tol(ps_calibration_mce(&c), 0.8, 1e-12);
}
END_TEST

/* A row at a bin's upper edge is in it. */
START_TEST(bins_have_their_upper_edge)
{
    ps_calibration c = {0};
    const double at[2] = {0.6, 0.4}, above[2] = {0.6000001, 0.3999999}, sure[2] = {1, 0};
    add(&c, at, 2, 0, NULL);
    add(&c, above, 2, 0, NULL);
    add(&c, sure, 2, 0, NULL);
    ck_assert_double_eq(c.bins[8].rows, 1);
    ck_assert_double_eq(c.bins[9].rows, 1);
    ck_assert_double_eq(c.bins[14].rows, 1);
}
END_TEST

START_TEST(a_row_that_is_no_number_is_left_out)
{
    ps_calibration c = {0};
    const double none[2] = {NAN, NAN}, sure[2] = {1, 0};
    uint64_t confusion[4] = {0};
    add(&c, none, 2, 1, confusion);
    ck_assert(c.rows == 0 && c.nll == 0 && c.brier == 0 && c.bins[0].rows == 0);
    ck_assert(!confusion[2] && !confusion[3]);
    ps_calibration_add(&c, sure, 2, 1, 800, NULL); /* of e^-800, which is 0 here */
    ck_assert_double_eq(c.nll, 800);
}
END_TEST

/* Labels drawn by the very probabilities, and answers that are surer than they should be. */
START_TEST(who_is_calibrated_has_no_error_but_chance)
{
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    ps_calibration honest = {0}, boastful = {0}, half = {0}, other = {0};
    enum { ROWS = 40000 };
    for (int i = 0; i < ROWS; i++) {
        double p = 0.5 + 0.5 * ps_rng_uniform(&rng), q = fmin(p + 0.2, 1);
        size_t label = ps_rng_uniform(&rng) < p ? 0 : 1;
        const double answer[2] = {p, 1 - p}, boast[2] = {q, 1 - q};
        add(&honest, answer, 2, label, NULL);
        add(i % 2 ? &half : &other, answer, 2, label, NULL);
        add(&boastful, boast, 2, label, NULL);
    }
    ck_assert_double_lt(ps_calibration_ece(&honest), 2 * sqrt(PS_CALIBRATION_BINS * 0.25 / ROWS));
    ck_assert_double_eq_tol(ps_calibration_ece(&boastful), 0.16, 0.01);
    ck_assert(isinf(boastful.nll) && isfinite(honest.nll));
    ps_calibration_merge(&half, &other);
    ck_assert_double_eq_tol(ps_calibration_ece(&half), ps_calibration_ece(&honest), 1e-12);
    ck_assert_double_eq(half.rows, ROWS);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_few_rows_by_hand},
    {&bins_have_their_upper_edge},
    {&a_row_that_is_no_number_is_left_out},
    {&who_is_calibrated_has_no_error_but_chance},
    {0},
};

int main(void)
{
    return ps_check_main("explain/calibration", cases);
}
