#include "worker/explain/part.h"

#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

static const uint64_t two_by_two[] = {2, 2}, three_by_one[] = {3, 1};

static void put_rows(ps_explain_part *p, uint64_t rows, const uint64_t *shape, float first)
{
    float values[16];
    for (int i = 0; i < 16; i++)
        values[i] = first + (float)i;
    ck_ok(ps_explain_put_rows(p, "weights", "query key", rows, 2, shape, values));
}

START_TEST(rows_come_behind_those_before)
{
    ps_explain_part p = PS_EXPLAIN_PART_EMPTY;
    const float a[] = {1, 2, 3}, b[] = {4, 5, 6, 7, 8, 9};
    ck_ok(ps_explain_put_values(&p, "values", "feature", 1, 3, a));
    ck_ok(ps_explain_put_values(&p, "values", "feature", 2, 3, b));
    const ps_explain_array *v = ps_explain_get(&p, "values");
    ck_assert_str_eq(v->axes, "row feature");
    ck_assert_int_eq(v->rank, 2);
    ck_assert_uint_eq(v->shape[0], 3);
    ck_assert_uint_eq(v->shape[1], 3);
    for (int i = 0; i < 9; i++)
        ck_assert(v->floats[i] == (float)(i + 1));
    ck_ok(ps_explain_put_rows(&p, "steps", "", 2, 0, NULL, a));
    ck_assert_str_eq(ps_explain_get(&p, "steps")->axes, "row");
    ck_assert_uint_eq(ps_explain_row_count(ps_explain_get(&p, "steps")), 1);
    ps_explain_part_free(&p);
}
END_TEST

START_TEST(smaller_rows_are_filled_up)
{
    ps_explain_part p = PS_EXPLAIN_PART_EMPTY;
    put_rows(&p, 1, two_by_two, 1);   /* 1 2 / 3 4 */
    put_rows(&p, 1, three_by_one, 5); /* 5 / 6 / 7 */
    put_rows(&p, 1, two_by_two, 8);
    static const float want[] = {1,   2, 3,   4, NAN, NAN, 5,  NAN, 6,
                                 NAN, 7, NAN, 8, 9,   10,  11, NAN, NAN};
    const ps_explain_array *w = ps_explain_get(&p, "weights");
    ck_assert_uint_eq(w->shape[1], 3);
    ck_assert_uint_eq(w->shape[2], 2);
    for (int i = 0; i < 18; i++)
        ck_assert(isnan(want[i]) ? isnan(w->floats[i]) : w->floats[i] == want[i]);
    ps_explain_part_free(&p);
}
END_TEST

START_TEST(parts_merge_rows_behind_rows_and_sums_by_addition)
{
    ps_explain_part a = PS_EXPLAIN_PART_EMPTY, b = PS_EXPLAIN_PART_EMPTY;
    const float rows[] = {1, 2}, result[] = {7};
    const double sums[] = {0.5, 0.25};
    const uint64_t shape[] = {2}, one[] = {1};
    for (int i = 0; i < 2; i++) {
        ps_explain_part *p = i ? &b : &a;
        ck_ok(ps_explain_put_values(p, "values", "feature", 1, 2, rows));
        ck_ok(ps_explain_put_sums(p, "sums", "class", 1, shape, sums));
        ck_ok(ps_explain_put_sums(p, "sums", "class", 1, shape, sums));
        ck_ok(ps_explain_put_result(p, "edges", "edge", 1, one, result));
        ps_explain_warn(p, "row %d: too steep", i);
        ps_explain_warn(p, "row %d: too steep", i);
        p->evaluations = 10;
        p->tolerance = 0.01;
    }
    ck_ok(ps_explain_merge(&a, &b));
    ck_assert_uint_eq(b.n, 0);
    ck_assert_uint_eq(ps_explain_get(&a, "values")->shape[0], 2);
    ck_assert_double_eq(ps_explain_get(&a, "sums")->doubles[0], 2);
    ck_assert_double_eq(ps_explain_get(&a, "sums")->doubles[1], 1);
    ck_assert(ps_explain_get(&a, "edges")->floats[0] == 7);
    ck_assert_uint_eq(a.evaluations, 20);
    ck_assert_uint_eq(a.n_warnings, 2);
    ck_assert_double_eq(a.tolerance, 0.01);
    ps_explain_part empty = PS_EXPLAIN_PART_EMPTY;
    ck_ok(ps_explain_merge(&empty, &a));
    ck_assert_uint_eq(empty.n, 3);
    ps_explain_drop(&empty, "sums");
    ck_assert_uint_eq(empty.n, 2);
    ck_assert_ptr_null(ps_explain_get(&empty, "sums"));
    ps_explain_part_free(&empty);
}
END_TEST

