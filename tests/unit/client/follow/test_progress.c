/* progress: given a job and a width, the exact lines of the screen. */
#include "client/follow/progress.h"
#include "client/show/human.h"
#include "common/base/text.h"
#include "tests/lib/check_main.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static Psd__V1__Progress progress;
static Psd__V1__Metric metric, test_metric;
static Psd__V1__Job job;
static ps_buf out;

static void set_metric(Psd__V1__Metric *m, double value)
{
    static char accuracy[] = "accuracy";
    psd__v1__metric__init(m);
    m->name = accuracy;
    m->value = value;
}

static void tested(double accuracy)
{
    static Psd__V1__Metric *list[] = {&test_metric};
    set_metric(&test_metric, accuracy);
    progress.has_test = true;
    progress.test_metrics = list;
    progress.n_test_metrics = 1;
}

/* Job 7, in the third of ten epochs, 27% done. */
static void running(void)
{
    progress = (Psd__V1__Progress)PSD__V1__PROGRESS__INIT;
    progress.epoch = 3;
    progress.epochs = 10;
    progress.samples = 162000;
    progress.samples_total = 600000;
    progress.steps = 1265;
    progress.has_loss = true;
    progress.samples_per_second = 12400;
    progress.loss = 0.38124;
    static Psd__V1__Metric *list[] = {&metric};
    set_metric(&metric, 0.8621);
    progress.metrics = list;
    progress.n_metrics = 1;
    progress.bytes_in_per_second = 3.2e6;
    progress.bytes_out_per_second = 4.1e6;
    progress.staleness_mean = 1.2;
    progress.staleness_max = 4;
    progress.workers = 2;
    progress.eta_seconds = 72;
    job = (Psd__V1__Job)PSD__V1__JOB__INIT;
    job.id = 7;
    static char name[] = "fashion-mlp";
    job.name = name;
    job.state = PSD__V1__JOB_STATE__JOB_STATE_RUNNING;
    job.submitted_ms = 1000000;
    job.started_ms = 1000000;
    job.progress = &progress;
    ps_buf_clear(&out);
}

static void bar_is(unsigned width, bool utf8, const char *note, const char *expected)
{
    ps_style style = {.width = width, .utf8 = utf8};
    ps_progress_bar(&out, &style, &job, 1012000, note);
    ck_assert_str_eq(ps_buf_cstr(&out), expected);
    ps_buf_clear(&out);
}

START_TEST(a_wide_terminal_shows_everything)
{
    running();
    bar_is(120, false, NULL,
           "job 7 fashion-mlp  epoch 3/10 [##########------------------------------]  27%  ETA 1m "
           "12s\n"
           "  loss 0.3812  accuracy 0.8621  12.4k samples/s  2 workers  in 3.2 MB/s out 4.1 MB/s  "
           "staleness 1.2 (max 4)\n");
}
END_TEST

START_TEST(utf8_draws_eighths_of_a_column)
{
    running();
    progress.samples = 162500; /* 8.125 of 30 columns */
    bar_is(80, true, NULL,
           "job 7 fashion-mlp  epoch 3/10 ▕████████▏                     ▏  27%  ETA 1m 12s\n"
           "  loss 0.3812  accuracy 0.8621  12.4k samples/s  2 workers\n");
}
END_TEST

START_TEST(a_narrow_terminal_keeps_what_matters)
{
    running();
    bar_is(60, false, NULL,
           "job 7 fashion-mlp  epoch 3/10 [##--------]  27%  ETA 1m 12s\n"
           "  loss 0.3812  accuracy 0.8621  12.4k samples/s  2 workers\n");
    bar_is(59, false, NULL,
           "epoch 3/10 [#######---------------------]  27%  ETA 1m 12s\n"
           "  loss 0.3812  accuracy 0.8621  12.4k samples/s  2 workers\n");
    bar_is(40, false, NULL,
           "epoch 3/10  27%  ETA 1m 12s\n"
           "  loss 0.3812  accuracy 0.8621\n");
    bar_is(20, false, NULL, " 27%  ETA 1m 12s\n  loss 0.3812\n");
}
END_TEST

