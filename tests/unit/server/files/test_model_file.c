/* model_file: what a store holds is what the file says, byte by byte, and comes back. */
#include "server/files/model_file.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"
#include "tests/lib/stored.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONFIG "{architecture: mlp, layers: [3, 4], activation: relu, loss: cross_entropy}"
static ps_buf remark; /* of loads: there is nothing to say of float32 */
enum { ROWS = 3, COLUMNS = 4, DATA = (ROWS * COLUMNS + COLUMNS) * 4 };

static ps_param_store *new_store(uint64_t seed, uint64_t columns)
{
    test_params p;
    test_params_init(&p, ROWS, columns);
    p.config.seed = seed;
    p.config.column_blocks = 2;
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

static ps_job_spec *new_spec(const char *name, const char *from)
{
    char yaml[512];
    ps_job_spec *spec = NULL;
    (void)snprintf(yaml, sizeof yaml,
                   "kind: train\nname: %s\nmodel: {architecture: mlp, layers: [3, 4]}\n"
                   "data: {format: idx, train: {features: /x, labels: /y}}\n"
                   "train: {epochs: 1, batch_size: 1, optimizer: {name: sgd, learning_rate: 1}}\n"
                   "initialize_from: '%s'\n",
                   name, from);
    ck_assert_msg(ps_job_spec_parse(ps_slice_str(yaml), "job", &spec) == PS_OK, "%s",
                  ps_error_message());
    return spec;
}

static ps_status store_from(test_stored *t, ps_param_store *store, uint64_t job_id,
                            const char *from)
{
    ps_job_spec *spec = new_spec("m", from);
    ps_job_outcome outcome = {.has_test = true, .test_loss = 0.5};
    ps_metric_list_add(&outcome.test_metrics, "accuracy", 0.75);
    const ps_model_trained trained = {.job_id = job_id,
                                      .owner = "anna",
                                      .spec = spec,
                                      .settled = "",
                                      .origin = "",
                                      .teacher = ""};
    ps_status st = ps_model_file_store(&t->files, store, &trained, &outcome);
    ps_job_spec_free(&spec);
    return st;
}

static ps_status store_model(test_stored *t, ps_param_store *store, uint64_t job_id)
{
    return store_from(t, store, job_id, "");
}

/* The tensor's bytes in a file, found by its name in the JSON: not by our own reader. */
static const char *tensor_at(const char *file, const char *name, size_t *bytes)
{
    uint64_t head;
    char key[64];
    size_t begin, end;
    memcpy(&head, file, 8); /* little-endian, as this machine is */
    (void)snprintf(key, sizeof key, "\"%s\":{", name);
    const char *entry = strstr(file + 8, key);
    ck_assert_ptr_nonnull(entry);
    const char *offsets = strstr(entry, "\"data_offsets\":[");
    ck_assert_ptr_nonnull(offsets);
    ck_assert_int_eq(sscanf(offsets, "\"data_offsets\":[%zu,%zu]", &begin, &end), 2);
    *bytes = end - begin;
    return file + 8 + head + begin;
}

static void assert_holds(const char *file, size_t len, ps_param_store *store)
{
    static const char *const names[] = {"w", "b"};
    static const size_t sizes[] = {ROWS * COLUMNS * 4, COLUMNS * 4};
    ck_assert_uint_gt(len, 8 + DATA);
    for (uint32_t i = 0; i < 2; i++) {
        size_t bytes;
        const char *data = tensor_at(file, names[i], &bytes);
        float *values = test_params_read(store, i);
        ck_assert_uint_eq(bytes, sizes[i]);
        ck_assert_mem_eq(data, values, bytes);
        free(values);
    }
}

/* What a reader of the model gets is what the store holds. */
static void assert_model_is(test_stored *t, ps_param_store *store)
{
    int file;
    char *data;
    ck_ok(ps_model_file_open(&t->files, "m", "", &file, NULL));
    size_t len = test_stored_drain(file, &data);
    assert_holds(data, len, store);
    free(data);
}

START_TEST(the_file_and_the_row_say_what_the_store_holds)
{
    test_stored t;
    test_stored_open(&t);
    t.time.now_ns = UINT64_C(5000000);
    ps_param_store *store = new_store(1, COLUMNS);
    ck_ok(store_model(&t, store, 9));
    ck_assert_uint_eq(t.fault.closed_unsynced, 0); /* on disk before it has its name */
    assert_model_is(&t, store);
    ps_model_record *r = NULL;
    char *data;
    ck_ok(ps_catalog_model_get(t.catalog, "m", &r));
    ck_assert_uint_eq(r->job_id, 9);
    ck_assert_uint_eq(r->parameters, ROWS * COLUMNS + COLUMNS);
    ck_assert_uint_eq(r->bytes, test_stored_read(&t, r->path, &data));
    ck_assert_uint_eq(r->test_metrics.count, 1);
    ck_assert_double_eq(r->test_metrics.at[0].value, 0.75);
    ck_assert_uint_eq(r->n_tensors, 2);
    ck_assert_str_eq(r->tensors[0].name, "w");
    ck_assert_uint_eq(r->tensors[0].shape[1], COLUMNS);
    ck_assert_ptr_nonnull(strstr(r->config, "layers: [3, 4]"));
    ck_assert_ptr_nonnull(strstr(data + 8, "layers: [3, 4]")); /* in the metadata, too */
    free(data);
    ps_model_record_free(&r);
    ps_param_store_unref(&store);
    test_stored_close(&t);
}
END_TEST

START_TEST(whatever_fails_at_storing_the_model_before_is_there_whole)
{
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        test_stored t;
        test_stored_open(&t);
        ps_param_store *old = new_store(1, COLUMNS), *new = new_store(2, COLUMNS);
        ck_ok(store_model(&t, old, 1));
        fault_at(&t.fault.fails, k);
        ps_status st = store_model(&t, new, 2);
        bool reached = fault_struck(&t.fault.fails);
        fault_at(&t.fault.fails, 0);
        assert_model_is(&t, st ? old : new);
        ck_assert_uint_eq(t.fault.fsyncs_after_error, 0);
        ck_assert_str_eq(test_stored_find(&t, "models", PS_STORED_INCOMING), "");
        if (st) {
            ck_assert_ptr_nonnull(strstr(ps_error_message(), "model m: "));
            ck_assert_uint_eq(test_stored_count(&t, "models"), 1);
            failures++;
        }
        ck_ok(store_model(&t, new, 2)); /* again, as the scheduler does */
        assert_model_is(&t, new);
        ps_param_store_unref(&old);
        ps_param_store_unref(&new);
        test_stored_close(&t);
        if (!reached)
            break;
    }
    ck_assert_uint_ge(failures, 5); /* open, writes, fsync, rename, the folder's fsync */
}
END_TEST

