#include "server/metrics/exposition.h"

#include "tests/lib/check_main.h"

#include <math.h>

START_TEST(a_metric_without_labels_has_help_type_and_value)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_metric_put(&out, (const ps_metric_row[]){
                            {"psd_pushes_total", "counter", "Pushes applied.", 3},
                            {"psd_unknown", "gauge", "Nobody can say.", NAN},
                            {"psd_ready", "gauge", "It is.", 1},
                            {0},
                        });
    ck_assert_str_eq(ps_buf_cstr(&out), "# HELP psd_pushes_total Pushes applied.\n"
                                        "# TYPE psd_pushes_total counter\n"
                                        "psd_pushes_total 3\n"
                                        "# HELP psd_ready It is.\n"
                                        "# TYPE psd_ready gauge\n"
                                        "psd_ready 1\n");
    ps_buf_free(&out);
}
END_TEST

START_TEST(label_values_are_escaped_and_extremes_are_named)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_metric_sample(&out, "x", PS_LABELS({"job_id", "7"}, {"name", "a\"b\\c\nd"}), INFINITY);
    ps_metric_sample(&out, "x", NULL, NAN);
    ck_assert_str_eq(ps_buf_cstr(&out), "x{job_id=\"7\",name=\"a\\\"b\\\\c\\nd\"} +Inf\nx NaN\n");
    ps_buf_free(&out);
}
END_TEST

START_TEST(a_histogram_adds_up_its_counts)
{
    ps_buf out = PS_BUF_EMPTY;
    static const double bounds[] = {0.001, 2.5};
    static const uint64_t counts[] = {3, 0, 2};
    ps_metric_distribution(
        &out, "t_seconds", PS_LABELS({"m", "Push"}),
        &(ps_metric_histogram){.bounds = bounds, .counts = counts, .n_bounds = 2, .sum = 7.5});
    ck_assert_str_eq(ps_buf_cstr(&out), "t_seconds_bucket{m=\"Push\",le=\"0.001\"} 3\n"
                                        "t_seconds_bucket{m=\"Push\",le=\"2.5\"} 3\n"
                                        "t_seconds_bucket{m=\"Push\",le=\"+Inf\"} 5\n"
                                        "t_seconds_sum{m=\"Push\"} 7.5\n"
                                        "t_seconds_count{m=\"Push\"} 5\n");
    ps_buf_free(&out);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_histogram_adds_up_its_counts},
    {&a_metric_without_labels_has_help_type_and_value},
    {&label_values_are_escaped_and_extremes_are_named},
    {0},
};

int main(void)
{
    return ps_check_main("metrics/exposition", cases);
}
