/* lineage: what is told of a version, of those before it, and of the job in between. */
#include "server/files/lineage.h"

#include "common/base/mem.h"
#include "server/catalog/jobs.h"
#include "tests/lib/check_main.h"
#include "tests/lib/stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* printf weights | sha256sum */
#define WEIGHTS "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
#define OWN     "1111111111111111111111111111111111111111111111111111111111111111"

static test_stored t;
static const ps_stored_host host = {
    .psd = "1.2", .cluster = "lab", .server = "spiffe://lab/server/psd"};

static ps_model_record *new_model(const char *name, uint64_t job_id)
{
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup(name);
    m->config = ps_strdup("{}");
    m->owner = ps_strdup("spiffe://lab/submitter/anna");
    m->path = ps_asprintf("models/%s.1", name);
    m->job_id = job_id;
    m->tensors = ps_alloc_array(1, sizeof *m->tensors);
    m->tensors[m->n_tensors++] = (ps_model_tensor){.name = ps_strdup("w")};
    return m;
}

/* Only read. */
static char *text(const char *of)
{
    return (char *)(uintptr_t)of;
}

static uint64_t new_job(const char *model_version, const char *sources)
{
    uint64_t id = 0;
    ps_job_record job = {.name = text("n"),
                         .kind = text("train"),
                         .state = PS_JOB_RUNNING,
                         .reason = text(""),
                         .submitter = text("anna"),
                         .spec = text("kind: train\n"),
                         .result = text(""),
                         .model_version = text(model_version),
                         .sources = text(sources)};
    ck_ok(ps_catalog_job_add(t.catalog, &job, &id));
    job.id = id;
    ck_ok(ps_catalog_job_update(t.catalog, &job));
    return id;
}

/* A job file that begins from that version, as far as lineages look at it. */
static ps_job_file file_of(ps_job_spec *spec, const char *name, const char *version)
{
    *spec = (ps_job_spec){.initialize_from = text(name), .model_name = text("")};
    return (ps_job_file){.spec = spec, .version = text(version)};
}

static char *write_one(const char *name, uint64_t job_id, const ps_lineage_from *from)
{
    ps_model_record *m = new_model(name, job_id);
    ck_ok(ps_lineage_write(&t.files, m, OWN, from));
    ck_ok(ps_catalog_model_add(t.catalog, m));
    ck_ok(ps_catalog_model_publish(t.catalog, m->name, m->path));
    char *told = ps_strdup(m->lineage);
    ps_model_record_free(&m);
    return told;
}

static void has(const char *told, const char *part)
{
    ck_assert_msg(strstr(told, part), "%s is not in %s", part, told);
}

static void open_all(void)
{
    test_stored_open(&t);
    t.files.host = &host;
}

START_TEST(a_parent_of_a_psd_that_kept_none_is_told_by_its_files_digest)
{
    open_all();
    ps_model_record *old = new_model("old", 0);
    ck_ok(ps_catalog_model_add(t.catalog, old));
    ck_ok(ps_catalog_model_publish(t.catalog, "old", old->path));
    test_stored_write(&t, old->path, "weights", 7);
    ps_job_spec spec;
    ps_job_file file = file_of(&spec, "old", old->path);
    uint64_t job = new_job(old->path, OWN " 7 w1 /data/x\n- 9 w2 /data/large\n");
    char *told = write_one("child", job, &(ps_lineage_from){.job = &file, .checkpoint = 4});
    has(told, "\"psd\":\"1.2\",\"cluster\":\"lab\"");
    has(told,
        "{\"as\":\"parent\",\"name\":\"old\",\"version\":\"models/old.1\",\"sha256\":\"" WEIGHTS
        "\"}],\"ancestors\":[]");
    has(told, "\"job_file\":{\"sha256\":");
    has(told, "\"text\":\"kind: train\\n\"");
    has(told, "{\"path\":\"/data/x\",\"bytes\":7,\"sha256\":\"" OWN
              "\",\"read_by\":\"spiffe://lab/worker/w1\"}");
    has(told, "{\"path\":\"/data/large\",\"bytes\":9,\"sha256\":null,\"read_by\":"
              "\"spiffe://lab/worker/w2\"}");
    has(told, "\"checkpoint\":4");

    /* the grandchild has both, and needs no file of theirs */
    file = file_of(&spec, "child", "models/child.1");
    char *next = write_one("next", new_job("models/child.1", ""), &(ps_lineage_from){.job = &file});
    has(next,
        "\"began_from\":[{\"as\":\"parent\",\"name\":\"child\",\"version\":\"models/child.1\","
        "\"sha256\":\"" OWN "\"}],\"ancestors\":[{\"as\":\"parent\",\"name\":\"old\"");
    ps_free(&told);
    ps_free(&next);
    ps_model_record_free(&old);
    test_stored_close(&t);
}
END_TEST

