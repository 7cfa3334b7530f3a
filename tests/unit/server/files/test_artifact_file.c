/* artifact_file: a file of a job, replaced as a whole or not at all. */
#include "server/files/artifact_file.h"

#include "common/format/artifact_name.h"

#include "common/base/mem.h"
#include "server/catalog/jobs.h"
#include "server/runs/removal.h"
#include "tests/lib/check_main.h"
#include "tests/lib/stored.h"

#include <string.h>

static uint64_t add_job(const test_stored *t)
{
    ps_job_record *r = ps_new(ps_job_record);
    uint64_t id;
    char **const texts[] = {&r->name, &r->kind, &r->reason, &r->submitter, &r->spec, &r->result};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = ps_strdup("x");
    r->state = PS_JOB_RUNNING;
    ck_ok(ps_catalog_job_add(t->catalog, r, &id));
    ps_job_record_free(&r);
    return id;
}

static ps_status adopt(test_stored *t, uint64_t job_id, const char *text)
{
    ps_artifact_record *r = NULL;
    ps_stored_place place = ps_artifact_place(job_id);
    test_stored_write(t, place.incoming, text, strlen(text));
    ps_status st = ps_artifact_file_adopt(&t->files, &place, job_id, "out.jsonl", strlen(text), &r);
    if (!st) {
        ck_assert_uint_eq(r->bytes, strlen(text));
        ck_assert_str_eq(r->name, "out.jsonl");
        ck_assert_uint_eq(r->job_id, job_id);
    }
    ps_artifact_record_free(&r);
    ps_stored_place_free(&place);
    return st;
}

/* What a reader gets. */
static void assert_content(test_stored *t, uint64_t job_id, const char *text)
{
    int file;
    char *data;
    ck_ok(ps_artifact_file_open(&t->files, job_id, "out.jsonl", &file));
    ck_assert_uint_eq(test_stored_drain(file, &data), strlen(text));
    ck_assert_str_eq(data, text);
    free(data);
}

START_TEST(names_are_plain)
{
    static const char *const good[] = {"a", "predictions.jsonl", "A-b_c.9", "-"};
    static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "a b", "a\n", "\xc3\xa9"};
    char longest[66];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(ps_artifact_name_ok(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!ps_artifact_name_ok(bad[i]), "%s", bad[i]);
    memset(longest, 'a', sizeof longest);
    longest[64] = 0;
    ck_assert(ps_artifact_name_ok(longest));
    ck_assert(ps_artifact_name_is_report("report.json"));
    ck_assert(ps_artifact_name_is_report("explain.safetensors"));
    static const char *const others[] = {
        "",           "influence.bin",     "xreport.json",      "report.json, explain.json",
        "plain.json", "predictions.jsonl", "explain.safetensor"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_msg(!ps_artifact_name_is_report(others[i]), "%s", others[i]);
    longest[64] = 'a';
    longest[65] = 0;
    ck_assert(!ps_artifact_name_ok(longest));
    ck_assert(!ps_artifact_name_ok(PS_STORED_INCOMING "1"));
}
END_TEST

START_TEST(one_of_that_name_is_replaced_and_a_reader_keeps_what_it_opened)
{
    test_stored t;
    int file;
    char *data;
    test_stored_open(&t);
    uint64_t id = add_job(&t);
    ck_assert_int_eq(ps_artifact_file_open(&t.files, id, "out.jsonl", &file), PS_NOT_FOUND);
    ck_ok(adopt(&t, id, "first"));
    assert_content(&t, id, "first");
    ck_ok(ps_artifact_file_open(&t.files, id, "out.jsonl", &file));
    ck_ok(adopt(&t, id, "the second"));
    assert_content(&t, id, "the second");
    ck_assert_uint_eq(test_stored_drain(file, &data), 5);
    ck_assert_str_eq(data, "first");
    free(data);
    ck_assert_uint_eq(test_stored_count(&t, "artifacts"), 1);
    test_stored_close(&t);
}
END_TEST

START_TEST(a_job_that_does_not_exist_gets_none)
{
    test_stored t;
    test_stored_open(&t);
    ck_assert_int_eq(adopt(&t, 77, "nobody's"), PS_NOT_FOUND);
    ck_assert_int_eq(strncmp(ps_error_message(), "artifact out.jsonl: ", 20), 0);
    ck_assert_uint_le(test_stored_count(&t, "artifacts"), 1); /* incoming, at most */
    test_stored_close(&t);
}
END_TEST

START_TEST(whatever_fails_the_one_before_is_there)
{
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        test_stored t;
        test_stored_open(&t);
        uint64_t id = add_job(&t);
        ck_ok(adopt(&t, id, "first"));
        fault_at(&t.fault.fails, k);
        ps_status st = adopt(&t, id, "the second");
        bool reached = fault_struck(&t.fault.fails);
        fault_at(&t.fault.fails, 0);
        assert_content(&t, id, st ? "first" : "the second");
        failures += st != PS_OK;
        ck_ok(adopt(&t, id, "third"));
        assert_content(&t, id, "third");
        test_stored_close(&t);
        if (!reached)
            break;
    }
    ck_assert_uint_eq(failures, 2); /* the old file's removal is no failure */
}
END_TEST

static ps_status no_unlink(void *state, const char *path)
{
    return ps_fail(PS_IO, "unlink %s: failed on purpose", path);
}

/* psd dies before the file is placed, before it has its row, or before the old one is removed. */
START_TEST(a_crash_leaves_no_file_that_nobody_knows_of)
{
    for (unsigned long k = 1; k <= 3; k++) {
        test_stored t;
        ps_removed gone = {0};
        bool more;
        test_stored_open(&t);
        uint64_t id = add_job(&t);
        ck_ok(adopt(&t, id, "first"));
        ps_stored_place place = ps_artifact_place(id);
        test_stored_write(&t, place.incoming, "second", 6);
        ps_artifact_record *r = NULL;
        if (k <= 2) { /* before the row */
            ck_ok(ps_catalog_doom(t.catalog, place.path));
            if (k == 2) {
                ps_stored_files_lock();
                ck_ok(ps_stored_file_move(&t.files, &place));
                ps_stored_files_unlock();
            }
        } else { /* at the removal of the file before; in the list of the doomed */
            ps_disk disk = t.disk;
            disk.unlink = no_unlink;
            t.files.disk = &disk;
            ck_ok(ps_artifact_file_adopt(&t.files, &place, id, "out.jsonl", 6, &r));
            ck_assert_uint_eq(test_stored_count(&t, "artifacts"), 2);
            t.files.disk = &t.disk;
        }
        ck_ok(ps_stored_files_sweep(&t.files));
        ck_ok(ps_retention_pass(&t.files, &(ps_retention){0}, &gone, &more));
        ck_assert_uint_eq(test_stored_count(&t, "artifacts"), 1);
        assert_content(&t, id, k <= 2 ? "first" : "second");
        ps_artifact_record_free(&r);
        ps_stored_place_free(&place);
        test_stored_close(&t);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&names_are_plain},
    {&one_of_that_name_is_replaced_and_a_reader_keeps_what_it_opened},
    {&a_job_that_does_not_exist_gets_none},
    {&whatever_fails_the_one_before_is_there},
    {&a_crash_leaves_no_file_that_nobody_knows_of},
    {0},
};

int main(void)
{
    return ps_check_main("server/files/artifact_file", cases);
}
