#include "server/durable/checkpoint.h"

#include "common/base/crc32c.h"
#include "common/base/whole_file.h"
#include "common/conf/train_rows.h"
#include "server/durable/checkpoint_blocks.h"
#include "server/durable/manifest.h"
#include "tests/lib/ck_ok.h"
#include "tests/unit/server/durable/checkpoint_rig.h"

static void say_progress(void *user, ps_buf *out)
{
    ps_buf_puts(out, user);
}

START_TEST(training_goes_on_from_a_checkpoint_bit_for_bit)
{
    make_folder();
    ps_param_store *store = store_of(ps_optimizer_names[_i], "asp");
    train(store, 1, 11);
    ps_checkpoint_info written, loaded;
    ck_ok(ps_checkpoint_write(&ps_disk_system, folder, store, 0, say_progress,
                              (void *)(uintptr_t) "epoch 3", &written));
    ck_assert_uint_eq(written.number, 1);
    ck_assert_uint_eq(written.version, 10);
    ps_param_store *again;
    ps_buf progress = PS_BUF_EMPTY;
    ck_ok(ps_checkpoint_load(&ps_disk_system, folder, NULL, &again, &progress, &loaded));
    ck_assert_str_eq(ps_buf_cstr(&progress), "epoch 3");
    ck_assert_uint_eq(loaded.version, 10);
    ck_assert_uint_eq(loaded.damaged, 0);
    assert_same(store, again);
    train(store, 11, 31);
    train(again, 11, 31);
    assert_same(store, again);
    ps_buf_free(&progress);
    ps_param_store_unref(&store);
    ps_param_store_unref(&again);
    remove_folder();
}
END_TEST

