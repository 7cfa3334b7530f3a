/* checkpoint_load: which checkpoint of a folder is taken, and what becomes of the others. */
#include "server/durable/checkpoint.h"

#include "tests/lib/ck_ok.h"
#include "tests/lib/late_committer.h"
#include "tests/unit/server/durable/checkpoint_rig.h"

#include <sys/stat.h>

static void damage(unsigned number)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/checkpoint-%u", folder, number);
    ck_assert_int_eq(truncate(path, 700), 0);
}

static long size_of(const char *name)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

/* EIO, EMFILE, ENOMEM: none of them says that the file is bad. */
START_TEST(a_fault_that_passes_costs_no_checkpoint_and_takes_no_older_one)
{
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    make_folder();
    ps_param_store *store = new_store("asp"), *out = NULL;
    train(store, 1, 3);
    ck_ok(write_to(&ps_disk_system, store));
    train(store, 3, 5);
    ck_ok(write_to(&ps_disk_system, store));
    unsigned long k = 0;
    ps_status st = PS_IO;
    while (st == PS_IO) {
        fault_at(&faults.fails, ++k);
        st = ps_checkpoint_load(&disk, folder, NULL, &out, NULL, NULL);
        ck_assert_int_ge(size_of("checkpoint-1"), 700);
        ck_assert_int_ge(size_of("checkpoint-2"), 700);
    }
    ck_ok(st);
    ck_assert_uint_ge(k, 10);
    assert_same(out, store);
    ps_param_store_unref(&out);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

START_TEST(one_that_cannot_be_kept_as_damaged_stays_where_it_is)
{
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    make_folder();
    ps_param_store *store = new_store("asp"), *out = NULL;
    ck_ok(write_to(&ps_disk_system, store));
    ck_ok(write_to(&ps_disk_system, store));
    damage(2);
    unsigned long k = 0;
    ps_status st = PS_IO;
    while (st == PS_IO) {
        fault_at(&faults.fails, ++k);
        st = ps_checkpoint_load(&disk, folder, NULL, &out, NULL, NULL);
        ck_assert(size_of("checkpoint-2") == 700 || size_of("checkpoint-2.damaged") == 700);
    }
    ck_ok(st);
    ps_param_store_unref(&out);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

START_TEST(a_damaged_checkpoint_gives_way_to_the_one_before)
{
    make_folder();
    ps_param_store *store = new_store("asp"), *out;
    ck_assert_int_eq(ps_checkpoint_load(&ps_disk_system, folder, NULL, &out, NULL, NULL),
                     PS_NOT_FOUND);
    train(store, 1, 3);
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store *old = load(NULL);
    train(store, 3, 5);
    ck_ok(write_to(&ps_disk_system, store));
    damage(2);
    ps_checkpoint_info info;
    ps_param_store *again = load(&info);
    ck_assert_uint_eq(info.number, 1);
    ck_assert_uint_eq(info.damaged, 1);
    assert_same(again, old);
    ck_assert_int_eq(size_of("checkpoint-2.damaged"), 700); /* kept */
    ps_param_store_unref(&again);
    again = load(&info); /* and no trouble the next time */
    ck_assert_uint_eq(info.number, 1);
    ck_ok(ps_checkpoint_write(&ps_disk_system, folder, store, 0, NULL, NULL, &info));
    ck_assert_uint_eq(info.number, 3);
    damage(1);
    damage(3);
    ck_assert_int_eq(ps_checkpoint_load(&ps_disk_system, folder, NULL, &out, NULL, NULL),
                     PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "checkpoint-3"));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "names that end in .damaged"));
    ck_assert_int_eq(ps_checkpoint_load(&ps_disk_system, folder, NULL, &out, NULL, NULL),
                     PS_CORRUPT);
    ck_ok(ps_checkpoint_delete(&ps_disk_system, folder, true));
    for (unsigned i = 1; i <= 3; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "checkpoint-%u.damaged", i);
        ck_assert_int_eq(size_of(name), 700);
    }
    ps_param_store_unref(&again);
    ps_param_store_unref(&old);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

START_TEST(a_checkpoint_that_is_gone_is_noticed)
{
    make_folder();
    ps_param_store *store = new_store("asp"), *out;
    ck_ok(write_to(&ps_disk_system, store));
    ck_ok(write_to(&ps_disk_system, store));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/checkpoint-2", folder);
    ck_assert_int_eq(unlink(path), 0);
    ps_checkpoint_info info;
    ps_param_store *again = load(&info);
    ck_assert_uint_eq(info.damaged, 1);
    ps_param_store_unref(&again);
    /* the next one takes a number that was never used */
    ck_ok(ps_checkpoint_write(&ps_disk_system, folder, store, 0, NULL, NULL, &info));
    ck_assert_uint_eq(info.number, 3);
    (void)snprintf(path, sizeof path, "%s/checkpoint-1", folder);
    ck_assert_int_eq(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/checkpoint-3", folder);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(ps_checkpoint_load(&ps_disk_system, folder, NULL, &out, NULL, NULL),
                     PS_CORRUPT);
    ps_param_store_unref(&store);
    remove_folder();
}
END_TEST

/* A log must not be forgotten by a restart. */
START_TEST(a_restored_store_has_what_its_daemon_gives_to_every_store)
{
    late_committer late;
    late_committer_init(&late);
    make_folder();
    ps_param_store *store = new_store("asp"), *out = NULL;
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store_unref(&store);
    const ps_param_host host = {.push_bytes = 1 << 20, .committer = &late.row};
    ck_ok(ps_checkpoint_load(&ps_disk_system, folder, &host, &out, NULL, NULL));
    const ps_push_header header = {.incarnation = 1, .sequence = 9};
    ps_push_reply reply;
    ck_ok(test_params_push(out, "w", &header, 1, &reply));
    ck_assert_uint_eq(late.appended, 1);
    ck_assert_uint_eq(late.at[1].sequence, 9);
    ps_param_store_unref(&out);
    late_committer_clear(&late);
    remove_folder();
}
END_TEST

static const ps_check_case cases[] = {
    {&a_fault_that_passes_costs_no_checkpoint_and_takes_no_older_one},
    {&one_that_cannot_be_kept_as_damaged_stays_where_it_is},
    {&a_damaged_checkpoint_gives_way_to_the_one_before},
    {&a_checkpoint_that_is_gone_is_noticed},
    {&a_restored_store_has_what_its_daemon_gives_to_every_store},
    {0},
};

int main(void)
{
    return ps_check_main("server/durable/checkpoint_load", cases);
}