/* The property that keeps the screen whole: no line reaches the last column. */
START_TEST(no_line_is_as_wide_as_the_terminal)
{
    running();
    tested(0.8512);
    static char reason[] = "waits for a worker that can read the data, and for another one as well";
    for (unsigned width = 20; width < 200; width++) {
        for (int state = 0; state < 6; state++) {
            job.state = state % 2 ? PSD__V1__JOB_STATE__JOB_STATE_RUNNING
                                  : PSD__V1__JOB_STATE__JOB_STATE_QUEUED;
            job.reason = reason;
            ps_style style = {.width = width, .utf8 = state < 3};
            ps_progress_bar(&out, &style, &job, 1012000, state > 3 ? reason : NULL);
            (void)ps_buf_cstr(&out);
            char *line = strtok((char *)out.data, "\n");
            for (; line; line = strtok(NULL, "\n"))
                ck_assert_msg(ps_text_columns(line, strlen(line)) < width, "%u: %s", width, line);
            ps_buf_clear(&out);
        }
    }
}
END_TEST

START_TEST(progress_at_its_ends_fills_none_and_all)
{
    running();
    progress.samples = 0;
    progress.eta_seconds = -1;
    bar_is(50, false, NULL,
           "epoch 3/10 [------------------------]   0%  ETA -\n"
           "  loss 0.3812  accuracy 0.8621  12.4k samples/s\n");
    progress.samples = 700000; /* more than was planned */
    progress.eta_seconds = 0;
    bar_is(50, false, NULL,
           "epoch 3/10 [#######################] 100%  ETA 0s\n"
           "  loss 0.3812  accuracy 0.8621  12.4k samples/s\n");
}
END_TEST

START_TEST(before_the_first_step_there_is_no_loss)
{
    running();
    progress.steps = 0;
    progress.has_loss = false;
    progress.samples = 0;
    progress.samples_total = 0;
    bar_is(60, false, NULL,
           "job 7 fashion-mlp  epoch 3/10 [----------]   0%  ETA 1m 12s\n"
           "  12.4k samples/s  2 workers  in 3.2 MB/s out 4.1 MB/s\n");
}
END_TEST

START_TEST(a_job_that_waits_says_for_what)
{
    running();
    static char reason[] = "waits for a worker";
    job.state = PSD__V1__JOB_STATE__JOB_STATE_QUEUED;
    job.reason = reason;
    job.started_ms = 0;
    bar_is(80, false, NULL, "job 7 fashion-mlp  queued for 12s: waits for a worker\n");
    bar_is(30, false, NULL, "job 7 fashion-mlp  queued ...\n");
}
END_TEST

START_TEST(a_lost_connection_stands_below_the_bar)
{
    running();
    bar_is(60, false, "no connection: connection refused; trying again",
           "job 7 fashion-mlp  epoch 3/10 [##--------]  27%  ETA 1m 12s\n"
           "  no connection: connection refused; trying again\n");
}
END_TEST

START_TEST(a_pipe_gets_everything_in_one_line)
{
    running();
    tested(0.8512);
    ps_progress_line(&out, &(ps_style){0}, &job, 1012000);
    ck_assert_str_eq(ps_buf_cstr(&out),
                     "epoch 3/10  27%  loss 0.3812  accuracy 0.8621  test 0.8512  12.4k samples/s  "
                     "2 workers  in 3.2 MB/s out 4.1 MB/s  staleness 1.2 (max 4)  ETA 1m 12s\n");
    ps_buf_clear(&out);
}
END_TEST

START_TEST(a_job_of_which_nothing_is_known_yet_has_no_numbers)
{
    running();
    progress.samples = progress.samples_total = 0;
    ps_progress_line(&out, &(ps_style){0}, &job, 1012000);
    ck_assert_str_eq(ps_buf_cstr(&out), "job 7 fashion-mlp  running for 12s\n");
    ps_buf_clear(&out);
}
END_TEST

