#include "common/base/disk.h"

#include "tests/lib/check_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96];

static void make_folder(void)
{
    strcpy(folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
}

static void remove_folder(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* and so nothing else was left in it */
}

START_TEST(failures_have_their_code_and_the_path)
{
    make_folder();
    const ps_disk *d = &ps_disk_system;
    int file;
    ck_assert_int_eq(d->open(d->state, path, PS_DISK_READ, &file), PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), path));
    ck_ok(d->open(d->state, path, PS_DISK_CREATE, &file));
    d->close(d->state, file);
    ck_assert_int_eq(d->open(d->state, path, PS_DISK_CREATE, &file), PS_ALREADY_EXISTS);
    ck_assert_int_eq(d->mkdir(d->state, folder), PS_ALREADY_EXISTS);
    ck_ok(ps_disk_mkdir_if_missing(d, folder));
    ck_ok(d->unlink(d->state, path));
    ck_assert_int_eq(d->unlink(d->state, path), PS_NOT_FOUND);
    ck_assert_int_eq(d->rename(d->state, path, folder), PS_NOT_FOUND);
    ck_assert_int_eq(d->sync_folder(d->state, path), PS_NOT_FOUND);
    uint64_t bytes;
    ck_assert_int_eq(d->free_space(d->state, path, &bytes), PS_NOT_FOUND);
    ck_ok(d->free_space(d->state, folder, &bytes));
    ck_assert_uint_gt(bytes, 0);
    remove_folder();
}
END_TEST

/* Nobody is at the other end: it must not be waited for. What a shell puts there is read. */
START_TEST(a_pipe_is_no_file_but_a_shells_is_one)
{
    make_folder();
    const ps_disk *d = &ps_disk_system;
    int file, ends[2];
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(d->open(d->state, path, PS_DISK_READ, &file), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "it is a pipe, not a file"));
    ck_assert_int_eq(pipe(ends), 0);
    char shells[64];
    (void)snprintf(shells, sizeof shells, "/dev/fd/%d", ends[0]);
    ck_ok(d->open(d->state, shells, PS_DISK_READ, &file));
    ck_assert_int_eq(write(ends[1], "psd", 3), 3);
    ck_assert_int_eq(close(ends[1]), 0);
    size_t got;
    char text[8];
    ck_ok(d->read(d->state, file, text, sizeof text, &got));
    ck_assert_uint_eq(got, 3);
    d->close(d->state, file);
    ck_assert_int_eq(unlink(path), 0); /* nor is a link to one that the shell has put elsewhere */
    ck_assert_int_eq(symlink(shells, path), 0);
    ck_assert_int_eq(d->open(d->state, path, PS_DISK_READ, &file), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(close(ends[0]), 0);
    remove_folder();
}
END_TEST

START_TEST(what_somebody_types_is_waited_for)
{
    const ps_disk *d = &ps_disk_system;
    int file, terminal = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    ck_ok(d->open(d->state, ptsname(terminal), PS_DISK_READ, &file));
    ck_assert_int_eq(fcntl(file, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(write(terminal, "psd\n", 4), 4);
    char text[8];
    size_t got;
    ck_ok(d->read(d->state, file, text, sizeof text, &got));
    ck_assert_uint_eq(got, 4);
    d->close(d->state, file);
    make_folder(); /* of somebody else, who knows no better name for it */
    ck_assert_int_eq(symlink(ptsname(terminal), path), 0);
    ck_ok(d->open(d->state, path, PS_DISK_READ, &file));
    ck_assert_int_ne(d->read(d->state, file, text, sizeof text, &got), PS_OK);
    d->close(d->state, file);
    ck_assert_int_eq(close(terminal), 0);
    remove_folder();
}
END_TEST

START_TEST(reading_stops_at_its_limit_and_says_what_is_missing)
{
    make_folder();
    int file;
    ck_ok(ps_disk_system.open(NULL, path, PS_DISK_CREATE, &file));
    ck_ok(ps_disk_write_all(&ps_disk_system, file, "0123456789", 10));
    ps_disk_system.close(NULL, file);
    ps_buf got = PS_BUF_EMPTY;
    ps_buf_puts(&got, "kept");
    ck_assert_int_eq(ps_disk_read_file(&ps_disk_system, path, 9, &got), PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_buf_cstr(&got), "kept");
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 10, &got));
    ck_assert_str_eq(ps_buf_cstr(&got), "kept0123456789");
    ps_buf_free(&got);
    char bytes[16];
    ck_ok(ps_disk_system.open(NULL, path, PS_DISK_READ, &file));
    ck_ok(ps_disk_read_full(&ps_disk_system, file, bytes, 4));
    ck_assert_mem_eq(bytes, "0123", 4);
    ck_assert_int_eq(ps_disk_read_full(&ps_disk_system, file, bytes, 7), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "1 bytes early"));
    ps_disk_system.close(NULL, file);
    remove_folder();
}
END_TEST

/* To the end, so many, and more than there are. */
START_TEST(a_file_is_poured_into_another)
{
    enum { BYTES = (2 << 20) + 5 };
    static uint8_t bytes[BYTES];
    make_folder();
    const ps_disk *d = &ps_disk_system;
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    int in, out;
    char other[128];
    (void)snprintf(other, sizeof other, "%s.other", path);
    ck_ok(d->open(d->state, path, PS_DISK_CREATE, &in));
    ck_ok(ps_disk_write_all(d, in, bytes, BYTES));
    d->close(d->state, in);
    static const struct {
        uint64_t from, bytes, got;
        ps_status st;
    } cases[] = {{0, UINT64_MAX, BYTES, PS_OK},
                 {3, UINT64_MAX, BYTES - 3, PS_OK},
                 {0, 7, 7, PS_OK},
                 {0, BYTES, BYTES, PS_OK},
                 {0, 0, 0, PS_OK},
                 {1, BYTES, BYTES - 1, PS_CORRUPT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_ok(d->open(d->state, path, PS_DISK_READ, &in));
        ck_ok(d->open(d->state, other, PS_DISK_CREATE, &out));
        ck_ok(d->seek(d->state, in, cases[i].from));
        ck_assert_int_eq(
            ps_disk_pour(d, in, cases[i].bytes, ps_disk_put_end, &(ps_disk_end){d, out}),
            cases[i].st);
        d->close(d->state, in);
        d->close(d->state, out);
        ps_buf all = PS_BUF_EMPTY;
        ck_ok(ps_disk_read_file(d, other, BYTES, &all));
        ck_assert_uint_eq(all.len, cases[i].got);
        ck_assert(!all.len || !memcmp(all.data, bytes + cases[i].from, all.len));
        ps_buf_free(&all);
        ck_ok(d->unlink(d->state, other));
    }
    remove_folder();
}
END_TEST

static const ps_check_case cases[] = {
    {&failures_have_their_code_and_the_path},
    {&a_pipe_is_no_file_but_a_shells_is_one},
    {&what_somebody_types_is_waited_for},
    {&reading_stops_at_its_limit_and_says_what_is_missing},
    {&a_file_is_poured_into_another},
    {0},
};

int main(void)
{
    return ps_check_main("base/disk", cases);
}
