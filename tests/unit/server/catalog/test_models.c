/* models in the catalog: a name means one version, and a version stays as long as it is needed. */
#include "common/base/mem.h"
#include "server/catalog/jobs.h"
#include "server/catalog/models.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ps_catalog *open_memory(void)
{
    ps_catalog *catalog = NULL;
    ck_ok(ps_catalog_open(":memory:", &catalog));
    return catalog;
}

static ps_model_record *make_model(const char *name, size_t n_tensors)
{
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup(name);
    m->config = ps_strdup("{architecture: mlp}");
    m->parameters = 40;
    m->bytes = 400;
    m->tensor_bytes = 300;
    m->forms = ps_strdup("q8_0, float32");
    m->has_test = true;
    m->test_loss = NAN;
    ps_metric_list_add(&m->test_metrics, "accuracy", 0.88);
    ps_metric_list_add(&m->test_metrics, "perplexity", NAN);
    m->tensors = ps_alloc_array(n_tensors, sizeof *m->tensors);
    for (size_t i = 0; i < n_tensors; i++)
        m->tensors[m->n_tensors++] =
            (ps_model_tensor){.name = ps_asprintf("t%zu", i), .rank = 2, .shape = {i + 1, 3}};
    ck_assert(ps_form_parse("int4/128", &m->tensors[n_tensors - 1].form));
    return m;
}

START_TEST(a_model_is_replaced_whole_and_fits_only_the_same_shapes)
{
    ps_catalog *catalog = open_memory();
    ps_model_record *three = make_model("a", 3), *two = make_model("a", 2), *r = NULL;
    ck_ok(ps_catalog_model_fits(catalog, "a", three->tensors, 3)); /* no such */
    ck_ok(test_model_put(catalog, three));
    ck_ok(test_model_put(catalog, two));
    ck_ok(ps_catalog_model_version(catalog, "a", three->path, &r));
    ck_assert_uint_eq(r->n_tensors, 3); /* of before, as it was */
    ps_model_record_free(&r);
    ck_ok(ps_catalog_model_get(catalog, "a", &r));
    ck_assert_uint_eq(r->n_tensors, 2);
    ck_assert_str_eq(r->tensors[1].name, "t1");
    ck_assert_uint_eq(r->tensors[1].rank, 2);
    ck_assert_uint_eq(r->tensors[1].shape[0], 2);
    ck_assert(ps_form_same(r->tensors[1].form, two->tensors[1].form));
    ck_assert_ptr_null(r->tensors[0].form.row);
    ck_assert_str_eq(r->forms, "q8_0, float32");
    ck_assert_uint_eq(r->tensor_bytes, 300);
    ck_assert_uint_eq(r->test_metrics.count, 2);
    ck_assert_double_eq(r->test_metrics.at[0].value, 0.88);
    ck_assert_str_eq(r->test_metrics.at[1].name, "perplexity");
    ck_assert(isnan(r->test_metrics.at[1].value));
    ck_assert(isnan(r->test_loss));
    ps_model_record_free(&r);
    ck_ok(ps_catalog_model_fits(catalog, "a", two->tensors, 2));
    ck_assert_int_eq(ps_catalog_model_fits(catalog, "a", three->tensors, 3),
                     PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "has no tensor t2"));
    ck_assert_int_eq(ps_catalog_model_fits(catalog, "a", two->tensors, 1), PS_FAILED_PRECONDITION);
    two->tensors[1].shape[1] = 4;
    ck_assert_int_eq(ps_catalog_model_fits(catalog, "a", two->tensors, 2), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "t1 is [2, 3] there and [2, 4] in this job"));
    ps_model_record **list = NULL;
    ck_ok(ps_catalog_model_list(catalog, "", 0, &list));
    ck_assert_str_eq(list[0]->name, "a");
    ck_assert_ptr_null(list[1]);
    ps_model_records_free(&list);
    ck_ok(ps_catalog_model_delete(catalog, "a"));
    ck_assert_int_eq(ps_catalog_model_delete(catalog, "a"), PS_NOT_FOUND);
    ck_assert_int_eq(ps_catalog_model_get(catalog, "a", &r), PS_NOT_FOUND);
    ps_model_record_free(&two);
    ps_model_record_free(&three);
    ps_catalog_close(&catalog);
}
END_TEST

