/* values: what the catalog has of jobs and models is not found in its files, comes back as it was,
 * and belongs to its row. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "server/catalog/catalog.h"
#include "server/catalog/job_lines.h"
#include "server/catalog/jobs.h"
#include "server/catalog/models.h"
#include "server/catalog/values.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[32], path[64], wal[80];

static void make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/psd-values-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/catalog.db", folder);
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
}

static void remove_folder(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

static ps_catalog *open_sealed(int key)
{
    ps_catalog *catalog = NULL;
    ck_ok(ps_catalog_open(path, &catalog));
    if (key) {
        ps_secret *secret = ps_secret_new();
        memset(ps_secret_bytes(secret), key, PS_SECRET_BYTES);
        ck_ok(ps_catalog_seal(catalog, secret, "psd/v1 lab catalog"));
        ps_secret_free(&secret);
    }
    return catalog;
}

static const char spec[] = "kind: train\nname: secretive\n";
static const char *const secrets[] = {"secretive",          "no loss of yours",    "4.25 nats",
                                      "{hidden_",           "0.30000000000000004", "blurred",
                                      "/data/of a patient", "its parents"};

static ps_job_record *new_job(ps_catalog *catalog, const char *reason)
{
    ps_job_record *r = ps_new(ps_job_record);
    r->name = ps_strdup("a");
    r->kind = ps_strdup("train");
    r->state = PS_JOB_RUNNING;
    r->reason = ps_strdup(reason);
    r->submitter = ps_strdup("anna");
    r->spec = ps_strdup(spec);
    r->result = ps_strdup("");
    ck_ok(ps_catalog_job_add(catalog, r, &r->id));
    return r;
}

static void put_model(ps_catalog *catalog)
{
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup("m");
    m->config = ps_strdup("{hidden_size: 3}");
    m->path = ps_strdup("models/m.1");
    m->has_test = true;
    m->test_loss = 0.1 + 0.2;
    m->lineage = ps_strdup("{\"of\":\"its parents\"}");
    ck_ok(test_model_put(catalog, m));
    ps_model_record_free(&m);
}

/* A job with a line, and a model, all of whose values are secrets. */
static void fill(ps_catalog *catalog)
{
    ps_job_record *job = new_job(catalog, "no loss of yours");
    ck_assert_uint_eq(job->id, 1);
    ps_free(&job->result);
    job->result = ps_strdup("{\"loss\":\"4.25 nats\"}");
    job->sources = ps_strdup("00ff 7 w1 /data/of a patient\n");
    (void)snprintf(job->progress.phase, sizeof job->progress.phase, "blurred");
    ps_job_line line = {.number = 1,
                        .time_ms = 1,
                        .source = ps_strdup("w1"),
                        .text = ps_strdup("4.25 nats are its loss")};
    ck_ok(ps_catalog_job_save(catalog, job, &line, 1));
    ps_job_line_clear(&line);
    ps_job_record_free(&job);
    put_model(catalog);
}

static void assert_filled(ps_catalog *catalog)
{
    ps_job_record *job = NULL;
    ps_model_record *m = NULL;
    ps_job_line *lines = NULL;
    size_t n;
    ck_ok(ps_catalog_job_get(catalog, 1, &job));
    ck_assert_str_eq(job->spec, spec);
    ck_assert_str_eq(job->reason, "no loss of yours");
    ck_assert_str_eq(job->result, "{\"loss\":\"4.25 nats\"}");
    ck_assert_str_eq(job->sources, "00ff 7 w1 /data/of a patient\n");
    ck_assert_str_eq(job->progress.phase, "blurred");
    ck_ok(ps_catalog_job_lines(catalog, 1, 10, &lines, &n));
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(lines[0].text, "4.25 nats are its loss");
    ck_ok(ps_catalog_model_get(catalog, "m", &m));
    ck_assert_str_eq(m->config, "{hidden_size: 3}");
    ck_assert_double_eq(m->test_loss, 0.1 + 0.2);
    char *lineage = NULL;
    ck_ok(ps_catalog_model_lineage(catalog, m->path, &lineage));
    ck_assert_str_eq(lineage, "{\"of\":\"its parents\"}");
    ps_free(&lineage);
    ps_job_lines_free(&lines, n);
    ps_job_record_free(&job);
    ps_model_record_free(&m);
}

static size_t found_in(const char *file)
{
    ps_buf bytes = PS_BUF_EMPTY;
    size_t found = 0;
    ps_status st = ps_disk_read_file(&ps_disk_system, file, 16 << 20, &bytes);
    ck_assert(st == PS_OK || st == PS_NOT_FOUND);
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        found += bytes.len && memmem(bytes.data, bytes.len, secrets[i], strlen(secrets[i]));
    ps_buf_free(&bytes);
    return found;
}

