/* daemon: psd put together: state on disk, scheduler, services, listeners, signals.
 *
 * ps_daemon_create opens everything and binds both listeners, so that what can fail at start fails
 * before psd says that it is ready. ps_daemon_run serves until SIGTERM or SIGINT, then drains:
 * no new work, GOAWAY, close, checkpoints. SIGHUP reloads certificates and the log level.
 */
#ifndef PS_SERVER_DAEMON_H
#define PS_SERVER_DAEMON_H

#include "common/base/status.h"
#include "server/options.h"

typedef struct ps_daemon ps_daemon;

/* options and version must outlive the daemon. */
PS_MUST_CHECK ps_status ps_daemon_create(const ps_server_options *options, const char *version,
                                         ps_daemon **out);
PS_MUST_CHECK ps_status ps_daemon_run(ps_daemon *daemon);
void ps_daemon_free(ps_daemon **daemon);

#endif
