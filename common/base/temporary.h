/* temporary: bytes for a while in a file without a name, below $TMPDIR or /tmp; it is gone when the
 * descriptor is closed, however the process ends. Calls block. Any thread. */
#ifndef PS_BASE_TEMPORARY_H
#define PS_BASE_TEMPORARY_H

#include "common/base/status.h"

/* For writing and reading; *fd is the caller's (close). */
PS_MUST_CHECK ps_status ps_temporary_open(int *fd);
/* All that is left to read of `from` goes to `to`; what: for messages. */
PS_MUST_CHECK ps_status ps_temporary_copy(int from, int to, const char *what);

#endif
