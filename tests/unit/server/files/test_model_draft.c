/* model_draft: the new model's file is the words of the store and, for the rest, the parent's
 * bytes; it is nobody's until it is published. */
#include "server/files/model_draft.h"

#include "common/base/mem.h"
#include "common/compress/store_plan.h"
#include "common/format/safetensors.h"
#include "server/catalog/models.h"
#include "server/files/model_file.h"
#include "server/params/block_kinds.h"
#include "server/params/ledger.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/params.h"
#include "tests/lib/stored.h"

#include <stdio.h>
#include <string.h>

/* An mlp 8 → 3 with a tokenizer beside it. */
#define CONFIG "{architecture: mlp, layers: [8, 3], activation: relu, loss: cross_entropy}"
#define HEADER                                                                         \
    "{\"__metadata__\":{\"format\":\"pt\",\"psd.model\":\"" CONFIG                     \
    "\",\"tokenizer.json\":\"words\"},"                                                \
    "\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[3,8],\"data_offsets\":[0,96]}," \
    "\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[96,108]}}"
#define JOB                                          \
    "kind: compress\nname: small\nmodel_name: big\n" \
    "compress: {quantise: {scheme: int4, group: row}}\n"

/* int4 by rows: a scale of two bytes and eight codes in four; so 18 bytes, and 5 words of which the
 * last has two too many. */
enum { ROW_BYTES = 6, BYTES = 3 * ROW_BYTES, WORDS = 5, PUSHES = 64 };

typedef struct rig {
    test_stored t;
    ps_job_file *job;
    ps_param_store *store;
    float parent[27];
    uint32_t words[WORDS];
} rig;

static void store_parent(rig *r)
{
    size_t len;
    ps_model_record *record = NULL;
    for (size_t i = 0; i < 27; i++)
        r->parent[i] = (float)i + 0.5f;
    uint8_t *file = ps_test_safetensors(HEADER, ps_slice_of(r->parent, sizeof r->parent), &len);
    ps_stored_place place = ps_model_place("big");
    test_stored_write(&r->t, place.incoming, file, len);
    ck_ok(ps_model_file_adopt(&r->t.files, &place, "big", "", "anna", false, &(ps_lineage_from){0},
                              &record));
    ps_stored_place_free(&place);
    ps_model_record_free(&record);
    ps_free(&file);
}

static float word(void *user, uint64_t index)
{
    float value;
    memcpy(&value, (uint32_t *)user + index, sizeof value);
    return value;
}

static void create_store(rig *r)
{
    test_params p;
    test_params_init(&p, 1, 1);
    p.config.rows = PUSHES;
    p.config.epochs = 1;
    p.plans[0] = (ps_param_plan){
        .name = "layers.0.weight", .rank = 1, .shape = {WORDS}, .kind = &ps_block_words};
    ck_ok(ps_param_store_create(&p.config, &r->store));
}

/* Under a lease of its own, that may set them. */
static void push_words(rig *r, uint64_t sequence)
{
    ps_push *push;
    ps_push_reply reply;
    ps_ledger *ledger = ps_param_store_ledger(r->store);
    const ps_row_span row = {sequence - 1, sequence};
    const ps_push_header header = {
        .incarnation = 1, .sequence = sequence, .lease = sequence, .rows = row};
    ps_ledger_lease_begin(ledger, sequence, 0, row);
    ps_ledger_lease_limit(ledger, sequence, "worker", 0);
    ck_ok(ps_push_begin(r->store, "worker", &header, &push));
    ck_ok(test_params_add(r->store, push, 0, word, r->words));
    ck_ok(ps_push_commit(&push, &reply, NULL));
}

static void fill_store(rig *r)
{
    create_store(r);
    for (uint32_t i = 0; i < WORDS; i++)
        r->words[i] = 0x7f800001U + i * 0x01234567U; /* NaN among them, as words are read */
    push_words(r, 1);
}

static void begin(rig *r)
{
    *r = (rig){0};
    test_stored_open(&r->t);
    store_parent(r);
    fill_store(r);
    ps_status st = ps_job_file_read(
        r->t.catalog,
        &(ps_job_text){.yaml = ps_slice_str(JOB), .origin = "job", .owner = "anna", .version = ""},
        &r->job);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
}

static void end(rig *r)
{
    ps_job_file_unref(&r->job);
    ps_param_store_unref(&r->store);
    test_stored_close(&r->t);
}

static ps_status write(rig *r, ps_model_draft *draft)
{
    return ps_model_draft_write(&r->t.files, r->store, 7, r->job, draft);
}

/* The job, as one that has not ended: else its draft is unused. */
static void add_job(rig *r)
{
    ps_job_record record = {.state = PS_JOB_RUNNING};
    char *texts[] = {ps_strdup("small"), ps_strdup("compress"), ps_strdup(JOB), ps_strdup("")};
    uint64_t id = 0;
    record.name = texts[0];
    record.kind = texts[1];
    record.spec = texts[2];
    record.reason = record.submitter = record.result = record.cancel = texts[3];
    record.model_version = r->job->version;
    while (id < 7)
        ck_ok(ps_catalog_job_add(r->t.catalog, &record, &id));
    for (size_t i = 0; i < 4; i++)
        ps_free(&texts[i]);
}

