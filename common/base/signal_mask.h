/* signal_mask: a stretch of work, or a thread, that no signal ends or breaks into. Any thread.
 *
 * Signals that a thread raises by what it does itself (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
 * SIGSYS, SIGABRT) stay as they are: when they are blocked no handler sees them, not one that mends
 * what it was called for, and the kernel ends the process (sigprocmask(2), NOTES). */
#ifndef PS_BASE_SIGNAL_MASK_H
#define PS_BASE_SIGNAL_MASK_H

#include <signal.h>

void ps_signals_hold(sigset_t *before);
/* before: what ps_signals_hold gave. What has come meanwhile is delivered. */
void ps_signals_let(const sigset_t *before);

#endif
