/* stored: a data folder of psd, and a catalog, on a disk that can be made to fail. What fails in
 * here itself fails the test. */
#ifndef PS_TEST_STORED_H
#define PS_TEST_STORED_H

#include "server/files/stored_file.h"
#include "tests/lib/fault_disk.h"

typedef struct test_stored {
    char dir[64];
    fault_disk fault;
    ps_disk disk;
    ps_clock_virtual time;
    ps_catalog *catalog; /* in memory */
    ps_stored_files files;
} test_stored;

/* With the folders models, artifacts and checkpoints. */
void test_stored_open(test_stored *t);
void test_stored_close(test_stored *t);

/* Files in dir/folder. */
size_t test_stored_count(const test_stored *t, const char *folder);
/* One of them whose name begins so, "" if there is none; the bytes behind the folder. */
const char *test_stored_find(const test_stored *t, const char *folder, const char *begins);
/* The whole file dir/path; free() *data. */
size_t test_stored_read(const test_stored *t, const char *path, char **data);
/* The rest of an open file, which is closed. */
size_t test_stored_drain(int file, char **data);
void test_stored_write(const test_stored *t, const char *path, const void *data, size_t len);

#endif
