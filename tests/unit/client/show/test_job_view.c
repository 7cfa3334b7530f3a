/* job_view: the names that JSON promises, and how far a job is. */
#include "client/show/job_view.h"
#include "tests/lib/check_main.h"

#include <string.h>

START_TEST(json_has_the_fields_of_the_proto_files)
{
    Psd__V1__Progress progress = PSD__V1__PROGRESS__INIT;
    progress.epoch = 1;
    progress.epochs = 2;
    progress.samples = 5;
    progress.samples_total = 20;
    progress.eta_seconds = -1;
    Psd__V1__Job job = PSD__V1__JOB__INIT;
    static char name[] = "tiny", kind[] = "train", result[] = "{\"accuracy\": 0.5}";
    job.id = 18446744073709551615u;
    job.name = name;
    job.kind = kind;
    job.state = PSD__V1__JOB_STATE__JOB_STATE_RUNNING;
    job.submitted_ms = 12;
    job.progress = &progress;
    job.result = result;
    ps_buf out = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&out);
    ps_job_json(&w, &job);
    ck_assert_str_eq(
        ps_buf_cstr(&out),
        "{\"id\":18446744073709551615,\"name\":\"tiny\",\"kind\":\"train\",\"state\":\"running\","
        "\"reason\":\"\",\"submitter\":\"\",\"submitted_ms\":12,\"started_ms\":0,\"ended_ms\":0,"
        "\"progress\":{\"epoch\":1,\"epochs\":2,\"samples\":5,\"samples_total\":20,\"steps\":0,"
        "\"samples_per_second\":0,\"loss\":null,\"bytes_in_per_second\":0,"
        "\"bytes_out_per_second\":0,\"staleness_mean\":0,\"staleness_max\":0,\"workers\":0,"
        "\"eta_seconds\":null},\"result\":{\"accuracy\":0.5}}");
    ps_buf_free(&out);
}
END_TEST

START_TEST(a_metric_is_a_field_and_none_is_no_field)
{
    Psd__V1__Metric accuracy = PSD__V1__METRIC__INIT, perplexity = PSD__V1__METRIC__INIT;
    static char names[][16] = {"accuracy", "perplexity"};
    accuracy.name = names[0];
    accuracy.value = 0.5;
    perplexity.name = names[1];
    perplexity.value = 12;
    Psd__V1__Metric *list[] = {&accuracy, &perplexity};
    Psd__V1__Progress progress = PSD__V1__PROGRESS__INIT;
    progress.has_test = true;
    progress.test_loss = 0.25;
    Psd__V1__Job job = PSD__V1__JOB__INIT;
    job.progress = &progress;
    ps_buf out = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&out);
    ps_job_json(&w, &job);
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&out), "\"loss\":null,\"test_loss\":0.25,\"bytes_in"));
    ps_buf_clear(&out);
    progress.metrics = progress.test_metrics = list;
    progress.has_loss = true;
    progress.loss = 0.75;
    progress.n_metrics = 1;
    progress.n_test_metrics = 2;
    w = ps_json_writer_to(&out);
    ps_job_json(&w, &job);
    ck_assert_ptr_nonnull(
        strstr(ps_buf_cstr(&out), "\"loss\":0.75,\"accuracy\":0.5,\"test_loss\""));
    ck_assert_ptr_nonnull(
        strstr(ps_buf_cstr(&out), ",\"test_accuracy\":0.5,\"test_perplexity\":12,"));
    ps_buf_free(&out);
}
END_TEST

START_TEST(a_state_that_is_not_known_yet_is_no_end)
{
    ck_assert_str_eq(ps_job_state_name(99), "unknown");
    ck_assert_str_eq(ps_job_state_name(-1), "unknown");
    ck_assert(!ps_job_has_ended(99));
    ck_assert(ps_job_has_ended(PSD__V1__JOB_STATE__JOB_STATE_FAILED));
    ck_assert(!ps_job_has_ended(PSD__V1__JOB_STATE__JOB_STATE_CANCELLING));
}
END_TEST

START_TEST(share_and_time_are_known_only_when_they_are)
{
    Psd__V1__Progress progress = PSD__V1__PROGRESS__INIT;
    Psd__V1__Job job = PSD__V1__JOB__INIT;
    ck_assert(ps_job_share(&job) < 0);
    job.progress = &progress;
    ck_assert(ps_job_share(&job) < 0);
    progress.samples_total = 4;
    progress.samples = 1;
    ck_assert_double_eq(ps_job_share(&job), 0.25);
    ck_assert(ps_job_seconds(&job, 5000) < 0);
    job.started_ms = 2000;
    ck_assert_double_eq(ps_job_seconds(&job, 5000), 3);
    job.ended_ms = 3500;
    ck_assert_double_eq(ps_job_seconds(&job, 5000), 1.5);
}
END_TEST

static void fields_have(const Psd__V1__Job *job, const char *line)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_table *t = ps_table_new(NULL);
    ps_job_fields(t, job, 5000);
    ps_table_render(t, &(ps_style){0}, &out);
    ck_assert_msg(strstr(ps_buf_cstr(&out), line), "%s", ps_buf_cstr(&out));
    ps_table_free(&t);
    ps_buf_free(&out);
}

START_TEST(a_job_of_phases_says_in_which_it_is)
{
    char stage[PS_JOB_STAGE];
    static char phases[][16] = {"calibrating", "solving", "writing", "x\033[2Jy"};
    Psd__V1__Progress p = PSD__V1__PROGRESS__INIT;
    p.epoch = 2;
    p.epochs = 5;
    ck_assert_str_eq(ps_job_stage(&p, stage), "epoch 2/5");
    p.tensors = 3;
    p.tensors_total = 12;
    const char *const said[] = {"calibrating 2/5", "solving 3/12", "writing", "x?[2Jy"};
    for (size_t i = 0; i < 4; i++) {
        p.phase = phases[i];
        ck_assert_str_eq(ps_job_stage(&p, stage), said[i]);
    }
    Psd__V1__Job job = PSD__V1__JOB__INIT;
    job.progress = &p;
    ck_assert_double_eq_tol(ps_job_share(&job), 0.25, 1e-12);
    p.samples = 3;
    p.samples_total = 4; /* half of the work is the rows' */
    ck_assert_double_eq_tol(ps_job_share(&job), 0.5, 1e-12);
    p.phase = phases[1];
    ps_buf out = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&out);
    ps_job_json(&w, &job);
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&out), "\"progress\":{\"phase\":\"solving\","
                                                    "\"tensors\":3,\"tensors_total\":12,"));
    ps_buf_free(&out);
}
END_TEST

START_TEST(a_job_that_runs_has_not_taken_its_time_yet)
{
    Psd__V1__Job job = PSD__V1__JOB__INIT;
    job.state = PSD__V1__JOB_STATE__JOB_STATE_RUNNING;
    job.started_ms = 2000;
    fields_have(&job, "\nrunning for  3s\n");
    job.state = PSD__V1__JOB_STATE__JOB_STATE_DONE;
    job.ended_ms = 3500;
    fields_have(&job, "\ntook       1.5s\n");
}
END_TEST

static const ps_check_case tests[] = {
    {&json_has_the_fields_of_the_proto_files},
    {&a_metric_is_a_field_and_none_is_no_field},
    {&a_state_that_is_not_known_yet_is_no_end},
    {&share_and_time_are_known_only_when_they_are},
    {&a_job_of_phases_says_in_which_it_is},
    {&a_job_that_runs_has_not_taken_its_time_yet},
    {0},
};

int main(void)
{
    return ps_check_main("client/show/job_view", tests);
}
