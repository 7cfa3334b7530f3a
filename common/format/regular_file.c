/* Happy path: open, without waiting for whoever is at the other end of a pipe, and look what it is;
 * pread until all is there. */
#include "common/format/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

ps_status ps_regular_open(const char *path, int *out, uint64_t *size)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return ps_fail_errno(errno, "%s", path);
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        (void)close(fd);
        return ps_fail(PS_INVALID_ARGUMENT, "%s: not a regular file", path);
    }
    *out = fd;
    *size = (uint64_t)about.st_size;
    return PS_OK;
}

ps_status ps_regular_read(int fd, const char *path, uint64_t at, void *out, size_t len)
{
    uint8_t *to = out;
    while (len) {
        ssize_t n = pread(fd, to, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ps_fail_errno(errno, "%s", path);
        if (n == 0)
            return ps_fail(PS_CORRUPT,
                           "%s: was cut short while it was read, byte %" PRIu64
                           " is gone; try again when it is whole",
                           path, at);
        to += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return PS_OK;
}
