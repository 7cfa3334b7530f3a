/* model_job: evaluate, predict and generate, on a stored model. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"
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
    return ps_sched_submit(w->sched, "anna", ps_slice_str(yaml), NULL, NULL, id);
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
    ck_ok(submit_model_job(w, "predict", "digits", &id));
    ps_world_evaluated(w, ps_world_task_of(w, 1), 0);
    r = ps_world_job(w, id);
    ck_assert_ptr_nonnull(strstr(r->result, "\"artifact\":\"predictions.jsonl\""));
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

static void predicted(ps_world *w, ps_task_result *result, uint64_t *id)
{
    ck_ok(submit_model_job(w, "predict", "digits", id));
    ps_world_task *task = ps_world_task_of(w, 1);
    result->lease_id = task->lease;
    task->answered = true;
    ck_ok(ps_sched_result(w->sched, 1, result));
}

START_TEST(what_a_worker_says_of_its_task_is_the_jobs_result)
{
    static char one[] = "a.json", two[] = "b.json";
    char *names[] = {one, two};
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    ps_world_store_model(w, "digits", 4);
    ps_world_attach(w, 1, "w1");
    ps_task_result bare = {0}, full = {.report = "{\"rows\": [1, 2]}", .artifacts = names};
    predicted(w, &bare, &id);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_str_eq(r->result, "{\"artifact\":\"predictions.jsonl\",\"seconds\":0.000}");
    ps_job_record_free(&r);
    full.n_artifacts = 2;
    ps_task_result_add(&full, "samples", 3);
    predicted(w, &full, &id);
    r = ps_world_job(w, id);
    ck_assert_str_eq(r->result, "{\"metrics\":{\"samples\":3},\"report\":{\"rows\": [1, 2]},"
                                "\"artifacts\":[\"a.json\",\"b.json\"],\"seconds\":0.000}");
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_result_that_cannot_be_fails_the_job_and_says_why)
{
    static char up[] = "../x";
    char *names[] = {up};
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    ps_world_store_model(w, "digits", 4);
    ps_world_attach(w, 1, "w1");
    predicted(w, &(ps_task_result){.report = "{"}, &id);
    ps_world_assert_reason(w, id, "worker w1: its report is no JSON object");
    predicted(w, &(ps_task_result){.artifacts = names, .n_artifacts = 1}, &id);
    ps_world_assert_reason(w, id, "worker w1: an artifact's name: 1 to 64 letters");
    ps_world_free(&w);
}
END_TEST

START_TEST(how_far_it_is_is_known_and_a_loss_is_not)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    ps_world_store_model(w, "digits", 4);
    ps_world_attach(w, 1, "w1");
    ck_ok(submit_model_job(w, "predict", "digits", &id));
    const ps_task_report report = {
        .lease_id = ps_world_task_of(w, 1)->lease, .samples = 30, .rows_total = 40};
    for (uint64_t said = 1; said <= 2; said++) {
        ck_ok(ps_sched_progress(w->sched, 1, &report));
        ps_job_record *r = ps_world_job(w, id);
        ck_assert_uint_eq(r->progress.samples, 30 * said);
        ck_assert_uint_eq(r->progress.samples_total, said == 1 ? 40 : 60); /* it made that up */
        ck_assert(!r->progress.has_loss);
        ps_job_record_free(&r);
    }
    ps_world_free(&w);
}
END_TEST

START_TEST(a_model_that_has_no_accuracy_has_none_in_its_result)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    ps_world_store_model(w, "line", 4);
    ps_world_attach(w, 1, "w1");
    ck_ok(submit_model_job(w, "evaluate", "line", &id));
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
        ck_ok(submit_model_job(w, rows[i].kind, "digits", &id));
        for (int n = 0; n < 3; n++) {
            ps_world_failed(w, ps_world_task_of(w, 1), 14, true, "no card");
            ps_world_run_ms(w, 3000);
        }
        ps_world_assert_reason(w, id, rows[i].words);
    }
    ps_world_free(&w);
}
END_TEST

/* What the task of that session came with. */
static void assert_version(const ps_world *w, uint64_t session, const char *version)
{
    char line[160];
    (void)snprintf(line, sizeof line, "version %s to session %u", version, (unsigned)session);
    ck_assert_msg(ps_world_traced(w, line), "no '%s' in %s", line, (const char *)w->trace.data);
}

