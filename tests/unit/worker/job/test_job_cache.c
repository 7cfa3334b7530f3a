/* job_cache: what is kept between tasks and what is not, and what is said of jobs that cannot be
 * worked on. Data files are real; of psd there is nothing but a stored model's file. */
#include "worker/job/job_cache.h"

#include "common/base/mem.h"
#include "common/format/token_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fake_models.h"
#include "tests/lib/remote_rig.h"
#include "worker/job/job_data.h"
#include "worker/tasks/compress_job.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char stored_config[] = "{architecture: mlp, layers: [2, 1], loss: squared_error}";

static struct {
    ps_test_remote_rig rig;
    fake_models fake;
    uint8_t *file;
    char *roots[1];
    ps_worker_conf conf;
    ps_worker_env env;
    ps_job_cache *cache;
    char *data; /* three rows: two features and a number */
} t;

static void begin(void)
{
    static char tmp[] = "/tmp", none[] = "";
    memset(&t, 0, sizeof(t));
    static const float values[] = {0.5f, 1, 2}; /* bias, weight */
    size_t len;
    t.file = ps_test_safetensors(
        "{\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[4,12]}}",
        ps_slice_of(values, sizeof(values)), &len);
    fake_models_init(&t.fake, ps_slice_of(t.file, len), 100);
    ps_rpc_service service = fake_models_service(&t.fake);
    ps_test_remote_rig_open(&t.rig, &service, 1);
    t.roots[0] = tmp;
    t.conf = (ps_worker_conf){.name = none, .data_roots = t.roots, .n_data_roots = 1};
    t.env = (ps_worker_env){.conf = &t.conf,
                            .backend = t.rig.backend,
                            .loop = t.rig.remote.loop,
                            .channel = t.rig.remote.channel,
                            .clock = &ps_clock_system,
                            .incarnation = 5};
    t.data = ps_test_file(ps_slice_str("1,2,5.5\n3,4,11.5\n5,6,17.5\n"), false);
    ps_job_cache_create(&t.cache);
}

static void end(void)
{
    ps_job_cache_free(&t.cache);
    if (t.data)
        ps_test_file_drop(&t.data);
    ps_test_remote_rig_close(&t.rig);
    fake_models_free(&t.fake);
    ps_free(&t.file);
}

/* A task as it comes from psd; its texts are the test's. */
typedef struct job {
    Psd__V1__Task task;
    ps_task_run run;
    char spec[1024], config[256], kind[16];
} job;

static void job_init(job *j, uint64_t id, const char *kind, const char *config)
{
    psd__v1__task__init(&j->task);
    snprintf(j->kind, sizeof(j->kind), "%s", kind);
    snprintf(j->config, sizeof(j->config), "%s", config);
    j->task.job_id = id;
    j->task.kind = j->kind;
    j->task.spec = j->spec;
    j->task.model_config = j->config;
    j->run =
        (ps_task_run){.env = &t.env, .task = &j->task, .remote = &t.rig.remote, .cache = t.cache};
}

static job training(uint64_t id, const char *layers, const char *data)
{
    job j;
    job_init(&j, id, "train", "");
    snprintf(j.spec, sizeof(j.spec),
             "kind: train\nname: line\n"
             "model: {architecture: mlp, layers: %s, loss: squared_error}\n"
             "data:\n  format: csv\n  train: {features: %s}\n"
             "train: {epochs: 1, batch_size: 2, optimizer: {name: sgd, learning_rate: 0.1}}\n",
             layers, data);
    return j;
}

static job stored(uint64_t id, const char *kind, const char *config, const char *data)
{
    job j;
    job_init(&j, id, kind, config);
    snprintf(j.spec, sizeof(j.spec),
             "kind: %s\nname: try\nmodel_name: line\n"
             "data:\n  format: csv\n  test: {features: %s}\n",
             kind, data);
    return j;
}

/* A copy of the struct has pointers into the other. */
static ps_task_run *run_of(job *j)
{
    j->task.kind = j->kind;
    j->task.spec = j->spec;
    j->task.model_config = j->config;
    j->run.task = &j->task;
    return &j->run;
}

static ps_job_entry *entry_of(job *j)
{
    ps_job_entry *entry = NULL;
    ps_status st = ps_job_cache_get(run_of(j), &entry);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    return entry;
}

static ps_status data_of(job *j, ps_job_data which, ps_dataset **out)
{
    return ps_job_entry_data(entry_of(j), run_of(j), which, out);
}

static void says(ps_status st, ps_status code, const char *words)
{
    ck_assert_msg(st == code, "status %d: %s", (int)st, ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), words) != NULL, "%s", ps_error_message());
}

