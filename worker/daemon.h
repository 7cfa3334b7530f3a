/* daemon: everything psworker consists of, put together and taken apart.
 *
 *     main thread: the loop: network, agent, signals        task threads: one a slot
 *
 * SIGTERM and SIGINT: running tasks end after the step at hand, their leases return with the
 * result, the stream is closed, run returns. SIGHUP: certificates and log level are read again.
 */
#ifndef PS_WORKER_DAEMON_H
#define PS_WORKER_DAEMON_H

#include "worker/conf/worker_options.h"

typedef struct ps_worker_daemon ps_worker_daemon;

typedef struct ps_worker_start {
    const ps_worker_options *options; /* must outlive the daemon */
    const char *version;
    int argc; /* for SIGHUP, which reads the options again */
    char **argv;
} ps_worker_start;

/* Reads the certificates and opens the device. */
PS_MUST_CHECK ps_status ps_worker_daemon_create(const ps_worker_start *start,
                                                ps_worker_daemon **out);
typedef enum ps_worker_end {
    PS_WORKER_STOPPED,   /* by a signal */
    PS_WORKER_LOST,      /* so is the device */
    PS_WORKER_SUPERSEDED /* a new daemon with these options would be welcome (agent.h) */
} ps_worker_end;

ps_worker_end ps_worker_daemon_run(ps_worker_daemon *daemon);
void ps_worker_daemon_free(ps_worker_daemon **daemon);

#endif