START_TEST(parts_that_differ_are_not_merged)
{
    ps_explain_part a = PS_EXPLAIN_PART_EMPTY, b = PS_EXPLAIN_PART_EMPTY;
    const double sums[] = {1, 2, 3};
    const uint64_t two[] = {2}, three[] = {3};
    ck_ok(ps_explain_put_sums(&a, "sums", "class", 1, two, sums));
    ck_ok(ps_explain_put_sums(&b, "sums", "class", 1, three, sums));
    ck_assert_int_eq(ps_explain_merge(&a, &b), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(), "sums: parts of a job differ in what it is");
    ps_explain_part_free(&a);
}
END_TEST

START_TEST(more_than_a_part_may_hold_is_refused)
{
    ps_explain_part p = PS_EXPLAIN_PART_EMPTY;
    const uint64_t large[] = {UINT64_C(1) << 20, UINT64_C(1) << 20},
                   larger[] = {UINT64_C(1) << 40, UINT64_C(1) << 40};
    const float none = 0;
    const double sum = 0;
    ck_assert_int_eq(ps_explain_put_rows(&p, "a", "x y", 1, 2, large, &none), PS_OUT_OF_RANGE);
    ck_assert_int_eq(ps_explain_put_sums(&p, "b", "x y", 2, larger, &sum), PS_OUT_OF_RANGE);
    ck_assert_int_eq(ps_explain_put_result(&p, "c", "x y", 2, larger, &none), PS_OUT_OF_RANGE);
    ps_explain_part_free(&p);
}
END_TEST

/* [rows, width] of a part, of which a file says one and has no numbers. */
static ps_explain_part empty_part(uint64_t rows, uint64_t width)
{
    ps_explain_part p = PS_EXPLAIN_PART_EMPTY;
    ck_ok(ps_explain_put_values(&p, "values", "feature", 0, 0, NULL));
    p.arrays[0].shape[0] = rows;
    p.arrays[0].shape[1] = width;
    return p;
}

START_TEST(rows_do_not_wrap)
{
    ps_explain_part all = empty_part((UINT64_C(1) << 63) - 1, 0);
    for (int i = 0; i < 2; i++) {
        ps_explain_part more = empty_part(i ? 2 : (UINT64_C(1) << 63) - 1, 0);
        const float one = 1;
        ck_assert_int_eq(ps_explain_merge(&all, &more), i ? PS_OUT_OF_RANGE : PS_OK);
        ck_assert_int_eq(ps_explain_put_values(&all, "values", "feature", 10, 1, &one),
                         PS_OUT_OF_RANGE);
    }
    ps_explain_part_free(&all);
}
END_TEST

START_TEST(the_width_of_no_rows_is_not_taken)
{
    const float one[] = {1};
    for (int first = 0; first < 2; first++) {
        ps_explain_part all = PS_EXPLAIN_PART_EMPTY, wide = empty_part(0, UINT64_C(1) << 29);
        if (first)
            ck_ok(ps_explain_merge(&all, &wide));
        ck_ok(ps_explain_put_values(&all, "values", "feature", 1, 1, one));
        if (!first)
            ck_ok(ps_explain_merge(&all, &wide));
        ck_assert_uint_eq(ps_explain_get(&all, "values")->shape[0], 1);
        ck_assert_uint_eq(ps_explain_get(&all, "values")->shape[1], 1);
        ck_assert(ps_explain_get(&all, "values")->floats[0] == 1);
        ps_explain_part_free(&all);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&rows_come_behind_those_before},
    {&smaller_rows_are_filled_up},
    {&parts_merge_rows_behind_rows_and_sums_by_addition},
    {&parts_that_differ_are_not_merged},
    {&more_than_a_part_may_hold_is_refused},
    {&rows_do_not_wrap},
    {&the_width_of_no_rows_is_not_taken},
    {0},
};

int main(void)
{
    return ps_check_main("explain/part", cases);
}
