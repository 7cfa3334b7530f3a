#include "common/base/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_MS = 10 };

/* Has the file that was locked still its name? Another one may have taken it meanwhile. */
static bool is_named(int fd, const char *path)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

static ps_status lock(int fd, unsigned most_ms, unsigned *waited)
{
    for (; flock(fd, LOCK_EX | LOCK_NB) != 0; *waited += STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ps_fail_errno(errno, "lock");
        if (*waited >= most_ms)
            return ps_fail(PS_UNAVAILABLE, "somebody has it");
        (void)usleep(STEP_MS * 1000);
    }
    return PS_OK;
}

static bool is_file(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

ps_status ps_file_lock_open(const char *path, int flags, mode_t mode, unsigned most_ms, int *out)
{
    unsigned waited = 0;
    for (;;) {
        int fd = open(path, flags | O_CREAT | O_CLOEXEC, mode);
        if (fd < 0)
            return ps_fail_errno(errno, "open");
        ps_status st = is_file(fd) ? lock(fd, most_ms, &waited)
                                   : ps_fail(PS_INVALID_ARGUMENT, "it is no file");
        if (!st && is_named(fd, path)) {
            *out = fd;
            return PS_OK;
        }
        (void)close(fd);
        if (st)
            return st;
    }
}

void ps_file_lock_remove(const char *path, int fd)
{
    if (is_named(fd, path))
        (void)unlink(path);
    (void)close(fd);
}

/* Only for words: a full disk is found out elsewhere. */
void ps_file_lock_say(int fd)
{
    char process[32];
    int n = snprintf(process, sizeof process, "%ld\n", (long)getpid());
    ssize_t written = ftruncate(fd, 0) == 0 ? write(fd, process, (size_t)n) : 0;
    (void)written;
}

long ps_file_lock_process(const char *path)
{
    char process[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? 0 : read(fd, process, sizeof process - 1);
    process[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        (void)close(fd);
    long number = strtol(process, NULL, 10);
    return number > 0 ? number : 0;
}
