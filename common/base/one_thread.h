/* one_thread: that a thing is used by one thread only, whichever comes first.
 *
 *     struct ps_thing {
 *         ps_one_thread mine;
 *         ...
 *     void ps_thing_turn(ps_thing *thing)
 *     {
 *         ps_one_thread_require(&thing->mine);
 *
 * Zeroed: nobody has used it yet; so one thread may make what another uses. Any thread may ask. */
#ifndef PS_BASE_ONE_THREAD_H
#define PS_BASE_ONE_THREAD_H

#include "common/base/require.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct ps_one_thread {
    atomic_ulong user; /* 0: nobody yet */
} ps_one_thread;

/* Is this thread the one? It is if there was none before. */
static inline bool ps_one_thread_is_this(ps_one_thread *mine)
{
    unsigned long self = (unsigned long)pthread_self(), before = 0;
    return atomic_compare_exchange_strong_explicit(&mine->user, &before, self, memory_order_relaxed,
                                                   memory_order_relaxed) ||
           before == self;
}
#define ps_one_thread_require(mine) PS_REQUIRE(ps_one_thread_is_this(mine))

#endif