START_TEST(a_push_applied_before_the_checkpoint_is_a_duplicate_after_it)
{
    make_folder();
    ps_param_store *store = new_store("asp");
    train(store, 1, 6);
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store_unref(&store);
    store = load(NULL);
    ps_push_header header = {.incarnation = 1, .sequence = 4};
    ps_push_reply reply;
    ck_ok(test_params_push(store, "worker", &header, 1, &reply));
    ck_assert(reply.duplicate);
    ck_assert_uint_eq(reply.version, 4);
    ck_assert_uint_eq(ps_param_store_version(store), 5);
    ps_push *push;
    header.incarnation = 0;
    ck_assert_int_eq(ps_push_begin(store, "worker", &header, &push), PS_FAILED_PRECONDITION);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

START_TEST(a_push_of_an_unfinished_bsp_clock_is_made_again_after_a_restart)
{
    make_folder();
    ps_param_store *store = new_store("bsp");
    uint64_t first;
    ps_clock_reply answer;
    bool parked;
    ck_ok(ps_param_store_join(store, "a", 0, &first));
    train(store, 1, 2);
    ck_ok(ps_param_store_clock(store, &(ps_clock_end){.member = "a", .clock = 1}, &answer, &parked,
                               NULL, NULL));
    ck_assert(!parked);
    train(store, 2, 3); /* of clock 2, which does not end */
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store_unref(&store);
    store = load(NULL);
    ck_assert_uint_eq(ps_param_store_version(store), 1);
    ck_ok(ps_param_store_join(store, "a", 0, &first));
    ck_assert_uint_eq(first, 2);
    ps_push_header header = {.incarnation = 1, .sequence = 1};
    ps_push_reply reply;
    ck_ok(test_params_push(store, "worker", &header, 1, &reply));
    ck_assert(reply.duplicate);
    header = (ps_push_header){.incarnation = 1, .sequence = 2, .clock = 2};
    ck_ok(test_params_push(store, "worker", &header, 1, &reply));
    ck_assert(!reply.duplicate);
    ck_ok(ps_param_store_clock(store, &(ps_clock_end){.member = "a", .clock = 2}, &answer, &parked,
                               NULL, NULL));
    ck_assert_uint_eq(answer.version, 2);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

static unsigned count_checkpoints;

static void count_cb(void *user, const char *name)
{
    count_checkpoints += strncmp(name, "checkpoint-", 11) == 0;
}

START_TEST(two_checkpoints_are_kept)
{
    make_folder();
    ps_param_store *store = new_store("asp");
    for (uint64_t i = 1; i <= 5; i++) {
        train(store, i, i + 1);
        ck_ok(write_to(&ps_disk_system, store));
        count_checkpoints = 0;
        ck_ok(ps_disk_system.list(NULL, folder, count_cb, NULL));
        ck_assert_uint_eq(count_checkpoints, i < 2 ? i : 2);
    }
    ps_checkpoint_info info;
    ps_param_store *again = load(&info);
    ck_assert_uint_eq(info.number, 5);
    ps_param_store_unref(&again);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

/* Files of such names are not psd's: after the last number comes 0. */
START_TEST(where_no_number_is_left_nothing_is_written_and_it_is_said)
{
    static const char *const names[] = {"checkpoint-18446744073709551615",
                                        "checkpoint-18446744073709551615.damaged", "manifest"};
    const ps_manifest last = {.n = 1, .entries = {{.number = UINT64_MAX, .version = 1}}};
    char path[128];
    make_folder();
    ps_param_store *store = new_store("asp");
    (void)snprintf(path, sizeof path, "%s/%s", folder, names[_i]);
    ck_ok(_i < 2 ? ps_whole_file_save(&ps_disk_system, path, ps_slice_str("somebody's"))
                 : ps_manifest_write(&ps_disk_system, path, &last));
    ck_assert_int_eq(write_to(&ps_disk_system, store), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "no number is left after "
                                                     "checkpoint-18446744073709551615"));
    ck_assert_int_eq(unlink(path), 0);
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

START_TEST(whatever_operation_fails_the_previous_checkpoint_still_loads)
{
    for (int most = 0; most <= 100; most += 100) { /* whole writes, and short ones */
        make_folder();
        ps_param_store *store = new_store("asp");
        train(store, 1, 3);
        ck_ok(write_to(&ps_disk_system, store));
        ps_param_store *old = load(NULL);
        train(store, 3, 5);
        ps_status st;
        unsigned long k = 0;
        fault_disk faults;
        do {
            ps_disk disk = fault_disk_table(&faults);
            fault_at(&faults.fails, ++k);
            faults.write_most = (size_t)most;
            st = write_to(&disk, store);
            ck_assert_uint_eq(faults.fsyncs_after_error, 0);
            ps_checkpoint_info info;
            ps_param_store *again = load(&info);
            ck_assert_uint_eq(info.damaged, 0);
            /* what failed after the rename left a whole new one */
            assert_same(again, info.version == 2 ? old : store);
            ps_param_store_unref(&again);
        } while (fault_struck(&faults.fails));
        ck_ok(st);
        ck_assert_uint_gt(k, 12);
        train(store, 5, 7); /* the job goes on */
        ps_param_store_unref(&old);
        ps_param_store_unref(&store);
        remove_folder();
    }
}
END_TEST

START_TEST(a_full_disk_is_said_clearly_and_costs_nothing_but_the_new_one)
{
    make_folder();
    ps_param_store *store = new_store("asp");
    train(store, 1, 3);
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store *old = load(NULL);
    train(store, 3, 5);
    for (uint64_t room = 0; room < 1500; room += 100) {
        fault_disk faults;
        ps_disk disk = fault_disk_table(&faults);
        faults.room = room;
        ck_assert_int_eq(write_to(&disk, store), PS_NO_SPACE);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), folder));
        ps_param_store *again = load(NULL);
        assert_same(again, old);
        ps_param_store_unref(&again);
    }
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    faults.free_bytes = 100;
    ck_assert_int_eq(write_to(&disk, store), PS_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "make room"));
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store_unref(&old);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