START_TEST(the_file_is_the_stores_words_and_the_parents_bytes)
{
    rig r;
    ps_model_draft draft;
    char *file, wanted[PS_DIGEST_TEXT];
    begin(&r);
    ck_ok(write(&r, &draft));
    ck_assert_uint_eq(r.t.fault.closed_unsynced, 0);
    size_t len = test_stored_read(&r.t, draft.version, &file);
    ck_assert_uint_eq(len, draft.bytes);
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, file, len);
    ps_digest_end(&digest, wanted);
    ck_assert_str_eq(draft.sha256, wanted);
    ck_assert_str_ne(draft.parent_sha256, wanted);
    ps_safetensors *head;
    ck_ok(ps_safetensors_parse(ps_slice_of(file, len), len, &head));
    const uint8_t *data = (const uint8_t *)file + head->data_start;
    const ps_safetensors_tensor *w = ps_safetensors_find(head, "layers.0.weight");
    const ps_safetensors_tensor *b = ps_safetensors_find(head, "layers.0.bias");
    ck_assert(w->dtype == PS_SAFETENSORS_U8 && w->end - w->begin == BYTES);
    ck_assert_mem_eq(data + w->begin, r.words, BYTES);
    ck_assert(b->dtype == PS_SAFETENSORS_F32 && b->end - b->begin == 12);
    ck_assert_mem_eq(data + b->begin, r.parent + 24, 12);
    ck_assert_str_eq(ps_safetensors_metadata(head, "tokenizer.json"), "words");
    ck_assert_str_eq(ps_safetensors_metadata(head, "psd.model"), CONFIG);
    ck_assert_str_eq(ps_safetensors_metadata(head, PS_MODEL_META_FORMS),
                     "{\"layers.0.weight\":{\"form\":\"int4/row\",\"shape\":[3,8]}}");
    ps_safetensors_free(&head);
    free(file);
    ps_model_draft_free(&draft);
    end(&r);
}
END_TEST

START_TEST(a_draft_is_nobodys_model_until_it_is_published)
{
    rig r;
    ps_model_draft draft;
    ps_model_record *m = NULL;
    int file;
    begin(&r);
    add_job(&r);
    ck_ok(write(&r, &draft));
    ck_assert_int_eq(ps_catalog_model_get(r.t.catalog, "small", &m), PS_NOT_FOUND);
    ps_stored_files_collect(&r.t.files); /* it stays while its job runs, */
    ck_ok(ps_model_file_open(&r.t.files, "small", draft.version, &file, NULL)); /* to be tried */
    r.t.disk.close(r.t.disk.state, file);
    ps_job_outcome outcome = {.draft = draft.version, .has_test = true, .test_loss = 0.25};
    ps_metric_list_add(&outcome.test_metrics, "accuracy", 0.75);
    ck_ok(ps_model_draft_publish(&r.t.files, r.job, &outcome));
    ck_ok(ps_catalog_model_get(r.t.catalog, "small", &m));
    ck_assert_str_eq(m->path, draft.version);
    ck_assert_str_eq(m->owner, "anna");
    ck_assert_str_eq(m->forms, "int4/row, float32");
    ck_assert(m->job_id == 7 && m->parameters == 27 && m->tensor_bytes == BYTES + 12);
    ck_assert(m->has_test && m->test_loss == 0.25 && m->test_metrics.at[0].value == 0.75);
    ck_assert_str_eq(m->tensors[0].name, "layers.0.bias"); /* in the order of the file */
    ck_assert_uint_eq(m->tensors[1].shape[1], 8);
    ps_model_record_free(&m);
    ps_model_draft_free(&draft);
    end(&r);
}
END_TEST

START_TEST(a_draft_of_a_job_that_has_ended_goes)
{
    rig r;
    ps_model_draft draft;
    begin(&r);
    ck_ok(write(&r, &draft)); /* of a job that the catalog does not have */
    ck_assert_uint_eq(test_stored_count(&r.t, "models"), 2);
    ps_stored_files_collect(&r.t.files);
    ck_assert_uint_eq(test_stored_count(&r.t, "models"), 1);
    ps_model_draft_free(&draft);
    end(&r);
}
END_TEST

/* psd has restarted since the first; however often it does, there is room for one. */
START_TEST(a_draft_takes_the_place_of_the_one_before)
{
    rig r;
    ps_model_draft first, second;
    int file;
    begin(&r);
    add_job(&r);
    ck_ok(write(&r, &first));
    ck_ok(write(&r, &second));
    ps_stored_files_collect(&r.t.files);
    ck_assert_uint_eq(test_stored_count(&r.t, "models"), 2); /* the parent is one */
    ck_ok(ps_model_file_open(&r.t.files, "small", second.version, &file, NULL));
    r.t.disk.close(r.t.disk.state, file);
    ck_assert_str_eq(first.sha256, second.sha256);
    ps_model_draft_free(&first);
    ps_model_draft_free(&second);
    end(&r);
}
END_TEST

