/* How much of what is stored is somebody's: against sums that the test makes itself. */
#include "server/runs/stored.h"

#include "common/base/mem.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/job_lines.h"
#include "server/catalog/jobs.h"
#include "server/durable/manifest.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"
#include "tests/lib/stored.h"

#include <string.h>
#include <sys/stat.h>

static uint64_t add_job(test_stored *t, ps_job_state state, const char *owner)
{
    ps_job_record *r = ps_new(ps_job_record);
    char **const texts[] = {&r->name, &r->kind, &r->reason, &r->spec, &r->result};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = ps_strdup("x");
    r->submitter = ps_strdup(owner);
    r->state = state;
    uint64_t id = 0;
    ck_ok(ps_catalog_job_add(t->catalog, r, &id));
    r->id = id;
    ck_ok(ps_catalog_job_save(t->catalog, r, NULL, 0));
    ps_job_record_free(&r);
    return id;
}

static void add_artifact(test_stored *t, uint64_t job_id, char *name, uint64_t bytes)
{
    char *path = ps_asprintf("artifacts/%llu.%s", (unsigned long long)job_id, name);
    const ps_artifact_record a = {.job_id = job_id, .name = name, .bytes = bytes, .path = path};
    ck_ok(ps_catalog_artifact_put(t->catalog, &a));
    ps_free(&path);
}

static void add_model(test_stored *t, char *name, char *owner, uint64_t bytes)
{
    char config[] = "{}", tensor[] = "w";
    ps_model_tensor w = {.name = tensor, .rank = 1, .shape = {1}};
    ps_model_record m = {.name = name,
                         .config = config,
                         .owner = owner,
                         .bytes = bytes,
                         .tensors = &w,
                         .n_tensors = 1};
    ck_ok(test_model_put(t->catalog, &m));
    ps_free(&m.path);
}

static void add_checkpoints(test_stored *t, uint64_t job_id, uint64_t older, uint64_t newer)
{
    char *folder = ps_asprintf("%s/checkpoints/%llu", t->dir, (unsigned long long)job_id);
    char *path = ps_asprintf("%s/manifest", folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    const ps_manifest manifest = {.entries = {{2, 20, newer}, {1, 10, older}}, .n = 2};
    ck_ok(ps_manifest_write(&t->disk, path, &manifest));
    ps_free(&path);
    ps_free(&folder);
}

static uint64_t of(test_stored *t, const char *who)
{
    uint64_t bytes = 0;
    ck_ok(ps_stored_bytes_of(&t->files, who, &bytes));
    return bytes;
}

typedef struct both {
    uint64_t annas, bobs;
} both;

static void add(void *user, const char *who, uint64_t bytes)
{
    both *b = user;
    ck_assert(!strcmp(who, "anna") || !strcmp(who, "bob"));
    *(*who == 'a' ? &b->annas : &b->bobs) += bytes;
}

START_TEST(models_artifacts_and_checkpoints_are_summed_by_owner)
{
    static char anna[] = "anna", bob[] = "bob", m1[] = "m1", m2[] = "m2", m3[] = "m3";
    static char a[] = "a", b[] = "b";
    test_stored t;
    test_stored_open(&t);
    ck_assert_uint_eq(of(&t, "anna"), 0);
    add_model(&t, m1, anna, 1000000);
    add_model(&t, m2, anna, 200000);
    add_model(&t, m3, bob, 7);
    uint64_t done = add_job(&t, PS_JOB_DONE, "anna"), runs = add_job(&t, PS_JOB_RUNNING, "anna");
    uint64_t waits = add_job(&t, PS_JOB_QUEUED, "anna"), his = add_job(&t, PS_JOB_RUNNING, "bob");
    add_artifact(&t, done, a, 30000);
    add_artifact(&t, done, b, 4000);
    add_artifact(&t, runs, a, 500);
    add_artifact(&t, his, a, 8);
    add_checkpoints(&t, runs, 60, 9);
    add_checkpoints(&t, his, 10, 20);
    ck_assert_uint_eq(of(&t, "anna"), 1234569);
    ck_assert_uint_eq(of(&t, "bob"), 45);
    ck_assert_uint_eq(of(&t, "eve"), 0);
    both all = {0};
    ck_ok(ps_stored_bytes_all(&t.files, add, &all));
    ck_assert_uint_eq(all.annas, 1234569);
    ck_assert_uint_eq(all.bobs, 45);
    ck_assert_uint_gt(waits, 0); /* it has no checkpoint yet, which is fine */
    char *manifest = ps_asprintf("checkpoints/%llu/manifest", (unsigned long long)runs);
    test_stored_write(&t, manifest, "torn", 4); /* until the next one is written */
    ck_assert_uint_eq(of(&t, "anna"), 1234500);
    ps_free(&manifest);
    test_stored_close(&t);
}
END_TEST

static const ps_check_case cases[] = {
    {&models_artifacts_and_checkpoints_are_summed_by_owner},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/stored", cases);
}
