/* catalog: what was written is there; what is damaged, newer or somebody else's stays as it was. */
#include "server/catalog/catalog.h"

#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/jobs.h"
#include "server/catalog/models.h"
#include "server/catalog/settings.h"
#include "tests/lib/check_main.h"
#include "tests/lib/dies.h"
#include "tests/lib/model_row.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[32];
static char path[128];

static void make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/psd-catalog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/catalog.db", folder);
}

static void remove_folder(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[160];
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    (void)rmdir(folder);
}

static ps_catalog *open_ok(const char *at)
{
    ps_catalog *catalog = NULL;
    ck_ok(ps_catalog_open(at, &catalog));
    return catalog;
}

static void refuses(ps_status code, const char *part)
{
    ps_catalog *catalog = NULL;
    ck_assert_int_eq(ps_catalog_open(path, &catalog), code);
    ck_assert_ptr_null(catalog);
    ck_assert_msg(strstr(ps_error_message(), part) != NULL, "%s", ps_error_message());
}

static ps_job_record *make_job(const char *name)
{
    ps_job_record *r = ps_new(ps_job_record);
    r->name = ps_strdup(name);
    r->kind = ps_strdup("train");
    r->state = PS_JOB_QUEUED;
    r->reason = ps_strdup("");
    r->submitter = ps_strdup("anna");
    r->submitted_ms = 1234567890123;
    r->spec = ps_strdup("kind: train\n# \xc3\xa9\n");
    r->result = ps_strdup("");
    return r;
}

static uint64_t add_job(ps_catalog *catalog, const char *name)
{
    ps_job_record *r = make_job(name);
    uint64_t id = 0;
    ck_ok(ps_catalog_job_add(catalog, r, &id));
    ps_job_record_free(&r);
    return id;
}