START_TEST(a_parent_that_cannot_be_read_is_told_without_a_digest)
{
    open_all();
    ps_job_spec spec;
    ps_job_file file = file_of(&spec, "gone", "models/gone.1");
    char *told = write_one("child", 0, &(ps_lineage_from){.job = &file});
    has(told, "\"name\":\"gone\",\"version\":\"models/gone.1\",\"sha256\":null}]");
    has(told, "\"how\":\"import\"");
    ps_free(&told);
    test_stored_close(&t);
}
END_TEST

/* The stages of a job are one model's making. */
START_TEST(a_later_stage_takes_up_what_the_one_before_had)
{
    open_all();
    uint64_t job = new_job("", "");
    ps_job_spec spec;
    ps_job_file file = {.spec = &spec, .version = text("")};
    ps_model_record *draft = new_model("draft", job);
    draft->lineage = ps_asprintf(
        "{\"format\":\"psd-provenance/1\",\"model\":{\"sha256\":\"" OWN
        "\"},\"made\":{\"job\":%llu},\"began_from\":[{\"name\":\"base\"}],\"ancestors\":[],"
        "\"contributors\":[{\"identity\":\"spiffe://lab/worker/w1\",\"pushes\":5,\"refused\":1}]}",
        (unsigned long long)job);
    ck_ok(ps_catalog_model_add(t.catalog, draft));
    file = file_of(&spec, "draft", draft->path);
    char *told = write_one("last", job, &(ps_lineage_from){.job = &file});
    has(told, "\"began_from\":[{\"name\":\"base\"}],\"ancestors\":[]");
    has(told,
        "\"contributors\":[{\"identity\":\"spiffe://lab/worker/w1\",\"pushes\":5,\"refused\":1}]");
    ps_free(&told);

    /* of another job it is a parent like any other */
    told = write_one("other", new_job("", ""), &(ps_lineage_from){.job = &file});
    has(told, "\"began_from\":[{\"as\":\"parent\",\"name\":\"draft\"");
    has(told, "\"ancestors\":[{\"name\":\"base\"}]");
    has(told, "\"contributors\":[]");
    ps_free(&told);
    ps_model_record_free(&draft);
    test_stored_close(&t);
}
END_TEST

/* A draft becomes the model: by then more of its data has been read. */
START_TEST(a_draft_that_becomes_the_model_is_told_anew)
{
    open_all();
    uint64_t job = new_job("", "");
    char *before = write_one("m", job, &(ps_lineage_from){0}), *after = NULL;
    has(before, "\"data\":[]");
    ps_job_record *record = NULL;
    ck_ok(ps_catalog_job_get(t.catalog, job, &record));
    free(record->sources);
    record->sources = ps_strdup(OWN " 7 w1 /data/test\n");
    ck_ok(ps_catalog_job_update(t.catalog, record));
    ck_ok(ps_lineage_renew(&t.files, "models/m.1"));
    ck_ok(ps_catalog_model_lineage(t.catalog, "models/m.1", &after));
    has(after, "\"data\":[{\"path\":\"/data/test\"");
    const char *same = strstr(before, "\"data\":[]");
    ck_assert_int_eq(strncmp(before, after, (size_t)(same - before)), 0);
    ps_free(&before);
    ps_free(&after);
    ps_job_record_free(&record);
    test_stored_close(&t);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_parent_of_a_psd_that_kept_none_is_told_by_its_files_digest},
    {&a_parent_that_cannot_be_read_is_told_without_a_digest},
    {&a_later_stage_takes_up_what_the_one_before_had},
    {&a_draft_that_becomes_the_model_is_told_anew},
    {0},
};

int main(void)
{
    return ps_check_main("server/files/lineage", cases);
}
