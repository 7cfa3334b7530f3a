/* A mutex, and its holder's number. Cannot fail. */
#include "common/base/mutex.h"

#include <errno.h>

void ps_mutex_init(ps_mutex *mutex)
{
    pthread_mutex_init(&mutex->lock, NULL);
    atomic_init(&mutex->holder, 0);
}

void ps_mutex_destroy(ps_mutex *mutex)
{
    PS_REQUIRE(!atomic_load(&mutex->holder));
    pthread_mutex_destroy(&mutex->lock);
}

/* Who asks finds its own number only if it wrote it itself: no order is needed. */
bool ps_mutex_is_held(const ps_mutex *mutex)
{
    return atomic_load_explicit(&mutex->holder, memory_order_relaxed) ==
           (unsigned long)pthread_self();
}

static void hold(ps_mutex *mutex)
{
    atomic_store_explicit(&mutex->holder, (unsigned long)pthread_self(), memory_order_relaxed);
}

static void let_go(ps_mutex *mutex)
{
    ps_mutex_require_held(mutex);
    atomic_store_explicit(&mutex->holder, 0, memory_order_relaxed);
}

void ps_mutex_lock(ps_mutex *mutex)
{
    ps_mutex_require_free(mutex);
    pthread_mutex_lock(&mutex->lock);
    hold(mutex);
}

bool ps_mutex_try_lock(ps_mutex *mutex)
{
    if (pthread_mutex_trylock(&mutex->lock) != 0)
        return false;
    hold(mutex);
    return true;
}

void ps_mutex_unlock(ps_mutex *mutex)
{
    let_go(mutex);
    pthread_mutex_unlock(&mutex->lock);
}

void ps_mutex_wait(ps_mutex *mutex, pthread_cond_t *condition)
{
    let_go(mutex);
    pthread_cond_wait(condition, &mutex->lock);
    hold(mutex);
}

void ps_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec ps_condition_in_ms(uint64_t ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

bool ps_mutex_wait_until(ps_mutex *mutex, pthread_cond_t *condition, const struct timespec *until)
{
    let_go(mutex);
    int rc = pthread_cond_timedwait(condition, &mutex->lock, until);
    hold(mutex);
    return rc != ETIMEDOUT;
}
