#include "worker/explain/scoring.h"

#include "tests/lib/check_main.h"

#include <math.h>

static const float z[] = {1.25F, -0.5F, 3.0F, 0.75F};
static const float y[] = {0.5F, 0.25F, 1.0F, -1.0F};
enum { N = 4 };

static const ps_explain_goal goals[] = {
    {.score = PS_EXPLAIN_LOGIT, .target = 2, .other = -1},
    {.score = PS_EXPLAIN_LOGIT, .target = 2, .other = 1},
    {.score = PS_EXPLAIN_LOG_PROBABILITY, .target = 0, .other = -1},
    {.score = PS_EXPLAIN_LOG_PROBABILITY, .target = 0, .other = 3},
    {.score = PS_EXPLAIN_PROBABILITY, .target = 0, .other = -1},
    {.score = PS_EXPLAIN_PROBABILITY, .target = 2, .other = 0},
    {.score = PS_EXPLAIN_LOSS, .target = 1, .other = -1},
    {.score = PS_EXPLAIN_LOSS, .target = 0, .other = -1, .targets = y},
};
/* By Python's math, from z and y above. */
static const double values[] = {3.0,
                                3.5,
                                -2.0195465266502337,
                                0.5,
                                0.13271563443980586,
                                0.6310101106552992,
                                3.7695465266502337,
                                2.046875};
enum { GOALS = sizeof goals / sizeof *goals };

START_TEST(scores_are_what_python_says)
{
    ck_assert_double_eq_tol(ps_explain_score_of(&goals[_i], z, N), values[_i], 1e-9);
}
END_TEST

START_TEST(gradients_are_those_of_finite_differences)
{
    float dz[N];
    ps_explain_score_gradient(&goals[_i], z, N, dz);
    for (int i = 0; i < N; i++) {
        const float step = 1.0F / 1024;
        float up[N], down[N];
        for (int k = 0; k < N; k++)
            up[k] = down[k] = z[k];
        up[i] += step;
        down[i] -= step;
        double slope =
            (ps_explain_score_of(&goals[_i], up, N) - ps_explain_score_of(&goals[_i], down, N)) /
            (2 * (double)step);
        ck_assert_double_eq_tol((double)dz[i], slope, 1e-6);
    }
}
END_TEST

START_TEST(large_logits_overflow_nothing)
{
    const float large[] = {1e30F, 0, -1e30F};
    const ps_explain_goal goal = {.score = PS_EXPLAIN_PROBABILITY, .target = 0, .other = -1};
    float dz[3];
    ck_assert_double_eq(ps_explain_score_of(&goal, large, 3), 1);
    ps_explain_score_gradient(&goal, large, 3, dz);
    for (int i = 0; i < 3; i++)
        ck_assert(dz[i] == 0);
}
END_TEST

/* ---- what is explained of a row ---- */

static int64_t two[] = {3, 1};
static const ps_spec_model classes = {.loss = PS_SPEC_CROSS_ENTROPY},
                           numbers = {.loss = PS_SPEC_SQUARED_ERROR};

static ps_explain_goal goal_of(const ps_spec_explain *spec, int64_t label)
{
    ps_explain_goal goal;
    ck_ok(ps_explain_goal_of(spec, &classes, z, N, &(ps_explain_label){.label = label}, &goal));
    return goal;
}

START_TEST(targets_are_what_the_job_says)
{
    ps_spec_explain spec = {.target = {.kind = PS_EXPLAIN_PREDICTED}};
    ck_assert_int_eq(goal_of(&spec, 1).target, 2);
    ck_assert_int_eq(goal_of(&spec, 1).other, -1);
    spec.target.kind = PS_EXPLAIN_LABEL;
    ck_assert_int_eq(goal_of(&spec, 1).target, 1);
    spec.target = (ps_spec_explain_target){.kind = PS_EXPLAIN_CLASS, .number = 3};
    ck_assert_int_eq(goal_of(&spec, -1).target, 3);
    spec.target = (ps_spec_explain_target){
        .kind = PS_EXPLAIN_DIFFERENCE, .difference = two, .n_difference = 2};
    ck_assert_int_eq(goal_of(&spec, -1).target, 3);
    ck_assert_int_eq(goal_of(&spec, -1).other, 1);
}
END_TEST

START_TEST(a_row_without_its_label_is_refused)
{
    ps_explain_goal goal;
    ps_spec_explain spec = {.target = {.kind = PS_EXPLAIN_LABEL}};
    const ps_explain_label none = {.label = -1}, large = {.label = N};
    ck_assert_int_eq(ps_explain_goal_of(&spec, &classes, z, N, &none, &goal), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "it has no label, and explain.target is label");
    ck_assert_int_eq(ps_explain_goal_of(&spec, &classes, z, N, &large, &goal), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "its label is 4, and the model has 4 outputs");
    spec = (ps_spec_explain){.score = PS_EXPLAIN_LOSS};
    ck_assert_int_eq(ps_explain_goal_of(&spec, &numbers, z, N, &none, &goal), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "it has no label, and explain.score is loss");
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &scores_are_what_python_says, .repeat = GOALS},
    {.test = &gradients_are_those_of_finite_differences, .repeat = GOALS},
    {&large_logits_overflow_nothing},
    {&targets_are_what_the_job_says},
    {&a_row_without_its_label_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("explain/scoring", cases);
}
