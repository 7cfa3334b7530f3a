#include "common/base/thread.h"

#include "common/base/signal_mask.h"

/* It has the mask of who starts it. */
int ps_thread_start(pthread_t *thread, void *(*work)(void *user), void *user)
{
    sigset_t before;
    ps_signals_hold(&before);
    int rc = pthread_create(thread, NULL, work, user);
    ps_signals_let(&before);
    return rc;
}