START_TEST(a_full_disk_is_said_with_the_files_name_at_every_byte)
{
    test_stored t;
    test_stored_open(&t);
    ps_param_store *old = new_store(1, COLUMNS), *new = new_store(2, COLUMNS);
    ck_ok(store_model(&t, old, 1));
    ps_status st = PS_NO_SPACE;
    uint64_t room = 0;
    for (; st; room++) {
        t.fault.room = room;
        st = store_model(&t, new, 2);
        assert_model_is(&t, st ? old : new);
        if (!st)
            break;
        ck_assert_int_eq(st, PS_NO_SPACE);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "/models/" PS_STORED_INCOMING "m."));
        ck_assert_uint_eq(test_stored_count(&t, "models"), 1);
    }
    ck_assert_uint_gt(room, 8 + DATA);
    ps_param_store_unref(&old);
    ps_param_store_unref(&new);
    test_stored_close(&t);
}
END_TEST

/* ---- import ---- */

/* A file made by hand. */
static size_t make_file(char *out, const char *json, size_t data)
{
    uint64_t head = strlen(json);
    memcpy(out, &head, 8);
    memcpy(out + 8, json, head);
    memset(out + 8 + head, 0, data);
    return 8 + head + data;
}

#define TWO "{" TWO_TENSORS
#define TWO_TENSORS                                                      \
    "\"w\":{\"dtype\":\"F32\",\"shape\":[3,4],\"data_offsets\":[0,48]}," \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[48,64]}}"

/* As a caller does whose file was not adopted. */
static void remove_left(test_stored *t)
{
    const char *left = test_stored_find(t, "models", PS_STORED_INCOMING);
    if (!*left)
        return;
    char *path = ps_asprintf("models/%s", left);
    ck_assert(ps_stored_file_remove(&t->files, path));
    ps_free(&path);
}

