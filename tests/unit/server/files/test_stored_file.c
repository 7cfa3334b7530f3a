/* stored_file: a file gets its name for good, or stays where it was. */
#include "server/files/stored_file.h"

#include "common/base/mem.h"
#include "server/catalog/models.h"
#include "tests/lib/check_main.h"
#include "tests/lib/stored.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

START_TEST(a_placed_file_has_a_new_name_and_the_same_bytes)
{
    test_stored t;
    char *paths[2], *data;
    test_stored_open(&t);
    for (int i = 0; i < 2; i++) {
        ps_stored_place place = ps_stored_place_new("models", "m", ".safetensors");
        test_stored_write(&t, place.incoming, "weights", 7);
        ps_stored_files_lock();
        ck_ok(ps_stored_file_move(&t.files, &place));
        ps_stored_files_unlock();
        paths[i] = ps_strdup(place.path);
        ps_stored_place_free(&place);
        ck_assert_int_eq(strncmp(paths[i], "models/m.", 9), 0);
        ck_assert_str_eq(paths[i] + strlen(paths[i]) - 12, ".safetensors");
        ck_assert_uint_eq(test_stored_read(&t, paths[i], &data), 7);
        ck_assert_str_eq(data, "weights");
        free(data);
    }
    ck_assert_str_ne(paths[0], paths[1]);
    ck_assert_uint_eq(test_stored_count(&t, "models"), 2);
    ps_free(&paths[0]);
    ps_free(&paths[1]);
    test_stored_close(&t);
}
END_TEST

START_TEST(whatever_fails_it_stays_where_it_was)
{
    unsigned long failed = 0;
    for (unsigned long k = 1;; k++) {
        test_stored t;
        ps_stored_place place = ps_stored_place_new("models", "m", "");
        char *data;
        test_stored_open(&t);
        test_stored_write(&t, place.incoming, "weights", 7);
        fault_at(&t.fault.fails, k);
        ps_stored_files_lock();
        ps_status st = ps_stored_file_move(&t.files, &place);
        ps_stored_files_unlock();
        bool reached = fault_struck(&t.fault.fails);
        ck_assert_int_eq(st != PS_OK, reached);
        if (st) {
            ck_assert_ptr_nonnull(strstr(ps_error_message(), "failed on purpose"));
            test_stored_read(&t, place.incoming, &data);
            ck_assert_str_eq(data, "weights");
            free(data);
        }
        ck_assert_uint_eq(test_stored_count(&t, "models"), 1);
        ps_stored_place_free(&place);
        test_stored_close(&t);
        failed += reached;
        if (!reached)
            break;
    }
    ck_assert_uint_eq(failed, 2); /* the rename, and the folder's fsync */
}
END_TEST

START_TEST(a_file_that_cannot_be_removed_is_only_space_and_keeps_the_callers_error)
{
    test_stored t;
    test_stored_open(&t);
    test_stored_write(&t, "models/x", "old", 3);
    ck_assert_int_eq(ps_fail(PS_NO_SPACE, "the caller's"), PS_NO_SPACE);
    fault_at(&t.fault.fails, 1);
    ps_stored_file_remove(&t.files, "models/x");
    ck_assert_str_eq(ps_error_message(), "the caller's");
    ck_assert_uint_eq(test_stored_count(&t, "models"), 1);
    ps_stored_file_remove(&t.files, "models/x");
    ps_stored_file_remove(&t.files, "models/x"); /* a missing one is fine */
    ck_assert_uint_eq(test_stored_count(&t, "models"), 0);
    ck_assert_str_eq(ps_error_message(), "the caller's");
    test_stored_close(&t);
}
END_TEST

/* A version of this path; is it the model's? */
static void put_model(const test_stored *t, const char *name, const char *path, bool current)
{
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup(name);
    m->config = ps_strdup("{}");
    m->path = ps_strdup(path);
    ck_ok(ps_catalog_model_add(t->catalog, m));
    if (current)
        ck_ok(ps_catalog_model_publish(t->catalog, name, path));
    ps_model_record_free(&m);
}

START_TEST(the_sweep_removes_what_was_half_written_and_nothing_else)
{
    test_stored t;
    test_stored_open(&t);
    test_stored_write(&t, "models/" PS_STORED_INCOMING "1", "half", 4);
    test_stored_write(&t, "artifacts/" PS_STORED_INCOMING "9", "half", 4);
    test_stored_write(&t, "models/m.1.safetensors", "named", 5);
    test_stored_write(&t, "models/gone.2.safetensors", "not named", 9);
    test_stored_write(&t, "models/notes.txt", "somebody's", 10);
    test_stored_write(&t, "artifacts/1.3", "kept", 4);
    put_model(&t, "m", "models/m.1.safetensors", true);
    test_stored_write(&t, "models/m.0.safetensors", "replaced", 8); /* and then psd died */
    put_model(&t, "m", "models/m.0.safetensors", false);
    ck_ok(ps_stored_files_sweep(&t.files));
    ck_assert_uint_eq(test_stored_count(&t, "models"), 3);
    ck_assert_uint_eq(test_stored_count(&t, "artifacts"), 1);
    ck_assert_str_eq(test_stored_find(&t, "models", PS_STORED_INCOMING), "");
    ck_assert_str_eq(test_stored_find(&t, "models", "gone"), "gone.2.safetensors");
    ck_assert_str_eq(test_stored_find(&t, "models", "m."), "m.1.safetensors");
    test_stored_close(&t);
}
END_TEST

static void *take_lock(void *flag)
{
    ps_stored_files_lock();
    *(bool *)flag = true;
    ps_stored_files_unlock();
    return NULL;
}

START_TEST(nobody_opens_what_another_is_about_to_remove)
{
    bool taken = false;
    pthread_t other;
    ps_stored_files_lock();
    ck_assert_int_eq(pthread_create(&other, NULL, take_lock, &taken), 0);
    struct timespec wait = {.tv_nsec = 20000000};
    (void)nanosleep(&wait, NULL);
    bool early = taken; /* under the lock */
    ps_stored_files_unlock();
    ck_assert(!early);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    ck_assert(taken);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_placed_file_has_a_new_name_and_the_same_bytes},
    {&whatever_fails_it_stays_where_it_was},
    {&a_file_that_cannot_be_removed_is_only_space_and_keeps_the_callers_error},
    {&the_sweep_removes_what_was_half_written_and_nothing_else},
    {&nobody_opens_what_another_is_about_to_remove},
    {0},
};

int main(void)
{
    return ps_check_main("server/files/stored_file", cases);
}
