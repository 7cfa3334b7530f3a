/* Happy path: one row of the table gives 32 bytes. Less, more, or a file that others may read are
 * refused: a key that is half a key, or everybody's, protects nothing. */
#include "common/seal/key_source.h"

#include "common/base/clock.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM = PS_SECRET_BYTES + 1 };

extern char **environ;

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

/* Until the end, or the room is full. */
static ps_status read_all(int fd, uint8_t *bytes, size_t *n)
{
    for (*n = 0; *n < ROOM;) {
        ssize_t got = read(fd, bytes + *n, ROOM - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ps_fail_errno(errno, "read");
        if (!got)
            break;
        *n += (size_t)got;
    }
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
        return ps_fail_errno(errno, "open");
    uint8_t *bytes = ps_secret_alloc(ROOM);
    size_t n = 0;
    ps_status st = check_file(fd);
    st = st ? st : read_all(fd, bytes, &n);
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

static ps_status start(const char *path, pid_t *pid, int *out)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ps_fail_errno(errno, "pipe");
    posix_spawn_file_actions_t files;
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    char *arguments[] = {(char *)(uintptr_t)path, NULL};
    int error = posix_spawn(pid, path, &files, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)close(ends[1]);
    if (error) {
        (void)close(ends[0]);
        return ps_fail_errno(error, "it cannot be started");
    }
    *out = ends[0];
    return PS_OK;
}

static ps_status too_long(void)
{
    return ps_fail(PS_DEADLINE_EXCEEDED, "it took too long");
}

/* What it prints until it ends its output; the rest of the time it may take. */
static ps_status listen_to(int out, uint64_t until, uint8_t *bytes, size_t *n)
{
    for (*n = 0; *n < ROOM;) {
        uint64_t now = ps_clock_ms(&ps_clock_system);
        struct pollfd wait = {.fd = out, .events = POLLIN};
        int ready = now < until ? poll(&wait, 1, (int)(until - now)) : 0;
        if (!ready)
            return too_long();
        ssize_t got = ready < 0 ? -1 : read(out, bytes + *n, ROOM - *n);
        if (got < 0 && errno != EINTR)
            return ps_fail_errno(errno, "read");
        if (!got)
            break;
        *n += got > 0 ? (size_t)got : 0;
    }
    return PS_OK;
}

/* Its end, which is made where it does not come by itself. */
static ps_status wait_for(pid_t pid, uint64_t until)
{
    enum { LOOK_MS = 10 };
    int how;
    pid_t ended;
    while ((ended = waitpid(pid, &how, WNOHANG)) == 0 && ps_clock_ms(&ps_clock_system) < until)
        (void)poll(NULL, 0, LOOK_MS);
    if (ended == pid)
        return WIFEXITED(how) && WEXITSTATUS(how) == 0
                   ? PS_OK
                   : ps_fail(PS_FAILED_PRECONDITION, "it failed (%s %d)",
                             WIFEXITED(how) ? "exit status" : "signal",
                             WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &how, 0);
    return too_long();
}

static ps_status from_program(const char *path, unsigned patience_ms, ps_secret **key)
{
    pid_t pid;
    int out = -1;
    const uint64_t until = ps_clock_ms(&ps_clock_system) + patience_ms;
    ps_status st = start(path, &pid, &out);
    if (st)
        return st;
    uint8_t *bytes = ps_secret_alloc(ROOM);
    size_t n = 0;
    ps_error error;
    ps_error_save(&error, listen_to(out, until, bytes, &n));
    (void)close(out);
    st = wait_for(pid, error.code || n == ROOM ? 0 : until);
    if (error.code) /* the first is the cause */
        st = ps_error_raise(&error);
    else if (n == ROOM)
        st = check_length(n);
    st = st ? st : keep(bytes, n, key);
    ps_secret_release(bytes);
    return st;
}

/* ---- the table ---- */

static const struct {
    const char *prefix;
    ps_status (*read)(const char *where, unsigned patience_ms, ps_secret **key);
} rows[] = {{"file:", from_file}, {"credential:", from_credential}, {"exec:", from_program}};
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
    st = rows[i].read(source + strlen(rows[i].prefix), patience_ms, key);
    return st ? ps_wrap(st, "%s", source) : PS_OK;
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
