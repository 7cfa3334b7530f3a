/* removal: jobs, logs and artifacts go, asked for or when their time is over, and a crash or a disk
 * that fails on the way leaves nothing behind that nobody knows of. */
#include "server/runs/removal.h"

#include "common/base/mem.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/job_lines.h"
#include "server/catalog/models.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"
#include "tests/lib/stored.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_MS UINT64_C(86400000)
#define DAY_NS (DAY_MS * UINT64_C(1000000))

/* A job of `owner` in that state, which ended now, with two lines of log. */
static uint64_t add_job(test_stored *t, ps_job_state state, const char *owner)
{
    ps_job_record *r = ps_new(ps_job_record);
    uint64_t id;
    char **const texts[] = {&r->name, &r->kind, &r->reason, &r->spec, &r->result};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = ps_strdup("x");
    r->submitter = ps_strdup(owner);
    r->state = state;
    r->ended_ms = state >= PS_JOB_DONE ? ps_clock_wall_ms(&t->files.clock) : 0;
    ck_ok(ps_catalog_job_add(t->catalog, r, &id));
    r->id = id;
    char source[] = "psd", text[] = "said";
    const ps_job_line lines[] = {{.number = 0, .level = 6, .source = source, .text = text},
                                 {.number = 1, .level = 6, .source = source, .text = text}};
    ck_ok(ps_catalog_job_save(t->catalog, r, lines, 2));
    ps_job_record_free(&r);
    return id;
}

/* Of ten bytes, made now. */
static void add_artifact(test_stored *t, uint64_t job_id, const char *name)
{
    char *path = ps_asprintf("artifacts/%llu.%s", (unsigned long long)job_id, name);
    char *copy = ps_strdup(name);
    const ps_artifact_record a = {.job_id = job_id,
                                  .name = copy,
                                  .bytes = 10,
                                  .created_ms = ps_clock_wall_ms(&t->files.clock),
                                  .path = path};
    test_stored_write(t, path, "0123456789", 10);
    ck_ok(ps_catalog_artifact_put(t->catalog, &a));
    ps_free(&copy);
    ps_free(&path);
}

static size_t files_left(const test_stored *t)
{
    return test_stored_count(t, "artifacts");
}

static bool has_job(test_stored *t, uint64_t id)
{
    ps_job_record *r = NULL;
    ps_status st = ps_catalog_job_get(t->catalog, id, &r);
    ps_job_record_free(&r);
    return st == PS_OK;
}

static size_t lines_of(test_stored *t, uint64_t id)
{
    ps_job_line *lines = NULL;
    size_t n = 0;
    ck_ok(ps_catalog_job_lines(t->catalog, id, 100, &lines, &n));
    ps_job_lines_free(&lines, n);
    return n;
}

static void begin(test_stored *t)
{
    test_stored_open(t);
    t->time.now_ns = 1000 * DAY_NS;
}

START_TEST(a_job_goes_with_all_it_left)
{
    test_stored t;
    begin(&t);
    uint64_t id = add_job(&t, PS_JOB_DONE, "anna"), other = add_job(&t, PS_JOB_FAILED, "anna");
    add_artifact(&t, id, "a");
    add_artifact(&t, id, "b");
    add_artifact(&t, other, "a");
    ps_removed gone = {0};
    ck_assert_int_eq(ps_remove_artifact(&t.files, id, "c", &gone), PS_NOT_FOUND);
    ck_ok(ps_remove_artifact(&t.files, id, "b", &gone));
    ck_assert_uint_eq(files_left(&t), 2);
    ck_ok(ps_remove_job(&t.files, id, &gone));
    ck_assert_uint_eq(gone.jobs, 1);
    ck_assert_uint_eq(gone.artifacts, 2);
    ck_assert_uint_eq(gone.bytes, 20);
    ck_assert(!has_job(&t, id) && has_job(&t, other));
    ck_assert_uint_eq(lines_of(&t, id), 0);
    ck_assert_uint_eq(lines_of(&t, other), 2);
    ck_assert_uint_eq(files_left(&t), 1);
    ck_assert_int_eq(ps_remove_job(&t.files, id, &gone), PS_NOT_FOUND);
    test_stored_close(&t);
}
END_TEST

