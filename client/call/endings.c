/* Happy path: libuv's handler takes the place of the one before, and gives it back. It would leave
 * the default there, which ends us: so no signal comes in between. */
#include "client/call/endings.h"

#include "common/base/signal_mask.h"

const int ps_endings[PS_ENDINGS] = {SIGINT, SIGTERM, SIGHUP};

void ps_endings_watch_begin(ps_endings_watch *w, ps_loop *loop, ps_signal_cb cb, void *user)
{
    *w = (ps_endings_watch){0};
    for (size_t i = 0; i < PS_ENDINGS; i++) {
        (void)sigaction(ps_endings[i], NULL, &w->before[i]);
        bool hears = ps_endings[i] != SIGHUP || w->before[i].sa_handler != SIG_IGN;
        if (hears && ps_signal_watch(loop, ps_endings[i], cb, user, &w->signals[i]) != PS_OK)
            w->signals[i] = NULL;
    }
}

void ps_endings_watch_end(ps_endings_watch *w)
{
    sigset_t mask;
    ps_signals_hold(&mask);
    for (size_t i = 0; i < PS_ENDINGS; i++) {
        ps_signal_free(&w->signals[i]);
        (void)sigaction(ps_endings[i], &w->before[i], NULL);
    }
    ps_signals_let(&mask);
}