START_TEST(the_next_task_of_a_job_finds_what_the_last_one_opened)
{
    begin();
    job j = training(1, "[2, 1]", t.data);
    ps_dataset *data, *again;
    ps_model *model, *same;
    ck_ok(data_of(&j, PS_JOB_TRAIN_DATA, &data));
    ck_assert_uint_eq(ps_dataset_rows(data), 3);
    ck_ok(ps_job_entry_model(entry_of(&j), run_of(&j), &model));
    ps_test_file_drop(&t.data); /* nobody needs it any more */
    ck_ok(data_of(&j, PS_JOB_TRAIN_DATA, &again));
    ck_assert_ptr_eq(data, again);
    ck_ok(ps_job_entry_model(entry_of(&j), run_of(&j), &same));
    ck_assert_ptr_eq(model, same);
    ck_assert_uint_eq(ps_job_entry_batch(entry_of(&j)), 2);
    ck_assert(!ps_job_cache_mend(run_of(&j)->cache)); /* all is well */
    ck_ok(data_of(&j, PS_JOB_TRAIN_DATA, &again));
    ps_stream_fail(ps_model_stream(model), ps_fail(PS_INTERNAL, "a launch was refused"));
    ck_assert(ps_job_cache_mend(run_of(&j)->cache));
    ck_assert_int_eq(data_of(&j, PS_JOB_TRAIN_DATA, &again), PS_NOT_FOUND);
    end();
}
END_TEST

START_TEST(another_job_file_under_the_same_number_is_another_job)
{
    begin();
    job j = training(1, "[2, 1]", t.data), other = training(1, "[2, 4, 1]", t.data);
    ck_assert_uint_eq(ps_job_entry_model_spec(entry_of(&j))->n_layers, 2);
    ck_assert_uint_eq(ps_job_entry_model_spec(entry_of(&other))->n_layers, 3);
    end();
}
END_TEST

START_TEST(what_a_plan_has_settled_is_the_jobs_model)
{
    static char named[] = "{architecture: mlp, layers: [2, 2], classes: [no, yes]}",
                others[] = "{architecture: mlp, layers: [2, 3], classes: [no, yes, or]}";
    begin();
    job j = training(1, "[2, 2]", t.data);
    char *loss = strstr(j.spec, ", loss: squared_error");
    memmove(loss, loss + 21, strlen(loss + 21) + 1);
    ps_job_entry *planned = entry_of(&j), *again;
    ck_assert_uint_eq(ps_job_entry_model_spec(planned)->n_classes, 0);
    ck_ok(ps_job_entry_settle(planned, named));
    ck_assert_str_eq(ps_job_entry_model_spec(planned)->classes[1], "yes");
    j.task.settled_model = named;
    ck_assert_ptr_eq(entry_of(&j), planned); /* psd has kept it, as it was said */
    ps_job_cache_clear(t.cache);
    ck_assert_str_eq(ps_job_entry_model_spec(entry_of(&j))->classes[0], "no"); /* another worker */
    j.task.settled_model = others;
    says(ps_job_cache_get(run_of(&j), &again), PS_INVALID_ARGUMENT, "model.layers is [2, 2] in");
    end();
}
END_TEST

START_TEST(the_job_that_was_not_used_for_longest_leaves)
{
    begin();
    job a = training(1, "[2, 1]", t.data), b = training(2, "[2, 1]", t.data),
        c = training(3, "[2, 1]", t.data);
    ps_dataset *data;
    ck_ok(data_of(&a, PS_JOB_TRAIN_DATA, &data));
    ck_ok(data_of(&b, PS_JOB_TRAIN_DATA, &data));
    ck_ok(data_of(&a, PS_JOB_TRAIN_DATA, &data));
    ck_ok(data_of(&c, PS_JOB_TRAIN_DATA, &data)); /* in b's place */
    ps_test_file_drop(&t.data);
    ck_ok(data_of(&a, PS_JOB_TRAIN_DATA, &data));
    ck_ok(data_of(&c, PS_JOB_TRAIN_DATA, &data));
    ck_assert_int_eq(data_of(&b, PS_JOB_TRAIN_DATA, &data), PS_NOT_FOUND);
    end();
}
END_TEST

START_TEST(a_job_that_cannot_be_read_leaves_nothing_behind)
{
    begin();
    ps_job_entry *entry;
    job bad = training(1, "[2]", t.data);
    says(ps_job_cache_get(run_of(&bad), &entry), PS_INVALID_ARGUMENT, "model.layers");
    job nothing = stored(1, "predict", "", t.data);
    says(ps_job_cache_get(run_of(&nothing), &entry), PS_INVALID_ARGUMENT,
         "neither a model nor a stored one");
    job wrong = stored(1, "predict", "{architecture: 5", t.data);
    ck_assert_int_eq(ps_job_cache_get(run_of(&wrong), &entry), PS_INVALID_ARGUMENT);
    job good = training(1, "[2, 1]", t.data);
    ck_assert(!ps_job_entry_stored(entry_of(&good)));
    end();
}
END_TEST

