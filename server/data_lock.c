/* Happy path: data_dir/lock is opened, locked with flock(2), and says who has it. The file stays:
 * to remove it would let two daemons lock two files of one name. */
#include "server/data_lock.h"

#include "common/base/file_lock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static ps_status taken(const char *path, const char *data_dir)
{
    char owner[32] = "";
    long process = ps_file_lock_process(path);
    if (process)
        (void)snprintf(owner, sizeof owner, ", process %ld", process);
    return ps_fail(PS_FAILED_PRECONDITION, "data_dir %s: another psd works in it%s", data_dir,
                   owner);
}

ps_status ps_data_lock_take(const char *data_dir, int *out)
{
    char *path = ps_asprintf("%s/lock", data_dir);
    ps_status st = ps_file_lock_open(path, O_RDWR | O_NOFOLLOW, 0600, 0, out);
    if (st == PS_UNAVAILABLE)
        st = taken(path, data_dir);
    else if (st)
        st = ps_wrap(st, "%s", path);
    else
        ps_file_lock_say(*out);
    ps_free(&path);
    return st;
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
