/* metric_list: what a worker says is bounded, and what is kept comes back. */
#include "common/format/metric_list.h"

#include "tests/lib/check_main.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

START_TEST(numbers_of_one_name_are_added_up)
{
    ps_metric_list list = {0};
    ps_metric_list_add(&list, "accuracy", 30);
    ps_metric_list_add(&list, "f1", 2);
    ps_metric_list_add(&list, "accuracy", 60);
    ck_assert_uint_eq(list.count, 2);
    ps_metric_list_divide(&list, 100);
    ck_assert_double_eq(list.at[0].value, 0.9);
    ck_assert_double_eq(list.at[1].value, 0.02);
}
END_TEST

START_TEST(names_are_short_plain_and_no_fields_of_progress)
{
    static const char *const bad[] = {"",
                                      "Accuracy",
                                      "a b",
                                      "a\"b",
                                      "\033[2J",
                                      "caf\xc3\xa9",
                                      "loss",
                                      "samples",
                                      "has_test",
                                      "metrics",
                                      "workers",
                                      "a23456789012345678901234567890123" /* 33 */,
                                      "a2345678901234567890123456789012" /* 32 */};
    ps_metric_list list = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!ps_metric_name_ok(bad[i]), "%s", bad[i]);
        ps_metric_list_add(&list, bad[i], 1);
    }
    ck_assert_uint_eq(list.count, 0);
    ck_assert(ps_metric_name_ok("accuracy"));
    ck_assert(ps_metric_name_ok("a234567890123456789012345678901")); /* 31 */
}
END_TEST

START_TEST(what_is_too_much_is_left_out)
{
    Psd__V1__Metric messages[20], *from[20];
    char names[20][8];
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "m%d", i);
        from[i] = &messages[i];
        psd__v1__metric__init(from[i]);
        from[i]->name = names[i];
        from[i]->value = i;
    }
    ps_metric_list list = {0};
    ps_metric_list_add_messages(&list, from, 20);
    ck_assert_uint_eq(list.count, PS_METRICS_MAX);
    ps_metric_list_add(&list, "m0", 5); /* one that is there goes on */
    ck_assert_double_eq(list.at[0].value, 5);
    ck_assert_str_eq(list.at[PS_METRICS_MAX - 1].name, "m7");
    ck_assert_uint_eq(ps_metric_list_place(&list, "m8"), PS_METRICS_MAX);
}
END_TEST

START_TEST(messages_and_json_read_back)
{
    ps_metric_list list = {0}, again;
    ps_metric_list_add(&list, "accuracy", 0.1 + 0.2);
    ps_metric_list_add(&list, "perplexity", INFINITY);
    ps_buf json = PS_BUF_EMPTY;
    ps_metric_list_format(&list, &json);
    ck_ok(ps_metric_list_parse(ps_buf_slice(&json), &again));
    ck_assert_uint_eq(again.count, 2);
    ck_assert_double_eq(again.at[0].value, 0.1 + 0.2);
    ck_assert(isnan(again.at[1].value));
    ps_buf_free(&json);
    ps_metric_view view;
    again = (ps_metric_list){0};
    size_t n = ps_metric_list_view(&list, &view);
    ps_metric_list_add_messages(&again, view.list, n);
    ck_assert_int_eq(memcmp(&again, &list, sizeof list), 0);
    ck_ok(ps_metric_list_parse(ps_slice_str("{}"), &again));
    ck_assert_uint_eq(again.count, 0);
}
END_TEST

START_TEST(other_json_is_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{\"a\":1",
        "{\"a\":\"1\"}",
        "{\"a\":{}}",
        "{\"a\":1,\"a\":2}",
        "{\"loss\":1}",
        "{\"a\":1} 2",
        "{\"a\\u0000b\":1}",
        "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1}"};
    ps_metric_list list = {.count = 3};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(ps_metric_list_parse(ps_slice_str(bad[i]), &list) == PS_CORRUPT, "%s",
                      bad[i]);
    ck_assert_uint_eq(list.count, 3); /* nothing changed */
}
END_TEST

static const ps_check_case tests[] = {
    {&numbers_of_one_name_are_added_up},
    {&names_are_short_plain_and_no_fields_of_progress},
    {&what_is_too_much_is_left_out},
    {&messages_and_json_read_back},
    {&other_json_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("format/metric_list", tests);
}
