/* Happy path: data_dir/lock is opened, locked with flock(2), and says who has it. The file stays:
 * to remove it would let two daemons lock two files of one name. */
#include "server/data_lock.h"

#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static ps_status taken(int fd, const char *data_dir)
{
    char owner[32] = "";
    ssize_t n = read(fd, owner, sizeof owner - 1);
    owner[n > 0 ? n : 0] = 0;
    owner[strspn(owner, "0123456789")] = 0;
    return ps_fail(PS_FAILED_PRECONDITION, "data_dir %s: another psd works in it%s%s", data_dir,
                   *owner ? ", process " : "", owner);
}

static void say_owner(int fd)
{
    char owner[32];
    int n = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    /* only for the message above; a full disk is found out elsewhere */
    ssize_t written = ftruncate(fd, 0) == 0 ? write(fd, owner, (size_t)n) : 0;
    (void)written;
}

ps_status ps_data_lock_take(const char *data_dir, int *out)
{
    char *path = ps_asprintf("%s/lock", data_dir);
    ps_status st = PS_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        st = ps_fail_errno(errno, "open %s", path);
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        st = errno == EWOULDBLOCK ? taken(fd, data_dir) : ps_fail_errno(errno, "lock %s", path);
    ps_free(&path);
    if (st) {
        if (fd >= 0)
            (void)close(fd);
        return st;
    }
    say_owner(fd);
    *out = fd;
    return PS_OK;
}

bool ps_data_lock_is_taken(const char *data_dir)
{
    char *path = ps_asprintf("%s/lock", data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool taken = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0)
        (void)close(fd);
    ps_free(&path);
    return taken;
}

void ps_data_lock_release(int *lock)
{
    if (*lock >= 0)
        (void)close(*lock);
    *lock = -1;
}
