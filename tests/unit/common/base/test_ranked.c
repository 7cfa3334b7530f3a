/* The orders are total: equals by place, NaN last, whatever the order they came in. */
#include "common/base/ranked.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>

static const ps_ranked came[] = {{2, 0},    {NAN, 1}, {-1, 2},        {2, 3},
                                 {-0.0, 4}, {0.0, 5}, {-INFINITY, 6}, {NAN, 7}};

enum { ALL = sizeof came / sizeof *came };

static void is_sorted_to(int (*order)(const void *, const void *), const size_t *expected,
                         size_t turn)
{
    ps_ranked all[ALL];
    for (size_t i = 0; i < ALL; i++)
        all[(i * 3 + turn) % ALL] = came[i];
    qsort(all, ALL, sizeof *all, order);
    for (size_t i = 0; i < ALL; i++)
        ck_assert_uint_eq(all[i].at, expected[i]);
}

START_TEST(equals_stay_in_place_and_nan_is_last)
{
    const size_t up[ALL] = {6, 2, 4, 5, 0, 3, 1, 7}, down[ALL] = {0, 3, 4, 5, 2, 6, 1, 7};
    for (size_t turn = 0; turn < ALL; turn++) {
        is_sorted_to(ps_ranked_up, up, turn);
        is_sorted_to(ps_ranked_down, down, turn);
    }
}
END_TEST

START_TEST(numbers_alone)
{
    double x[] = {3, NAN, -1, INFINITY, 0};
    qsort(x, 5, sizeof *x, ps_number_up);
    ck_assert(x[0] == -1 && x[1] == 0 && x[2] == 3 && isinf(x[3]) && isnan(x[4]));
}
END_TEST

static const ps_check_case tests[] = {
    {&equals_stay_in_place_and_nan_is_last}, {&numbers_alone}, {0}};

int main(void)
{
    return ps_check_main("base/ranked", tests);
}
