/* fifo: whether somebody is at the other end of a pipe that was opened by its name, without waiting
 * for ever. Any thread, not on loops (not asserted: nothing here knows of them). */
#ifndef PS_BASE_FIFO_H
#define PS_BASE_FIFO_H

#include "common/base/status.h"

enum { PS_FIFO_WAIT_MS = 3000 }; /* for somebody who is about to come */

/* fd: for reading, opened with O_NONBLOCK (which stays). PS_OK: there is a writer, or was one;
 * PS_INVALID_ARGUMENT: none has come. */
PS_MUST_CHECK ps_status ps_fifo_await_writer(int fd, const char *path);

#endif
