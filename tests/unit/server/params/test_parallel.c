/* Pushes, pulls and snapshots of one store on several threads. Every push adds 1 to every element,
 * so that any consistent state has one value in all elements of a block, and a consistent snapshot
 * has its version in all elements of all blocks. Run under ThreadSanitizer, too. */
#include "server/params/snapshot.h"
#include "server/params/store_private.h"

#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>

enum { PUSHERS = 3, PULLERS = 3, PUSHES = 200, SNAPSHOTS = 20, PIECES = 500 };

typedef struct shared {
    ps_param_store *store;
    atomic_uint running; /* pushers */
    atomic_uint bad;
    atomic_uint pieces, snapshots; /* seen */
    atomic_uint pushes, repeated;  /* made */
    pthread_barrier_t start;
} shared;

typedef struct pusher {
    shared *all;
    pthread_t thread;
    char name[16];
} pusher;

static bool seen_enough(shared *all)
{
    return atomic_load(&all->snapshots) >= SNAPSHOTS && atomic_load(&all->pieces) >= PIECES;
}

static void *push_all(void *user)
{
    pusher *p = user;
    pthread_barrier_wait(&p->all->start);
    for (uint64_t i = 1; i <= PUSHES || !seen_enough(p->all); i++) {
        ps_push_header header = {.incarnation = 1, .sequence = i};
        ps_push_reply reply;
        if (test_params_push(p->all->store, p->name, &header, -1, &reply))
            atomic_fetch_add(&p->all->bad, 1);
        atomic_fetch_add(&p->all->pushes, 1);
        if (i % 4)
            continue;
        /* again: it must not count */
        if (test_params_push(p->all->store, p->name, &header, -1, &reply) || !reply.duplicate)
            atomic_fetch_add(&p->all->bad, 1);
        atomic_fetch_add(&p->all->repeated, 1);
    }
    atomic_fetch_sub(&p->all->running, 1);
    return NULL;
}

static bool uniform(const float *values, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (values[i] != values[0])
            return false;
    return true;
}

/* Holds a few views at a time, as a transport does. */
static void *pull_all(void *user)
{
    shared *all = user;
    enum { HELD = 4 };
    pthread_barrier_wait(&all->start);
    while (atomic_load(&all->running)) {
        ps_block_view held[HELD] = {0};
        uint64_t version;
        ps_pull *pull;
        if (ps_pull_begin(all->store, NULL, 0, 0, &version, &pull))
            return NULL;
        ps_block_view view;
        for (unsigned n = 0; !ps_pull_next(pull, &view); n++) {
            ps_block_view *slot = &held[n % HELD];
            if (slot->buffer)
                ps_block_view_release(slot);
            *slot = view;
            sched_yield();
            for (int i = 0; i < HELD; i++) {
                const float *values = (const float *)(const void *)held[i].bytes.data;
                if (held[i].buffer && !uniform(values, held[i].count))
                    atomic_fetch_add(&all->bad, 1);
                if (held[i].buffer && values[0] < (float)version)
                    atomic_fetch_add(&all->bad, 1); /* an update of the header is missing */
            }
            atomic_fetch_add(&all->pieces, 1);
        }
        for (int i = 0; i < HELD; i++)
            if (held[i].buffer)
                ps_block_view_release(&held[i]);
        ps_pull_free(&pull);
    }
    return NULL;
}

static void *snapshot_all(void *user)
{
    shared *all = user;
    pthread_barrier_wait(&all->start);
    while (atomic_load(&all->running)) {
        ps_snapshot *snapshot;
        if (ps_snapshot_begin(all->store, NULL, NULL, &snapshot)) {
            atomic_fetch_add(&all->bad, 1);
            return NULL;
        }
        float version = (float)ps_snapshot_small_state(snapshot)->version;
        uint64_t n = ps_param_store_blocks(all->store);
        for (uint64_t i = 0; i < n - n / 8; i++) { /* and leaves off before the end */
            ps_block_state b;
            if (ps_snapshot_block(snapshot, i, &b) || !uniform(b.values, b.elements) ||
                b.values[0] != version || (float)b.updates != version ||
                !uniform(b.state, b.elements) ||
                *(const float *)b.state != (version > 0 ? -1.0f : 0.0f))
                atomic_fetch_add(&all->bad, 1);
            sched_yield();
        }
        ps_snapshot_end(&snapshot);
        atomic_fetch_add(&all->snapshots, 1);
    }
    return NULL;
}