static char *version_now(const ps_world *w, const char *name)
{
    ps_model_record *model = NULL;
    ck_ok(ps_catalog_model_get(w->catalog, name, &model));
    char *version = ps_strdup(model->path);
    ps_model_record_free(&model);
    return version;
}

/* Over other workers and a restart of psd. */
START_TEST(a_job_keeps_the_version_of_its_submission_until_it_has_ended)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    char *unused = NULL;
    ps_world_store_model(w, "digits", 4);
    char *first = version_now(w, "digits");
    ck_ok(submit_model_job(w, "predict", "digits", &id));
    ps_world_store_model(w, "digits", 9);
    char *second = version_now(w, "digits");
    ps_world_attach(w, 1, "w1");
    assert_version(w, 1, first);
    ps_sched_leave(w->sched, 1);
    ck_ok(ps_catalog_model_delete(w->catalog, "digits"));
    ps_world_attach(w, 2, "w2");
    assert_version(w, 2, first);
    ps_world_restart(w);
    ps_world_attach(w, 3, "w3");
    assert_version(w, 3, first);
    ck_ok(ps_catalog_model_unused(w->catalog, "", &unused));
    ck_assert_str_eq(unused, second); /* which nobody uses */
    ck_ok(ps_catalog_model_forget(w->catalog, second));
    free(unused);
    ck_assert_int_eq(ps_catalog_model_unused(w->catalog, "", &unused), PS_END);
    ps_world_evaluated(w, ps_world_task_of(w, 3), 0);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_ok(ps_catalog_model_unused(w->catalog, "", &unused));
    ck_assert_str_eq(unused, first);
    free(unused);
    free(first);
    free(second);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_job_of_a_version_that_is_not_the_models_is_refused)
{
    static const char yaml[] = "kind: predict\nname: try\nmodel_name: digits\n"
                               "model_version: models/digits.0\n"
                               "data: {format: idx, test: {features: /d/x.gz}}\n";
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    ps_world_store_model(w, "digits", 4);
    ck_assert_int_eq(ps_sched_submit(w->sched, "anna", ps_slice_str(yaml), NULL, NULL, &id),
                     PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "model 'digits' has no version models/digits.0 (any "
                                         "more): it was replaced or deleted");
    ps_world_free(&w);
}
END_TEST

static ps_status refuse(void *user, const ps_job_spec *spec)
{
    ck_assert_str_eq(spec->name, "try");
    return ps_fail(PS_PERMISSION_DENIED, "%s", (const char *)user);
}

START_TEST(a_job_that_is_not_allowed_is_refused_before_its_model_is_looked_up)
{
    static const char yaml[] = "kind: predict\nname: try\nmodel_name: nothing\n"
                               "data: {format: idx, test: {features: /d/x.gz}}\n";
    ps_world *w = ps_world_new(NULL, true);
    char why[] = "not you";
    uint64_t id = 0, next;
    ps_job_record **all = NULL;
    ck_assert_int_eq(ps_sched_submit(w->sched, "anna", ps_slice_str(yaml), refuse, why, &id),
                     PS_PERMISSION_DENIED);
    ck_assert_str_eq(ps_error_message(), "not you");
    ck_ok(ps_sched_job_list(w->sched, PS_JOB_NONE, 0, 10, &all, &next));
    ck_assert_ptr_null(all[0]);
    ps_job_records_free(&all);
    ps_world_free(&w);
}
END_TEST

START_TEST(which_version_of_a_model_a_job_works_on_is_known_until_it_has_ended)
{
    ps_world *w = ps_world_new(NULL, true);
    char *version = NULL;
    uint64_t id = 0;
    ps_world_store_model(w, "digits", 4);
    ck_ok(submit_model_job(w, "predict", "digits", &id));
    ps_job_record *r = ps_world_job(w, id);
    ck_ok(ps_sched_job_model(w->sched, id, "digits", &version));
    ck_assert_str_eq(version, r->model_version);
    free(version);
    ps_job_record_free(&r);
    ck_assert_int_eq(ps_sched_job_model(w->sched, id, "other", &version), PS_PERMISSION_DENIED);
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    ck_assert_int_eq(ps_sched_job_model(w->sched, id, "digits", &version), PS_NOT_FOUND);
    ps_world_free(&w);
}
END_TEST

