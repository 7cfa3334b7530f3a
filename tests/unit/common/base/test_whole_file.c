/* whole_file: whichever operation fails, what was there before is there, or the new one; and of the
 * temporary file nothing stays that the next one would not remove. */
#include "common/base/whole_file.h"

#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96], temporary[96];

static void make_folder(void)
{
    strcpy(folder, "/tmp/psd-whole-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
    (void)snprintf(temporary, sizeof temporary, "%s/file.tmp", folder);
}

static void remove_folder(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* and so nothing else was left in it */
}

static void put(const char *at, const char *text)
{
    FILE *f = fopen(at, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static bool holds(const char *at, const char *text)
{
    ps_buf got = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, at, 100, &got));
    bool same = !strcmp(ps_buf_cstr(&got), text);
    ps_buf_free(&got);
    return same;
}

static bool said_late(ps_status st)
{
    return st && strstr(ps_error_message(), "is there, but may not outlast a power failure");
}

START_TEST(a_file_is_replaced_as_a_whole_or_not_at_all)
{
    for (size_t most = 0; most < 3; most++) {
        unsigned long k = 0;
        fault_disk faults;
        ps_status st;
        do {
            make_folder();
            put(path, "old");
            put(temporary, "of a crash, and longer");
            ps_disk disk = fault_disk_table(&faults);
            fault_at(&faults.fails, ++k);
            faults.write_most = most;
            st = ps_whole_file_save(&disk, path, ps_slice_str("newer"));
            ck_assert_uint_eq(faults.fsyncs_after_error, 0);
            ck_assert(holds(path, !st || said_late(st) ? "newer" : "old"));
            ck_assert(k != 3 || strstr(ps_error_message(), path)); /* the first write */
            bool stays = st && k == 1; /* the one of the crash could not be removed */
            ck_assert_int_eq(access(temporary, F_OK) == 0, stays);
            if (stays)
                (void)unlink(temporary);
            struct stat about;
            ck_assert_int_eq(stat(path, &about), 0);
            ck_assert(st || (about.st_mode & 0777) == 0600);
            remove_folder();
        } while (fault_struck(&faults.fails));
        ck_ok(st);
        ck_assert_uint_ge(k, 7); /* unlink, open, write, fsync, rename, the folder's; and none */
    }
}
END_TEST

START_TEST(a_name_that_is_taken_stays_without_replace)
{
    make_folder();
    ps_whole_file *f = NULL;
    put(path, "somebody's");
    ck_ok(ps_whole_file_open(&ps_disk_system, temporary, path, &f));
    ck_assert_int_eq(ps_whole_file_place(&f, path, false), PS_ALREADY_EXISTS);
    ck_assert_ptr_null(f);
    ck_assert(holds(path, "somebody's"));
    remove_folder();
}
END_TEST

START_TEST(one_that_is_kept_is_whole_at_its_temporary_name_and_one_that_is_dropped_is_gone)
{
    for (unsigned long k = 1; k <= 4; k++) {
        make_folder();
        fault_disk faults;
        ps_disk disk = fault_disk_table(&faults);
        fault_at(&faults.fails, k);
        ps_whole_file *f = NULL;
        ps_status st = ps_whole_file_open(&disk, path, path, &f);
        ck_assert_int_eq(st, k <= 2 ? PS_IO : PS_OK); /* unlink, open */
        if (!st && k == 4)
            (void)!ps_fail(PS_CORRUPT, "why it is given up");
        else if (!st)
            ck_assert_int_eq(ps_whole_file_keep(&f), PS_IO); /* fsync */
        ps_whole_file_drop(&f);
        ck_assert_ptr_null(f);
        if (k == 4)
            ck_assert_str_eq(ps_error_message(), "why it is given up");
        remove_folder();
    }
    make_folder();
    ps_whole_file *f = NULL;
    ck_ok(ps_whole_file_open(&ps_disk_system, path, path, &f));
    ck_ok(ps_disk_write_all(&ps_disk_system, ps_whole_file_handle(f), "all", 3));
    ck_ok(ps_whole_file_keep(&f));
    ps_whole_file_drop(&f);
    ck_assert(holds(path, "all"));
    remove_folder();
}
END_TEST

/* Others' files that look like ours are none of our business. */
START_TEST(beside_a_file_only_a_name_is_taken_that_nobody_has)
{
    make_folder();
    put(path, "old");
    mode_t before = umask(027);
    ps_whole_file *f = NULL, *g = NULL;
    ck_ok(ps_whole_file_open_beside(&ps_disk_system, path, PS_DISK_CREATE, &f));
    ck_ok(ps_whole_file_open_beside(&ps_disk_system, path, PS_DISK_CREATE_OPEN, &g));
    (void)umask(before);
    struct stat about;
    ck_assert_int_eq(fstat(ps_whole_file_handle(f), &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
    ck_assert_int_eq(fstat(ps_whole_file_handle(g), &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0640);
    ps_whole_file_drop(&g);
    ck_assert(holds(path, "old"));
    ck_ok(ps_whole_file_place(&f, path, true));
    ck_assert(holds(path, ""));
    remove_folder();
}
END_TEST

static const ps_check_case cases[] = {
    {&a_file_is_replaced_as_a_whole_or_not_at_all},
    {&a_name_that_is_taken_stays_without_replace},
    {&one_that_is_kept_is_whole_at_its_temporary_name_and_one_that_is_dropped_is_gone},
    {&beside_a_file_only_a_name_is_taken_that_nobody_has},
    {0},
};

int main(void)
{
    return ps_check_main("base/whole_file", cases);
}
