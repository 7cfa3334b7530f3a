#include "common/base/signal_mask.h"

#include <stddef.h>

static const int of_the_thread[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

void ps_signals_hold(sigset_t *before)
{
    sigset_t held;
    (void)sigfillset(&held);
    for (size_t i = 0; i < sizeof of_the_thread / sizeof *of_the_thread; i++)
        (void)sigdelset(&held, of_the_thread[i]);
    (void)pthread_sigmask(SIG_BLOCK, &held, before);
}

void ps_signals_let(const sigset_t *before)
{
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}