static ps_status load_bytes(const char *path, const ps_buf *bytes, size_t len)
{
    int file;
    (void)unlink(path);
    ck_ok(ps_disk_system.open(NULL, path, PS_DISK_CREATE, &file));
    ck_ok(ps_disk_write_all(&ps_disk_system, file, bytes->data, len));
    ps_disk_system.close(NULL, file);
    ps_param_store *store = NULL;
    ps_status st = ps_checkpoint_load_file(&ps_disk_system, path, NULL, &store, NULL);
    ck_assert((st == PS_OK) == (store != NULL));
    ps_param_store_unref(&store);
    return st;
}

START_TEST(every_flipped_bit_and_every_truncation_is_found)
{
    make_folder();
    ps_param_store *store = new_store("asp");
    train(store, 1, 3);
    ck_ok(write_to(&ps_disk_system, store));
    char path[128], copy[128];
    (void)snprintf(path, sizeof path, "%s/checkpoint-1", folder);
    (void)snprintf(copy, sizeof copy, "%s/copy", folder);
    ps_buf bytes = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &bytes));
    ck_ok(load_bytes(copy, &bytes, bytes.len));
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t bit = (uint8_t)(1 << (i % 8));
        bytes.data[i] ^= bit;
        ck_assert_int_eq(load_bytes(copy, &bytes, bytes.len), PS_CORRUPT);
        bytes.data[i] ^= bit;
        ck_assert_int_eq(load_bytes(copy, &bytes, i), PS_CORRUPT);
    }
    ps_buf_putc(&bytes, 0);
    ck_assert_int_eq(load_bytes(copy, &bytes, bytes.len), PS_CORRUPT);
    ps_buf_free(&bytes);
    ck_assert_int_eq(unlink(copy), 0);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

/* The first section of this type. */
static uint8_t *find_section(ps_buf *bytes, uint32_t type, size_t *len)
{
    size_t at = 8;
    for (;;) {
        ck_assert_uint_lt(at, bytes->len);
        ps_cursor c = ps_cursor_of(ps_slice_of(bytes->data + at, PS_SECTION_HEADER));
        uint32_t found = ps_read_u32le(&c);
        (void)ps_read_u32le(&c);
        *len = ps_read_u64le(&c);
        if (found == type)
            return bytes->data + at;
        at += PS_SECTION_HEADER + *len;
    }
}

/* As if psd had written it: with checksums that are right. */
static void write_number(ps_buf *bytes, uint32_t type, size_t at, uint64_t value)
{
    size_t len;
    uint8_t *section = find_section(bytes, type, &len), *payload = section + PS_SECTION_HEADER;
    ck_assert_uint_le(at + 8, len);
    ps_put_u64le(payload + at, value);
    ps_put_u32le(section + 4, ps_crc32c(0, payload, len));
    ps_put_u32le(section + 16, ps_crc32c(0, section, 16));
}

/* Counts that go on from the last number there is would come to 0. */
START_TEST(counts_that_no_job_comes_to_are_damage)
{
    static const struct {
        const char *mode;
        uint32_t section;
        size_t at;
        uint64_t most; /* of 2 updates */
    } counts[] = {
        {"asp", PS_SECTION_STATE, 0, (uint64_t)1 << 62},      /* updates of the job */
        {"bsp", PS_SECTION_CONTROLLER, 0, (uint64_t)1 << 62}, /* the clock */
        {"asp", PS_SECTION_BLOCK, 8, 2},                      /* the version of a block */
        {"asp", PS_SECTION_BLOCK, 16, 2},                     /* its updates */
    };
    char path[128], copy[128];
    make_folder();
    (void)snprintf(path, sizeof path, "%s/checkpoint-1", folder);
    (void)snprintf(copy, sizeof copy, "%s/copy", folder);
    ps_param_store *store = new_store(counts[_i].mode);
    train(store, 1, 3);
    ck_ok(write_to(&ps_disk_system, store));
    ps_buf bytes = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &bytes));
    write_number(&bytes, counts[_i].section, counts[_i].at, counts[_i].most);
    ck_ok(load_bytes(copy, &bytes, bytes.len));
    write_number(&bytes, counts[_i].section, counts[_i].at, counts[_i].most + 1);
    ck_assert_int_eq(load_bytes(copy, &bytes, bytes.len), PS_CORRUPT);
    write_number(&bytes, counts[_i].section, counts[_i].at, UINT64_MAX);
    ck_assert_int_eq(load_bytes(copy, &bytes, bytes.len), PS_CORRUPT);
    ps_buf_free(&bytes);
    ck_assert_int_eq(unlink(copy), 0);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

