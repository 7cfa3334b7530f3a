/* influence_check: what psd says of a job of explain.influence before anybody works on it. */
#include "common/base/mem.h"
#include "common/record/influence.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/jobs.h"
#include "server/catalog/models.h"
#include "server/sched/influence_check.h"
#include "server/sched/job_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"

#include <string.h>

#define CONFIG "{architecture: mlp, layers: [4, 3]}"

static struct {
    ps_catalog *catalog;
    ps_job_spec *spec;
    ps_model_record *trained;
    uint64_t training;
} t;

static uint64_t add_job(const char *yaml)
{
    uint64_t id = 0;
    ps_job_record r = {.name = ps_strdup("m"),
                       .kind = ps_strdup("train"),
                       .state = PS_JOB_DONE,
                       .reason = ps_strdup(""),
                       .submitter = ps_strdup(""),
                       .spec = ps_strdup(yaml),
                       .result = ps_strdup(""),
                       .model_version = ps_strdup(""),
                       .cancel = ps_strdup("")};
    ps_job_record *copy = ps_job_record_copy(&r);
    ck_ok(ps_catalog_job_add(t.catalog, copy, &id));
    copy->id = id;
    ck_ok(ps_catalog_job_update(t.catalog, copy));
    ps_job_record_free(&copy);
    char *texts[] = {r.name, r.kind,   r.reason,        r.submitter,
                     r.spec, r.result, r.model_version, r.cancel};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ps_free(&texts[i]);
    return id;
}

static ps_model_record *add_model(const char *name, uint64_t job_id)
{
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup(name);
    m->config = ps_strdup(CONFIG);
    m->job_id = job_id;
    ck_ok(test_model_put(t.catalog, m));
    return m;
}

static void open_all(void)
{
    ck_ok(ps_catalog_open(":memory:", &t.catalog));
    t.training = add_job("kind: train\nname: m\nmodel: " CONFIG "\ndata:\n  format: idx\n"
                         "  train: {features: /d/x.gz, labels: /d/y.gz}\n"
                         "train: {epochs: 1, batch_size: 2, "
                         "optimizer: {name: sgd, learning_rate: 0.1}, consistency: {mode: bsp}}\n");
    t.trained = add_model("m", t.training);
}

static void close_all(void)
{
    ps_model_record_free(&t.trained);
    ps_catalog_close(&t.catalog);
}

static void read_job(const char *model, const char *train, const char *method)
{
    char *yaml = ps_asprintf("kind: explain\nname: why\nmodel_name: %s\ndata:\n  format: idx\n"
                             "%s  test: {features: /d/a.gz, labels: /d/b.gz}\n"
                             "explain: {rows: {count: 2}, influence: [%s]}\n",
                             model, train, method);
    ck_ok(ps_job_spec_parse(ps_slice_str(yaml), "job", &t.spec));
    ps_free(&yaml);
}

static char *said_of(const char *model, const char *version, const char *train)
{
    read_job(model, train, "tracin");
    char *said = ps_influence_check_data(t.catalog, t.spec, model, version);
    ps_job_spec_free(&t.spec);
    return said;
}

#define OWN   "  train: {features: /d/x.gz, labels: /d/y.gz}\n"
#define OTHER "  train: {features: /d/z.gz, labels: /d/y.gz}\n"

START_TEST(a_training_without_a_record_is_named)
{
    open_all();
    char *method = ps_asprintf("{method: recorded, job: %u}", (unsigned)t.training);
    read_job("m", "", method);
    ck_assert_int_eq(ps_influence_check_records(t.catalog, t.spec), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "job 1 has left no record"));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "record.influence"));
    char name[] = PS_INFLUENCE_FILE, path[] = "artifacts/1";
    const ps_artifact_record record = {
        .job_id = t.training, .name = name, .bytes = 1, .path = path, .own = true};
    ck_ok(ps_catalog_artifact_put(t.catalog, &record));
    ck_ok(ps_influence_check_records(t.catalog, t.spec));
    ps_job_spec_free(&t.spec);
    read_job("m", "", "{method: recorded, job: 99}");
    ck_assert_int_eq(ps_influence_check_records(t.catalog, t.spec), PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "job 99 does not exist"));
    ps_job_spec_free(&t.spec);
    ps_free(&method);
    close_all();
}
END_TEST

static ps_status read_checkpoints(const char *list, char *const *versions, size_t n,
                                  ps_job_file **out)
{
    char *yaml = ps_asprintf("kind: explain\nname: why\nmodel_name: m\ndata:\n  format: idx\n" OWN
                             "  test: {features: /d/a.gz, labels: /d/b.gz}\nexplain:\n"
                             "  influence: [{method: tracin, checkpoints: [%s]}]\n",
                             list);
    ps_status st = ps_job_file_read(t.catalog,
                                    &(ps_job_text){.yaml = ps_slice_str(yaml),
                                                   .origin = "job",
                                                   .owner = "anna",
                                                   .version = n ? t.trained->path : "",
                                                   .others = versions,
                                                   .n_others = n},
                                    out);
    ps_free(&yaml);
    return st;
}

