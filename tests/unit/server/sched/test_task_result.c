/* task_result: what a worker may say of a task that is done, and what is made of it. */
#include "server/sched/task_result.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

START_TEST(a_number_is_known_by_its_name_and_said_once)
{
    ps_task_result r = {0};
    double value = 0;
    ps_task_result_add(&r, "loss", 0.25);
    ps_task_result_add(&r, "loss", 7);
    ps_task_result_add(&r, "Loss", 8);
    ps_task_result_add(&r, "a-b", 8);
    ps_task_result_add(&r, "", 8);
    ps_task_result_add(&r, "a_name_of_thirty_two_letters_here", 8);
    ck_assert_uint_eq(r.n_numbers, 1);
    ck_assert(ps_task_result_number(&r, "loss", &value));
    ck_assert_double_eq(value, 0.25);
    ck_assert(!ps_task_result_number(&r, "los", &value));
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                        "j", "k", "l", "m", "n", "o", "p", "q"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ps_task_result_add(&r, names[i], (double)i);
    ck_assert_uint_eq(r.n_numbers, 16);
    ck_assert(ps_task_result_number(&r, "o", &value));
    ck_assert(!ps_task_result_number(&r, "p", &value));
}
END_TEST

START_TEST(a_count_is_a_whole_number_that_a_double_can_tell)
{
    static const double bad[] = {-1, 0.5, 0x1p54, NAN, INFINITY, -INFINITY};
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_task_result r = {0};
        ps_task_result_add(&r, "samples", bad[i]);
        ck_assert_msg(!ps_task_result_count(&r, "samples", &count), "%g", bad[i]);
    }
    ps_task_result r = {0};
    ps_task_result_add(&r, "samples", 0x1p53);
    ck_assert(ps_task_result_count(&r, "samples", &count));
    ck_assert_uint_eq(count, UINT64_C(9007199254740992));
}
END_TEST

START_TEST(metrics_are_the_numbers_that_are_none_of_progress)
{
    ps_task_result r = {0};
    ps_metric_list list;
    ps_task_result_add(&r, "samples", 9);
    ps_task_result_add(&r, "perplexity", 4);
    ps_task_result_add(&r, "loss", 1);
    ps_task_result_metrics(&r, &list);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_str_eq(list.at[0].name, "perplexity");
    ck_assert_double_eq(list.at[0].value, 4);
}
END_TEST

START_TEST(a_word_of_the_report_is_one_of_those_that_are_known)
{
    static const char *const words[] = {"length", "stop", NULL};
    static const struct {
        const char *report, *word;
    } rows[] = {
        {"{\"ended\":\"stop\"}", "stop"},
        {"{\"a\":{\"ended\":\"stop\"},\"b\":[\"ended\"],\"ended\":\"length\"}", "length"},
        {"{\"a\":{\"ended\":\"stop\"}}", NULL},
        {"{\"ended\":\"stops\"}", NULL},
        {"{\"ended\":\"stop\\u0000\"}", NULL},
        {"{\"ended\":[\"stop\"]}", NULL},
        {"[\"ended\",\"stop\"]", NULL},
        {"{\"ended\":", NULL},
        {"", NULL},
        {NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_task_result r = {.report = rows[i].report};
        const char *word = ps_task_result_word(&r, "ended", words);
        ck_assert_msg(word ? rows[i].word && !strcmp(word, rows[i].word) : !rows[i].word, "%s: %s",
                      rows[i].report, word ? word : "none");
    }
}
END_TEST

static void report(const char *text, const char *refusal)
{
    ps_task_result r = {.report = text};
    ps_status st = ps_task_result_check(&r);
    if (!refusal)
        ck_ok(st);
    else
        ck_assert_msg(st == PS_INVALID_ARGUMENT && strstr(ps_error_message(), refusal), "%.40s: %s",
                      text, st ? ps_error_message() : "taken");
}

START_TEST(a_report_is_a_bounded_json_object)
{
    report("{\"a\":[1,{\"b\":null}]}", NULL);
    report(" {}\n", NULL);
    report("", NULL);
    report("[]", "no JSON object");
    report("{} {}", "no JSON object");
    report("{\"a\":}", "no JSON object");
    report("{\"a\":\"\xff\"}", "no JSON object");
    char *most = ps_alloc(PS_RESULT_REPORT + 2);
    memset(most, ' ', PS_RESULT_REPORT + 1);
    memcpy(most, "{}", 2);
    report(most, "65537 bytes, allowed are 65536");
    most[PS_RESULT_REPORT] = 0;
    report(most, NULL);
    free(most);
}
END_TEST

START_TEST(artifacts_are_few_and_named_as_files_can_be)
{
    static char good[] = "describe.json", bad[] = "../psd.db";
    char *names[PS_RESULT_ARTIFACTS + 1];
    for (size_t i = 0; i <= PS_RESULT_ARTIFACTS; i++)
        names[i] = good;
    ps_task_result r = {.artifacts = names, .n_artifacts = PS_RESULT_ARTIFACTS};
    ck_ok(ps_task_result_check(&r));
    names[3] = bad;
    ck_assert_int_eq(ps_task_result_check(&r), PS_INVALID_ARGUMENT);
    names[3] = good;
    r.n_artifacts++;
    ck_assert_int_eq(ps_task_result_check(&r), PS_INVALID_ARGUMENT);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_number_is_known_by_its_name_and_said_once},
    {&a_count_is_a_whole_number_that_a_double_can_tell},
    {&metrics_are_the_numbers_that_are_none_of_progress},
    {&a_word_of_the_report_is_one_of_those_that_are_known},
    {&a_report_is_a_bounded_json_object},
    {&artifacts_are_few_and_named_as_files_can_be},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/task_result", cases);
}
