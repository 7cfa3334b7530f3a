/* disk: files behind a table, so that a test can fail the k-th operation, fill the disk or lose
 * power. Rows: ps_disk_system; the tests' own. Calls block: off the loop (not asserted: nothing
 * here knows of loops). Any thread, as long as a file is used by one at a time.
 *
 * Failures: PS_NOT_FOUND, PS_ALREADY_EXISTS, PS_NO_ACCESS, PS_NO_SPACE or PS_IO, the path
 * in the message. After a failed fsync the file's contents are unknown (the kernel may have dropped
 * the dirty pages and marked them clean): never retry on the same file, write another one.
 */
#ifndef PS_BASE_DISK_H
#define PS_BASE_DISK_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef enum ps_disk_mode {
    PS_DISK_READ,        /* of ps_disk_system a pipe with a name is PS_INVALID_ARGUMENT */
    PS_DISK_CREATE,      /* for writing; PS_ALREADY_EXISTS when it is there; mode 0600 */
    PS_DISK_CREATE_OPEN, /* the same with mode 0666, less the umask */
} ps_disk_mode;

#define PS_DISK_SAME UINT32_MAX /* stays who it is */
typedef struct ps_disk_owner {
    unsigned mode; /* permission bits */
    uint32_t user, group;
} ps_disk_owner;

typedef struct ps_disk {
    PS_MUST_CHECK ps_status (*open)(void *state, const char *path, ps_disk_mode mode, int *file);
    /* As PS_DISK_CREATE, of a file that will be renamed to `to`. NULL: a row that does not care, as
     * one does that seals what it is given for that name (ps_disk_create_for). */
    PS_MUST_CHECK ps_status (*create_for)(void *state, const char *path, const char *to, int *file);
    /* Never fails: what must be on disk is fsynced before. */
    void (*close)(void *state, int file);
    /* May write less than len (at least 1 byte); use ps_disk_write_all. */
    PS_MUST_CHECK ps_status (*write)(void *state, int file, const void *data, size_t len,
                                     size_t *written);
    /* From where the last read ended; *got 0 is the end of the file. */
    PS_MUST_CHECK ps_status (*read)(void *state, int file, void *data, size_t len, size_t *got);
    /* The next read or write begins there; a read past the end finds none. */
    PS_MUST_CHECK ps_status (*seek)(void *state, int file, uint64_t at);
    PS_MUST_CHECK ps_status (*size)(void *state, int file, uint64_t *out);
    PS_MUST_CHECK ps_status (*fsync)(void *state, int file);
    /* A group that cannot be given leaves the file's with no more rights than others have. */
    PS_MUST_CHECK ps_status (*own)(void *state, int file, const ps_disk_owner *owner);
    PS_MUST_CHECK ps_status (*rename)(void *state, const char *from, const char *to);
    /* The same for a name that is free: otherwise PS_ALREADY_EXISTS, and nothing changes. */
    PS_MUST_CHECK ps_status (*rename_new)(void *state, const char *from, const char *to);
    PS_MUST_CHECK ps_status (*unlink)(void *state, const char *path);
    PS_MUST_CHECK ps_status (*mkdir)(void *state, const char *path); /* PS_ALREADY_EXISTS; 0700 */
    /* Of an empty folder; PS_FAILED_PRECONDITION: it is not. */
    PS_MUST_CHECK ps_status (*rmdir)(void *state, const char *path);
    /* Calls `each` with every name in the folder except . and .., in no order. */
    PS_MUST_CHECK ps_status (*list)(void *state, const char *path,
                                    void (*each)(void *user, const char *name), void *user);
    /* The names in it are on disk. A folder that knows no fsync, or may not be read, is no failure:
     * then the file system does what it does. */
    PS_MUST_CHECK ps_status (*sync_folder)(void *state, const char *path);
    PS_MUST_CHECK ps_status (*free_space)(void *state, const char *path, uint64_t *bytes);
    void *state;
} ps_disk;

extern const ps_disk ps_disk_system;

PS_MUST_CHECK ps_status ps_disk_create_for(const ps_disk *disk, const char *path, const char *to,
                                           int *file);
/* Goes on after short writes. */
PS_MUST_CHECK ps_status ps_disk_write_all(const ps_disk *disk, int file, const void *data,
                                          size_t len);
/* Exactly len bytes; PS_CORRUPT when the file ends before. */
PS_MUST_CHECK ps_status ps_disk_read_full(const ps_disk *disk, int file, void *data, size_t len);
/* To the file's end, or until there is no more room: *got bytes. */
PS_MUST_CHECK ps_status ps_disk_read_most(const ps_disk *disk, int file, void *data, size_t room,
                                          size_t *got);
/* Like mkdir, but one that is there already is fine. */
PS_MUST_CHECK ps_status ps_disk_mkdir_if_missing(const ps_disk *disk, const char *path);
char *ps_disk_folder_of(const char *path); /* "." for a name alone; the caller's */
/* Calls visit with PATH/NAME of every name in the folder, in no order, until it fails; all are
 * listed before the first call, so it may change the folder. */
typedef ps_status (*ps_disk_visit)(void *user, const char *path);
PS_MUST_CHECK ps_status ps_disk_each(const ps_disk *disk, const char *path, ps_disk_visit visit,
                                     void *user);
/* Gives bytes of the file, from where it stands, to `put` in pieces of a mebibyte at most, until it
 * fails; what it held of them is wiped. bytes: so many, PS_CORRUPT when the file ends before;
 * UINT64_MAX: all that follow. */
typedef ps_status (*ps_disk_put)(void *to, const void *bytes, size_t len);
PS_MUST_CHECK ps_status ps_disk_pour(const ps_disk *disk, int file, uint64_t bytes, ps_disk_put put,
                                     void *to);
/* For `put`: all of it to the end of a file; to is a ps_disk_end. */
typedef struct ps_disk_end {
    const ps_disk *disk;
    int file;
} ps_disk_end;
ps_status ps_disk_put_end(void *to, const void *bytes, size_t len);
/* Appends the whole file to out; PS_RESOURCE_EXHAUSTED beyond limit bytes. */
PS_MUST_CHECK ps_status ps_disk_read_file(const ps_disk *disk, const char *path, size_t limit,
                                          ps_buf *out);

#endif
