/* spool: what goes in comes out again, from memory and from a file, as often as it is read. */
#include "worker/tasks/spool.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void open_folder(void)
{
    strcpy(folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(setenv("TMPDIR", folder, 1), 0);
}

/* Nothing was left in it. */
static void close_folder(void)
{
    ck_assert_int_eq(rmdir(folder), 0);
}

static ps_status put_line(ps_spool *spool, unsigned i)
{
    ps_buf_printf(&spool->pending, "line %u of some more\n", i);
    return ps_spool_step(spool);
}

static void assert_reads(ps_spool *spool, unsigned lines, size_t by)
{
    char *out = ps_alloc(by);
    char line[64];
    ps_buf got = PS_BUF_EMPTY;
    size_t at = 0;
    ck_ok(ps_spool_rewind(spool));
    for (size_t n = 1; n; ps_buf_append(&got, out, n))
        ck_ok(ps_spool_read(spool, out, by, &n));
    for (unsigned i = 0; i < lines; i++) {
        size_t n = (size_t)snprintf(line, sizeof line, "line %u of some more\n", i);
        ck_assert_mem_eq(got.data + at, line, n);
        at += n;
    }
    ck_assert_uint_eq(got.len, at);
    ps_buf_free(&got);
    ps_free(&out);
}

START_TEST(little_stays_in_memory)
{
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    ps_spool spool = PS_SPOOL(&disk);
    open_folder();
    assert_reads(&spool, 0, 10);
    for (unsigned i = 0; i < 100; i++)
        ck_ok(put_line(&spool, i));
    assert_reads(&spool, 100, 7);
    ck_assert_uint_eq(fault_seen(&faults.fails), 0);
    ps_spool_free(&spool);
    close_folder();
}
END_TEST

/* Not a word of it is in the file. */
static void assert_sealed(const ps_spool *spool)
{
    enum { ROOM = 4 << 20 };
    char *raw = ps_alloc(ROOM);
    ssize_t n = pread(spool->in, raw, ROOM, 0);
    ck_assert_int_gt(n, 2000000);
    ck_assert_ptr_null(memmem(raw, (size_t)n, "of some", 7));
    ps_free(&raw);
}

/* 3 MB, of which never more than a mebibyte and a line is in memory. */
START_TEST(much_goes_to_a_file_without_a_name)
{
    enum { LINES = 150000 };
    ps_spool spool = PS_SPOOL(&ps_disk_system);
    open_folder();
    for (unsigned i = 0; i < LINES; i++) {
        ck_ok(put_line(&spool, i));
        ck_assert_uint_lt(spool.pending.len, PS_SPOOL_MEMORY);
    }
    ck_assert_uint_gt(spool.written, 2000000);
    close_folder();
    assert_reads(&spool, LINES, 1 << 20);
    assert_sealed(&spool);
    assert_reads(&spool, LINES, 999983);
    ps_spool_free(&spool);
}
END_TEST

static ps_status fill(ps_spool *spool)
{
    ps_status st = PS_OK;
    for (unsigned i = 0; !st && i < 100000; i++)
        st = put_line(spool, i);
    return st;
}

START_TEST(a_full_disk_is_named)
{
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    ps_spool spool = PS_SPOOL(&disk);
    open_folder();
    faults.room = 1500000;
    ps_status st = fill(&spool);
    ck_assert_int_eq(st ? st : ps_spool_rewind(&spool), PS_NO_SPACE); /* at once, or at the end */
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "temporary file in /tmp/psd-test-"));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "no space left on device"));
    ps_spool_free(&spool);
    close_folder();
}
END_TEST

START_TEST(another_folder_is_taken_when_one_is_not_there)
{
    char missing[80];
    ps_spool spool = PS_SPOOL(&ps_disk_system);
    open_folder();
    (void)snprintf(missing, sizeof missing, "%s/missing", folder);
    ck_assert_int_eq(setenv("TMPDIR", missing, 1), 0);
    ck_assert_int_eq(setenv("STATE_DIRECTORY", folder, 1), 0);
    ck_ok(fill(&spool));
    ck_assert_str_eq(spool.folder, folder);
    assert_reads(&spool, 100000, 65536);
    ps_spool_free(&spool);
    close_folder();
}
END_TEST

/* By another folder, or it is told. */
START_TEST(whatever_fails_is_made_good_or_told)
{
    unsigned told = 0;
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    open_folder();
    for (unsigned long k = 1; k <= 12; k++) {
        ps_spool spool = PS_SPOOL(&disk);
        char first[5];
        size_t got = 0;
        fault_at(&faults.fails, k);
        ps_status st = fill(&spool);
        if (!st)
            st = ps_spool_rewind(&spool);
        if (!st)
            st = ps_spool_read(&spool, first, sizeof first, &got);
        if (st)
            told++;
        else
            ck_assert_mem_eq(first, "line ", 5);
        ck_assert(st == PS_OK || st == PS_IO);
        ps_spool_free(&spool);
    }
    ck_assert_uint_ge(told, 3); /* write, seek, read */
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0); /* one that could not be removed */
}
END_TEST

static const ps_check_case tests[] = {{&little_stays_in_memory},
                                      {&much_goes_to_a_file_without_a_name},
                                      {&a_full_disk_is_named},
                                      {&another_folder_is_taken_when_one_is_not_there},
                                      {&whatever_fails_is_made_good_or_told},
                                      {0}};

int main(void)
{
    return ps_check_main("worker/tasks/spool", tests);
}
