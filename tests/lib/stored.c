#include "tests/lib/stored.h"
#include "tests/lib/ck_ok.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void at(const test_stored *t, const char *path, char out[512])
{
    (void)snprintf(out, 512, "%s/%s", t->dir, path);
}

void test_stored_open(test_stored *t)
{
    static const char *const folders[] = {"models", "artifacts", "checkpoints"};
    char path[512];
    *t = (test_stored){.dir = "/tmp/psd-test-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(t->dir));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        at(t, folders[i], path);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    ck_ok(ps_catalog_open(":memory:", &t->catalog));
    t->disk = fault_disk_table(&t->fault);
    t->files = (ps_stored_files){.disk = &t->disk,
                                 .data_dir = t->dir,
                                 .catalog = t->catalog,
                                 .clock = ps_clock_virtual_table(&t->time)};
}

void test_stored_close(test_stored *t)
{
    char command[128];
    ps_catalog_close(&t->catalog);
    (void)snprintf(command, sizeof command, "rm -rf %s", t->dir);
    ck_assert_int_eq(system(command), 0);
}

static size_t look(const test_stored *t, const char *folder, const char *begins, char found[256])
{
    char path[512];
    size_t n = 0;
    at(t, folder, path);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n++;
        if (strncmp(e->d_name, begins, strlen(begins)) == 0)
            (void)snprintf(found, 256, "%s", e->d_name);
    }
    closedir(dir);
    return n;
}

size_t test_stored_count(const test_stored *t, const char *folder)
{
    char found[256];
    return look(t, folder, "", found);
}

const char *test_stored_find(const test_stored *t, const char *folder, const char *begins)
{
    static char found[256];
    found[0] = 0;
    (void)look(t, folder, begins, found);
    return found;
}

size_t test_stored_drain(int file, char **data)
{
    size_t len = 0;
    *data = NULL;
    for (ssize_t n = 1; n > 0; len += (size_t)n) {
        *data = realloc(*data, len + 4097);
        n = read(file, *data + len, 4096);
        ck_assert_int_ge(n, 0);
    }
    (*data)[len] = 0;
    close(file);
    return len;
}

size_t test_stored_read(const test_stored *t, const char *path, char **data)
{
    char full[512];
    int file;
    at(t, path, full);
    ck_ok(ps_disk_system.open(NULL, full, PS_DISK_READ, &file));
    return test_stored_drain(file, data);
}

void test_stored_write(const test_stored *t, const char *path, const void *data, size_t len)
{
    char full[512];
    at(t, path, full);
    FILE *file = fopen(full, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}