static void raw(const char *sql)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(with_a_key_no_value_is_in_the_files)
{
    make_folder();
    ps_catalog *catalog = open_sealed(1);
    fill(catalog);
    assert_filled(catalog);
    ck_assert_uint_eq(found_in(path) + found_in(wal), 0);
    ps_catalog_close(&catalog);
    ck_assert_uint_eq(found_in(path), 0);
    catalog = open_sealed(1);
    assert_filled(catalog);
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

START_TEST(values_that_were_plain_are_sealed_at_once)
{
    make_folder();
    ps_catalog *catalog = open_sealed(0);
    fill(catalog);
    ps_catalog_close(&catalog);
    ck_assert_uint_eq(found_in(path), sizeof secrets / sizeof *secrets);
    catalog = open_sealed(1);
    assert_filled(catalog);
    ck_assert_uint_eq(found_in(path) + found_in(wal), 0);
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

/* As a crash leaves it before what is free was wiped. */
START_TEST(what_was_plain_is_wiped_even_if_the_start_that_sealed_it_was_cut)
{
    make_folder();
    ps_catalog *catalog = open_sealed(1);
    fill(catalog);
    ps_catalog_close(&catalog);
    raw("PRAGMA secure_delete=OFF; CREATE TABLE old (text);"
        "INSERT INTO old VALUES ('secretive'); DROP TABLE old;"
        "PRAGMA application_id=" PS_VALUES_LEFT);
    ck_assert_uint_eq(found_in(path), 1);
    catalog = open_sealed(1);
    ck_assert_uint_eq(found_in(path) + found_in(wal), 0);
    assert_filled(catalog);
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

/* Words of a worker, say. */
START_TEST(plain_words_are_not_taken_for_sealed_ones)
{
    for (int key = 0; key < 2; key++) {
        make_folder();
        ps_catalog *catalog = open_sealed(key);
        ps_job_record *job = new_job(catalog, "\002secretive");
        ps_job_record *read = NULL;
        ck_ok(ps_catalog_job_get(catalog, job->id, &read));
        ck_assert_str_eq(read->reason, key ? "\002secretive" : "?secretive");
        ck_assert(!key || found_in(path) + found_in(wal) == 0);
        ps_job_record_free(&read);
        ps_job_record_free(&job);
        ps_catalog_close(&catalog);
        remove_folder();
    }
}
END_TEST

START_TEST(it_says_whether_it_needs_a_key)
{
    for (int key = 0; key < 2; key++) {
        bool is = true;
        make_folder();
        ps_catalog *catalog = open_sealed(key);
        ck_ok(ps_catalog_is_sealed(catalog, &is));
        ck_assert(!is); /* nothing is there to open */
        fill(catalog);
        ck_ok(ps_catalog_is_sealed(catalog, &is));
        ck_assert_int_eq(is, key);
        ps_catalog_close(&catalog);
        remove_folder();
    }
}
END_TEST

static void assert_damaged(ps_catalog *catalog, const char *words)
{
    ps_job_record *job = NULL;
    ck_assert_int_eq(ps_catalog_job_get(catalog, 1, &job), PS_CORRUPT);
    ck_assert_msg(strstr(ps_error_message(), words), "%s", ps_error_message());
    ck_assert_ptr_null(job);
}

START_TEST(a_value_belongs_to_its_row_its_column_and_its_key)
{
    static const char *const changes[] = {
        "UPDATE job SET spec=(SELECT spec FROM job WHERE id=2) WHERE id=1",
        "UPDATE job SET spec=reason WHERE id=1",
        "UPDATE job SET spec=substr(spec,1,length(spec)-4) WHERE id=1",
        "UPDATE job SET spec=substr(spec,1,9) WHERE id=1",
        "UPDATE job SET spec=char(2) WHERE id=1",
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        make_folder();
        ps_catalog *catalog = open_sealed(1);
        fill(catalog);
        ps_job_record *other = new_job(catalog, "");
        ps_job_record_free(&other);
        ps_catalog_close(&catalog);
        raw(changes[i]);
        catalog = open_sealed(1);
        assert_damaged(catalog, "job.spec of 1: ");
        ps_catalog_close(&catalog);
        remove_folder();
    }
    make_folder();
    ps_catalog *catalog = open_sealed(1);
    fill(catalog);
    ps_catalog_close(&catalog);
    catalog = open_sealed(2);
    assert_damaged(catalog, "does not authenticate");
    ps_catalog_close(&catalog);
    catalog = open_sealed(0);
    assert_damaged(catalog, "it is sealed, and sealing.kek names no key");
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

static const ps_check_case tests[] = {
    {&with_a_key_no_value_is_in_the_files},
    {&values_that_were_plain_are_sealed_at_once},
    {&what_was_plain_is_wiped_even_if_the_start_that_sealed_it_was_cut},
    {&plain_words_are_not_taken_for_sealed_ones},
    {&it_says_whether_it_needs_a_key},
    {&a_value_belongs_to_its_row_its_column_and_its_key, 30},
    {0},
};

int main(void)
{
    return ps_check_main("catalog/values", tests);
}