/* 4.5 million parameters: 18 MB, three parts that are read side by side. */
static ps_param_store *large_store(void)
{
    test_params p;
    test_params_init(&p, 3000, 1500);
    p.config.column_blocks = 2;
    p.config.optimizer = (ps_optimizer_config){.name = "sgd", .learning_rate = 0.01};
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    train(store, 1, 3);
    return store;
}

START_TEST(a_large_checkpoint_is_read_in_parts)
{
    make_folder();
    ps_param_store *store = large_store();
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store *again = load(NULL);
    assert_same(again, store);
    ps_param_store_unref(&again);

    char path[128];
    (void)snprintf(path, sizeof path, "%s/checkpoint-1", folder);
    unsigned long failures = 0;
    for (unsigned long k = 1; k < 4000; k = 5 * k + 1) { /* a file not opened is a thread less */
        fault_disk faults;
        ps_disk disk = fault_disk_table(&faults);
        fault_at(&faults.fails, k);
        ps_status st = ps_checkpoint_load_file(&disk, path, NULL, &again, NULL);
        ck_assert(st == PS_OK || st == PS_IO);
        failures += st == PS_IO;
        if (!st)
            assert_same(again, store);
        ps_param_store_unref(&again);
    }
    ck_assert_uint_gt(failures, 2);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

START_TEST(of_two_damages_in_a_large_checkpoint_the_first_is_told)
{
    make_folder();
    ps_param_store *store = large_store();
    ck_ok(write_to(&ps_disk_system, store));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/checkpoint-1", folder);
    ps_buf bytes = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 27, &bytes));
    static const size_t at[] = {17 << 20, 9 << 20, 1 << 20};
    size_t told = SIZE_MAX;
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        bytes.data[at[i]] ^= 4;
        ck_assert_int_eq(load_bytes(path, &bytes, bytes.len), PS_CORRUPT);
        size_t byte = strtoul(strstr(ps_error_message(), "byte ") + 5, NULL, 10);
        ck_assert_uint_gt(byte, at[i]); /* the block's end */
        ck_assert_uint_lt(byte, told);
        told = byte;
    }
    ck_assert_int_eq(load_bytes(path, &bytes, bytes.len - 100), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "its blocks end at"));
    ps_buf_free(&bytes);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

static const ps_check_case cases[] = {
    {&training_goes_on_from_a_checkpoint_bit_for_bit, .repeat = PS_OPTIMIZERS},
    {&a_push_applied_before_the_checkpoint_is_a_duplicate_after_it},
    {&a_push_of_an_unfinished_bsp_clock_is_made_again_after_a_restart},
    {&two_checkpoints_are_kept},
    {&where_no_number_is_left_nothing_is_written_and_it_is_said, .repeat = 3},
    {&whatever_operation_fails_the_previous_checkpoint_still_loads, 60},
    {&a_full_disk_is_said_clearly_and_costs_nothing_but_the_new_one},
    {&every_flipped_bit_and_every_truncation_is_found, 60, .one_thread = true},
    {&counts_that_no_job_comes_to_are_damage, .repeat = 4},
    {&a_large_checkpoint_is_read_in_parts, 60},
    {&of_two_damages_in_a_large_checkpoint_the_first_is_told, 60},
    {0},
};

int main(void)
{
    return ps_check_main("durable/checkpoint", cases);
}
