/* task_message: the results of workers of any version say the same. */
#include "server/service/task_message.h"

#include "tests/lib/check_main.h"

#include <string.h>

static void says(const ps_task_result *r, const char *name, double value)
{
    double number = 0;
    ck_assert_msg(ps_task_result_number(r, name, &number), "%s", name);
    ck_assert_double_eq(number, value);
}

START_TEST(an_evaluation_of_an_older_worker_is_read_as_metrics)
{
    static char accuracy[] = "accuracy";
    Psd__V1__Metric metric = PSD__V1__METRIC__INIT, *metrics[] = {&metric};
    Psd__V1__EvaluateResult found = PSD__V1__EVALUATE_RESULT__INIT;
    Psd__V1__TaskResult message = PSD__V1__TASK_RESULT__INIT;
    ps_task_result r;
    metric.name = accuracy;
    metric.value = 0.75;
    found.samples = 100;
    found.loss = 0.5;
    found.metrics = metrics;
    found.n_metrics = 1;
    message.lease_id = 7;
    message.evaluate = &found;
    ps_task_result_read(&message, &r);
    ck_assert_uint_eq(r.lease_id, 7);
    ck_assert_uint_eq(r.n_numbers, 3);
    says(&r, "samples", 100);
    says(&r, "loss", 0.5);
    says(&r, "accuracy", 0.75);
    metric.value = 0.25; /* a newer one says metrics, too: these count */
    message.metrics = metrics;
    message.n_metrics = 1;
    ps_task_result_read(&message, &r);
    ck_assert_uint_eq(r.n_numbers, 1);
    says(&r, "accuracy", 0.25);
}
END_TEST

START_TEST(what_an_older_worker_generated_is_read_as_metrics_and_a_report)
{
    static const struct {
        Psd__V1__GenerateEnd end;
        const char *report;
    } rows[] = {
        {PSD__V1__GENERATE_END__GENERATE_END_LENGTH, "{\"ended\":\"length\"}"},
        {PSD__V1__GENERATE_END__GENERATE_END_STOP, "{\"ended\":\"stop\"}"},
        {PSD__V1__GENERATE_END__GENERATE_END_CONTEXT, "{\"ended\":\"context\"}"},
        {(Psd__V1__GenerateEnd)99, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Psd__V1__GenerateResult found = PSD__V1__GENERATE_RESULT__INIT;
        Psd__V1__TaskResult message = PSD__V1__TASK_RESULT__INIT;
        ps_task_result r;
        found.tokens = 6;
        found.end = rows[i].end;
        found.load_seconds = 0.5;
        found.prompt_seconds = 0.25;
        found.seconds = 2;
        message.generate = &found;
        ps_task_result_read(&message, &r);
        says(&r, "tokens", 6);
        says(&r, "load_seconds", 0.5);
        says(&r, "prompt_seconds", 0.25);
        says(&r, "seconds", 2);
        ck_assert_pstr_eq(r.report, rows[i].report);
        ck_ok(ps_task_result_check(&r));
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&an_evaluation_of_an_older_worker_is_read_as_metrics},
    {&what_an_older_worker_generated_is_read_as_metrics_and_a_report},
    {0},
};

int main(void)
{
    return ps_check_main("server/service/task_message", cases);
}
