#include "worker/explain/selection.h"

#include "tests/lib/check_main.h"

START_TEST(a_range_ends_with_the_data)
{
    ps_selection s;
    const ps_spec_explain spec = {.rows = {.first = 7, .count = 5}};
    ck_ok(ps_selection_make(&spec, 100, &s));
    ck_assert_uint_eq(s.n, 5);
    ck_assert_uint_eq(ps_selection_row(&s, 0), 7);
    ck_assert_uint_eq(ps_selection_row(&s, 4), 11);
    ps_selection_free(&s);
    ck_ok(ps_selection_make(&spec, 10, &s));
    ck_assert_uint_eq(s.n, 3);
    ps_selection_free(&s);
    ck_assert_int_eq(ps_selection_make(&spec, 7, &s), PS_OUT_OF_RANGE);
    ck_assert_str_eq(ps_error_message(), "rows begin with 7, but there are 7 rows");
}
END_TEST

START_TEST(a_sample_is_of_different_rows_in_order)
{
    ps_selection s, again, other;
    ps_spec_explain spec = {.rows = {.sample = 64}, .seed = 3};
    ck_ok(ps_selection_make(&spec, 1000, &s));
    ck_ok(ps_selection_make(&spec, 1000, &again));
    spec.seed = 4;
    ck_ok(ps_selection_make(&spec, 1000, &other));
    ck_assert_uint_eq(s.n, 64);
    size_t differ = 0;
    for (uint64_t i = 0; i < s.n; i++) {
        ck_assert_uint_lt(ps_selection_row(&s, i), 1000);
        ck_assert(i == 0 || ps_selection_row(&s, i - 1) < ps_selection_row(&s, i));
        ck_assert_uint_eq(ps_selection_row(&s, i), ps_selection_row(&again, i));
        differ += ps_selection_row(&s, i) != ps_selection_row(&other, i);
    }
    ck_assert_uint_gt(differ, 32);
    ps_selection_free(&s);
    ps_selection_free(&again);
    ps_selection_free(&other);
}
END_TEST

START_TEST(a_sample_of_more_than_there_are_is_all)
{
    ps_selection s;
    const ps_spec_explain spec = {.rows = {.sample = 64}};
    ck_ok(ps_selection_make(&spec, 9, &s));
    ck_assert_uint_eq(s.n, 9);
    for (uint64_t i = 0; i < 9; i++)
        ck_assert_uint_eq(ps_selection_row(&s, i), i);
    ps_selection_free(&s);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_range_ends_with_the_data},
    {&a_sample_is_of_different_rows_in_order},
    {&a_sample_of_more_than_there_are_is_all},
    {0},
};

int main(void)
{
    return ps_check_main("explain/selection", cases);
}
