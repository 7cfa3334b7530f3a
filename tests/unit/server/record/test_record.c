/* The record alone: one unit, whose sketch is as wide as it has elements. */
#include "server/record/record.h"

#include "common/base/mem.h"
#include "common/seal/sealed_disk.h"
#include "server/record/record_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static const char path[] = "record.bin";

static ps_record *record_of(uint32_t elements)
{
    ps_influence_tensor tensor = {.name = (char[]){"w"}, .units = 1};
    uint64_t all = elements;
    const ps_influence_head head = {
        .tensors = &tensor, .n_tensors = 1, .n_units = 1, .elements = &all};
    const ps_record_options options = {.disk = &ps_disk_system,
                                       .path = path,
                                       .sketch = elements,
                                       .every = 1,
                                       .budget = 1 << 26,
                                       .held = 1 << 16};
    ps_record *record;
    ck_ok(ps_record_open(&options, &head, &record));
    return record;
}

static void end(ps_record **record)
{
    ps_record_free(record);
    ck_assert_int_eq(unlink(path), 0);
}

static ps_record_sketch *change_of(ps_record *record, const float *after, size_t n)
{
    float *before = ps_alloc_array(n, sizeof *before);
    ps_record_sketch *sketch = ps_record_begin(record);
    ps_record_add_change(sketch, 0, 0, before, after, n);
    free(before);
    return sketch;
}

static void hold(ps_record *record, uint64_t sequence, const float *gradient, size_t n)
{
    const ps_influence_push push = {.sequence = sequence, .weight = 1, .worker = "worker"};
    ps_record_sketch *sketch = change_of(record, gradient, n);
    ps_record_hold(record, &sketch, &push);
}

static void merge(ps_record *record, const float *change, size_t n)
{
    ps_record_sketch *update = change_of(record, change, n);
    ck_assert(ps_record_holds(record));
    ps_record_merge(record, &update, 1);
    ck_assert(!ps_record_holds(record));
}

START_TEST(an_update_of_more_pushes_than_may_be_held_is_not_recorded)
{
    ps_record *record = record_of(64); /* of some 1 KiB each */
    const float one = 1;
    for (uint64_t i = 1; i <= 300; i++)
        hold(record, i, &one, 1);
    merge(record, &one, 1);
    ck_assert_uint_eq(ps_record_count(record), 0);
    hold(record, 301, &one, 1);
    hold(record, 302, &one, 1);
    merge(record, &one, 1);
    ck_assert_uint_eq(ps_record_count(record), 2);
    end(&record);
}
END_TEST

/* Gradients that may be pushed, changes that overflow: what is written can be read. */
START_TEST(a_training_that_diverges_leaves_a_record_that_can_be_read)
{
    const float changes[][2] = {{INFINITY, 1}, {NAN, 0}, {-FLT_MAX, FLT_MAX}};
    const float gradient[] = {FLT_MAX, -FLT_MAX};
    ps_record *record = record_of(64);
    ps_buf file = PS_BUF_EMPTY;
    ps_influence_head head;
    ps_influence_record got;
    float numbers[64];
    size_t used, n = 0;
    for (uint64_t i = 0; i < 3; i++) {
        hold(record, 2 * i, gradient, 2);
        hold(record, 2 * i + 1, gradient, 2);
        merge(record, changes[i], 2);
    }
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &file));
    ck_ok(ps_influence_head_read(ps_buf_slice(&file), &head, &used));
    ps_cursor at = ps_cursor_of(ps_slice_of(file.data + used, file.len - used));
    ps_status st;
    while (!(st = ps_influence_read(&at, ps_record_shape(record), &got, numbers))) {
        ck_assert(got.push.correction >= 0 && got.push.correction <= 1 + 1e-6);
        for (size_t i = 0; i < ps_sketch_width(ps_record_shape(record)); i++)
            ck_assert(isfinite(numbers[i]));
        n++;
    }
    ck_assert_int_eq(st, PS_END);
    ck_assert_uint_eq(n, 6);
    ps_influence_head_free(&head);
    ps_buf_free(&file);
    end(&record);
}
END_TEST

static void put(ps_record *record, uint64_t sequence)
{
    const ps_influence_push push = {.sequence = sequence, .weight = 1, .worker = "worker"};
    const float one = 1;
    ps_record_sketch *sketch = change_of(record, &one, 1);
    ps_record_put(record, &sketch, &push);
}

static ps_status go_on(const ps_disk *disk, const ps_record_options *settings, ps_record **out)
{
    ps_influence_tensor tensor = {.name = (char[]){"w"}, .units = 1};
    uint64_t all = 64;
    const ps_influence_head head = {
        .tensors = &tensor, .n_tensors = 1, .n_units = 1, .elements = &all};
    ps_record_options options = *settings;
    options.disk = disk;
    options.path = path;
    return ps_record_open(&options, &head, out);
}

START_TEST(one_that_cannot_be_gone_on_with_leaves_no_copy_on_a_full_disk)
{
    ps_record *record = record_of(64);
    for (uint64_t i = 1; i <= 20; i++)
        put(record, i);
    const ps_record_options settings = ps_record_settings(record);
    ps_record_free(&record);
    fault_disk state;
    ps_disk disk = fault_disk_table(&state);
    state.room = settings.position / 2;
    ck_assert_int_eq(go_on(&disk, &settings, &record), PS_NO_SPACE);
    ck_assert_int_ne(access("record.bin" PS_RECORD_FILE_FRESH, F_OK), 0);
    state.room = UINT64_MAX;
    ck_ok(go_on(&disk, &settings, &record));
    ck_assert_uint_eq(ps_record_position(record), settings.position);
    ps_record_free(&record);
    ck_ok(ps_record_file_remove(&disk, path));
    ck_ok(ps_record_file_remove(&disk, path)); /* again: nothing is there */
}
END_TEST

