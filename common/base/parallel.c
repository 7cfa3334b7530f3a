/* Threads are made for the call: what is worth them takes far longer than they do. Cannot fail. */
#include "common/base/parallel.h"

#include "common/base/limits.h"
#include "common/base/thread.h"

typedef struct job {
    void (*work)(void *state);
    void *state;
} job;

static void *thread_main(void *user)
{
    const job *j = user;
    j->work(j->state);
    return NULL;
}

void ps_parallel_run(size_t most, void (*work)(void *state), void *state)
{
    pthread_t threads[PS_PARALLEL_MAX];
    job j = {.work = work, .state = state};
    size_t want = ps_cores() < PS_PARALLEL_MAX ? ps_cores() : PS_PARALLEL_MAX, others = 0;
    if (want > most)
        want = most;
    while (others + 1 < want && ps_thread_start(&threads[others], thread_main, &j) == 0)
        others++;
    work(state);
    while (others)
        pthread_join(threads[--others], NULL);
}
