/* parallel: every thread does the work, no more of them than asked for, and all have done it when
 * the call returns. */
#include "common/base/parallel.h"

#include "common/base/limits.h"

#include "tests/lib/check_main.h"

#include <pthread.h>
#include <stdatomic.h>

enum { PARTS = 1000 };

typedef struct work {
    atomic_uint calls, by_caller, next;
    unsigned done[PARTS];
    pthread_t caller;
} work;

static void take_parts(void *state)
{
    work *w = state;
    atomic_fetch_add(&w->calls, 1);
    if (pthread_equal(pthread_self(), w->caller))
        atomic_fetch_add(&w->by_caller, 1);
    for (unsigned i; (i = atomic_fetch_add(&w->next, 1)) < PARTS;)
        w->done[i]++;
}

START_TEST(all_parts_are_done_once_when_it_returns)
{
    static const size_t most[] = {1, 2, 3, 1000};
    work w = {.caller = pthread_self()};
    ps_parallel_run(most[_i], take_parts, &w);
    for (int i = 0; i < PARTS; i++)
        ck_assert_uint_eq(w.done[i], 1);
    size_t want = ps_cores() < PS_PARALLEL_MAX ? ps_cores() : PS_PARALLEL_MAX;
    ck_assert_uint_eq(w.calls, want < most[_i] ? want : most[_i]);
    ck_assert_uint_eq(w.by_caller, 1);
}
END_TEST

static const ps_check_case tests[] = {{&all_parts_are_done_once_when_it_returns, .repeat = 4}, {0}};

int main(void)
{
    return ps_check_main("common/base/parallel", tests);
}
