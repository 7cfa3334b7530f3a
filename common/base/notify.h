/* notify: what a daemon tells systemd, by sd_notify(3).
 *
 * Without libsystemd at build time, or when nobody asked (NOTIFY_SOCKET is not set), every call is
 * nothing. Notifications are hints: a failure to send one is logged at debug and otherwise ignored,
 * and one that the manager has no room for is dropped.
 * Any thread.
 */
#ifndef PS_BASE_NOTIFY_H
#define PS_BASE_NOTIFY_H

#include "common/base/status.h"

#include <stdint.h>

/* Was sd_notify built in? For --version and for tests. */
bool ps_notify_built(void);

void ps_notify_ready(const char *status); /* started, or reloaded; status as below, or NULL */
void ps_notify_reloading(void);           /* until the next ps_notify_ready */
void ps_notify_stopping(void);
void ps_notify_watchdog(void); /* still alive */
/* The line that `systemctl status` shows. */
void ps_notify_status(const char *format, ...) PS_PRINTF(1, 2);

/* How often ps_notify_watchdog is to be called: half of what the unit's WatchdogSec allows, in
 * milliseconds; 0 when the unit has no watchdog, or it is for another process. */
uint64_t ps_notify_watchdog_ms(void);

#endif
