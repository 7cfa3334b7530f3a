/* endings: SIGINT, SIGTERM and SIGHUP, the signals that somebody ends psctl by, and who has them:
 * a loop while one runs, and whoever had them before (unfinished.h) when it is over.
 *
 * Their disposition is the process's; one at a time, of the main thread (not asserted: psctl has no
 * other that could). */
#ifndef PS_CALL_ENDINGS_H
#define PS_CALL_ENDINGS_H

#include "common/loop/loop.h"

#include <signal.h>

enum { PS_ENDINGS = 3 };
extern const int ps_endings[PS_ENDINGS];

typedef struct ps_endings_watch {
    ps_signal *signals[PS_ENDINGS]; /* NULL: that one is not watched */
    struct sigaction before[PS_ENDINGS];
} ps_endings_watch;

/* cb: on the loop, with the number. A hangup that is ignored (nohup) stays so; what cannot be
 * watched does what it did. */
void ps_endings_watch_begin(ps_endings_watch *watch, ps_loop *loop, ps_signal_cb cb, void *user);
/* All is as it was. One that comes meanwhile comes to whoever had them before; one that has come,
 * and that the loop has not told of, is lost: what it was to end is over. */
void ps_endings_watch_end(ps_endings_watch *watch);

#endif