START_TEST(a_job_comes_back_whole_after_reopening)
{
    make_folder();
    ps_catalog *catalog = open_ok(path);
    uint64_t id = add_job(catalog, "a");
    ps_job_record *r = NULL;
    ck_ok(ps_catalog_job_get(catalog, id, &r));
    r->state = PS_JOB_RUNNING;
    r->started_ms = 5;
    r->progress.samples = 77;
    r->progress.loss = 0.25;
    r->progress.has_test = true;
    ps_metric_list_add(&r->metrics, "accuracy", 0.75);
    ps_metric_list_add(&r->metrics, "f1", 0.5);
    ck_ok(ps_catalog_job_update(catalog, r));
    ps_job_record_free(&r);
    ps_catalog_close(&catalog);

    struct stat s;
    ck_assert_int_eq(stat(path, &s), 0);
    ck_assert_uint_eq(s.st_mode & 0777, 0600);
    catalog = open_ok(path);
    ck_ok(ps_catalog_job_get(catalog, id, &r));
    ck_assert_str_eq(r->name, "a");
    ck_assert_str_eq(r->submitter, "anna");
    ck_assert_str_eq(r->spec, "kind: train\n# \xc3\xa9\n");
    ck_assert_int_eq(r->state, PS_JOB_RUNNING);
    ck_assert_int_eq(r->submitted_ms, 1234567890123);
    ck_assert_int_eq(r->started_ms, 5);
    ck_assert_uint_eq(r->progress.samples, 77);
    ck_assert_double_eq(r->progress.loss, 0.25);
    ck_assert(r->progress.has_test);
    ck_assert_uint_eq(r->metrics.count, 2);
    ck_assert_str_eq(r->metrics.at[1].name, "f1");
    ck_assert_double_eq(r->metrics.at[1].value, 0.5);
    ck_assert_uint_eq(r->test_metrics.count, 0); /* none is not 0 */
    ps_job_record_free(&r);
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

START_TEST(lists_are_newest_first_by_state_and_the_unfinished_oldest_first)
{
    ps_catalog *catalog = open_ok(":memory:");
    ps_job_record **list = NULL;
    ps_job_record *r = NULL;
    uint64_t a = add_job(catalog, "a"), b = add_job(catalog, "b"), c = add_job(catalog, "c");
    ck_ok(ps_catalog_job_get(catalog, b, &r));
    r->state = PS_JOB_DONE;
    ck_ok(ps_catalog_job_update(catalog, r));
    ck_ok(ps_catalog_job_list(catalog, PS_JOB_NONE, 0, 0, &list));
    ck_assert_uint_eq(list[0]->id, c);
    ck_assert_uint_eq(list[2]->id, a);
    ck_assert_ptr_null(list[3]);
    ck_assert_str_eq(list[0]->spec, "");
    ps_job_records_free(&list);
    ck_ok(ps_catalog_job_list(catalog, PS_JOB_DONE, 0, 0, &list));
    ck_assert_uint_eq(list[0]->id, b);
    ck_assert_ptr_null(list[1]);
    ps_job_records_free(&list);
    ck_ok(ps_catalog_job_unfinished(catalog, &list));
    ck_assert_uint_eq(list[0]->id, a);
    ck_assert_uint_eq(list[1]->id, c);
    ck_assert_str_ne(list[0]->spec, "");
    ck_assert_ptr_null(list[2]);
    ps_job_records_free(&list);
    r->id = 99;
    ck_assert_int_eq(ps_catalog_job_update(catalog, r), PS_NOT_FOUND);
    ps_job_record_free(&r);
    ck_assert_int_eq(ps_catalog_job_get(catalog, 99, &r), PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "job 99 does not exist");
    ps_catalog_close(&catalog);
}
END_TEST

START_TEST(pages_of_jobs_go_on_below_an_id)
{
    ps_catalog *catalog = open_ok(":memory:");
    ps_job_record **list = NULL;
    uint64_t ids[6];
    for (size_t i = 0; i < 6; i++)
        ids[i] = add_job(catalog, "a");
    ck_ok(ps_catalog_job_list(catalog, PS_JOB_NONE, 0, 2, &list));
    ck_assert_uint_eq(list[0]->id, ids[5]);
    ck_assert_uint_eq(list[1]->id, ids[4]);
    ck_assert_ptr_null(list[2]);
    ps_job_records_free(&list);
    ck_ok(ps_catalog_job_list(catalog, PS_JOB_QUEUED, ids[4], 3, &list));
    ck_assert_uint_eq(list[0]->id, ids[3]);
    ck_assert_uint_eq(list[2]->id, ids[1]);
    ck_assert_ptr_null(list[3]);
    ps_job_records_free(&list);
    ck_ok(ps_catalog_job_list(catalog, PS_JOB_NONE, ids[0], 3, &list));
    ck_assert_ptr_null(list[0]);
    ps_job_records_free(&list);
    ck_ok(ps_catalog_job_list(catalog, PS_JOB_NONE, UINT64_MAX, 0, &list));
    ck_assert_uint_eq(list[5]->id, ids[0]);
    ps_job_records_free(&list);
    ps_catalog_close(&catalog);
}
END_TEST

static ps_model_record *make_model(const char *name, size_t n_tensors)
{
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup(name);
    m->config = ps_strdup("{architecture: mlp}");
    m->parameters = 40;
    m->bytes = 400;
    m->has_test = true;
    m->test_loss = NAN;
    ps_metric_list_add(&m->test_metrics, "accuracy", 0.88);
    ps_metric_list_add(&m->test_metrics, "perplexity", NAN);
    m->tensors = ps_alloc_array(n_tensors, sizeof *m->tensors);
    for (size_t i = 0; i < n_tensors; i++)
        m->tensors[m->n_tensors++] =
            (ps_model_tensor){.name = ps_asprintf("t%zu", i), .rank = 2, .shape = {i + 1, 3}};
    return m;
}

START_TEST(an_artifact_belongs_to_a_job_and_is_replaced_by_name)
{
    ps_catalog *catalog = open_ok(":memory:");
    uint64_t id = add_job(catalog, "a");
    char name[] = "predictions.jsonl", at[] = "artifacts/1/p";
    ps_artifact_record a = {.job_id = id, .name = name, .bytes = 10, .path = at}, *r = NULL;
    ck_ok(ps_catalog_artifact_put(catalog, &a));
    a.bytes = 20;
    ck_ok(ps_catalog_artifact_put(catalog, &a));
    ck_ok(ps_catalog_artifact_get(catalog, id, name, &r));
    ck_assert_uint_eq(r->bytes, 20);
    ps_artifact_record_free(&r);
    ps_artifact_record **list = NULL;
    ck_ok(ps_catalog_artifact_list(catalog, id, &list));
    ck_assert_str_eq(list[0]->path, "artifacts/1/p");
    ck_assert_ptr_null(list[1]);
    ps_artifact_records_free(&list);
    ck_assert_int_eq(ps_catalog_artifact_get(catalog, id, "x", &r), PS_NOT_FOUND);
    a.job_id = 99;
    ck_assert_int_eq(ps_catalog_artifact_put(catalog, &a), PS_NOT_FOUND);
    ps_catalog_close(&catalog);
}
END_TEST

START_TEST(a_job_has_so_many_artifacts_and_no_more)
{
    ps_catalog *catalog = open_ok(":memory:");
    char name[16], at[] = "artifacts/0";
    ps_artifact_record a = {.job_id = add_job(catalog, "a"), .name = name, .path = at};
    for (int i = 0; i <= PS_ARTIFACTS_MAX + 1; i++) {
        a.own = i > PS_ARTIFACTS_MAX; /* psd's report is not kept out by what workers left */
        snprintf(name, sizeof name, "%d.json", i);
        ck_assert_int_eq(ps_catalog_artifact_put(catalog, &a),
                         i != PS_ARTIFACTS_MAX ? PS_OK : PS_RESOURCE_EXHAUSTED);
    }
    a.own = false;
    snprintf(name, sizeof name, "7.json"); /* one of them may still be replaced, */
    ck_ok(ps_catalog_artifact_put(catalog, &a));
    a.job_id = add_job(catalog, "b"); /* and other jobs have theirs */
    ck_ok(ps_catalog_artifact_put(catalog, &a));
    ps_catalog_close(&catalog);
}
END_TEST

START_TEST(a_setting_is_there_until_it_is_taken_back)
{
    make_folder();
    ps_catalog *catalog = open_ok(path);
    char *value = NULL;
    ck_ok(ps_catalog_setting_get(catalog, "draining", &value));
    ck_assert_ptr_null(value);
    ck_ok(ps_catalog_setting_put(catalog, "draining", "on"));
    ck_ok(ps_catalog_setting_put(catalog, "draining", "on"));
    ps_catalog_close(&catalog);
    catalog = open_ok(path);
    ck_ok(ps_catalog_setting_get(catalog, "draining", &value));
    ck_assert_str_eq(value, "on");
    free(value);
    ck_ok(ps_catalog_setting_put(catalog, "draining", NULL));
    ck_ok(ps_catalog_setting_get(catalog, "draining", &value));
    ck_assert_ptr_null(value);
    ps_catalog_limit_writes(catalog, 0);
    ck_assert_int_eq(ps_catalog_setting_put(catalog, "draining", "on"), PS_NO_SPACE);
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

static void raw(const char *sql)
{
    sqlite3 *db = NULL;
    ck_assert(!sqlite3_open(path, &db) && !sqlite3_exec(db, sql, NULL, NULL, NULL) &&
              !sqlite3_close(db));
}

START_TEST(a_catalog_of_the_first_schema_keeps_its_models_accuracy)
{
    make_folder();
    ps_catalog *catalog = open_ok(path);
    ps_model_record *m = make_model("a", 1), *untested = make_model("b", 1);
    untested->has_test = false;
    const double loss = m->test_loss = 0.1 + 0.2; /* 17 digits of it */
    ck_ok(test_model_put(catalog, m));
    ck_ok(test_model_put(catalog, untested));
    ps_model_record_free(&m), ps_model_record_free(&untested);
    ps_catalog_close(&catalog);
    raw("DROP TABLE job_line; DROP TABLE doomed_file; DROP INDEX artifact_made;"
        "DROP INDEX job_ended; DROP INDEX model_job;"
        "ALTER TABLE job DROP COLUMN cancel; ALTER TABLE job DROP COLUMN sources;"
        "ALTER TABLE job DROP COLUMN model_version; DROP TABLE job_model; DROP TABLE setting;"
        "INSERT INTO job VALUES(1,'a','train',4,'','anna',0,0,0,'','',x'');"
        "CREATE TABLE model ("
        "  name TEXT PRIMARY KEY, config TEXT NOT NULL, parameters INTEGER NOT NULL,"
        "  bytes INTEGER NOT NULL, job_id INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
        "  has_test INTEGER NOT NULL, test_loss REAL, test_accuracy REAL,"
        "  path TEXT NOT NULL) STRICT;"
        "INSERT INTO model SELECT name,config,parameters,bytes,name='a',created_ms,has_test,"
        "  CASE loss WHEN '' THEN NULL ELSE CAST(loss AS REAL) END,0.75,path"
        "  FROM model_version;"
        "CREATE TABLE model_tensor ("
        "  model TEXT NOT NULL REFERENCES model(name) ON DELETE CASCADE, position INTEGER NOT NULL,"
        "  name TEXT NOT NULL, shape BLOB NOT NULL, PRIMARY KEY (model, position)) STRICT;"
        "INSERT INTO model_tensor SELECT 'a',position,name,shape FROM model_version_tensor"
        "  WHERE path LIKE 'models/a.%';"
        "DROP TABLE model_version_tensor; DROP TABLE model_version; PRAGMA user_version=1");
    catalog = open_ok(path);
    ck_ok(ps_catalog_model_get(catalog, "a", &m));
    ck_assert_uint_eq(m->test_metrics.count, 1);
    ck_assert_str_eq(m->test_metrics.at[0].name, "accuracy");
    ck_assert_double_eq(m->test_metrics.at[0].value, 0.75);
    ck_assert_double_eq(m->test_loss, loss);
    ck_assert_str_eq(m->owner, "anna"); /* who submitted its job */
    ck_assert_uint_eq(m->tensor_bytes, 4 * m->parameters);
    ck_assert_uint_eq(m->n_tensors, 1);
    ps_model_record_free(&m);
    ck_ok(ps_catalog_model_get(catalog, "b", &m));
    ck_assert_str_eq(m->owner, "");
    ck_assert_uint_eq(m->test_metrics.count, 0);
    ps_model_record_free(&m);
    ps_catalog_close(&catalog);
    raw("UPDATE model_version SET test_metrics='{\"accuracy\":'");
    catalog = open_ok(path);
    ps_model_record **list = NULL;
    ck_assert_int_eq(ps_catalog_model_list(catalog, "", 0, &list), PS_CORRUPT);
    ck_assert_int_eq(ps_catalog_model_get(catalog, "a", &m), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "model 'a'"));
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

START_TEST(a_newer_schema_and_a_file_of_somebody_elses_are_refused)
{
    make_folder();
    ps_catalog *catalog = open_ok(path);
    ps_catalog_close(&catalog);
    raw("PRAGMA user_version=9000");
    refuses(PS_FAILED_PRECONDITION, "schema 9000 is of a newer psd");
    remove_folder();
    make_folder();
    raw("CREATE TABLE recipes(name TEXT)");
    refuses(PS_CORRUPT, "is not a catalog of psd; move it away");
    remove_folder();
}
END_TEST

static void overwrite(off_t at, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
    ck_assert_int_eq(close(fd), 0);
}

START_TEST(a_damaged_file_is_refused_and_not_touched)
{
    make_folder();
    overwrite(0, "this is not a database, though it is long enough to be one.....", 64);
    refuses(PS_CORRUPT, "is damaged");
    remove_folder();

    make_folder();
    ps_catalog *catalog = open_ok(path);
    for (int i = 0; i < 200; i++)
        add_job(catalog, "a");
    ps_catalog_close(&catalog);
    uint8_t rubbish[2048];
    memset(rubbish, 0xa5, sizeof rubbish);
    struct stat before, after;
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_int_gt(before.st_size, 12288);
    for (off_t at = 4096; at + 4096 <= before.st_size; at += 4096)
        overwrite(at, rubbish, sizeof rubbish);
    refuses(PS_CORRUPT, "is damaged");
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_eq(before.st_size, after.st_size);
    remove_folder();
}
END_TEST

START_TEST(a_full_disk_is_said_and_the_catalog_stays_good)
{
    make_folder();
    ps_catalog *catalog = open_ok(path);
    uint64_t id = add_job(catalog, "a"), other = 0;
    ps_catalog_limit_pages(catalog, 1); /* no more than it has */
    ps_job_record *big = make_job("big");
    free(big->spec);
    big->spec = ps_alloc(100001);
    memset(big->spec, 'x', 100000);
    ck_assert_int_eq(ps_catalog_job_add(catalog, big, &other), PS_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "the disk is full; free space"));
    ck_assert_uint_eq(other, 0);
    ps_model_record *model = make_model("m", 3000);
    ck_assert_int_eq(test_model_put(catalog, model), PS_NO_SPACE);
    ps_model_record *r = NULL;
    ck_assert_int_eq(ps_catalog_model_get(catalog, "m", &r), PS_NOT_FOUND); /* nothing of it */
    ps_catalog_limit_pages(catalog, 0);
    ck_ok(ps_catalog_job_add(catalog, big, &other));
    ck_assert_uint_gt(other, id);
    ck_ok(test_model_put(catalog, model));
    ps_model_record_free(&model);
    ps_job_record_free(&big);
    ps_catalog_close(&catalog);
    catalog = open_ok(path);
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

static ssize_t over_quota(int fd, const void *data, size_t len, off_t at)
{
    errno = EDQUOT;
    return -1;
}

START_TEST(a_quota_that_is_used_up_is_a_full_disk)
{
    static const char *const calls[] = {"pwrite", "pwrite64"};
    make_folder();
    ps_catalog *catalog = open_ok(path);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    for (size_t i = 0; i < 2; i++)
        (void)vfs->xSetSystemCall(vfs, calls[i], (sqlite3_syscall_ptr)over_quota);
    ck_assert_int_eq(ps_catalog_setting_put(catalog, "a", "b"), PS_NO_SPACE);
    (void)vfs->xSetSystemCall(vfs, NULL, NULL);
    ck_ok(ps_catalog_setting_put(catalog, "a", "b"));
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_a_clear_error)
{
    (void)snprintf(path, sizeof path, "/tmp/psd-no-such-folder/catalog.db");
    refuses(PS_NOT_FOUND, "catalog /tmp/psd-no-such-folder/catalog.db: No such file");
}
END_TEST

START_TEST(a_file_that_another_psd_has_open_is_refused)
{
    make_folder();
    ps_catalog *catalog = open_ok(path);
    refuses(PS_FAILED_PRECONDITION, "is in use by another process");
    add_job(catalog, "a");
    ps_catalog_close(&catalog);
    catalog = open_ok(path);
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

static void count_models(void *catalog)
{
    _exit((int)ps_catalog_model_count(catalog, &(uint64_t){0}));
}

static void ask_on_a_loop(void)
{
    ps_catalog *catalog = open_ok(":memory:");
    ps_loop *loop;
    ps_timer *timer;
    ck_ok(ps_loop_create(&loop));
    ps_timer_create(loop, count_models, catalog, &timer);
    ps_timer_start(timer, 0, 0);
    ps_loop_run(loop);
}

START_TEST(what_waits_for_the_disk_is_not_asked_on_a_loop)
{
    char said[PS_DIES_SAID];
    ps_test_dies(ask_on_a_loop, said);
    ck_assert_msg(strstr(said, "db.c:") && strstr(said, "!ps_loop_runs_here()"), "%s", said);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_job_comes_back_whole_after_reopening},
    {&pages_of_jobs_go_on_below_an_id},
    {&lists_are_newest_first_by_state_and_the_unfinished_oldest_first},
    {&an_artifact_belongs_to_a_job_and_is_replaced_by_name},
    {&a_catalog_of_the_first_schema_keeps_its_models_accuracy},
    {&a_newer_schema_and_a_file_of_somebody_elses_are_refused},
    {&a_damaged_file_is_refused_and_not_touched},
    {&a_full_disk_is_said_and_the_catalog_stays_good},
    {&a_file_that_another_psd_has_open_is_refused},
    {&a_job_has_so_many_artifacts_and_no_more},
    {&a_setting_is_there_until_it_is_taken_back},
    {&a_quota_that_is_used_up_is_a_full_disk},
    {&a_folder_that_is_not_there_is_a_clear_error},
    {&what_waits_for_the_disk_is_not_asked_on_a_loop},
    {0},
};

int main(void)
{
    return ps_check_main("server/catalog", cases);
}