START_TEST(log_lines_have_their_time_and_colour)
{
    setenv("TZ", "UTC", 1);
    tzset();
    static char source[] = "worker-1", text[] = "cannot read /data/x\033[0m";
    Psd__V1__LogEvent event = PSD__V1__LOG_EVENT__INIT;
    event.time_ms = 1767225661000;
    event.level = 3;
    event.source = source;
    event.text = text;
    ps_buf_clear(&out);
    ps_progress_log(&out, &(ps_style){0}, &event);
    ck_assert_str_eq(ps_buf_cstr(&out), "00:01:01 worker-1: cannot read /data/x?[0m\n");
    ps_buf_clear(&out);
    ps_progress_log(&out, &(ps_style){.color = true}, &event);
    ck_assert_str_eq(ps_buf_cstr(&out), "\033[2m00:01:01\033[0m worker-1: "
                                        "\033[31mcannot read /data/x?[0m\033[0m\n");
    ps_buf_clear(&out);
}
END_TEST

START_TEST(a_model_without_right_answers_has_no_accuracy)
{
    running();
    progress.n_metrics = 0;
    progress.has_test = true;
    progress.test_loss = 0.3211;
    bar_is(60, false, NULL,
           "job 7 fashion-mlp  epoch 3/10 [##--------]  27%  ETA 1m 12s\n"
           "  loss 0.3812  test loss 0.3211  12.4k samples/s  2 workers\n");
    static char name[] = "perplexity", bad[] = "\033[2J";
    set_metric(&metric, 21.5);
    metric.name = name;
    progress.n_metrics = 1;
    progress.has_test = false;
    bar_is(60, false, NULL,
           "job 7 fashion-mlp  epoch 3/10 [##--------]  27%  ETA 1m 12s\n"
           "  loss 0.3812  perplexity 21.5000  12.4k samples/s\n");
    metric.name = bad; /* a name of no use */
    bar_is(60, false, NULL,
           "job 7 fashion-mlp  epoch 3/10 [##--------]  27%  ETA 1m 12s\n"
           "  loss 0.3812  12.4k samples/s  2 workers\n");
}
END_TEST

static void result_is(const char *expected)
{
    ps_progress_result(&out, &(ps_style){0}, &job, 0);
    ck_assert_str_eq(ps_buf_cstr(&out), expected);
    ps_buf_clear(&out);
}

START_TEST(the_last_line_says_what_has_become_of_it)
{
    running();
    job.ended_ms = job.started_ms + 192000;
    job.state = PSD__V1__JOB_STATE__JOB_STATE_DONE;
    result_is("job 7 fashion-mlp is done after 3m 12s: loss 0.3812, accuracy 0.8621\n");
    tested(0.884);
    progress.test_loss = 0.3211;
    result_is("job 7 fashion-mlp is done after 3m 12s: test accuracy 0.8840, test loss 0.3211\n");
    progress.n_test_metrics = 0;
    result_is("job 7 fashion-mlp is done after 3m 12s: test loss 0.3211\n");
    progress.has_test = false;
    progress.n_metrics = 0;
    result_is("job 7 fashion-mlp is done after 3m 12s: loss 0.3812\n");
    static char reason[] = "no worker can read /x";
    job.reason = reason;
    job.state = PSD__V1__JOB_STATE__JOB_STATE_FAILED;
    result_is("job 7 fashion-mlp has failed after 3m 12s\n"); /* why is the verdict's to say */
    job.state = PSD__V1__JOB_STATE__JOB_STATE_CANCELLED;
    job.started_ms = 0;
    result_is("job 7 fashion-mlp has been cancelled\n");
}
END_TEST

static const ps_check_case tests[] = {
    {&a_wide_terminal_shows_everything},
    {&utf8_draws_eighths_of_a_column},
    {&a_narrow_terminal_keeps_what_matters},
    {&no_line_is_as_wide_as_the_terminal},
    {&progress_at_its_ends_fills_none_and_all},
    {&before_the_first_step_there_is_no_loss},
    {&a_job_that_waits_says_for_what},
    {&a_lost_connection_stands_below_the_bar},
    {&a_pipe_gets_everything_in_one_line},
    {&a_job_of_which_nothing_is_known_yet_has_no_numbers},
    {&log_lines_have_their_time_and_colour},
    {&a_model_without_right_answers_has_no_accuracy},
    {&the_last_line_says_what_has_become_of_it},
    {0},
};

int main(void)
{
    return ps_check_main("client/follow/progress", tests);
}
