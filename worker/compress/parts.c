/* Each thread takes the next part that nobody has. Cannot fail. */
#include "worker/compress/parts.h"

#include "common/base/parallel.h"
#include "common/base/require.h"

#include <stdatomic.h>

typedef struct share {
    void (*work)(void *state, uint64_t part);
    void *state;
    uint64_t parts;
    _Atomic uint64_t next;
} share;

static void take(void *user)
{
    share *s = user;
    for (uint64_t part; (part = atomic_fetch_add(&s->next, 1)) < s->parts;)
        s->work(s->state, part);
}

void ps_parts_run(size_t threads, uint64_t parts, void (*work)(void *state, uint64_t part),
                  void *state)
{
    PS_REQUIRE(work);
    share s = {.work = work, .state = state, .parts = parts};
    size_t most = threads ? threads : PS_PARALLEL_MAX;
    if (most > parts)
        most = (size_t)parts;
    if (most)
        ps_parallel_run(most, take, &s);
}
