/* reload: several things that are read again when a daemon is asked to, each by itself: one that
 * cannot be read keeps what was there and holds up none of the others. Any thread. */
#ifndef PS_BASE_RELOAD_H
#define PS_BASE_RELOAD_H

#include "common/base/status.h"

#include <stddef.h>

typedef struct ps_reload_part {
    const char *what; /* "certificates" */
    PS_MUST_CHECK ps_status (*run)(void *user);
} ps_reload_part;

/* Runs all of them, and says in the log under `tag` what each came to. The status is the first
 * failure's, with a message that names every part. */
PS_MUST_CHECK ps_status ps_reload_all(const ps_reload_part *parts, size_t n, const char *tag,
                                      void *user);

#endif
