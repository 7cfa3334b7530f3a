/* health: whether psd's loops come round; what /healthz answers, and whether systemd's watchdog is
 * fed.
 *
 * A loop that has been in one callback for PS_HEALTH_LIMIT_MS serves nobody, and will hardly do so
 * again. The log names it once, and says when it goes on. Any thread, the loops' own included.
 */
#ifndef PS_SERVER_HEALTH_H
#define PS_SERVER_HEALTH_H

#include "common/base/buf.h"
#include "common/loop/loop.h"

#include <stdatomic.h>

#define PS_HEALTH_LIMIT_MS 10000

typedef struct ps_health {
    uint64_t limit_ms;   /* at least a second */
    const ps_loop *main; /* NULL: not there (any more) */
    ps_loops *loops;     /* of connections; likewise */
    atomic_bool stands;  /* and the log knows */
} ps_health;

/* True: all loops that run come round, and out is as before. Otherwise appends a line for each that
 * does not. */
bool ps_health_check(ps_health *health, ps_buf *out);

#endif
