/* Happy path: n loops, a thread each, which runs until ps_loops_free stops it.
 * Failure: no threads or file descriptors left; what was made is taken down again. */
#include "common/loop/loop_internal.h"

#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/thread.h"

#define LOOPS_MAX 256

struct ps_loops {
    unsigned n;
    ps_loop **loops;
    pthread_t *threads;
    unsigned running;
};

static void *loop_thread(void *arg)
{
    ps_loop_run(arg);
    return NULL;
}

ps_status ps_loops_create(unsigned n, bool busy_poll, ps_loops **out)
{
    if (n == 0)
        n = ps_cores();
    if (n > LOOPS_MAX)
        n = LOOPS_MAX;
    ps_loops *loops = ps_new(ps_loops);
    loops->loops = ps_alloc_array(n, sizeof *loops->loops);
    loops->threads = ps_alloc_array(n, sizeof *loops->threads);
    for (unsigned i = 0; i < n; i++) {
        ps_status st = ps_loop_create(&loops->loops[i]);
        if (st) {
            ps_loops_free(&loops);
            return st;
        }
        loops->n++;
        ps_loop_set_busy_poll(loops->loops[i], busy_poll);
        int rc = ps_thread_start(&loops->threads[i], loop_thread, loops->loops[i]);
        if (rc) {
            ps_loops_free(&loops);
            return ps_fail_errno(rc, "thread %u of %u", i + 1, n);
        }
        loops->running++;
    }
    *out = loops;
    return PS_OK;
}

unsigned ps_loops_count(const ps_loops *loops)
{
    return loops->n;
}

ps_loop *ps_loops_get(ps_loops *loops, unsigned i)
{
    PS_REQUIRE(loops->n > 0);
    return loops->loops[i % loops->n];
}

void ps_loops_free(ps_loops **pointer)
{
    ps_loops *loops = *pointer;
    if (!loops)
        return;
    for (unsigned i = 0; i < loops->running; i++)
        ps_loop_stop(loops->loops[i]);
    for (unsigned i = 0; i < loops->running; i++)
        pthread_join(loops->threads[i], NULL);
    for (unsigned i = 0; i < loops->n; i++)
        ps_loop_free(&loops->loops[i]);
    ps_free(&loops->loops);
    ps_free(&loops->threads);
    ps_free(pointer);
}