START_TEST(one_that_has_ended_stays_so)
{
    ps_record *record = record_of(64);
    ps_record_options settings = ps_record_settings(record);
    ck_assert(!settings.ended && !ps_record_ended(record));
    ps_record_free(&record);
    settings.budget = settings.position; /* nothing has room */
    ck_ok(go_on(&ps_disk_system, &settings, &record));
    put(record, 1);
    ck_assert_ptr_nonnull(ps_record_ended(record));
    settings = ps_record_settings(record);
    ck_assert(settings.ended);
    ps_record_free(&record);
    settings.budget = 1 << 20;
    ck_ok(go_on(&ps_disk_system, &settings, &record));
    put(record, 2); /* would stand where the first is missing */
    ck_assert_uint_eq(ps_record_count(record), 0);
    ck_assert_ptr_nonnull(ps_record_ended(record));
    ck_ok(ps_record_sync(record));
    end(&record);
}
END_TEST

/* A disk that a push comes to while it syncs. */
static ps_record *pushed_to;
static bool pushed;

static void *push_now(void *unused)
{
    put(pushed_to, 2);
    pushed = true;
    return NULL;
}

static ps_status slow_fsync(void *state, int file)
{
    pthread_t thread;
    struct timespec limit;
    if (!pushed_to)
        return ps_disk_system.fsync(state, file);
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 5;
    ck_assert_int_eq(pthread_create(&thread, NULL, push_now, NULL), 0);
    ck_assert_int_eq(pthread_timedjoin_np(thread, NULL, &limit), 0);
    return ps_fail(PS_IO, "failed on purpose");
}

START_TEST(pushes_do_not_wait_for_the_disk)
{
    ps_record *record = record_of(64);
    const ps_record_options settings = ps_record_settings(record);
    ps_record_free(&record);
    ps_disk disk = ps_disk_system;
    disk.fsync = slow_fsync;
    ck_ok(go_on(&disk, &settings, &record));
    put(record, 1);
    pushed_to = record;
    ck_assert_int_eq(ps_record_sync(record), PS_IO);
    ck_assert(pushed);
    ck_assert_uint_eq(ps_record_count(record), 2);
    ck_assert_str_eq(ps_record_ended(record), "record record.bin: failed on purpose");
    put(record, 3);
    ck_assert_uint_eq(ps_record_count(record), 2); /* nothing behind what may be lost, */
    ck_ok(ps_record_sync(record));                 /* and not synced again */
    end(&record);
}
END_TEST

static ps_sealed_form identity_of_all(void *user, const char *name, ps_buf *aad)
{
    (void)user, (void)name;
    ps_buf_puts(aad, "record");
    return PS_SEALED_LOG;
}

/* A sealed log that ends at a part is one, as it grows: that it was cut there shows by the position
 * that the checkpoint has, which is sealed as a whole. */
START_TEST(a_sealed_one_that_was_cut_at_a_part_is_not_gone_on_with)
{
    ps_secret *kek = ps_secret_random();
    const ps_sealed_disk_conf conf = {
        .disk = &ps_disk_system, .ring = ps_keyring_new(&kek), .identity = identity_of_all};
    ps_sealed_disk *sealed = ps_sealed_disk_new(&conf);
    const ps_disk *disk = ps_sealed_disk_row(sealed);
    ps_record_file *file;
    uint64_t whole;
    ck_ok(ps_record_file_open(disk, path, ps_slice_str("head"), 0, &file));
    ck_ok(ps_record_file_sync(file));
    int raw;
    ck_ok(ps_disk_system.open(NULL, path, PS_DISK_READ, &raw));
    ck_ok(ps_disk_system.size(NULL, raw, &whole));
    ps_disk_system.close(NULL, raw);
    ck_ok(ps_record_file_append(file, ps_slice_str("a push")));
    ck_ok(ps_record_file_sync(file)); /* another part */
    const uint64_t position = ps_record_file_bytes(file);
    ps_record_file_close(&file);
    ck_assert_int_eq(truncate(path, (off_t)whole), 0);
    ck_assert_int_eq(ps_record_file_open(disk, path, ps_slice_str("head"), position, &file),
                     PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "the checkpoint counts on 10"));
    ck_ok(ps_record_file_open(disk, path, ps_slice_str("head"), 4, &file)); /* which is there */
    ps_record_file_close(&file);
    ck_ok(ps_record_file_remove(disk, path));
    ps_sealed_disk_free(&sealed);
}
END_TEST

static const ps_check_case cases[] = {
    {&an_update_of_more_pushes_than_may_be_held_is_not_recorded},
    {&a_training_that_diverges_leaves_a_record_that_can_be_read},
    {&one_that_cannot_be_gone_on_with_leaves_no_copy_on_a_full_disk},
    {&one_that_has_ended_stays_so},
    {&pushes_do_not_wait_for_the_disk},
    {&a_sealed_one_that_was_cut_at_a_part_is_not_gone_on_with},
    {0},
};

int main(void)
{
    return ps_check_main("record/record", cases);
}