/* ---- generate ---- */

static void store_language_model(ps_world *w)
{
    ps_model_record *model = NULL;
    ps_world_store_model(w, "poet", 4);
    ck_ok(ps_catalog_model_get(w->catalog, "poet", &model));
    free(model->config);
    model->config = ps_strdup("{architecture: gpt2, vocab_size: 300, context_length: 8, "
                              "hidden_size: 8, num_layers: 1, num_heads: 2}");
    ck_ok(test_model_put(w->catalog, model));
    ps_model_record_free(&model);
}

static ps_status submit_generate(ps_world *w, const char *model, const char *prompt, uint64_t *id)
{
    char yaml[256];
    (void)snprintf(yaml, sizeof yaml,
                   "kind: generate\nname: say\nmodel_name: %s\n"
                   "generate: {prompt: %s, max_tokens: 6}\n",
                   model, prompt);
    return ps_sched_submit(w->sched, "anna", ps_slice_str(yaml), NULL, NULL, id);
}

static void says(ps_world *w, const ps_world_task *task, uint64_t first, uint32_t *tokens, size_t n)
{
    const ps_tokens said = {.first = first, .tokens = tokens, .n_tokens = n};
    ck_ok(ps_sched_output(w->sched, task->session, task->lease, &said));
}

static void has_said(ps_world *w, const ps_world_task *task, uint64_t tokens)
{
    ps_task_result result = {.lease_id = task->lease,
                             .report = "{\"more\":[1],\"ended\":\"length\"}"};
    ps_task_result_add(&result, "tokens", (double)tokens);
    ps_task_result_add(&result, "load_seconds", 0.5);
    ps_task_result_add(&result, "prompt_seconds", 0);
    ps_task_result_add(&result, "seconds", 0);
    ck_ok(ps_sched_result(w->sched, task->session, &result));
}

START_TEST(the_next_worker_goes_on_behind_what_was_said)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    uint32_t tokens[] = {10, 11, 12, 13, 14, 15, 16};
    store_language_model(w);
    ps_world_attach(w, 1, "w1");
    ck_ok(submit_generate(w, "poet", "[1, 2]", &id));
    ps_world_task *first = ps_world_task_of(w, 1);
    ck_assert_str_eq(first->kind, "generate");
    says(w, first, 0, tokens, 2);
    says(w, first, 0, tokens, 3);     /* again after a reconnect, and one more */
    says(w, first, 5, tokens + 5, 1); /* with a hole before it: not taken */
    ps_sched_leave(w->sched, 1);
    ps_world_attach(w, 2, "w2");
    ck_assert(ps_world_traced(w, "said 3, last 12"));
    ps_world_task *second = ps_world_task_of(w, 2);
    says(w, second, 3, tokens + 3, 4); /* one more than the job wants */
    has_said(w, second, 6);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_DONE);
    ck_assert_str_eq(r->result, "{\"tokens\":[10,11,12,13,14,15],\"prompt_tokens\":2,"
                                "\"ended\":\"length\",\"load_seconds\":0.5,\"prompt_seconds\":0,"
                                "\"generate_seconds\":0,\"seconds\":0.000}");
    ck_assert_uint_eq(r->progress.samples, 6);
    ck_assert_uint_eq(r->progress.samples_total, 6);
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

START_TEST(tokens_that_have_not_all_come_fail_the_job)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    uint32_t tokens[] = {10};
    store_language_model(w);
    ps_world_attach(w, 1, "w1");
    ck_ok(submit_generate(w, "poet", "[1]", &id));
    says(w, ps_world_task_of(w, 1), 0, tokens, 1);
    has_said(w, ps_world_task_of(w, 1), 2);
    ps_world_assert_reason(w, id, "worker w1: a generate task whose tokens have not all come");
    ps_world_free(&w);
}
END_TEST

static void ignore_cb(void *user)
{
    (void)user;
}

/* The output of all events up to the first PS_AGAIN or end; *n of them. */
static size_t take_output(ps_watch *watch, uint32_t *out)
{
    size_t n = 0;
    ps_watch_event event;
    while (ps_watch_next(watch, &event) == PS_OK) {
        for (size_t i = 0; event.output && i < event.output->n_tokens; i++)
            out[n++] = event.output->tokens[i];
        ps_watch_event_clear(&event);
    }
    return n;
}