static ps_job_record *make_job(void)
{
    ps_job_record *r = ps_new(ps_job_record);
    r->name = ps_strdup("use");
    r->kind = ps_strdup("predict");
    r->state = PS_JOB_QUEUED;
    return r;
}

static void use(ps_job_record *job, size_t n, const char *const *versions)
{
    job->others = ps_alloc_array(n, sizeof *job->others);
    for (job->n_others = 0; job->n_others < n; job->n_others++)
        job->others[job->n_others] = ps_strdup(versions[job->n_others]);
}

/* What its job had, of the version that it had; that it is gone changes nothing. */
START_TEST(a_model_knows_what_it_was_made_of)
{
    ps_catalog *catalog = open_memory();
    ps_model_record *big = make_model("big", 1), *small = make_model("small", 1), *r = NULL;
    ps_job_record *job = make_job();
    ck_ok(test_model_put(catalog, big));
    job->model_version = ps_strdup(big->path);
    ck_ok(ps_catalog_job_add(catalog, job, &small->job_id));
    ck_ok(test_model_put(catalog, small));
    ck_ok(ps_catalog_model_delete(catalog, "big"));
    ck_ok(ps_catalog_model_get(catalog, "small", &r));
    ck_assert_str_eq(r->parent, "big");
    ck_assert_str_eq(r->parent_version, big->path);
    ps_model_record_free(&r);
    ck_ok(ps_catalog_model_version(catalog, "big", big->path, &r));
    ck_assert_str_eq(r->parent, "");
    ck_assert_str_eq(r->parent_version, "");
    ps_model_record_free(&r);
    ps_job_record_free(&job);
    ps_model_record_free(&big);
    ps_model_record_free(&small);
    ps_catalog_close(&catalog);
}
END_TEST

static bool unused_is(ps_catalog *catalog, const char *version)
{
    char *found = NULL;
    ps_status st = ps_catalog_model_unused(catalog, "", &found);
    bool is = version ? !st && strcmp(found, version) == 0 : st == PS_END;
    free(found);
    return is;
}

/* That of a model that teaches it, say; the order is the file's, not the names'. */
START_TEST(versions_stay_for_jobs_that_use_them_beside_their_own)
{
    ps_catalog *catalog = open_memory();
    ps_model_record *first = make_model("b", 1), *second = make_model("a", 1);
    ck_ok(test_model_put(catalog, first));
    ck_ok(test_model_put(catalog, second));
    ps_job_record *job = make_job(), *read = NULL;
    use(job, 2, (const char *[]){first->path, second->path});
    ck_ok(ps_catalog_job_add(catalog, job, &job->id));
    ck_ok(ps_catalog_job_get(catalog, job->id, &read));
    ck_assert_uint_eq(read->n_others, 2);
    ck_assert_str_eq(read->others[0], first->path);
    ck_assert_str_eq(read->others[1], second->path);
    ck_assert_str_eq(read->model_version, "");
    ck_ok(ps_catalog_model_delete(catalog, "a"));
    ck_ok(ps_catalog_model_delete(catalog, "b"));
    ck_assert(unused_is(catalog, NULL));
    job->state = PS_JOB_DONE;
    ck_ok(ps_catalog_job_update(catalog, job));
    ck_assert(unused_is(catalog, second->path));
    ck_ok(ps_catalog_model_forget(catalog, second->path));
    ck_assert(unused_is(catalog, first->path));
    ps_job_record_free(&job);
    ps_job_record_free(&read);
    ps_model_record_free(&first);
    ps_model_record_free(&second);
    ps_catalog_close(&catalog);
}
END_TEST