static void add_model(test_stored *t, uint64_t job_id)
{
    char name[] = "m", config[] = "{}", tensor[] = "w";
    ps_model_tensor w = {.name = tensor, .rank = 1, .shape = {1}};
    ps_model_record m = {
        .name = name, .config = config, .job_id = job_id, .tensors = &w, .n_tensors = 1};
    ck_ok(test_model_put(t->catalog, &m));
    ps_free(&m.path);
}

START_TEST(a_job_that_runs_or_has_a_model_stays)
{
    test_stored t;
    begin(&t);
    uint64_t runs = add_job(&t, PS_JOB_RUNNING, "anna"), trained = add_job(&t, PS_JOB_DONE, "anna");
    add_model(&t, trained);
    ps_removed gone = {0};
    ck_assert_int_eq(ps_remove_job(&t.files, runs, &gone), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(), "job 1 has not ended; cancel it first");
    ck_assert_int_eq(ps_remove_job(&t.files, trained, &gone), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "job 2 trained the stored model 'm'"));
    bool more;
    t.time.now_ns += 100 * DAY_NS;
    ck_ok(ps_prune(&t.files, NULL, 0, false, &gone, &more));
    ck_assert_uint_eq(gone.jobs, 0);
    ck_ok(ps_catalog_model_delete(t.catalog, "m"));
    ck_ok(ps_prune(&t.files, NULL, 0, false, &gone, &more));
    ck_assert_uint_eq(gone.jobs, 1);
    ck_assert(has_job(&t, runs));
    test_stored_close(&t);
}
END_TEST

START_TEST(each_kind_goes_when_its_own_time_is_over)
{
    test_stored t;
    begin(&t);
    const ps_retention keep = {
        .artifacts_ms = 10 * DAY_MS, .logs_ms = 20 * DAY_MS, .jobs_ms = 30 * DAY_MS};
    uint64_t id = add_job(&t, PS_JOB_DONE, "anna");
    add_artifact(&t, id, "a");
    ps_removed gone = {0};
    bool more;
    for (unsigned day = 0; day <= 30; day++) {
        ck_ok(ps_retention_pass(&t.files, &keep, &gone, &more));
        ck_assert(!more);
        ck_assert_uint_eq(files_left(&t), day < 10);
        ck_assert_uint_eq(lines_of(&t, id), day < 20 ? 2 : 0);
        ck_assert_int_eq(has_job(&t, id), day < 30);
        t.time.now_ns += DAY_NS;
    }
    const ps_retention ever = {0};
    id = add_job(&t, PS_JOB_DONE, "anna");
    t.time.now_ns += 900 * DAY_NS;
    ck_ok(ps_retention_pass(&t.files, &ever, &gone, &more));
    ck_assert(has_job(&t, id));
    test_stored_close(&t);
}
END_TEST

START_TEST(a_pass_is_short_and_says_that_there_is_more)
{
    enum { JOBS = PS_REMOVE_AT_ONCE + 50 };
    test_stored t;
    begin(&t);
    for (size_t i = 0; i < JOBS; i++)
        add_artifact(&t, add_job(&t, PS_JOB_DONE, "anna"), "a");
    ps_removed gone = {0};
    bool more;
    t.time.now_ns += DAY_NS;
    ck_ok(ps_prune(&t.files, NULL, DAY_MS, false, &gone, &more));
    ck_assert(more);
    ck_assert_uint_eq(gone.jobs, PS_REMOVE_AT_ONCE);
    ck_ok(ps_prune(&t.files, NULL, DAY_MS, false, &gone, &more));
    ck_assert(!more);
    ck_assert_uint_eq(gone.jobs, JOBS);
    ck_assert_uint_eq(files_left(&t), 0);
    test_stored_close(&t);
}
END_TEST