START_TEST(data_is_read_only_where_it_may_be_and_fits_the_model)
{
    begin();
    ps_dataset *data;
    job j = training(1, "[2, 1]", t.data);
    says(data_of(&j, PS_JOB_TEST_DATA, &data), PS_INVALID_ARGUMENT, "names no test data");
    j = training(1, "[2, 1]", "/etc/hostname");
    says(data_of(&j, PS_JOB_TRAIN_DATA, &data), PS_PERMISSION_DENIED, "/etc/hostname");
    j = training(1, "[2, 1]", "/tmp/psd-no-such-file");
    says(data_of(&j, PS_JOB_TRAIN_DATA, &data), PS_NOT_FOUND, "/tmp/psd-no-such-file");
    j = training(1, "[3, 1]", t.data);
    says(data_of(&j, PS_JOB_TRAIN_DATA, &data), PS_INVALID_ARGUMENT,
         ": 2 numbers a row, but the model takes 3");
    j = stored(1, "evaluate", "{architecture: mlp, layers: [2, 4], loss: squared_error}", t.data);
    says(data_of(&j, PS_JOB_TEST_DATA, &data), PS_INVALID_ARGUMENT,
         "has 1 targets a row, but model.layers ends with 4");
    end();
}
END_TEST

START_TEST(a_link_out_of_the_data_roots_is_not_followed)
{
    begin();
    char link_path[128];
    snprintf(link_path, sizeof(link_path), "%s.link", t.data);
    ck_assert_int_eq(symlink("/etc/hostname", link_path), 0);
    job j = training(1, "[2, 1]", link_path);
    ps_dataset *data;
    ps_status st = data_of(&j, PS_JOB_TRAIN_DATA, &data);
    ck_assert_int_eq(unlink(link_path), 0);
    ck_assert_int_eq(st, PS_PERMISSION_DENIED);
    end();
}
END_TEST

START_TEST(predictions_are_made_of_files_with_and_without_labels)
{
    begin();
    ps_dataset *data;
    job j = stored(1, "predict", stored_config, t.data);
    ps_status st = data_of(&j, PS_JOB_TEST_DATA, &data);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ck_assert_uint_eq(ps_dataset_features(data), 2); /* the third column is the label */
    char *bare = ps_test_file(ps_slice_str("1,2\n3,4\n"), false);
    j = stored(2, "predict", stored_config, bare);
    ck_ok(data_of(&j, PS_JOB_TEST_DATA, &data));
    ck_assert_uint_eq(ps_dataset_features(data), 2);
    ck_assert_uint_eq(ps_dataset_rows(data), 2);
    j = stored(3, "evaluate", stored_config, bare); /* which needs them */
    ck_assert_int_eq(data_of(&j, PS_JOB_TEST_DATA, &data), PS_INVALID_ARGUMENT);
    ps_test_file_drop(&bare);
    end();
}
END_TEST

START_TEST(a_stored_model_is_checked_once_and_filled)
{
    begin();
    job j = stored(1, "evaluate", stored_config, t.data);
    ps_job_entry *entry = entry_of(&j);
    ck_assert(ps_job_entry_stored(entry));
    ck_ok(ps_job_entry_check(entry, run_of(&j)));
    ck_ok(ps_job_entry_check(entry, run_of(&j)));
    ck_assert_uint_eq(t.fake.exports, 1);
    ps_model *model;
    ck_ok(ps_job_entry_model(entry, run_of(&j), &model));
    const float *weight = ps_tensor_host(t.rig.backend, ps_model_parameter(model, 0));
    ck_assert_float_eq(weight[0], 1);
    ck_assert_float_eq(weight[1], 2);
    job other =
        stored(2, "evaluate", "{architecture: mlp, layers: [3, 1], loss: squared_error}", t.data);
    says(ps_job_entry_check(entry_of(&other), run_of(&other)), PS_FAILED_PRECONDITION,
         "model line: tensor layers.0.weight is [1, 2] in the file, and the architecture wants [1, "
         "3]");
    job own = training(3, "[2, 1]", t.data);
    unsigned before = t.fake.exports;
    ck_ok(ps_job_entry_check(entry_of(&own), run_of(&own)));
    ck_assert_uint_eq(t.fake.exports, before); /* nothing is stored of it */
    end();
}
END_TEST