/* Of several one is gone: the job is not there, nor what it would have kept. */
START_TEST(a_job_is_added_with_all_its_versions_or_not_at_all)
{
    ps_catalog *catalog = open_memory();
    ps_model_record *first = make_model("a", 1);
    ps_job_record **all = NULL;
    uint64_t id = 0;
    ck_ok(test_model_put(catalog, first));
    ps_job_record *job = make_job();
    use(job, 2, (const char *[]){first->path, "models/gone"});
    ck_assert_int_eq(ps_catalog_job_add(catalog, job, &id), PS_ABORTED);
    ck_assert_uint_eq(id, 0);
    ck_ok(ps_catalog_job_list(catalog, PS_JOB_NONE, 0, 0, &all));
    ck_assert_ptr_null(all[0]);
    ps_job_records_free(&all);
    ck_ok(ps_catalog_model_delete(catalog, "a"));
    ck_assert(unused_is(catalog, first->path));
    ps_job_record_free(&job);
    ps_model_record_free(&first);
    ps_catalog_close(&catalog);
}
END_TEST

/* Of a psd that kept one model beside a job's own. */
START_TEST(a_catalog_of_one_teacher_keeps_it_for_its_job)
{
    static const char before[] =
        "DROP TABLE job_model;"
        "ALTER TABLE job DROP COLUMN sources; ALTER TABLE model_version DROP COLUMN lineage;"
        "ALTER TABLE job ADD COLUMN teacher_version TEXT NOT NULL DEFAULT '';"
        "INSERT INTO job SELECT 1,'b','train',2,'','anna',0,0,0,'','',x'','','',path"
        "  FROM model_version;"
        "INSERT INTO job VALUES(2,'c','train',2,'','anna',0,0,0,'','',x'','','','');"
        "ALTER TABLE model_version ADD COLUMN test_loss REAL;"
        "UPDATE model_version SET test_loss=CAST(loss AS REAL);"
        "ALTER TABLE model_version DROP COLUMN loss; PRAGMA user_version=9";
    char folder[] = "/tmp/psd-catalog-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/catalog.db", folder);
    ps_catalog *catalog = NULL;
    ps_model_record *m = make_model("a", 1);
    ps_job_record *taught = NULL, *other = NULL;
    sqlite3 *db = NULL;
    ck_ok(ps_catalog_open(path, &catalog));
    ck_ok(test_model_put(catalog, m));
    ps_catalog_close(&catalog);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, before, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    ck_ok(ps_catalog_open(path, &catalog));
    ck_ok(ps_catalog_job_get(catalog, 1, &taught));
    ck_assert_uint_eq(taught->n_others, 1);
    ck_assert_str_eq(taught->others[0], m->path);
    ck_ok(ps_catalog_job_get(catalog, 2, &other));
    ck_assert_uint_eq(other->n_others, 0);
    ck_ok(ps_catalog_model_delete(catalog, "a"));
    ck_assert(unused_is(catalog, NULL));
    taught->state = PS_JOB_DONE;
    ck_ok(ps_catalog_job_update(catalog, taught));
    ck_assert(unused_is(catalog, m->path));
    ps_job_record_free(&taught);
    ps_job_record_free(&other);
    ps_model_record_free(&m);
    ps_catalog_close(&catalog);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* Of a job that compresses the newest of each name, which its stages make one after the other. */
START_TEST(drafts_stay_for_their_job)
{
    static const struct {
        const char *name, *path;
    } made[] = {{"a.pruned", "models/1"}, {"a.pruned", "models/2"}, {"a.distilled", "models/3"}};
    ps_catalog *catalog = open_memory();
    ps_job_record *job = make_job();
    free(job->kind);
    job->kind = ps_strdup("compress");
    ck_ok(ps_catalog_job_add(catalog, job, &job->id));
    for (size_t i = 0; i < 3; i++) {
        ps_model_record *draft = make_model(made[i].name, 1);
        free(draft->path);
        draft->path = ps_strdup(made[i].path);
        draft->job_id = job->id;
        ck_ok(ps_catalog_model_add(catalog, draft));
        ps_model_record_free(&draft);
    }
    ck_assert(unused_is(catalog, "models/1"));
    ck_ok(ps_catalog_model_forget(catalog, "models/1"));
    ck_assert(unused_is(catalog, NULL));
    job->state = PS_JOB_DONE;
    ck_ok(ps_catalog_job_update(catalog, job));
    ck_assert(unused_is(catalog, "models/2"));
    ps_job_record_free(&job);
    ps_catalog_close(&catalog);
}
END_TEST

