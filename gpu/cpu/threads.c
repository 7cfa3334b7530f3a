/* One loop is open at a time. Its caller writes it down, opens it (open = its number), takes pieces
 * until there are none, closes it (open = 0), and waits until no helper is inside any more; only
 * then may the loop be written anew. A helper that sees a new number goes inside, looks again
 * whether it is open, since it may have been closed in between, and takes pieces as well.
 *
 *     caller:  loop, shares     open = 7   take …   open = 0   wait for inside = 0
 *     helper:              sees 7   inside + 1   open?  take …   inside - 1
 *
 * Both look for a short while before they sleep: the next operation of a model comes within
 * microseconds, and waking a thread takes some fifty. Before sleeping each announces it and looks
 * once more; who changes what it waits for, looks for sleepers after the change. All of these are
 * sequentially consistent, so one of the two sees the other. */
#include "gpu/cpu/threads.h"

#include "common/base/mem.h"
#include "common/base/thread.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* How often to look before sleeping, some 200 µs in all, and how many pauses apart: a token of a
 * model is sixty loops, each begun and ended by a look. Others who want the core get it now and
 * then. */
#define LOOKS  4096
#define PAUSES 2
#define YIELDS 256

typedef struct helper {
    ps_threads *pool;
    pthread_t thread;
    int slot;
} helper;

/* A thread's own share of the turns, in one row: memory is read faster where it goes on. */
typedef struct share {
    _Alignas(64) _Atomic int64_t next; /* the first turn that nobody has taken */
    int64_t end;
} share;

struct ps_threads {
    int count;
    helper *helpers; /* [count - 1] */
    share *shares;   /* [count] */

    pthread_mutex_t busy; /* held by the caller whose loop is open */
    uint32_t number;      /* of the last loop; under busy */

    ps_threads_cb body_cb; /* the loop that is open */
    void *context;
    int64_t n, grain;

    _Alignas(64) atomic_uint open; /* the loop's number, 0 when none is */
    atomic_int inside;             /* helpers that may look at it */

    atomic_bool stop;
    atomic_int sleepers; /* helpers waiting for work */
    atomic_bool waiting; /* the caller, for inside = 0 */
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
};

static void pause_briefly(int look)
{
    if (look % YIELDS == YIELDS - 1)
        (void)sched_yield();
#if defined(__x86_64__)
    for (int i = 0; i < PAUSES; i++)
        __builtin_ia32_pause();
#endif
}

static void take_share(ps_threads *t, share *from, int slot)
{
    for (;;) {
        int64_t begin = atomic_fetch_add_explicit(&from->next, t->grain, memory_order_relaxed);
        if (begin >= from->end)
            return;
        int64_t end = from->end - begin > t->grain ? begin + t->grain : from->end;
        t->body_cb(t->context, begin, end, slot);
    }
}

/* Its own, then what is left of the others'. */
static void take_pieces(ps_threads *t, int slot)
{
    for (int i = 0; i < t->count; i++)
        take_share(t, &t->shares[(slot + i) % t->count], slot);
}

static bool has_work(ps_threads *t, unsigned seen)
{
    unsigned open = atomic_load(&t->open);
    return (open && open != seen) || atomic_load(&t->stop);
}

static void wait_for_work(ps_threads *t, unsigned seen)
{
    for (int i = 0; i < LOOKS; i++) {
        if (has_work(t, seen))
            return;
        pause_briefly(i);
    }
    (void)pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->sleepers, 1);
    while (!has_work(t, seen))
        (void)pthread_cond_wait(&t->work, &t->lock);
    atomic_fetch_sub(&t->sleepers, 1);
    (void)pthread_mutex_unlock(&t->lock);
}

static void leave(ps_threads *t)
{
    if (atomic_fetch_sub(&t->inside, 1) != 1 || !atomic_load(&t->waiting))
        return;
    (void)pthread_mutex_lock(&t->lock);
    (void)pthread_cond_signal(&t->idle);
    (void)pthread_mutex_unlock(&t->lock);
}

static void *helper_main(void *context)
{
    helper *h = context;
    ps_threads *t = h->pool;
    unsigned seen = 0;
    for (;;) {
        wait_for_work(t, seen);
        if (atomic_load(&t->stop))
            return NULL;
        atomic_fetch_add(&t->inside, 1);
        unsigned open = atomic_load(&t->open);
        if (open && open != seen) {
            seen = open;
            take_pieces(t, h->slot);
        }
        leave(t);
    }
}

