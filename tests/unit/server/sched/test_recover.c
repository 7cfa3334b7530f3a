/* recover: psd starts, and what its jobs had cannot be read, or not yet. */
#include "server/catalog/catalog.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A job that trains; psd stops, and then the disk does not answer. */
static uint64_t unreadable(ps_world *w)
{
    uint64_t id = ps_world_training(w, "asp", false, "");
    ps_world_report(w, ps_world_task_of(w, 1), 10, 0.5);
    ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
    w->unreadable = true;
    ps_world_restart(w);
    return id;
}

static size_t restores(const ps_world *w)
{
    size_t n = 0;
    for (size_t i = 0; i + 8 <= w->trace.len; i++)
        n += memcmp(w->trace.data + i, "restore ", 8) == 0;
    return n;
}

START_TEST(a_job_whose_checkpoint_cannot_be_read_now_waits_and_goes_on)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = unreadable(w);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ps_world_assert_reason(w, id,
                           "its checkpoint cannot be read: the disk does not answer; put that "
                           "right, or cancel the job; it is kept (1 try failed, the next is 1 s "
                           "later)");
    ps_world_attach(w, 1, "w1");
    ck_assert_ptr_null(ps_world_task_of(w, 1)); /* there is nothing to do for it */
    ps_world_run_ms(w, 1000);
    ck_assert_uint_eq(restores(w), 1);
    ps_world_assert_reason(w, id, "(2 tries failed, the next is 2 s later)");
    ps_world_run_ms(w, 600000);
    ps_world_assert_reason(w, id, "the next is 60 s later)");
    ck_assert(!ps_world_traced(w, "ended 1 failed"));
    ck_assert_uint_eq(w->n_checkpoints, 0); /* none of what is not there */
    w->unreadable = false;
    ps_world_run_ms(w, 60000);
    ps_world_assert_reason(w, id, "");
    ck_ok(ps_world_hello(w, 1, "w1", 1, 1, NULL, 0)); /* it was silent */
    ps_world_task *task = ps_world_task_of(w, 1);
    ck_assert_ptr_nonnull(task);
    ck_assert_str_eq(task->kind, "train");
    ps_world_serve(w, (uint64_t[]){1}, 1, 100, 0);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ps_world_free(&w);
}
END_TEST

START_TEST(others_go_on_meanwhile)
{
    ps_world *w = ps_world_new(NULL, true);
    (void)unreadable(w);
    ps_world_attach(w, 1, "w1");
    uint64_t other = ps_world_submit(w, "other", 1, "asp", false, "");
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "plan");
    ps_world_serve(w, (uint64_t[]){1}, 1, 100, 0);
    ck_assert_int_eq(ps_world_state(w, other), PS_JOB_DONE);
    ps_world_free(&w);
}
END_TEST

START_TEST(it_can_be_cancelled_while_it_waits)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = unreadable(w);
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLED);
    ps_world_run_ms(w, 5000);
    ck_assert_uint_eq(restores(w), 0);
    ps_world_free(&w);
}
END_TEST

/* What somebody else does to the tables. */
static void execute(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* psd stops, `sql` is done to its tables, and psd starts again. */
static void restart_after(ps_world *w, const char *path, const char *sql)
{
    ps_sched_free(&w->sched);
    ps_catalog_close(&w->catalog);
    execute(path, sql);
    ck_ok(ps_catalog_open(path, &w->catalog));
    ps_world_start(w);
}

static ps_world *world_on_disk(char folder[], char path[64])
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, 64, "%s/psd.db", folder);
    ps_world *w = ps_world_new(path, true);
    ps_world_store_model(w, "digits", 4);
    return w;
}

static void remove_world(ps_world *w, const char *folder)
{
    char command[64];
    ps_world_free(&w);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static uint64_t submit_evaluation(ps_world *w)
{
    uint64_t id = 0;
    const char yaml[] = "kind: evaluate\nname: try\nmodel_name: digits\ndata:\n  format: idx\n"
                        "  test: {features: /d/x.gz, labels: /d/y.gz}\n";
    ck_ok(ps_sched_submit(w->sched, "anna", ps_slice_str(yaml), NULL, NULL, &id));
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_QUEUED);
    return id;
}

START_TEST(a_catalog_that_cannot_be_read_fails_the_start_and_no_job)
{
    char folder[] = "/tmp/psd-test-XXXXXX", path[64];
    ps_world *w = world_on_disk(folder, path);
    uint64_t id = submit_evaluation(w);
    restart_after(w, path, "ALTER TABLE model_version RENAME TO away");
    ck_assert_int_eq(ps_sched_recover(w->sched, NULL), PS_IO);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "job 1 cannot be read, and stays as it is"));
    ck_assert(!ps_world_traced(w, "ended 1 failed"));
    restart_after(w, path, "ALTER TABLE away RENAME TO model_version");
    ps_world_recover(w);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_QUEUED);
    remove_world(w, folder);
}
END_TEST

START_TEST(a_job_whose_row_is_of_another_kind_than_its_file_fails)
{
    char folder[] = "/tmp/psd-test-XXXXXX", path[64];
    ps_world *w = world_on_disk(folder, path);
    uint64_t as_train = submit_evaluation(w), as_generate = submit_evaluation(w);
    uint64_t cancelling = submit_evaluation(w), whole = submit_evaluation(w);
    restart_after(w, path,
                  "UPDATE job SET kind='train',state=2 WHERE id=1;"
                  "UPDATE job SET kind='generate' WHERE id=2;"
                  "UPDATE job SET kind='train',state=3 WHERE id=3");
    ps_world_recover(w);
    ps_world_attach(w, 1, "w1");
    ck_assert_int_eq(ps_world_state(w, as_train), PS_JOB_FAILED);
    ps_world_assert_reason(w, as_train,
                           "this psd cannot read the job any more: kind train in the catalog, "
                           "evaluate in its file");
    ck_assert_int_eq(ps_world_state(w, as_generate), PS_JOB_FAILED);
    ck_assert_int_eq(ps_world_state(w, cancelling), PS_JOB_CANCELLED);
    ck_assert_int_eq(ps_world_state(w, whole), PS_JOB_RUNNING);
    remove_world(w, folder);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_job_whose_checkpoint_cannot_be_read_now_waits_and_goes_on},
    {&others_go_on_meanwhile},
    {&it_can_be_cancelled_while_it_waits},
    {&a_catalog_that_cannot_be_read_fails_the_start_and_no_job},
    {&a_job_whose_row_is_of_another_kind_than_its_file_fails},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/recover", cases);
}