START_TEST(a_version_is_needed_by_its_name_and_by_jobs_that_have_not_ended)
{
    ps_catalog *catalog = open_memory();
    ps_model_record *first = make_model("a", 1), *second = make_model("a", 1), *r = NULL;
    ck_ok(test_model_put(catalog, first));
    ps_job_record *job = make_job();
    job->model_version = ps_strdup(first->path);
    ck_ok(ps_catalog_job_add(catalog, job, &job->id));
    second->path = ps_strdup("models/new");
    ck_ok(ps_catalog_model_add(catalog, second));
    ck_assert(unused_is(catalog, "models/new")); /* not named yet */
    ck_ok(ps_catalog_model_publish(catalog, "a", "models/new"));
    ck_assert(unused_is(catalog, NULL)); /* the job has the first */
    uint64_t late = 0;
    ck_assert_int_eq(ps_catalog_job_add(catalog, job, &late), PS_ABORTED);
    ck_assert_uint_eq(late, 0);
    ps_free(&job->model_version);
    use(job, 1, (const char *[]){first->path});
    ck_assert_int_eq(ps_catalog_job_add(catalog, job, &late), PS_ABORTED);
    job->state = PS_JOB_DONE;
    ck_ok(ps_catalog_job_update(catalog, job));
    ck_assert(unused_is(catalog, first->path));
    ck_ok(ps_catalog_model_forget(catalog, first->path));
    ck_assert_int_eq(ps_catalog_model_version(catalog, "a", first->path, &r), PS_NOT_FOUND);
    ck_ok(ps_catalog_model_forget(catalog, "models/new")); /* is named: stays */
    ck_assert_int_eq(ps_catalog_model_version(catalog, "b", "models/new", &r), PS_NOT_FOUND);
    ck_ok(ps_catalog_model_version(catalog, "a", "models/new", &r));
    ps_model_record_free(&r);
    ck_ok(ps_catalog_model_delete(catalog, "a"));
    ck_assert(unused_is(catalog, "models/new"));
    ps_job_record_free(&job);
    ps_model_record_free(&first);
    ps_model_record_free(&second);
    ps_catalog_close(&catalog);
}
END_TEST

START_TEST(pages_of_models_go_on_behind_a_name)
{
    static const char *const names[] = {"c", "a.1", "b", "a"};
    ps_catalog *catalog = open_memory();
    ps_model_record **list = NULL;
    uint64_t n = 9;
    for (size_t i = 0; i < 4; i++) {
        ps_model_record *m = make_model(names[i], 1);
        ck_ok(test_model_put(catalog, m));
        ps_model_record_free(&m);
    }
    ck_ok(ps_catalog_model_count(catalog, &n));
    ck_assert_uint_eq(n, 4);
    ck_ok(ps_catalog_model_list(catalog, "", 2, &list));
    ck_assert_str_eq(list[0]->name, "a");
    ck_assert_str_eq(list[1]->name, "a.1");
    ck_assert_ptr_null(list[2]);
    ps_model_records_free(&list);
    ck_ok(ps_catalog_model_list(catalog, "a.1", 7, &list));
    ck_assert_str_eq(list[0]->name, "b");
    ck_assert_str_eq(list[1]->name, "c");
    ck_assert_ptr_null(list[2]);
    ps_model_records_free(&list);
    ck_ok(ps_catalog_model_delete(catalog, "b")); /* a token's row may go */
    ck_ok(ps_catalog_model_list(catalog, "b", 7, &list));
    ck_assert_str_eq(list[0]->name, "c");
    ck_assert_ptr_null(list[1]);
    ps_model_records_free(&list);
    ps_catalog_close(&catalog);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_model_is_replaced_whole_and_fits_only_the_same_shapes},
    {&a_model_knows_what_it_was_made_of},
    {&versions_stay_for_jobs_that_use_them_beside_their_own},
    {&a_job_is_added_with_all_its_versions_or_not_at_all},
    {&a_catalog_of_one_teacher_keeps_it_for_its_job},
    {&drafts_stay_for_their_job},
    {&a_version_is_needed_by_its_name_and_by_jobs_that_have_not_ended},
    {&pages_of_models_go_on_behind_a_name},
    {0},
};

int main(void)
{
    return ps_check_main("server/catalog/models", cases);
}