START_TEST(a_name_that_is_somebody_elses_by_now_is_not_taken)
{
    rig r;
    ps_model_draft draft;
    ps_model_record *record = NULL;
    size_t len;
    begin(&r);
    add_job(&r);
    ck_ok(write(&r, &draft));
    uint8_t *file = ps_test_safetensors(HEADER, ps_slice_of(r.parent, sizeof r.parent), &len);
    ps_stored_place place = ps_model_place("small");
    test_stored_write(&r.t, place.incoming, file, len);
    ck_ok(ps_model_file_adopt(&r.t.files, &place, "small", "", "bob", false, &(ps_lineage_from){0},
                              &record));
    ps_stored_place_free(&place);
    ps_job_outcome outcome = {.draft = draft.version};
    ck_assert_int_eq(ps_model_draft_publish(&r.t.files, r.job, &outcome), PS_PERMISSION_DENIED);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "belongs to bob"));
    ps_model_record_free(&record);
    ps_free(&file);
    ps_model_draft_free(&draft);
    end(&r);
}
END_TEST

START_TEST(whatever_fails_leaves_no_file)
{
    unsigned long k = 1;
    for (bool reached = true; reached; k++) {
        rig r;
        ps_model_draft draft = {0};
        begin(&r);
        fault_at(&r.t.fault.fails, k);
        ps_status st = write(&r, &draft);
        reached = fault_struck(&r.t.fault.fails);
        fault_at(&r.t.fault.fails, 0);
        ck_assert(st == PS_OK || reached);
        if (st) /* a row without its file is collected with it */
            ps_stored_files_collect(&r.t.files);
        ck_assert_uint_eq(test_stored_count(&r.t, "models"), st ? 1 : 2);
        ps_model_draft_free(&draft);
        end(&r);
    }
    ck_assert_uint_gt(k, 8);
}
END_TEST

/* The moments of its parent went with the job that had left them. */
START_TEST(a_job_that_was_let_in_is_read_again_without_what_it_asked_for_then)
{
    rig r;
    begin(&r);
    ps_job_file *again = NULL;
    ps_job_text text = {.yaml = ps_slice_str("kind: compress\nname: small\nmodel_name: big\n"
                                             "compress: {quantise: {scheme: int4, group: row}, "
                                             "saliency: moments}\n"),
                        .origin = "job",
                        .owner = "anna",
                        .version = ""};
    ck_assert_int_eq(ps_job_file_read(r.t.catalog, &text, &again), PS_FAILED_PRECONDITION);
    text.version = r.job->version;
    ck_ok(ps_job_file_read(r.t.catalog, &text, &again));
    ck_assert_ptr_nonnull(again->plan);
    ps_job_file_unref(&again);
    end(&r);
}
END_TEST

/* The scale of the second row: its bytes 0 and 1 are the upper half of word 1. */
START_TEST(words_that_say_no_number_are_no_model)
{
    static const uint32_t scales[] = {0x7c00, 0xfc00, 0x7e00}; /* ±inf, nan */
    rig r;
    ps_model_draft draft;
    begin(&r);
    r.words[1] = (r.words[1] & 0xffff) | scales[_i] << 16;
    push_words(&r, 2);
    ck_assert_int_eq(write(&r, &draft), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "layers.0.weight: element [1,"));
    ck_assert_uint_eq(test_stored_count(&r.t, "models"), 1);
    end(&r);
}
END_TEST

START_TEST(a_tensor_that_nobody_has_pushed_is_not_taken_for_zeros)
{
    rig r;
    ps_model_draft draft;
    begin(&r);
    ps_param_store_unref(&r.store);
    create_store(&r);
    ck_assert_int_eq(write(&r, &draft), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "has not pushed it"));
    ck_assert_uint_eq(test_stored_count(&r.t, "models"), 1);
    end(&r);
}
END_TEST

static const ps_check_case tests[] = {
    {&the_file_is_the_stores_words_and_the_parents_bytes},
    {&a_draft_is_nobodys_model_until_it_is_published},
    {&a_draft_of_a_job_that_has_ended_goes},
    {&a_draft_takes_the_place_of_the_one_before},
    {&a_name_that_is_somebody_elses_by_now_is_not_taken},
    {&whatever_fails_leaves_no_file},
    {&words_that_say_no_number_are_no_model, 0, 3},
    {&a_tensor_that_nobody_has_pushed_is_not_taken_for_zeros},
    {&a_job_that_was_let_in_is_read_again_without_what_it_asked_for_then},
    {0},
};

int main(void)
{
    return ps_check_main("files/model_draft", tests);
}