static ps_status adopt_of(test_stored *t, const char *json, size_t data, const char *name,
                          const char *config, const char *owner, bool replaces)
{
    char file[1024];
    ps_model_record *r = NULL;
    size_t len = make_file(file, json, data);
    remove_left(t);
    ps_stored_place place = ps_model_place(ps_job_spec_name_ok(name) ? name : "m");
    test_stored_write(t, place.incoming, file, len);
    ps_status st = ps_model_file_adopt(&t->files, &place, name, config, owner, replaces,
                                       &(ps_lineage_from){0}, &r);
    if (!st) {
        ck_assert_str_eq(r->name, name);
        ck_assert_uint_eq(r->bytes, len);
        ck_assert_uint_eq(r->job_id, 0);
    }
    ps_model_record_free(&r);
    ps_stored_place_free(&place);
    return st;
}

static ps_status adopt(test_stored *t, const char *json, size_t data, const char *name,
                       const char *config, bool replaces)
{
    return adopt_of(t, json, data, name, config, "anna", replaces);
}

START_TEST(what_is_no_model_is_refused_with_what_is_wrong)
{
    static const struct {
        const char *json;
        size_t data;
        const char *name, *config, *words;
    } rows[] = {
        {TWO, 64, "No", CONFIG, "model name: 1 to 64 of"},
        {TWO, 64, "m", "", "does not say its architecture"},
        {TWO, 64, "m", "{architecture: tree}", "model m: "},
        {TWO, 60, "m", CONFIG, "model m: "}, /* cut */
        {"{\"w\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "m", CONFIG,
         "tensor w is F16; psd holds F32, and its own forms"},
        {"{}", 0, "m", CONFIG, "a file without tensors is no model"},
        {"not JSON", 0, "m", CONFIG, "model m: "},
    };
    test_stored t;
    test_stored_open(&t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_status st = adopt(&t, rows[i].json, rows[i].data, rows[i].name, rows[i].config, false);
        ck_assert_msg(st == PS_INVALID_ARGUMENT, "%zu: %d %s", i, st, ps_error_message());
        ck_assert_msg(strstr(ps_error_message(), rows[i].words) != NULL, "%s", ps_error_message());
        ck_assert_str_ne(test_stored_find(&t, "models", PS_STORED_INCOMING), ""); /* the caller's */
    }
    int file;
    ck_assert_int_eq(ps_model_file_open(&t.files, "m", "", &file, NULL), PS_NOT_FOUND);
    test_stored_close(&t);
}
END_TEST

/* The model came while anna's job was training: it is not hers. */
START_TEST(what_somebody_else_has_made_meanwhile_is_not_replaced)
{
    test_stored t;
    ps_model_record *r = NULL;
    ps_param_store *store = new_store(1, COLUMNS);
    test_stored_open(&t);
    ck_ok(adopt_of(&t, TWO, 64, "m", CONFIG, "spiffe://c/submitter/bob", false));
    ck_assert_int_eq(store_model(&t, store, 9), PS_PERMISSION_DENIED);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "belongs to spiffe://c/submitter/bob"));
    ck_assert_int_eq(adopt(&t, TWO, 64, "m", CONFIG, true), PS_PERMISSION_DENIED);
    ck_assert_uint_eq(test_stored_count(&t, "models"), 2); /* and what was to be adopted */
    ck_ok(ps_catalog_model_get(t.catalog, "m", &r));
    ck_assert_str_eq(r->owner, "spiffe://c/submitter/bob");
    ps_model_record_free(&r);
    ck_ok(adopt_of(&t, TWO, 64, "m", CONFIG, "spiffe://c/admin/eve", true));
    ck_ok(ps_model_file_delete(&t.files, "m"));
    ck_ok(store_model(&t, store, 9));
    ps_param_store_unref(&store);
    test_stored_close(&t);
}
END_TEST

