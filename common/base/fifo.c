/* Happy path: there is something to read, or a writer has been and gone, which poll says. It says
 * nothing of a writer that writes nothing yet; tee, which takes nothing, does: without a writer it
 * is at the end, with one it would have to wait. */
#include "common/base/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum { LOOK_MS = 20 };

static bool has_writer(int fd, int scratch)
{
    return tee(fd, scratch, 1, SPLICE_F_NONBLOCK) < 0 && errno == EAGAIN;
}

ps_status ps_fifo_await_writer(int fd, const char *path)
{
    int scratch[2];
    bool there = false;
    if (pipe2(scratch, O_CLOEXEC | O_NONBLOCK) != 0)
        return ps_fail_errno(errno, "%s", path);
    for (int ms = 0; ms < PS_FIFO_WAIT_MS && !there; ms += LOOK_MS) {
        int events = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, LOOK_MS);
        there = events != 0 || has_writer(fd, scratch[1]); /* < 0: a signal, which the read hears */
    }
    (void)close(scratch[0]);
    (void)close(scratch[1]);
    return there ? PS_OK : ps_fail(PS_INVALID_ARGUMENT, "%s: a pipe that nobody writes", path);
}