START_TEST(a_submitter_prunes_his_own_and_artifacts_alone_if_he_likes)
{
    test_stored t;
    begin(&t);
    uint64_t annas = add_job(&t, PS_JOB_DONE, "anna"), bobs = add_job(&t, PS_JOB_DONE, "bob");
    add_artifact(&t, annas, "a");
    add_artifact(&t, bobs, "a");
    ps_removed gone = {0};
    bool more;
    ck_ok(ps_prune(&t.files, "anna", DAY_MS, false, &gone, &more));
    ck_assert_uint_eq(gone.jobs, 0); /* not that old */
    ck_ok(ps_prune(&t.files, "anna", 0, true, &gone, &more));
    ck_assert_uint_eq(gone.jobs, 0);
    ck_assert_uint_eq(gone.artifacts, 1);
    ck_ok(ps_prune(&t.files, "anna", 0, false, &gone, &more));
    ck_assert(!has_job(&t, annas) && has_job(&t, bobs));
    ck_assert_uint_eq(files_left(&t), 1);
    test_stored_close(&t);
}
END_TEST

/* Wherever it stops, at a disk that fails or for good, the next pass finishes it. */
START_TEST(what_was_interrupted_is_finished_by_the_next_pass)
{
    const ps_retention ever = {0};
    for (unsigned long k = 1; k <= 3; k++) {
        test_stored t;
        begin(&t);
        uint64_t id = add_job(&t, PS_JOB_DONE, "anna");
        add_artifact(&t, id, "a");
        add_artifact(&t, id, "b");
        add_artifact(&t, id, "c");
        ps_removed gone = {0};
        bool more;
        fault_at(&t.fault.fails, k); /* the k-th unlink */
        ck_ok(ps_remove_job(&t.files, id, &gone));
        ck_assert(!has_job(&t, id));
        ck_assert_uint_eq(files_left(&t), 1); /* the others go */
        fault_at(&t.fault.fails, 0);
        ck_ok(ps_retention_pass(&t.files, &ever, &gone, &more));
        ck_assert_uint_eq(files_left(&t), 0);
        test_stored_close(&t);
    }
    test_stored t; /* and when the catalog could not take a file off the list */
    begin(&t);
    uint64_t id = add_job(&t, PS_JOB_DONE, "anna");
    add_artifact(&t, id, "a");
    ps_removed gone = {0};
    bool more;
    ps_catalog_limit_writes(t.catalog, 3); /* doomed, artifacts, job */
    ck_ok(ps_remove_job(&t.files, id, &gone));
    ck_assert_uint_eq(files_left(&t), 0);
    ps_catalog_limit_writes(t.catalog, PS_CATALOG_ALL);
    ck_ok(ps_retention_pass(&t.files, &ever, &gone, &more)); /* it is missing */
    char **doomed = NULL;
    ck_ok(ps_catalog_doomed(t.catalog, 10, &doomed));
    ck_assert_ptr_null(doomed[0]);
    ps_doomed_free(&doomed);
    test_stored_close(&t);
}
END_TEST

START_TEST(a_catalog_that_cannot_be_written_changes_nothing)
{
    test_stored t;
    begin(&t);
    uint64_t id = add_job(&t, PS_JOB_DONE, "anna");
    add_artifact(&t, id, "a");
    for (uint64_t writes = 0; writes < 3; writes++) {
        ps_removed gone = {0};
        ps_catalog_limit_writes(t.catalog, writes);
        ck_assert_int_eq(ps_remove_job(&t.files, id, &gone), PS_NO_SPACE);
        ck_assert_uint_eq(gone.jobs + gone.artifacts + gone.bytes, 0);
        ck_assert(has_job(&t, id));
        ck_assert_uint_eq(files_left(&t), 1);
    }
    test_stored_close(&t);
}
END_TEST