START_TEST(an_imported_file_is_taken_as_it_is_and_replaces_only_when_told)
{
    test_stored t;
    char *data, same[1024];
    int file;
    test_stored_open(&t);
    ck_ok(adopt(&t, TWO, 64, "m", CONFIG, false));
    ck_assert_int_eq(adopt(&t, TWO, 64, "m", CONFIG, false), PS_ALREADY_EXISTS);
    ck_ok(adopt(&t, TWO, 64, "m", CONFIG, true));
    ck_assert_uint_eq(test_stored_count(&t, "models"), 1);
    ck_ok(ps_model_file_open(&t.files, "m", "", &file, NULL));
    size_t len = test_stored_drain(file, &data);
    ck_assert_uint_eq(len, make_file(same, TWO, 64));
    ck_assert_mem_eq(data, same, len);
    free(data);
    test_stored_close(&t);
}
END_TEST

START_TEST(whatever_fails_at_importing_the_model_before_is_there)
{
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        test_stored t;
        test_stored_open(&t);
        ps_param_store *old = new_store(1, COLUMNS);
        ck_ok(store_model(&t, old, 1));
        fault_at(&t.fault.fails, k);
        ps_status st = adopt(&t, TWO, 64, "m", CONFIG, true);
        bool reached = fault_struck(&t.fault.fails);
        fault_at(&t.fault.fails, 0);
        if (st)
            assert_model_is(&t, old);
        failures += st != PS_OK;
        ck_ok(adopt(&t, TWO, 64, "m", CONFIG, true));
        ps_param_store_unref(&old);
        test_stored_close(&t);
        if (!reached)
            break;
    }
    ck_assert_uint_ge(failures, 5); /* open, size, reads, rename, the folder's fsync */
}
END_TEST

/* ---- load and delete ---- */

START_TEST(a_store_is_filled_from_a_model_of_the_same_shapes_only)
{
    test_stored t;
    test_stored_open(&t);
    ps_param_store *from = new_store(1, COLUMNS), *to = new_store(2, COLUMNS);
    ps_param_store *other = new_store(3, COLUMNS + 1);
    ck_assert_int_eq(ps_model_file_load(&t.files, "m", "", NULL, to, &remark), PS_NOT_FOUND);
    ck_ok(store_model(&t, from, 1));
    ck_ok(ps_model_file_load(&t.files, "m", "", NULL, to, &remark));
    ck_assert_uint_eq(remark.len, 0);
    for (uint32_t i = 0; i < 2; i++) {
        float *a = test_params_read(from, i), *b = test_params_read(to, i);
        ck_assert_mem_eq(a, b, (i ? 1 : ROWS) * COLUMNS * sizeof *a);
        free(a);
        free(b);
    }
    ck_assert_int_eq(ps_model_file_load(&t.files, "m", "", NULL, other, &remark),
                     PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(), "model m: tensor w has another shape there");
    ps_param_store_unref(&from);
    ps_param_store_unref(&to);
    ps_param_store_unref(&other);
    test_stored_close(&t);
}
END_TEST

START_TEST(whatever_fails_at_loading_is_said)
{
    test_stored t;
    unsigned long failures = 0;
    test_stored_open(&t);
    ps_param_store *from = new_store(1, COLUMNS), *to = new_store(2, COLUMNS);
    ck_ok(store_model(&t, from, 1));
    for (unsigned long k = 1;; k++) {
        fault_at(&t.fault.fails, k);
        ps_status st = ps_model_file_load(&t.files, "m", "", NULL, to, &remark);
        bool reached = fault_struck(&t.fault.fails);
        ck_assert_int_eq(st, reached ? PS_IO : PS_OK);
        failures += reached;
        if (!reached)
            break;
    }
    ck_assert_uint_ge(failures, 5); /* open, size, two reads of the header, one a tensor */
    ps_param_store_unref(&from);
    ps_param_store_unref(&to);
    test_stored_close(&t);
}
END_TEST

START_TEST(a_deleted_model_is_gone_even_when_its_file_cannot_be_removed)
{
    test_stored t;
    int file;
    test_stored_open(&t);
    ps_param_store *store = new_store(1, COLUMNS);
    for (unsigned long k = 0; k < 2; k++) {
        ck_ok(store_model(&t, store, 1));
        fault_at(&t.fault.fails, k);
        ck_ok(ps_model_file_delete(&t.files, "m"));
        fault_at(&t.fault.fails, 0);
        ck_assert_int_eq(ps_model_file_open(&t.files, "m", "", &file, NULL), PS_NOT_FOUND);
        ck_assert_uint_eq(test_stored_count(&t, "models"), k);
    }
    ck_assert_int_eq(ps_model_file_delete(&t.files, "m"), PS_NOT_FOUND);
    ps_param_store_unref(&store);
    test_stored_close(&t);
}
END_TEST