static void open_loop(ps_threads *t)
{
    t->number = t->number + 1 ? t->number + 1 : 1;
    atomic_store(&t->open, t->number);
    if (!atomic_load(&t->sleepers))
        return;
    (void)pthread_mutex_lock(&t->lock);
    (void)pthread_cond_broadcast(&t->work);
    (void)pthread_mutex_unlock(&t->lock);
}

static void close_loop(ps_threads *t)
{
    atomic_store(&t->open, 0);
    for (int i = 0; i < LOOKS; i++) {
        if (!atomic_load(&t->inside))
            return;
        pause_briefly(i);
    }
    (void)pthread_mutex_lock(&t->lock);
    atomic_store(&t->waiting, true);
    while (atomic_load(&t->inside))
        (void)pthread_cond_wait(&t->idle, &t->lock);
    atomic_store(&t->waiting, false);
    (void)pthread_mutex_unlock(&t->lock);
}

static void run_alone(int64_t n, int64_t grain, ps_threads_cb body_cb, void *context)
{
    for (int64_t begin = 0; begin < n; begin += grain)
        body_cb(context, begin, n - begin > grain ? begin + grain : n, 0);
}

/* Whole pieces, as many each as there are. */
static void share_out(ps_threads *t, int64_t n, int64_t grain)
{
    int64_t pieces = (n - 1) / grain + 1, begin = 0;
    for (int i = 0; i < t->count; i++) {
        int64_t last = pieces / t->count * (i + 1) + pieces % t->count * (i + 1) / t->count;
        int64_t end = i + 1 == t->count ? n : last * grain;
        atomic_store_explicit(&t->shares[i].next, begin, memory_order_relaxed);
        t->shares[i].end = end;
        begin = end;
    }
}

void ps_threads_for(ps_threads *t, int64_t n, int64_t grain, ps_threads_cb body_cb, void *context)
{
    if (n <= grain || t->count == 1 || pthread_mutex_trylock(&t->busy) != 0) {
        run_alone(n, grain, body_cb, context);
        return;
    }
    t->body_cb = body_cb;
    t->context = context;
    t->n = n;
    t->grain = grain;
    share_out(t, n, grain);
    open_loop(t);
    take_pieces(t, 0);
    close_loop(t);
    (void)pthread_mutex_unlock(&t->busy);
}

int ps_threads_count(const ps_threads *t)
{
    return t->count;
}

static ps_status start_helper(helper *h)
{
    int rc = ps_thread_start(&h->thread, helper_main, h);
    return rc ? ps_fail(PS_RESOURCE_EXHAUSTED, "cpu: no thread to compute with: %s", strerror(rc))
              : PS_OK;
}

ps_status ps_threads_new(int threads, ps_threads **out)
{
    ps_threads *t = ps_try_alloc(sizeof *t);
    share *shares = ps_try_alloc((size_t)threads * sizeof *shares);
    if (!t || !shares) {
        ps_free(&t);
        ps_free(&shares);
        return ps_fail(PS_NO_MEMORY, "cpu: no room for threads");
    }
    t->shares = shares;
    (void)pthread_mutex_init(&t->busy, NULL);
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->work, NULL);
    (void)pthread_cond_init(&t->idle, NULL);
    t->helpers = ps_alloc_array((size_t)threads, sizeof *t->helpers);
    for (t->count = 1; t->count < threads; t->count++) {
        helper *h = &t->helpers[t->count - 1];
        *h = (helper){.pool = t, .slot = t->count};
        ps_status st = start_helper(h);
        if (st) {
            ps_threads_free(&t);
            return st;
        }
    }
    *out = t;
    return PS_OK;
}

void ps_threads_free(ps_threads **pool)
{
    ps_threads *t = *pool;
    if (!t)
        return;
    atomic_store(&t->stop, true);
    (void)pthread_mutex_lock(&t->lock);
    (void)pthread_cond_broadcast(&t->work);
    (void)pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < t->count - 1; i++)
        (void)pthread_join(t->helpers[i].thread, NULL);
    (void)pthread_cond_destroy(&t->work);
    (void)pthread_cond_destroy(&t->idle);
    (void)pthread_mutex_destroy(&t->busy);
    (void)pthread_mutex_destroy(&t->lock);
    ps_free(&t->helpers);
    ps_free(&t->shares);
    ps_free(pool);
}
