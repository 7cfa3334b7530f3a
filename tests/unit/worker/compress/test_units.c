#include "worker/compress/units.h"

#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

START_TEST(saliency_is_of_what_is_known)
{
    const float w[6] = {1, -2, 3, 4, -5, 6}, squares[3] = {1, 10, 100};
    const float curvature[6] = {1, 2, 3, 4, 5, 6}, is[6] = {1, -2, 3, 4, -4, 8};
    ps_salient s = {.weights = w, .rows = 2, .columns = 3};
    ck_assert_double_eq(ps_saliency(&s, 1, 1), 25);
    s.squares = squares;
    ck_assert_double_eq(ps_saliency(&s, 1, 1), 250);
    s.curvature = curvature;
    ck_assert_double_eq(ps_saliency(&s, 1, 1), 1250);
    /* ½·N·(5·1² + 6·2²), and of zeros Σ f·w² */
    ck_assert_double_eq(ps_saliency_loss(&s, is, 10), 5 * (5 + 24));
    ck_assert_double_eq(ps_saliency_loss(&s, NULL, 2), 1 + 8 + 27 + 64 + 125 + 216);
}
END_TEST

/* An FFN of 4 units: rows of up, columns of down. */
START_TEST(a_units_importance_is_all_its_numbers)
{
    const float up[8] = {1, 1, 0, 0, 2, 0, 0, 1}, down[8] = {1, 0, 3, 0, 0, 1, 0, 1};
    double importance[4] = {0};
    ps_units_importance(&(ps_salient){.weights = up, .rows = 4, .columns = 2},
                        &(ps_member){.span = 1}, 4, importance);
    ck_assert(importance[0] == 2 && importance[1] == 0 && importance[2] == 4 && importance[3] == 1);
    ps_units_importance(&(ps_salient){.weights = down, .rows = 2, .columns = 4},
                        &(ps_member){.columns = true, .span = 1}, 4, importance);
    ck_assert(importance[0] == 3 && importance[1] == 1 && importance[2] == 13 &&
              importance[3] == 2);
    bool keep[4];
    ck_ok(ps_units_keep(importance, 4, 2, keep));
    ck_assert(keep[0] && !keep[1] && keep[2] && !keep[3]);
    const double equal[4] = {1, 1, 1, 1};
    ck_ok(ps_units_keep(equal, 4, 3, keep));
    ck_assert(keep[0] && keep[1] && keep[2] && !keep[3]);
}
END_TEST

/* q, k and v in one tensor, 2 units of 2 columns each; the second goes. */
START_TEST(members_of_one_tensor_are_cut_together)
{
    float w[2 * 12], out[12];
    const float wanted[12] = {0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21};
    bool stays[12], keep[2] = {true, false};
    for (int i = 0; i < 24; i++)
        w[i] = (float)i;
    memset(stays, true, sizeof stays);
    for (uint64_t k = 0; k < 3; k++)
        ps_units_mark(&(ps_member){.columns = true, .begin = 4 * k, .span = 2}, 2, keep, stays);
    ck_assert_uint_eq(ps_units_count(stays, 12), 6);
    ps_units_cut(w, 2, 12, NULL, stays, out);
    ck_assert_mem_eq(out, wanted, sizeof wanted);
    bool rows[2] = {false, true};
    ps_units_cut(w, 2, 12, rows, stays, w); /* in place */
    ck_assert_mem_eq(w, wanted + 6, 6 * sizeof *w);
}
END_TEST

static const ps_check_case cases[] = {
    {&saliency_is_of_what_is_known},
    {&a_units_importance_is_all_its_numbers},
    {&members_of_one_tensor_are_cut_together},
    {0},
};

int main(void)
{
    return ps_check_main("compress/units", cases);
}