START_TEST(a_row_that_the_catalog_has_no_room_for_leaves_no_file)
{
    test_stored t;
    char name[16];
    size_t stored = 0;
    test_stored_open(&t);
    ps_catalog_limit_pages(t.catalog, 1); /* not one more than there are */
    for (ps_status st = PS_OK; !st; stored += !st) {
        ck_assert_uint_lt(stored, 1000);
        (void)snprintf(name, sizeof name, "m%zu", stored);
        st = adopt(&t, TWO, 64, name, CONFIG, false);
        ck_assert(st == PS_OK || st == PS_NO_SPACE);
    }
    ck_assert_str_ne(test_stored_find(&t, "models", PS_STORED_INCOMING), ""); /* the caller's */
    ck_assert_uint_eq(test_stored_count(&t, "models"), stored + 1);
    ps_catalog_limit_pages(t.catalog, 0);
    ck_ok(adopt(&t, TWO, 64, name, CONFIG, false));
    ck_assert_uint_eq(test_stored_count(&t, "models"), stored + 1);
    test_stored_close(&t);
}
END_TEST

/* {"format": "pt", …}: of the stored model m, as its file's JSON has it. */
static bool metadata_has(test_stored *t, const char *text)
{
    int file;
    char *data;
    uint64_t head;
    ck_ok(ps_model_file_open(&t->files, "m", "", &file, NULL));
    (void)test_stored_drain(file, &data);
    memcpy(&head, data, 8);
    data[8 + head] = 0; /* of a tensor, which is of no use here */
    bool has = strstr(data + 8, text) != NULL;
    free(data);
    return has;
}

START_TEST(what_the_model_before_had_beside_its_tensors_stays_with_the_new_one)
{
    test_stored t;
    test_stored_open(&t);
    ps_param_store *store = new_store(1, COLUMNS);
    static const char json[] =
        "{\"__metadata__\":{\"format\":\"np\",\"psd.model\":\"{architecture: mlp, layers: [9, "
        "9]}\",\"tokenizer.json\":\"{\\\"a\\\":1}\"}," TWO_TENSORS;
    ck_ok(adopt(&t, json, 64, "base", CONFIG, false));
    ck_ok(store_from(&t, store, 1, "base"));
    ck_assert(metadata_has(&t, "\"tokenizer.json\":\"{\\\"a\\\":1}\""));
    ck_assert(metadata_has(&t, "layers: [3, 4]"));
    ck_assert(!metadata_has(&t, "layers: [9"));
    ck_assert(!metadata_has(&t, "\"np\""));
    ck_ok(store_from(&t, store, 2, "m")); /* from itself, which it replaces */
    ck_assert(metadata_has(&t, "tokenizer.json"));
    assert_model_is(&t, store);
    ck_ok(ps_model_file_delete(&t.files, "base"));
    ck_ok(store_from(&t, store, 3, "base")); /* what was trained is not lost */
    ck_assert(!metadata_has(&t, "tokenizer.json"));
    ps_param_store_unref(&store);
    test_stored_close(&t);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_the_model_before_had_beside_its_tensors_stays_with_the_new_one},
    {&a_row_that_the_catalog_has_no_room_for_leaves_no_file},
    {&the_file_and_the_row_say_what_the_store_holds},
    {&whatever_fails_at_storing_the_model_before_is_there_whole},
    {&a_full_disk_is_said_with_the_files_name_at_every_byte},
    {&what_is_no_model_is_refused_with_what_is_wrong},
    {&what_somebody_else_has_made_meanwhile_is_not_replaced},
    {&an_imported_file_is_taken_as_it_is_and_replaces_only_when_told},
    {&whatever_fails_at_importing_the_model_before_is_there},
    {&a_store_is_filled_from_a_model_of_the_same_shapes_only},
    {&whatever_fails_at_loading_is_said},
    {&a_deleted_model_is_gone_even_when_its_file_cannot_be_removed},
    {0},
};

int main(void)
{
    return ps_check_main("server/files/model_file", cases);
}
