/* storage: a row between the catalog and the disk sees every byte, and what it fails with is what
 * the catalog says. */
#include "server/catalog/storage.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "server/catalog/catalog.h"
#include "server/catalog/jobs.h"
#include "tests/lib/check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bytes lie on the disk under a key that depends on their place, and the k-th operation fails. */
typedef struct masked {
    uint8_t key;
    unsigned files; /* open now */
    uint64_t read, written, synced;
    uint64_t operations, fail_at; /* 0: none */
    ps_status with;
} masked;

typedef struct masked_file {
    ps_catalog_file file;
    ps_catalog_file *plain;
    masked *row;
} masked_file;

static ps_status step(masked *row)
{
    row->operations++;
    return row->operations == row->fail_at ? ps_fail(row->with, "the row says no") : PS_OK;
}

static masked_file *of(ps_catalog_file *file)
{
    return ps_container(file, masked_file, file);
}

static uint8_t mask(const masked *row, uint64_t at)
{
    return (uint8_t)(row->key + at * 7 + (at >> 12));
}

static ps_status masked_read(ps_catalog_file *file, uint64_t at, void *out, size_t len, size_t *got)
{
    masked_file *f = of(file);
    ps_status st = step(f->row);
    if (!st)
        st = f->plain->ops->read(f->plain, at, out, len, got);
    for (size_t i = 0; !st && i < *got; i++)
        ((uint8_t *)out)[i] ^= mask(f->row, at + i);
    if (!st)
        f->row->read += *got;
    return st;
}

static ps_status masked_write(ps_catalog_file *file, uint64_t at, const void *bytes, size_t len)
{
    masked_file *f = of(file);
    uint8_t *other = ps_alloc(len);
    for (size_t i = 0; i < len; i++)
        other[i] = ((const uint8_t *)bytes)[i] ^ mask(f->row, at + i);
    ps_status st = step(f->row);
    if (!st)
        st = f->plain->ops->write(f->plain, at, other, len);
    if (!st)
        f->row->written += len;
    ps_free(&other);
    return st;
}

static ps_status masked_truncate(ps_catalog_file *file, uint64_t size)
{
    ps_status st = step(of(file)->row);
    return st ? st : of(file)->plain->ops->truncate(of(file)->plain, size);
}

static ps_status masked_sync(ps_catalog_file *file)
{
    ps_status st = step(of(file)->row);
    of(file)->row->synced++;
    return st ? st : of(file)->plain->ops->sync(of(file)->plain);
}

static ps_status masked_size(ps_catalog_file *file, uint64_t *out)
{
    ps_status st = step(of(file)->row);
    return st ? st : of(file)->plain->ops->size(of(file)->plain, out);
}

static void masked_close(ps_catalog_file *file)
{
    masked_file *f = of(file);
    f->row->files--;
    ps_free(&f);
}

static const ps_catalog_file_ops ops = {.read = masked_read,
                                        .write = masked_write,
                                        .truncate = masked_truncate,
                                        .sync = masked_sync,
                                        .size = masked_size,
                                        .close = masked_close};

static ps_status masked_open(void *state, const char *path, ps_catalog_file *plain,
                             ps_catalog_file **out)
{
    masked *row = state;
    ps_status st = step(row);
    if (st)
        return st;
    masked_file *f = ps_new(masked_file);
    *f = (masked_file){.file = {&ops}, .plain = plain, .row = row};
    row->files++;
    *out = &f->file;
    return PS_OK;
}

static char folder[32], path[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/psd-storage-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/psd.db", folder);
}

/* Calls each with every file of the folder. */
static void each_file(void (*each)(const char *name))
{
    DIR *dir = opendir(folder);
    char name[320];
    for (struct dirent *e; (e = readdir(dir));) {
        (void)snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            each(name);
    }
    closedir(dir);
}

static void remove_file(const char *name)
{
    ck_assert_int_eq(unlink(name), 0);
}

static void remove_folder(void)
{
    each_file(remove_file);
    ck_assert_int_eq(rmdir(folder), 0);
}

#define SECRET "a-name-that-is-nobody-elses"

