/* sealed_log: what was flushed is there, in its order, whatever comes after it. */
#include "common/seal/sealed_log.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static const ps_disk *disk = &ps_disk_system;

static void begin(void)
{
    strcpy(folder, "/tmp/psd-log-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void end(void)
{
    (void)unlink("log");
    ck_assert_int_eq(rmdir(folder), 0);
}

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i ^ i >> 8 ^ i >> 16);
}

/* n bytes in pieces, flushed after each (but the last, without `all`). */
static void write_log(const ps_secret *key, const size_t *pieces, size_t n, bool all)
{
    int file;
    (void)unlink("log");
    ck_ok(disk->open(disk->state, "log", PS_DISK_CREATE, &file));
    ps_sealed_log *log = ps_sealed_log_new(disk, file, key, ps_slice_str("a"));
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t *bytes = ps_alloc(pieces[i] + 1);
        for (size_t k = 0; k < pieces[i]; k++)
            bytes[k] = byte_at(at + k);
        ck_ok(ps_sealed_log_write(log, bytes, pieces[i]));
        at += pieces[i];
        ck_assert_uint_eq(ps_sealed_log_bytes(log), at);
        if (all || i + 1 < n)
            ck_ok(ps_sealed_log_flush(log));
        ps_free(&bytes);
    }
    ps_sealed_log_free(&log);
    disk->close(disk->state, file);
}

/* How many of its bytes are read, all as they were; *st: what reading on came to. */
static uint64_t read_log(const ps_secret *key, const char *aad, ps_status *st)
{
    int file;
    ps_sealed_log *log = NULL;
    uint8_t piece[100000];
    uint64_t at = 0;
    size_t got = 1;
    ck_ok(disk->open(disk->state, "log", PS_DISK_READ, &file));
    *st = ps_sealed_log_open(disk, file, key, ps_slice_str(aad), &log);
    while (!*st && got) {
        *st = ps_sealed_log_read(log, at, piece, sizeof piece, &got);
        for (size_t i = 0; !*st && i < got; i++)
            ck_assert_uint_eq(piece[i], byte_at(at + i));
        at += *st ? 0 : got;
    }
    if (!*st)
        ck_assert_uint_eq(ps_sealed_log_bytes(log), at);
    ps_sealed_log_free(&log);
    disk->close(disk->state, file);
    return at;
}

START_TEST(what_was_flushed_is_read)
{
    static const size_t pieces[] = {11, 1, 0, 300000, 1 << 20, 3000000, 1048520, 7};
    enum {
        N = sizeof pieces / sizeof *pieces,
        ALL = 11 + 1 + 300000 + (1 << 20) + 3000000 + 1048520
    };
    begin();
    ps_secret *key = ps_secret_random();
    ps_status st;
    write_log(key, pieces, N, true);
    ck_assert_uint_eq(read_log(key, "a", &st), ALL + 7);
    ck_ok(st);
    write_log(key, pieces, N, false); /* the last 7 are lost with the process */
    ck_assert_uint_eq(read_log(key, "a", &st), ALL);
    ck_ok(st);
    (void)read_log(key, "b", &st);
    ck_assert_int_eq(st, PS_CORRUPT);
    ps_secret_free(&key);
    end();
}
END_TEST

START_TEST(a_cut_costs_its_part_and_a_change_is_found)
{
    static const size_t pieces[] = {20, 30, 40};
    begin();
    ps_secret *key = ps_secret_random();
    ps_status st;
    write_log(key, pieces, 3, true);
    ps_buf all = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(disk, "log", 1 << 20, &all));
    ck_assert_uint_eq(all.len, 3 * (8 + 56) + 90);
    for (size_t n = 0; n < all.len; n++) {
        ck_assert_int_eq(truncate("log", (off_t)(all.len - 1 - n)), 0);
        uint64_t whole = all.len - 1 - n < 84 ? 0 : all.len - 1 - n < 178 ? 20 : 50;
        ck_assert_uint_eq(read_log(key, "a", &st), whole);
        ck_ok(st);
    }
    for (size_t i = 0; i < all.len; i++) {
        all.data[i] ^= 4;
        FILE *file = fopen("log", "wb");
        ck_assert_uint_eq(fwrite(all.data, 1, all.len, file), all.len);
        (void)fclose(file);
        uint64_t read = read_log(key, "a", &st);
        ck_assert_msg(st == PS_CORRUPT || read < 90, "byte %zu", i);
        all.data[i] ^= 4;
    }
    ps_buf_free(&all);
    ps_secret_free(&key);
    end();
}
END_TEST

START_TEST(parts_keep_their_order)
{
    static const size_t pieces[] = {20, 20};
    begin();
    ps_secret *key = ps_secret_random();
    ps_status st;
    write_log(key, pieces, 2, true);
    ps_buf all = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(disk, "log", 1 << 20, &all));
    FILE *file = fopen("log", "wb");
    ck_assert_uint_eq(fwrite(all.data + all.len / 2, 1, all.len / 2, file), all.len / 2);
    ck_assert_uint_eq(fwrite(all.data, 1, all.len / 2, file), all.len / 2);
    (void)fclose(file);
    ck_assert_uint_eq(read_log(key, "a", &st), 0);
    ck_assert_int_eq(st, PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "part 0 (byte 8): segment 0"));
    ps_buf_free(&all);
    ps_secret_free(&key);
    end();
}
END_TEST

START_TEST(after_a_failed_write_nothing_is_taken)
{
    fault_disk faults;
    ps_disk failing = fault_disk_table(&faults);
    int file;
    begin();
    ps_secret *key = ps_secret_random();
    ck_ok(failing.open(failing.state, "log", PS_DISK_CREATE, &file));
    ps_sealed_log *log = ps_sealed_log_new(&failing, file, key, ps_slice_str("a"));
    ck_ok(ps_sealed_log_write(log, "x", 1));
    faults.room = 3;
    ck_assert_int_eq(ps_sealed_log_flush(log), PS_NO_SPACE);
    faults.room = UINT64_MAX;
    ck_assert_int_eq(ps_sealed_log_write(log, "x", 1), PS_IO);
    ck_assert_int_eq(ps_sealed_log_flush(log), PS_IO);
    ps_sealed_log_free(&log);
    failing.close(failing.state, file);
    ps_secret_free(&key);
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&what_was_flushed_is_read, 60},
    {&a_cut_costs_its_part_and_a_change_is_found, 60},
    {&parts_keep_their_order},
    {&after_a_failed_write_nothing_is_taken},
    {0},
};

int main(void)
{
    return ps_check_main("seal/sealed_log", tests);
}