START_TEST(a_file_that_cannot_be_removed_does_not_keep_the_others)
{
    test_stored t;
    begin(&t);
    uint64_t id = add_job(&t, PS_JOB_DONE, "anna");
    add_artifact(&t, id, "a");
    add_artifact(&t, id, "b");
    char *path = ps_asprintf("%s/artifacts/%llu.a", t.files.data_dir, (unsigned long long)id);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ps_removed gone = {0};
    bool more = true;
    ck_ok(ps_remove_job(&t.files, id, &gone));
    ck_assert_uint_eq(files_left(&t), 1);
    ck_assert_int_ne(ps_retention_pass(&t.files, &(ps_retention){0}, &gone, &more), PS_OK);
    ck_assert(!more);
    ck_assert_int_eq(rmdir(path), 0);
    ck_ok(ps_retention_pass(&t.files, &(ps_retention){0}, &gone, &more));
    ps_free(&path);
    test_stored_close(&t);
}
END_TEST

/* What is being uploaded meanwhile: its name is on the list, and then it has a row. */
START_TEST(a_file_that_has_got_a_row_since_it_was_listed_stays)
{
    test_stored t;
    begin(&t);
    uint64_t id = add_job(&t, PS_JOB_DONE, "anna");
    bool still = false, more;
    ps_removed gone = {0};
    ck_ok(ps_catalog_doom(t.catalog, "artifacts/1.a"));
    ck_ok(ps_catalog_doomed_still(t.catalog, "artifacts/1.a", &still));
    ck_assert(still);
    add_artifact(&t, id, "a");
    ck_ok(ps_catalog_doomed_still(t.catalog, "artifacts/1.a", &still));
    ck_assert(!still);
    ck_ok(ps_retention_pass(&t.files, &(ps_retention){0}, &gone, &more));
    ck_assert_uint_eq(files_left(&t), 1);
    test_stored_close(&t);
}
END_TEST

typedef struct reserve {
    ps_catalog *catalog;
    unsigned parts;
} reserve;

static bool give_up(void *user)
{
    reserve *r = user;
    if (r->parts == 0)
        return false;
    r->parts--;
    ps_catalog_limit_writes(r->catalog, PS_CATALOG_ALL);
    return true;
}

/* The log of 200 jobs is more than a part of the reserve holds. */
START_TEST(on_a_full_disk_a_little_goes_at_once)
{
    test_stored t;
    begin(&t);
    for (unsigned i = 0; i < 10; i++)
        (void)add_job(&t, PS_JOB_DONE, "anna");
    reserve kept = {.catalog = t.catalog, .parts = 2};
    ps_catalog_set_make_room(t.catalog, give_up, &kept);
    ps_catalog_limit_writes(t.catalog, 0);
    ps_removed gone = {0};
    bool more = false;
    ck_ok(ps_prune(&t.files, NULL, 0, false, &gone, &more));
    ck_assert_uint_eq(gone.jobs, 1);
    ck_assert_uint_eq(kept.parts, 1);
    ck_assert(more);
    gone = (ps_removed){0};
    ck_ok(ps_prune(&t.files, NULL, 0, false, &gone, &more));
    ck_assert_uint_eq(gone.jobs, 9);
    ck_assert(!more);
    test_stored_close(&t);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_file_that_has_got_a_row_since_it_was_listed_stays},
    {&on_a_full_disk_a_little_goes_at_once},
    {&a_file_that_cannot_be_removed_does_not_keep_the_others},
    {&a_job_goes_with_all_it_left},
    {&a_job_that_runs_or_has_a_model_stays},
    {&each_kind_goes_when_its_own_time_is_over},
    {&a_pass_is_short_and_says_that_there_is_more},
    {&a_submitter_prunes_his_own_and_artifacts_alone_if_he_likes},
    {&what_was_interrupted_is_finished_by_the_next_pass},
    {&a_catalog_that_cannot_be_written_changes_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/removal", cases);
}
