/* Happy path: one row of the table gives 32 bytes. Less, more, or a file that others may read are
 * refused: a key that is half a key, or everybody's, protects nothing. */
#include "common/seal/key_source.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = PS_SECRET_BYTES + 1 };

/* ---- exactly so many bytes ---- */

static ps_status check_length(size_t n)
{
    if (n == PS_SECRET_BYTES)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "a key has %d bytes, this has %s%zu%s", PS_SECRET_BYTES,
                   n > PS_SECRET_BYTES ? "more, " : "", n,
                   n > PS_SECRET_BYTES ? " at least: are they hexadecimal, or with a newline?"
                                       : "");
}

static ps_status keep(const uint8_t *bytes, size_t n, ps_secret **key)
{
    ps_status st = check_length(n);
    if (st)
        return st;
    *key = ps_secret_new();
    memcpy(ps_secret_bytes(*key), bytes, PS_SECRET_BYTES);
    return PS_OK;
}

/* ---- a file ---- */

static ps_status check_file(int fd)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return ps_fail_errno(errno, "stat");
    if (!S_ISREG(about.st_mode))
        return ps_fail(PS_INVALID_ARGUMENT, "not a file");
    if (about.st_mode & 077)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "others may read it (mode %03o): chmod 600, and make a new key if they did",
                       (unsigned)(about.st_mode & 0777));
    return PS_OK;
}

static ps_status from_file(const char *path, unsigned patience_ms, ps_secret **key)
{
    (void)patience_ms;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return ps_landlock_explain(ps_fail_errno(errno, "open"), path);
    uint8_t *bytes = ps_secret_alloc(ROOM);
    size_t n = 0;
    ps_status st = check_file(fd);
    st = st ? st : ps_disk_read_most(&ps_disk_system, fd, bytes, ROOM, &n);
    st = st ? st : keep(bytes, n, key);
    ps_secret_release(bytes);
    (void)close(fd);
    return st;
}

/* ---- a credential ---- */

static ps_status from_credential(const char *name, unsigned patience_ms, ps_secret **key)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder)
        return ps_fail(PS_FAILED_PRECONDITION, "systemd gave no credentials: is "
                                               "LoadCredentialEncrypted= in the unit?");
    if (strchr(name, '/'))
        return ps_fail(PS_INVALID_ARGUMENT, "a credential's name has no slash");
    char *path = ps_asprintf("%s/%s", folder, name);
    ps_status st = from_file(path, patience_ms, key);
    ps_free(&path);
    return st;
}

/* ---- a program ---- */

static ps_status from_program(const char *path, unsigned patience_ms, ps_secret **key)
{
    const char *const arguments[] = {path, NULL};
    const ps_program program = {.arguments = arguments, .patience_ms = patience_ms};
    uint8_t *bytes = ps_secret_alloc(ROOM);
    size_t n = 0;
    ps_status st = ps_program_run(&program, bytes, ROOM, &n);
    st = st ? st : keep(bytes, n, key);
    ps_secret_release(bytes);
    return st;
}

/* ---- what is to stay open for it ---- */

static void allow_file(const char *path, ps_landlock *landlock)
{
    ps_landlock_allow_beside(landlock, PS_LANDLOCK_READ, path);
}

static void allow_credentials(const char *name, ps_landlock *landlock)
{
    (void)name;
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder)
        ps_landlock_allow(landlock, PS_LANDLOCK_READ, folder);
}

static void allow_program(const char *path, ps_landlock *landlock)
{
    ps_landlock_allow_program(landlock, path);
}

/* ---- the table ---- */

static const struct {
    const char *prefix;
    ps_status (*read)(const char *where, unsigned patience_ms, ps_secret **key);
    void (*allow)(const char *where, ps_landlock *landlock);
} rows[] = {{"file:", from_file, allow_file},
            {"credential:", from_credential, allow_credentials},
            {"exec:", from_program, allow_program}};
enum { ROWS = sizeof rows / sizeof *rows };

static size_t row_of(const char *source)
{
    size_t i = 0;
    while (i < ROWS && (strncmp(source, rows[i].prefix, strlen(rows[i].prefix)) != 0 ||
                        !source[strlen(rows[i].prefix)]))
        i++;
    return i;
}

ps_status ps_key_source_check(const char *source)
{
    if (row_of(source) < ROWS)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%s: a key is named as file:PATH, credential:NAME or exec:PROGRAM", source);
}

ps_status ps_key_source_read(const char *source, unsigned patience_ms, ps_secret **key)
{
    ps_status st = ps_key_source_check(source);
    if (st)
        return st;
    size_t i = row_of(source);
    const char *where = source + strlen(rows[i].prefix);
    st = rows[i].read(where, patience_ms, key);
    return st ? ps_wrap(st, "%s", source) : PS_OK;
}

void ps_key_source_allow(const char *source, ps_landlock *landlock)
{
    size_t i = row_of(source);
    if (i < ROWS)
        rows[i].allow(source + strlen(rows[i].prefix), landlock);
}

ps_status ps_key_source_create(const char *path, ps_secret **key)
{
    ps_secret *made = ps_secret_random();
    ps_status st = ps_new_file_save(path, ps_slice_of(ps_secret_const(made), PS_SECRET_BYTES),
                                    &(ps_new_file_options){.secret = true, .mode = 0600});
    if (st)
        ps_secret_free(&made);
    else
        *key = made;
    return st;
}