static void holds_no_secret(const char *name)
{
    static char bytes[1 << 20];
    FILE *f = fopen(name, "r");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    ck_assert_ptr_null(memmem(bytes, n, SECRET, strlen(SECRET)));
    ck_assert_ptr_null(memmem(bytes, n, "SQLite format", 13));
}

static ps_status open_masked(masked *row, ps_catalog **out)
{
    const ps_catalog_storage storage = {.open = masked_open, .state = row};
    *out = NULL;
    return ps_catalog_open_in(&storage, path, out);
}

static ps_status add_job(ps_catalog *catalog, const char *name, uint64_t *id)
{
    char text[64], none[] = "", kind[] = "train";
    (void)snprintf(text, sizeof text, "%s", name);
    const ps_job_record r = {.name = text,
                             .kind = kind,
                             .state = PS_JOB_QUEUED,
                             .reason = none,
                             .submitter = none,
                             .spec = none,
                             .result = none};
    return ps_catalog_job_add(catalog, &r, id);
}

START_TEST(a_catalog_lies_on_the_disk_as_its_row_writes_it)
{
    masked row = {.key = 0x5a};
    ps_catalog *catalog;
    uint64_t id = 0;
    make_folder();
    ck_ok(open_masked(&row, &catalog));
    ck_ok(add_job(catalog, SECRET, &id));
    ck_assert_uint_gt(row.synced, 0);
    each_file(holds_no_secret); /* the log ahead of the tables has it now, */
    ps_catalog_close(&catalog);
    each_file(holds_no_secret); /* and now they */
    ck_assert_uint_eq(row.files, 0);

    uint64_t read = row.read;
    ps_job_record *r = NULL;
    ck_ok(open_masked(&row, &catalog));
    ck_ok(ps_catalog_job_get(catalog, id, &r));
    ck_assert_str_eq(r->name, SECRET);
    ck_assert_uint_gt(row.read, read);
    ps_job_record_free(&r);
    ps_catalog_close(&catalog);

    row.key = 0x5b; /* another key, or none: not a catalog, and left as it was */
    ck_assert_int_eq(open_masked(&row, &catalog), PS_CORRUPT);
    ck_assert_int_eq(ps_catalog_open(path, &catalog), PS_CORRUPT);
    row.key = 0x5a;
    ck_ok(open_masked(&row, &catalog));
    ps_catalog_close(&catalog);
    remove_folder();
}
END_TEST

static const ps_status failures[] = {PS_NO_SPACE, PS_CORRUPT, PS_PERMISSION_DENIED};

/* Wherever it is: what was answered is there afterwards, and the words are the row's. */
START_TEST(what_a_row_fails_with_is_what_the_catalog_says)
{
    make_folder();
    masked whole = {.key = 1};
    ps_catalog *catalog;
    ck_ok(open_masked(&whole, &catalog));
    ps_catalog_close(&catalog);
    unsigned failed = 0;
    for (uint64_t k = 1, done = 0; !done; k++) {
        masked row = {.key = 1, .fail_at = k, .with = failures[_i]};
        uint64_t id = 0;
        ps_status st = open_masked(&row, &catalog);
        if (!st)
            st = add_job(catalog, "a", &id);
        if (st) {
            ck_assert_msg(st == failures[_i], "%s", ps_error_message());
            ck_assert_msg(strstr(ps_error_message(), "psd.db: the row says no") != NULL, "%s",
                          ps_error_message());
            failed++;
        }
        ps_catalog_close(&catalog);
        ck_assert_uint_eq(row.files, 0);
        done = row.operations < k;
        ps_job_record *r = NULL;
        ck_ok(open_masked(&whole, &catalog));
        if (!st)
            ck_ok(ps_catalog_job_get(catalog, id, &r));
        ps_job_record_free(&r);
        ps_catalog_close(&catalog);
    }
    ck_assert_uint_ge(failed, 10);
    remove_folder();
}
END_TEST

static const ps_check_case tests[] = {
    {&a_catalog_lies_on_the_disk_as_its_row_writes_it},
    {&what_a_row_fails_with_is_what_the_catalog_says, 20, sizeof failures / sizeof *failures},
    {0},
};

int main(void)
{
    return ps_check_main("server/catalog/storage", tests);
}