static void run_all(uint64_t snapshot_budget)
{
    test_params p;
    test_params_init(&p, 16, 32);
    p.plans[0].init = PS_PARAM_ZEROS;
    p.config.block_elements = 64;
    p.config.column_blocks = 3;
    p.config.optimizer = (ps_optimizer_config){.name = "momentum", .learning_rate = 1};
    shared all = {.running = PUSHERS};
    ck_ok(ps_param_store_create(&p.config, &all.store));
    all.store->snapshot.budget = snapshot_budget;
    pthread_barrier_init(&all.start, NULL, PUSHERS + PULLERS + 1);
    pusher pushers[PUSHERS];
    pthread_t pullers[PULLERS], snapshotter;
    for (int i = 0; i < PUSHERS; i++) {
        pushers[i].all = &all;
        (void)snprintf(pushers[i].name, sizeof pushers[i].name, "p%d", i);
        pthread_create(&pushers[i].thread, NULL, push_all, &pushers[i]);
    }
    for (int i = 0; i < PULLERS; i++)
        pthread_create(&pullers[i], NULL, pull_all, &all);
    pthread_create(&snapshotter, NULL, snapshot_all, &all);
    for (int i = 0; i < PUSHERS; i++)
        pthread_join(pushers[i].thread, NULL);
    for (int i = 0; i < PULLERS; i++)
        pthread_join(pullers[i], NULL);
    pthread_join(snapshotter, NULL);
    pthread_barrier_destroy(&all.start);
    unsigned bad = all.bad, pushes = all.pushes, repeated = all.repeated;
    ck_assert_uint_eq(bad, 0);
    ck_assert_uint_eq(ps_param_store_version(all.store), pushes);
    float *w = test_params_read(all.store, 0);
    for (int i = 0; i < 16 * 32; i++)
        ck_assert_float_eq(w[i], (float)pushes);
    free(w);
    ps_param_stats stats;
    ps_param_store_stats(all.store, &stats);
    ck_assert_uint_eq(stats.pushes, pushes);
    ck_assert_uint_eq(stats.duplicates, repeated);
    ps_param_store_unref(&all.store);
}

START_TEST(states_are_consistent_while_all_push_pull_and_snapshot)
{
    run_all(1 << 20);
}
END_TEST

START_TEST(without_memory_to_put_blocks_aside_updates_wait_for_the_snapshot)
{
    run_all(0);
}
END_TEST

/* ---- bsp: every clock adds 1, whoever pushes first ---- */

enum { CLOCKS = 100 };

static void wake(void *user, ps_status status, const ps_clock_reply *reply)
{
    sem_post(user);
}

static void *bsp_worker(void *user)
{
    pusher *p = user;
    shared *all = p->all;
    sem_t answered;
    sem_init(&answered, 0, 0);
    pthread_barrier_wait(&all->start);
    for (uint64_t clock = 1; clock <= CLOCKS; clock++) {
        /* weights 1, 1 and 2: their mean is exact */
        ps_push_header header = {.incarnation = 1,
                                 .sequence = clock,
                                 .clock = clock,
                                 .weight = p->name[1] == '2' ? 2 : 1};
        ps_push_reply reply;
        ps_clock_reply went_on;
        bool parked = false;
        if (test_params_push(all->store, p->name, &header, -1, &reply))
            atomic_fetch_add(&all->bad, 1);
        if (ps_param_store_clock(all->store, &(ps_clock_end){.member = p->name, .clock = clock},
                                 &went_on, &parked, wake, &answered))
            atomic_fetch_add(&all->bad, 1);
        if (parked)
            sem_wait(&answered);
        if (ps_param_store_version(all->store) != clock)
            atomic_fetch_add(&all->bad, 1);
    }
    ps_param_store_leave(all->store, p->name);
    atomic_fetch_sub(&all->running, 1);
    sem_destroy(&answered);
    return NULL;
}

START_TEST(clocks_of_bsp_end_together_beside_snapshots)
{
    test_params p;
    test_params_init(&p, 16, 32);
    p.plans[0].init = PS_PARAM_ZEROS;
    p.config.block_elements = 64;
    p.config.controller = test_controller("bsp");
    p.config.optimizer = (ps_optimizer_config){.name = "momentum", .learning_rate = 1};
    shared all = {.running = PUSHERS};
    ck_ok(ps_param_store_create(&p.config, &all.store));
    all.store->snapshot.budget = 0;
    pthread_barrier_init(&all.start, NULL, PUSHERS + 1);
    pusher workers[PUSHERS];
    pthread_t snapshotter;
    for (int i = 0; i < PUSHERS; i++) {
        uint64_t first;
        workers[i].all = &all;
        (void)snprintf(workers[i].name, sizeof workers[i].name, "w%d", i);
        ck_ok(ps_param_store_join(all.store, workers[i].name, 0, &first));
        pthread_create(&workers[i].thread, NULL, bsp_worker, &workers[i]);
    }
    pthread_create(&snapshotter, NULL, snapshot_all, &all);
    for (int i = 0; i < PUSHERS; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_join(snapshotter, NULL);
    pthread_barrier_destroy(&all.start);
    unsigned bad = all.bad;
    ck_assert_uint_eq(bad, 0);
    float *w = test_params_read(all.store, 0);
    for (int i = 0; i < 16 * 32; i++)
        ck_assert_float_eq(w[i], CLOCKS);
    free(w);
    ps_param_store_unref(&all.store);
}
END_TEST

static const ps_check_case cases[] = {
    {&states_are_consistent_while_all_push_pull_and_snapshot, 60},
    {&without_memory_to_put_blocks_aside_updates_wait_for_the_snapshot, 60},
    {&clocks_of_bsp_end_together_beside_snapshots, 60},
    {0},
};

int main(void)
{
    return ps_check_main("params/parallel", cases);
}
