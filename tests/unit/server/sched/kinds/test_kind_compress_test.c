/* kind_compress_test: parent and new model compared, or evaluated each by itself, and what is not
 * published for it. */
#include "server/catalog/catalog.h"
#include "server/sched/core.h"
#include "tests/unit/server/sched/kinds/compress_rig.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

/* There may be no worker with room for two; and what one says may be anything. */
START_TEST(two_that_cannot_be_compared_are_evaluated_each_by_itself)
{
    static const char *const says[] = {
        NULL, "{}", "{\"samples\":0,\"model\":{\"loss\":1},\"other\":{\"loss\":1}}",
        "{\"samples\":9,\"model\":{\"loss\":1},\"other\":[1]}"};
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    solve_all(w);
    ps_world_task *task = ps_world_task_of(w, 1);
    ck_assert(is(task, "compare"));
    if (says[_i])
        says_done(w, task, says[_i]);
    else
        ps_world_failed(w, task, 13, true, "no memory for two models");
    if (_i == 0)
        restart(w, id); /* which knows of it */
    ck_ok(ps_sched_heartbeat(w->sched, 1));
    ps_world_run_ms(w, 3000);
    ck_assert_str_eq(ps_world_task_of(w, 1)->model, ""); /* the parent, */
    evaluates(w, ps_world_task_of(w, 1), 90);
    ck_assert_str_eq(ps_world_task_of(w, 1)->model, "small"); /* and the draft */
    ck_assert(ps_world_traced(w, "version models/draft.1 to session 1"));
    evaluates(w, ps_world_task_of(w, 1), 89);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert_ptr_null(strstr(w->report, "\"compared\""));
    ck_assert_ptr_nonnull(strstr(w->report, "\"overlap\":\"not checked\""));
    end(&w);
}
END_TEST

/* What is calibrated on and measured on is two things, but for a row by chance. */
START_TEST(a_calibration_on_the_test_publishes_nothing)
{
    static const int shared[] = {1, 7};
    char report[256];
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    solve_all(w);
    (void)snprintf(report, sizeof report,
                   "{\"samples\":9,\"model\":{\"loss\":1},\"other\":{\"loss\":1},\"data\":{"
                   "\"calibration_rows\":100,\"shared_rows\":%d}}",
                   shared[_i]);
    says_done(w, ps_world_task_of(w, 1), report);
    ck_assert_int_eq(ps_world_state(w, id), _i ? PS_JOB_FAILED : PS_JOB_DONE);
    ck_assert_ptr_null(strstr(w->report, "\"overlap\""));
    if (_i)
        ps_world_assert_reason(w, id, "7 of the 100 rows of the calibration are rows of data.test");
    end(&w);
}
END_TEST

START_TEST(a_limit_that_is_missed_says_both_figures_and_publishes_nothing)
{
    static const struct {
        const char *limits;
        const char *says[2];
    } cases[] = {
        {"{loss: 0.01}", {"compress.limits.loss allows 0.01", "nothing is published"}},
        {"{accuracy: 0.01}", {"0.5, of model big 0.9: -0.4", "compress.limits.accuracy allows"}},
    };
    uint64_t id;
    ps_world *w = begin(cases[_i].limits, &id);
    solve_all(w);
    evaluate(w, 90, 50);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ck_assert_ptr_null(w->outcome.draft);
    ck_assert_uint_eq(count(w, "finish 1\n"), 2); /* the report stays */
    for (size_t i = 0; i < 2; i++)
        ps_world_assert_reason(w, id, cases[_i].says[i]);
    end(&w);
}
END_TEST

/* A version of the pruned model, as the draft is one. */
static void store_draft(ps_world *w)
{
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup("small.pruned");
    m->path = ps_strdup("models/draft.1");
    m->config = ps_strdup("{architecture: mlp, layers: [32, 16, 6, 4]}");
    ck_ok(ps_catalog_model_add(w->catalog, m));
    ps_model_record_free(&m);
}

/* Without its tables of models; path is of a folder that is there. */
static ps_catalog *broken_catalog(const char *path)
{
    sqlite3 *db = NULL;
    ps_catalog *catalog = NULL;
    ck_ok(ps_catalog_open(path, &catalog));
    ps_catalog_close(&catalog);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "ALTER TABLE model_version RENAME TO away", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    ck_ok(ps_catalog_open(path, &catalog));
    return catalog;
}

/* The catalog says nothing about the job's file then, and what was pruned is kept. */
START_TEST(a_stage_whose_file_cannot_be_read_now_begins_later)
{
    static const char yaml[] =
        "kind: compress\nname: small\nmodel_name: big\n"
        "data: {format: idx, train: {features: /x, labels: /y}}\n"
        "compress: {prune: {what: rows, ratio: 0.5, by: magnitude, repair: none}}\ndistil: {}\n"
        "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n";
    uint64_t first, id = 0;
    char folder[] = "/tmp/psd-test-XXXXXX", path[64], command[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/psd.db", folder);
    ps_catalog *broken = broken_catalog(path);
    ps_world *w = begin("{loss: 100}", &first);
    ck_ok(ps_sched_cancel(w->sched, first, "anna", "", NULL));
    ps_world_task *task = ps_world_task_of(w, 1);
    ps_world_failed(w, task, 1, true, "cancelled");
    store_draft(w);
    ps_status st = ps_sched_submit(w->sched, "anna", ps_slice_str(yaml), NULL, NULL, &id);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ps_world_run_ms(w, 250);
    w->sched->catalog = broken;
    while (is(task = ps_world_task_of(w, 1), "solve"))
        says_done(w, task, "{\"error\":0.5}");
    ck_assert_ptr_null(task);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ps_world_assert_reason(w, id, "its next stage cannot begin yet: catalog");
    ps_world_assert_reason(w, id, "is kept (1 try failed, the next is 1 s later)");
    ps_world_run_ms(w, 1000);
    ps_world_assert_reason(w, id, "(2 tries failed, the next is 2 s later)");
    w->sched->catalog = w->catalog;
    ck_ok(ps_sched_heartbeat(w->sched, 1));
    ps_world_run_ms(w, 2000);
    ck_assert(is(ps_world_task_of(w, 1), "plan")); /* of the training */
    ps_world_assert_reason(w, id, "");
    end(&w);
    ps_catalog_close(&broken);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static const ps_check_case tests[] = {
    {&two_that_cannot_be_compared_are_evaluated_each_by_itself, 0, 4},
    {&a_calibration_on_the_test_publishes_nothing, 0, 2},
    {&a_limit_that_is_missed_says_both_figures_and_publishes_nothing, 0, 2},
    {&a_stage_whose_file_cannot_be_read_now_begins_later},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/kind_compress_test", tests);
}
