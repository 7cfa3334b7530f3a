#include "server/metrics/exposition.h"

#include "tests/lib/check_main.h"

#include <math.h>

START_TEST(a_counter_has_help_type_and_value)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_metric_counter(&out, "psd_pushes_total", "Pushes applied.", 3);
    ck_assert_str_eq(ps_buf_cstr(&out), "# HELP psd_pushes_total Pushes applied.\n"
                                        "# TYPE psd_pushes_total counter\n"
                                        "psd_pushes_total 3\n");
    ps_buf_free(&out);
}
END_TEST

START_TEST(label_values_are_escaped_and_extremes_are_named)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_metric_sample(&out, "x", "job", "a\"b\\c\nd", INFINITY);
    ps_metric_sample(&out, "x", NULL, NULL, NAN);
    ck_assert_str_eq(ps_buf_cstr(&out), "x{job=\"a\\\"b\\\\c\\nd\"} +Inf\nx NaN\n");
    ps_buf_free(&out);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_counter_has_help_type_and_value},
    {&label_values_are_escaped_and_extremes_are_named},
    {0},
};

int main(void)
{
    return ps_check_main("metrics/exposition", cases);
}
