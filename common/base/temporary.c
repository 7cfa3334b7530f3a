/* Happy path: O_TMPFILE; where a file system has none, a file whose name is removed at once. It
 * fails as the system calls do. */
#include "common/base/temporary.h"

#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEP = 256 * 1024 };

static int open_named(const char *folder)
{
    char *name = ps_asprintf("%s/psd.XXXXXX", folder);
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(name);
    ps_free(&name);
    return fd;
}

ps_status ps_temporary_open(int *fd)
{
    const char *given = getenv("TMPDIR");
    const char *folder = given && *given ? given : "/tmp";
    *fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd < 0)
        *fd = open_named(folder);
    return *fd < 0 ? ps_fail_errno(errno, "a temporary file in %s (TMPDIR names another folder)",
                                   folder)
                   : PS_OK;
}

static ps_status write_all(int fd, const char *data, size_t len, const char *what)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return ps_fail_errno(errno, "%s", what);
        data += n < 0 ? 0 : n;
        len -= n < 0 ? 0 : (size_t)n;
    }
    return PS_OK;
}

ps_status ps_temporary_copy(int from, int to, const char *what)
{
    char *step = ps_alloc(STEP);
    ps_status st = PS_OK;
    ssize_t n = 1;
    while (!st && n != 0) {
        n = read(from, step, STEP);
        if (n > 0)
            st = write_all(to, step, (size_t)n, what);
        else if (n < 0 && errno != EINTR)
            st = ps_fail_errno(errno, "%s", what);
    }
    ps_free(&step);
    return st;
}
