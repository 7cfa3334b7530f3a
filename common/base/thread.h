/* thread: a thread that takes no signals but those of its own faults (signal_mask.h): the others
 * are for the program's main one. Any thread. */
#ifndef PS_BASE_THREAD_H
#define PS_BASE_THREAD_H

#include <pthread.h>

/* As pthread_create: 0, or errno. The thread is the caller's to join. */
int ps_thread_start(pthread_t *thread, void *(*work)(void *user), void *user);

#endif
