/* kind_model: evaluate and predict, on a stored model. */
#include "server/catalog/models.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

static ps_status submit_model_job(ps_world *w, const char *kind, const char *model, uint64_t *id)
{
    char yaml[512];
    (void)snprintf(yaml, sizeof yaml,
                   "kind: %s\nname: try\nmodel_name: %s\ndata:\n  format: idx\n"
                   "  test: {features: /d/x.gz%s}\n",
                   kind, model, strcmp(kind, "evaluate") == 0 ? ", labels: /d/y.gz" : "");
    return ps_sched_submit(w->sched, "anna", ps_slice_str(yaml), id);
}

START_TEST(evaluate_and_predict_are_one_task_on_a_stored_model)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    ck_assert_int_eq(submit_model_job(w, "evaluate", "nothing", &id), PS_NOT_FOUND);
    ps_world_store_model(w, "digits", 4);
    ps_world_attach(w, 1, "w1");
    ps_status st = submit_model_job(w, "evaluate", "digits", &id);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ck_assert(ps_world_traced(w, "config {architecture: mlp, layers: [4, 3]}"));
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "evaluate");
    ps_world_evaluated(w, ps_world_task_of(w, 1), 75);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_DONE);
    ck_assert_str_eq(
        r->result, "{\"test_accuracy\":0.75,\"test_loss\":0.5,\"samples\":100,\"seconds\":0.000}");
    ps_job_record_free(&r);
    ck_assert_int_eq(submit_model_job(w, "predict", "digits", &id), PS_OK);
    ps_world_evaluated(w, ps_world_task_of(w, 1), 0);
    r = ps_world_job(w, id);
    ck_assert_ptr_nonnull(strstr(r->result, "\"artifact\":\"predictions.jsonl\""));
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_model_that_has_no_accuracy_has_none_in_its_result)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    ps_world_store_model(w, "line", 4);
    ps_world_attach(w, 1, "w1");
    ck_assert_int_eq(submit_model_job(w, "evaluate", "line", &id), PS_OK);
    ps_world_evaluated(w, ps_world_task_of(w, 1), PS_WORLD_NO_ACCURACY);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_DONE);
    ck_assert_str_eq(r->result, "{\"test_loss\":0.5,\"samples\":100,\"seconds\":0.000}");
    ck_assert(r->progress.has_test);
    ck_assert_uint_eq(r->test_metrics.count, 0);
    ck_assert_uint_eq(r->metrics.count, 0);
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

START_TEST(what_failed_is_said_in_good_english)
{
    static const struct {
        const char *kind, *words;
    } rows[] = {{"evaluate", "an evaluate task failed 3 times, last on worker w1: no card"},
                {"predict", "a predict task failed 3 times, last on worker w1: no card"}};
    ps_world *w = ps_world_new(NULL, true);
    ps_world_store_model(w, "digits", 4);
    ps_world_attach(w, 1, "w1");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t id = 0;
        ck_assert_int_eq(submit_model_job(w, rows[i].kind, "digits", &id), PS_OK);
        for (int n = 0; n < 3; n++) {
            ps_world_failed(w, ps_world_task_of(w, 1), 14, true, "no card");
            ps_world_run_ms(w, 3000);
        }
        ps_world_assert_reason(w, id, rows[i].words);
    }
    ps_world_free(&w);
}
END_TEST

START_TEST(a_model_deleted_before_its_task_is_sent_fails_the_job_and_frees_the_slot)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    ps_world_store_model(w, "digits", 4);
    ck_assert_int_eq(submit_model_job(w, "predict", "digits", &id), PS_OK);
    ck_assert_int_eq(ps_catalog_model_delete(w->catalog, "digits"), PS_OK);
    ps_world_attach(w, 1, "w1");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "model 'digits' does not exist");
    ps_sched_counts counts;
    ps_sched_count(w->sched, &counts);
    ck_assert_uint_eq(counts.leases, 0);
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_failed_is_said_in_good_english},
    {&evaluate_and_predict_are_one_task_on_a_stored_model},
    {&a_model_that_has_no_accuracy_has_none_in_its_result},
    {&a_model_deleted_before_its_task_is_sent_fails_the_job_and_frees_the_slot},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kind_model", cases);
}
