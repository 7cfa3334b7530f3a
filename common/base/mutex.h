/* mutex: a lock that knows who has it, so that what is only allowed with it, or without it, can be
 * asserted at the entry.
 *
 * Not recursive. Any thread; unlock and wait: the one that holds it. What is asked is whether this
 * thread holds it, which is certain: nobody else can take it from it, or for it. Costs two stores
 * more than a pthread_mutex_t. */
#ifndef PS_BASE_MUTEX_H
#define PS_BASE_MUTEX_H

#include "common/base/require.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct ps_mutex {
    pthread_mutex_t lock;
    atomic_ulong holder; /* the thread that has it; 0: none */
} ps_mutex;

#define PS_MUTEX_INITIALIZER              \
    {                                     \
        .lock = PTHREAD_MUTEX_INITIALIZER \
    }
void ps_mutex_init(ps_mutex *mutex);
void ps_mutex_destroy(ps_mutex *mutex); /* nobody holds it */
void ps_mutex_lock(ps_mutex *mutex);
bool ps_mutex_try_lock(ps_mutex *mutex); /* false: somebody has it, be it this thread */
void ps_mutex_unlock(ps_mutex *mutex);
/* Until the condition is signalled, or now and then for nothing; without the lock meanwhile. */
void ps_mutex_wait(ps_mutex *mutex, pthread_cond_t *condition);
/* A condition whose waits end by a clock that nobody sets. */
void ps_condition_init(pthread_cond_t *condition);
/* The same as ps_mutex_wait, until then at the latest, by the condition's clock; false: the time is
 * over. */
bool ps_mutex_wait_until(ps_mutex *mutex, pthread_cond_t *condition, const struct timespec *until);

/* So long from now, by the clock of ps_condition_init. */
struct timespec ps_condition_in_ms(uint64_t ms);

bool ps_mutex_is_held(const ps_mutex *mutex); /* by this thread */
#define ps_mutex_require_held(mutex) PS_REQUIRE(ps_mutex_is_held(mutex))
/* At the entry of what takes the lock, waits for those who do, or may block. */
#define ps_mutex_require_free(mutex) PS_REQUIRE(!ps_mutex_is_held(mutex))

#endif
