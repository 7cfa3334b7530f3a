/* kept_sums: sums are taken of a job that has left them, of the same version of the same model, and
 * that are enough for the method. */
#include "server/sched/kept_sums.h"

#include "common/base/mem.h"
#include "common/compress/calibration.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/jobs.h"
#include "server/sched/job_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"

#include <string.h>

#define CONFIG "{architecture: mlp, layers: [64, 32, 4]}"

#define KEPT "rows: 512, sequential: false, keep: true"

static ps_catalog *catalog;

static void put_model(const char *name)
{
    static const uint64_t sides[] = {64, 32, 4};
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup(name);
    m->config = ps_strdup(CONFIG);
    m->tensors = ps_alloc_array(2, sizeof *m->tensors);
    for (size_t i = 0; i < 2; i++)
        m->tensors[m->n_tensors++] = (ps_model_tensor){.name = ps_asprintf("layers.%zu.weight", i),
                                                       .rank = 2,
                                                       .shape = {sides[i + 1], sides[i]}};
    ck_ok(test_model_put(catalog, m));
    ps_model_record_free(&m);
}

static char *yaml_of(const char *model, const char *calibrate, const char *quantise)
{
    bool data = strstr(calibrate, "from") == NULL;
    return ps_asprintf("kind: compress\nname: small\nmodel_name: %s\n%s"
                       "compress: {calibrate: {%s}, quantise: {scheme: int8, %s}}\n",
                       model,
                       data ? "data: {format: idx, train: {features: /d/x, labels: /d/y}}\n" : "",
                       calibrate, quantise);
}

static ps_status submit(const char *calibrate, const char *quantise)
{
    char *yaml = yaml_of("m", calibrate, quantise);
    ps_job_file *file = NULL;
    ps_status st = ps_job_file_read(
        catalog,
        &(ps_job_text){.yaml = ps_slice_str(yaml), .origin = "job", .owner = "anna", .version = ""},
        &file);
    ps_job_file_unref(&file);
    ps_free(&yaml);
    return st;
}

static void put_job_as(const char *model, const char *quantise, const char *keep,
                       ps_job_state state, bool left)
{
    ps_model_record *m = NULL;
    uint64_t id = 0;
    ck_ok(ps_catalog_model_get(catalog, model, &m));
    ps_job_record *r = ps_new(ps_job_record);
    char **const texts[] = {&r->name, &r->reason, &r->submitter, &r->result, &r->cancel};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = ps_strdup("");
    r->kind = ps_strdup("compress");
    r->spec = yaml_of(model, keep, quantise);
    r->model_version = ps_strdup(m->path);
    r->state = state;
    ck_ok(ps_catalog_job_add(catalog, r, &id));
    r->id = id;
    ck_ok(ps_catalog_job_update(catalog, r));
    char name[] = PS_CALIBRATION_FILE, path[] = "artifacts/1";
    if (left)
        ck_ok(ps_catalog_artifact_put(
            catalog, &(ps_artifact_record){
                         .job_id = id, .name = name, .bytes = 1, .path = path, .own = true}));
    ps_job_record_free(&r);
    ps_model_record_free(&m);
}

/* One that has ended, with a file of that name. */
static void put_job(const char *model, const char *quantise, const char *keep)
{
    put_job_as(model, quantise, keep, PS_JOB_DONE, true);
}

static void refuses(const char *calibrate, const char *quantise, ps_status code, const char *text)
{
    ck_assert_int_eq(submit(calibrate, quantise), code);
    ck_assert_msg(strstr(ps_error_message(), text) != NULL, "%s", ps_error_message());
}

/* Each says what to do. */
START_TEST(a_job_that_has_left_none_says_why)
{
    ck_ok(ps_catalog_open(":memory:", &catalog));
    put_model("m");
    put_job("m", "method: gptq", KEPT);                                  /* 1 */
    put_job("m", "method: gptq", "from: 1");                             /* 2 */
    put_job_as("m", "method: gptq", KEPT, PS_JOB_RUNNING, false);        /* 3 */
    put_job_as("m", "method: gptq", KEPT, PS_JOB_CANCELLED, false);      /* 4 */
    put_job_as("m", "method: gptq", KEPT, PS_JOB_DONE, false);           /* 5 */
    put_job_as("m", "method: gptq", "rows: 512", PS_JOB_RUNNING, false); /* 6 */
    refuses("from: 2", "method: gptq", PS_FAILED_PRECONDITION,
            "job 2 has taken the sums of job 1, and left none; name that one");
    refuses("from: 3", "method: gptq", PS_FAILED_PRECONDITION, "job 3 has not ended");
    refuses("from: 4", "method: gptq", PS_FAILED_PRECONDITION, "job 4 did not come to its end");
    refuses("from: 5", "method: gptq", PS_FAILED_PRECONDITION,
            "job 5 has no calibration.safetensors any more; run it again");
    refuses("from: 6", "method: gptq", PS_FAILED_PRECONDITION, "job 6 keeps no sums");
    ps_catalog_close(&catalog);
}
END_TEST

/* Whose keys mean nothing of this model. */
START_TEST(a_job_on_a_model_of_another_kind_is_named_as_such)
{
    ck_ok(ps_catalog_open(":memory:", &catalog));
    put_model("m");
    put_model("n");
    put_job("n", "embeddings: int8, method: gptq", KEPT);
    refuses("from: 1", "method: gptq", PS_FAILED_PRECONDITION,
            "the sums of job 1 are of model n, and not of m");
    ps_catalog_close(&catalog);
}
END_TEST

START_TEST(sums_that_are_there_are_taken_and_others_refused_by_name)
{
    ck_ok(ps_catalog_open(":memory:", &catalog));
    put_model("m");
    put_model("n");
    put_job("m", "method: gptq", KEPT);                         /* 1 */
    put_job("m", "method: search", KEPT);                       /* 2 */
    put_job("m", "method: gptq, keep: [\"layers.1.*\"]", KEPT); /* 3 */
    put_job("n", "method: gptq", KEPT);                         /* 4 */
    put_job("m", "method: gptq", "rows: 512");                  /* 5 */
    ck_ok(submit("from: 1", "method: gptq"));
    ck_ok(submit("from: 1", "method: search")); /* the diagonals */
    ck_ok(submit("from: 2", "method: search"));
    ck_ok(submit("from: 3", "method: gptq, keep: [\"*.1.weight\"]"));
    refuses("from: 2", "method: gptq", PS_FAILED_PRECONDITION,
            "job 2 has kept only the squares of the inputs of layers.0.weight");
    refuses("from: 3", "method: gptq", PS_FAILED_PRECONDITION,
            "job 3 has no sums of the inputs of layers.1.weight");
    refuses("from: 4", "method: gptq", PS_FAILED_PRECONDITION,
            "the sums of job 4 are of model n, and not of m");
    refuses("from: 5", "method: gptq", PS_FAILED_PRECONDITION, "job 5 keeps no sums");
    refuses("from: 9", "method: gptq", PS_NOT_FOUND, "compress.calibrate.from: job 9 does not");
    put_model("m"); /* replaced */
    refuses("from: 1", "method: gptq", PS_FAILED_PRECONDITION,
            "the sums of job 1 are of another version of model m");
    ps_catalog_close(&catalog);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_job_that_has_left_none_says_why},
    {&a_job_on_a_model_of_another_kind_is_named_as_such},
    {&sums_that_are_there_are_taken_and_others_refused_by_name},
    {0},
};

int main(void)
{
    return ps_check_main("sched/kept_sums", tests);
}