START_TEST(who_watches_late_gets_what_was_said_before)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_watch *early = NULL, *late = NULL;
    uint64_t id = 0;
    uint32_t tokens[] = {10, 11, 12}, seen[8];
    store_language_model(w);
    ps_world_attach(w, 1, "w1");
    ck_ok(submit_generate(w, "poet", "[1]", &id));
    ck_ok(ps_sched_watch(w->sched, id, ignore_cb, NULL, &early));
    says(w, ps_world_task_of(w, 1), 0, tokens, 2);
    ck_assert_uint_eq(take_output(early, seen), 2);
    says(w, ps_world_task_of(w, 1), 2, tokens + 2, 1);
    ck_assert_uint_eq(take_output(early, seen), 1);
    ck_assert_uint_eq(seen[0], 12);
    ck_ok(ps_sched_watch(w->sched, id, ignore_cb, NULL, &late));
    ck_assert_uint_eq(take_output(late, seen), 3);
    ck_assert_mem_eq(seen, tokens, sizeof tokens);
    ps_watch_close(&early);
    ps_watch_close(&late);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_prompt_goes_to_the_worker_that_has_the_model)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    store_language_model(w);
    ps_world_attach(w, 1, "w1");
    ck_ok(submit_generate(w, "poet", "[1]", &id));
    ps_world_attach(w, 2, "w2"); /* has waited longer than w1, when that is done */
    ps_world_run_ms(w, 1000);
    has_said(w, ps_world_task_of(w, 1), 0);
    ck_ok(submit_generate(w, "poet", "[1]", &id));
    ck_assert_ptr_nonnull(ps_world_task_of(w, 1));
    ck_ok(submit_generate(w, "poet", "[1]", &id));
    ck_assert_ptr_nonnull(ps_world_task_of(w, 2)); /* rather than waiting */
    ps_world_free(&w);
}
END_TEST

START_TEST(a_prompt_that_the_model_cannot_take_is_refused)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = 0;
    store_language_model(w);
    ps_world_store_model(w, "digits", 4);
    static const struct {
        const char *model, *prompt, *why;
    } rows[] = {
        {"digits", "[1]",
         "model digits: architecture mlp generates no tokens; language models do: gpt2, "},
        {"poet", "[1, 2, 3, 4, 5, 6, 7, 8, 9]",
         "model poet: the prompt has 9 tokens, the model's context is 8; shorten the prompt"},
        {"poet", "[1, 300]",
         "model poet: generate.prompt[1]: token 300, the vocabulary has 300; is it this model's "
         "tokenizer?"},
        {"poet", "[]", "job:4: generate.prompt: 0 entries, allowed 1 to 16000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(submit_generate(w, rows[i].model, rows[i].prompt, &id),
                         PS_INVALID_ARGUMENT);
        ck_assert_ptr_eq(strstr(ps_error_message(), rows[i].why), ps_error_message());
    }
    ck_assert_int_eq(submit_generate(w, "nobody", "[1]", &id), PS_NOT_FOUND);
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&how_far_it_is_is_known_and_a_loss_is_not},
    {&the_next_worker_goes_on_behind_what_was_said},
    {&tokens_that_have_not_all_come_fail_the_job},
    {&who_watches_late_gets_what_was_said_before},
    {&a_prompt_goes_to_the_worker_that_has_the_model},
    {&a_prompt_that_the_model_cannot_take_is_refused},
    {&what_failed_is_said_in_good_english},
    {&evaluate_and_predict_are_one_task_on_a_stored_model},
    {&what_a_worker_says_of_its_task_is_the_jobs_result},
    {&a_result_that_cannot_be_fails_the_job_and_says_why},
    {&a_model_that_has_no_accuracy_has_none_in_its_result},
    {&a_job_keeps_the_version_of_its_submission_until_it_has_ended},
    {&a_job_of_a_version_that_is_not_the_models_is_refused},
    {&a_job_that_is_not_allowed_is_refused_before_its_model_is_looked_up},
    {&which_version_of_a_model_a_job_works_on_is_known_until_it_has_ended},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/model_job", cases);
}