START_TEST(a_model_larger_than_the_machine_is_refused_with_both_numbers)
{
    begin();
    job j = training(1, "[2, 1048576, 1048576, 1]", t.data);
    ps_job_entry *entry;
    ps_model *model;
    ck_ok(ps_job_cache_get(run_of(&j), &entry));
    ck_assert_int_eq(ps_job_entry_model(entry, run_of(&j), &model), PS_NO_MEMORY);
    /* 2·2^20 + 2^20 + 2^40 + 2^20 + 2^20 + 1 parameters, of 4 bytes, twice */
    ck_assert_ptr_nonnull(strstr(ps_error_message(),
                                 "model line has 1099516870657 parameters and needs 8796134965256 "
                                 "bytes here with its gradients, "));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), " are available"));
    end();
}
END_TEST

/* Header and plan of a job of kind compress; anew when psd has chosen forms. */
START_TEST(what_its_tasks_share_is_read_once)
{
    begin();
    job j;
    ps_compress_job first, second;
    job_init(&j, 1, "solve", stored_config);
    snprintf(j.spec, sizeof(j.spec),
             "kind: compress\nname: try\nmodel_name: line\n"
             "compress: {quantise: {scheme: int8}}\n");
    ck_ok(ps_compress_open(run_of(&j), &first));
    uint32_t exports = t.fake.exports;
    ck_assert_uint_ge(exports, 1);
    ck_ok(ps_compress_open(run_of(&j), &second));
    ck_assert_ptr_eq(first.plan, second.plan);
    ck_assert_uint_eq(t.fake.exports, exports);
    uint32_t choices[] = {0, 0};
    j.task.choices = choices; /* of a plan without any: refused, and nothing of it stays */
    j.task.n_choices = 2;
    ck_assert_int_eq(ps_compress_open(run_of(&j), &second), PS_INVALID_ARGUMENT);
    j.task.n_choices = 0;
    ck_ok(ps_compress_open(run_of(&j), &second));
    ck_assert_uint_eq(second.plan->n_tensors, 2);
    end();
}
END_TEST

/* A file of tokens that says which tokenizer made it, and a model that came with one. */
START_TEST(tokens_of_another_tokenizer_are_refused)
{
    static const char yaml[] = "kind: evaluate\nname: try\nmodel_name: gpt\n"
                               "data: {format: tokens, sequence_length: 2, test: {tokens: %s}}\n";
    static const char gpt[] = "{architecture: gpt2, vocab_size: 257, context_length: 8, "
                              "hidden_size: 4, num_layers: 1, num_heads: 1}";
    begin();
    const uint32_t tokens[] = {1, 2, 3, 4, 5};
    const ps_token_file_info about = {.vocab_size = 256, .tokenizer_hash = 7, .tokenizer = "gpt2"};
    ps_token_writer *writer;
    ck_ok(ps_token_writer_new(t.data, true, &about, &writer));
    ck_ok(ps_token_writer_add(writer, tokens, 5));
    ck_ok(ps_token_writer_finish(&writer));
    char *text = ps_asprintf(yaml, t.data);
    ps_job_spec *spec;
    ps_spec_model *model;
    ck_ok(ps_spec_model_parse(ps_slice_str(gpt), "model", &model));
    ck_ok(ps_job_spec_parse(ps_slice_str(text), "job", &spec));
    for (uint64_t its = 0; its < 9; its++) { /* 0: not known */
        ps_dataset *data = NULL;
        const ps_job_data_request request = {
            .spec = spec, .model = model, .tokenizer = its, .conf = &t.conf};
        ps_status st = ps_job_data_open(&request, &data);
        ck_assert_int_eq(st, its == 0 || its == 7 ? PS_OK : PS_INVALID_ARGUMENT);
        if (st)
            ck_assert_ptr_nonnull(
                strstr(ps_error_message(), "made with another tokenizer than that of model gpt"));
        else
            ps_dataset_close(&data);
    }
    ps_job_spec_free(&spec);
    ps_spec_model_free(&model);
    ps_free(&text);
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&what_its_tasks_share_is_read_once},
    {&tokens_of_another_tokenizer_are_refused},
    {&the_next_task_of_a_job_finds_what_the_last_one_opened},
    {&another_job_file_under_the_same_number_is_another_job},
    {&what_a_plan_has_settled_is_the_jobs_model},
    {&the_job_that_was_not_used_for_longest_leaves},
    {&a_job_that_cannot_be_read_leaves_nothing_behind},
    {&data_is_read_only_where_it_may_be_and_fits_the_model},
    {&a_link_out_of_the_data_roots_is_not_followed},
    {&predictions_are_made_of_files_with_and_without_labels},
    {&a_stored_model_is_checked_once_and_filled},
    {&a_model_larger_than_the_machine_is_refused_with_both_numbers},
    {0}};

int main(void)
{
    return ps_check_main("worker/job/job_cache", tests);
}
