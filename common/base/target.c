/* Happy path: link by link to the file's own name; and stat of the name that was given, so that the
 * kernel says whether these links may be followed at all (in a folder like /tmp it refuses those of
 * others). */
#include "common/base/target.h"

#include "common/base/fifo.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINKS_MOST = 40, /* as the kernel's */ LOOK_MS = 20 };

int ps_target_descriptor(const char *path)
{
    static const struct {
        const char *name;
        int fd;
    } names[] = {{"-", STDOUT_FILENO},
                 {"/dev/stdin", STDIN_FILENO},
                 {"/dev/stdout", STDOUT_FILENO},
                 {"/dev/stderr", STDERR_FILENO}};
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(path, names[i].name))
            return names[i].fd;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        size_t len = strlen(folders[i]);
        char *end = NULL;
        if (strncmp(path, folders[i], len) != 0 || path[len] < '0' || path[len] > '9')
            continue;
        long fd = strtol(path + len, &end, 10);
        if (!*end && fd <= INT_MAX)
            return (int)fd;
    }
    return -1;
}

static ps_status share_descriptor(int fd, const char *given, int *out)
{
    *out = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return *out < 0 ? ps_fail_errno(errno, "%s", !strcmp(given, "-") ? "standard output" : given)
                    : PS_OK;
}

/* A pipe without a reader would hold us in open() where no signal is heard: somebody who is about
 * to read it is waited for, not for ever. */
static ps_status open_special(const char *path, int *out)
{
    int fd = -1;
    for (int ms = 0; ms < PS_FIFO_WAIT_MS; ms += LOOK_MS) {
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd >= 0 || errno != ENXIO)
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
    if (fd < 0 && errno == ENXIO)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: a pipe or device that nobody reads", path);
    if (fd < 0)
        return ps_fail_errno(errno, "%s", path);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    *out = fd;
    return PS_OK;
}

static char *next_link(const char *path, const char *to)
{
    const char *slash = strrchr(path, '/');
    return *to == '/' || !slash ? ps_strdup(to)
                                : ps_asprintf("%.*s/%s", (int)(slash - path), path, to);
}

ps_status ps_target_follow(const char *given, char **out)
{
    char to[PATH_MAX], *path = ps_strdup(given);
    for (int i = 0; i < LINKS_MOST; i++) {
        ssize_t n = ps_target_descriptor(path) < 0 ? readlink(path, to, sizeof to - 1) : -1;
        if (n < 0) {
            *out = path;
            return PS_OK;
        }
        to[n] = '\0';
        char *next = next_link(path, to);
        ps_free(&path);
        path = next;
    }
    ps_free(&path);
    return ps_fail(PS_INVALID_ARGUMENT, "%s: too many links", given);
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a folder" : S_ISBLK(mode) ? "a disk" : "not a file to write to";
}

/* The file that the links lead to, by its own name, so that a new one can be made beside it. */
static ps_status look_at_file(const char *given, const struct stat *about, ps_target *out)
{
    struct stat last;
    if (lstat(out->path, &last) != 0 || last.st_ino != about->st_ino ||
        last.st_dev != about->st_dev)
        return ps_fail(PS_INVALID_ARGUMENT, "%s leads to a file that has no name", given);
    out->there = true;
    out->owner = (ps_disk_owner){
        .mode = about->st_mode & 0777, .user = about->st_uid, .group = about->st_gid};
    return PS_OK;
}

static ps_status look(const char *given, ps_target *out)
{
    struct stat about;
    int fd = ps_target_descriptor(out->path);
    if (fd >= 0)
        return share_descriptor(fd, given, &out->stream);
    if (stat(given, &about) != 0)
        return errno == ENOENT ? PS_OK : ps_fail_errno(errno, "%s", given);
    if (S_ISREG(about.st_mode))
        return look_at_file(given, &about, out);
    if (S_ISCHR(about.st_mode) || S_ISFIFO(about.st_mode))
        return open_special(given, &out->stream);
    return ps_fail(PS_INVALID_ARGUMENT, "%s is %s", given, kind_of(about.st_mode));
}

ps_status ps_target_find(const char *given, ps_target *out)
{
    *out = (ps_target){.stream = -1};
    if (!*given)
        return ps_fail(PS_INVALID_ARGUMENT, "the name of a file to write is empty");
    ps_status st = ps_target_follow(given, &out->path);
    if (!st)
        st = look(given, out);
    if (st)
        ps_target_clear(out);
    return st;
}

void ps_target_clear(ps_target *target)
{
    if (target->stream >= 0)
        (void)close(target->stream);
    target->stream = -1;
    ps_free(&target->path);
}

bool ps_target_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}