static void refuses(const char *list, ps_status code, const char *text)
{
    ps_job_file *file = NULL;
    ck_assert_int_eq(read_checkpoints(list, NULL, 0, &file), code);
    ck_assert_msg(strstr(ps_error_message(), text) != NULL, "%s", ps_error_message());
}

/* A job has one version of each, and the same one when psd reads it again. */
START_TEST(checkpoints_are_stored_models_of_the_job_s_shape)
{
    open_all();
    ps_model_record *early = add_model("early", 0), *wide = ps_new(ps_model_record);
    ps_job_file *file = NULL, *again = NULL;
    wide->name = ps_strdup("wide");
    wide->config = ps_strdup("{architecture: mlp, layers: [4, 5, 3]}");
    ck_ok(test_model_put(t.catalog, wide));
    refuses("early, gone", PS_NOT_FOUND,
            "job:9: explain.influence[0].checkpoints[1]: model 'gone' does not exist");
    refuses("wide", PS_INVALID_ARGUMENT,
            "job:9: explain.influence[0].checkpoints[0]: is no checkpoint of the job's model: its "
            "layers is [4, 5, 3], not [4, 3]");
    refuses("{model: early, version: models/other}", PS_NOT_FOUND, "has no version models/other");
    ck_ok(read_checkpoints("early, m", NULL, 0, &file));
    ck_assert_uint_eq(file->n_others, 2);
    ck_assert_str_eq(file->others[0].version, early->path);
    ck_assert_str_eq(file->others[1].version, t.trained->path);
    ck_assert_ptr_nonnull(strstr(file->note, "what model early was trained on is not known here"));
    char *versions[] = {file->others[0].version, file->others[1].version};
    ps_model_record *later = add_model("early", 0); /* the name is another's now */
    ck_ok(read_checkpoints("early, m", versions, 2, &again));
    ck_assert_str_eq(again->others[0].version, early->path);
    ps_job_file_unref(&again);
    ps_job_file_unref(&file);
    ps_model_record_free(&later);
    ps_model_record_free(&early);
    ps_model_record_free(&wide);
    close_all();
}
END_TEST

START_TEST(data_are_the_training_s_own_or_it_is_said)
{
    open_all();
    char *said = said_of("m", t.trained->path, OWN);
    ck_assert_str_eq(said, "");
    ps_free(&said);
    said = said_of("m", t.trained->path, OTHER);
    ck_assert_ptr_nonnull(strstr(said, "those of /d/z.gz, but job 1 trained model m on /d/x.gz"));
    ps_free(&said);
    read_job("m", OTHER, "{method: recorded, job: 1}"); /* looks at no row of it */
    said = ps_influence_check_data(t.catalog, t.spec, "m", t.trained->path);
    ck_assert_str_eq(said, "");
    ps_free(&said);
    ps_job_spec_free(&t.spec);
    close_all();
}
END_TEST

/* Of one that was imported, and of one whose training has been deleted. */
START_TEST(nothing_is_known_of_a_model_without_its_training)
{
    open_all();
    const uint64_t jobs[] = {0, 77};
    for (size_t i = 0; i < 2; i++) {
        ps_model_record *m = add_model("got", jobs[i]);
        char *said = said_of("got", m->path, OWN);
        ck_assert_ptr_nonnull(
            strstr(said, "those of /d/x.gz; what model got was trained on is not known"));
        ps_free(&said);
        ps_model_record_free(&m);
    }
    close_all();
}
END_TEST

/* Its rows are those of the model that was compressed. */
START_TEST(a_compressed_model_has_its_parent_s_training)
{
    open_all();
    uint64_t id = add_job("not a training");
    ck_ok(ps_catalog_job_use(t.catalog, id, t.trained->path));
    ps_model_record *m = add_model("small", id);
    char *said = said_of("small", m->path, OWN);
    ck_assert_str_eq(said, "");
    ps_free(&said);
    said = said_of("small", m->path, OTHER);
    ck_assert_ptr_nonnull(strstr(said, "job 1 trained model small on /d/x.gz"));
    ps_free(&said);
    ps_model_record_free(&m);
    close_all();
}
END_TEST

static const ps_check_case cases[] = {
    {&checkpoints_are_stored_models_of_the_job_s_shape},
    {&a_training_without_a_record_is_named},
    {&data_are_the_training_s_own_or_it_is_said},
    {&nothing_is_known_of_a_model_without_its_training},
    {&a_compressed_model_has_its_parent_s_training},
    {0},
};

int main(void)
{
    return ps_check_main("sched/influence_check", cases);
}
