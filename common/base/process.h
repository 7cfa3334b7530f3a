/* process: what every program of psd does first in main, before it opens anything.
 *
 * Descriptors 0, 1 and 2 that are closed (cron, some supervisors, `<&-`) become /dev/null: whatever
 * was opened next would take their numbers, and log lines be written into it. A peer or a reader
 * that has gone, and a file that may not grow further, are errors of the call (EPIPE, EFBIG), no
 * signals.
 */
#ifndef PS_BASE_PROCESS_H
#define PS_BASE_PROCESS_H

#include <stdbool.h>

void ps_process_begin(void);

/* What it holds is nobody else's: no core dumps, nothing in one that root takes all the same, and
 * no other process of the same user may look into it (PR_SET_DUMPABLE, prctl(2)); for daemons.
 * Sanitizers look into their own process, so under them only core dumps end. */
void ps_process_protect(void);

/* Was this built with a sanitizer that reads what it likes for its reports? */
bool ps_process_sanitized(void);

#endif
