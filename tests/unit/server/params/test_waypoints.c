#include "server/params/waypoints.h"

#include "server/params/ledger.h"
#include "server/params/update.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static ps_param_store *store_of(uint64_t steps, uint64_t memory)
{
    test_params p;
    test_params_init(&p, 6, 5);
    p.config.rows = 1;
    p.config.epochs = 1;
    p.config.column_blocks = 2;
    p.config.block_elements = 4;
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    ck_ok(ps_waypoints_start(store, steps, memory));
    return store;
}

static void push(ps_param_store *store, uint64_t sequence)
{
    ps_push_header header = {.incarnation = 1, .sequence = sequence};
    ps_push_reply reply;
    ck_ok(test_params_push(store, "worker", &header, 1, &reply));
}

/* All elements as a pull has them, in its order. */
static size_t pull_all(ps_param_store *store, uint64_t waypoint, uint64_t *version, float *out)
{
    ps_pull *pull;
    ps_block_view view;
    size_t n = 0;
    ps_status st;
    if (waypoint)
        ck_ok(ps_pull_begin_at(store, NULL, 0, waypoint, version, &pull));
    else
        ck_ok(ps_pull_begin(store, NULL, 0, 0, version, &pull));
    while (!(st = ps_pull_next(pull, &view))) {
        memcpy(out + n, view.bytes.data, view.bytes.len);
        n += view.count;
        ps_block_view_release(&view);
    }
    ck_assert_int_eq(st, PS_END);
    ps_pull_free(&pull);
    return n;
}

START_TEST(parameters_of_a_waypoint_stay_as_they_were)
{
    ps_param_store *store = store_of(3, 1 << 20);
    float first[64], then[64], now[64];
    uint64_t version;
    size_t n = pull_all(store, 0, &version, first);
    ck_assert_uint_eq(n, 35);
    for (uint64_t i = 1; i <= 7; i++)
        push(store, i);
    ck_assert_uint_eq(pull_all(store, 1, &version, then), n);
    ck_assert_uint_eq(version, 0);
    ck_assert_mem_eq(then, first, n * sizeof *then);
    for (uint64_t number = 2; number <= 3; number++) {
        pull_all(store, number, &version, then);
        ck_assert_uint_eq(version, 3 * (number - 1));
        for (size_t i = 0; i < n; i++) /* sgd with rate 1, and gradients of 1 */
            ck_assert_float_eq_tol(then[i], first[i] - (float)version, 1e-5f);
    }
    pull_all(store, 0, &version, now);
    ck_assert_float_eq_tol(now[0], first[0] - 7, 1e-5f);
    ps_pull *none;
    ck_assert_int_eq(ps_pull_begin_at(store, NULL, 0, 4, &version, &none), PS_NOT_FOUND);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(segments_go_out_once_come_back_and_free_what_they_began_at)
{
    ps_param_store *store = store_of(1, 1 << 20);
    ps_segment a, b, c;
    size_t left, most;
    ck_assert(!ps_waypoints_take(store, &a));
    push(store, 1);
    push(store, 2);
    ck_assert(ps_waypoints_take(store, &a) && ps_waypoints_take(store, &b));
    ck_assert(!ps_waypoints_take(store, &c));
    ck_assert(a.number == 1 && a.begin == 0 && a.end == 1);
    ck_assert(b.number == 2 && b.begin == 1 && b.end == 2);
    ck_assert_uint_eq(ps_waypoints_lost(store, 1), 1);
    ck_assert(ps_waypoints_back(store, 1) && !ps_waypoints_back(store, 1));
    ck_assert_uint_eq(ps_waypoints_lost(store, 1), 0);
    ck_assert(ps_waypoints_take(store, &c) && c.number == 1);
    ck_assert_uint_eq(ps_waypoints_lost(store, 1), 2);
    ps_waypoint *held;
    ck_ok(ps_waypoint_hold(store, 1, &held));
    ck_assert(ps_waypoints_done(store, 2, &b) && ps_waypoints_done(store, 1, &a));
    ck_assert(!ps_waypoints_done(store, 1, &a));
    ps_waypoints_count(store, &left, &most);
    ck_assert_uint_eq(left, 0);
    ps_waypoint *again;
    ck_ok(ps_waypoint_hold(store, 1, &again)); /* while somebody reads it */
    ps_waypoint_let_go(store, &held);
    ps_waypoint_let_go(store, &again);
    ck_assert_int_eq(ps_waypoint_hold(store, 1, &held), PS_NOT_FOUND);
    ck_assert_int_eq(ps_waypoint_hold(store, 2, &held), PS_NOT_FOUND);
    ck_ok(ps_waypoint_hold(store, 3, &held)); /* the next segment begins there */
    ps_waypoint_let_go(store, &held);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(while_memory_is_used_up_segments_grow)
{
    ps_param_store *store = store_of(1, 0); /* two at least */
    ps_segment s;
    for (uint64_t i = 1; i <= 5; i++)
        push(store, i);
    ck_assert(ps_waypoints_take(store, &s) && s.begin == 0 && s.end == 1);
    ck_assert(ps_waypoints_done(store, 1, &s));
    push(store, 6);
    ck_assert(ps_waypoints_take(store, &s));
    ck_assert_uint_eq(s.begin, 1);
    ck_assert_uint_eq(s.end, 6);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(pushes_after_the_last_row_take_no_waypoint_each)
{
    ps_param_store *store = store_of(1000, 0);
    const ps_row_span row = {0, 1};
    const ps_push_header last = {.incarnation = 1, .sequence = 1, .lease = 7, .rows = row};
    ps_push_reply reply;
    size_t left, most;
    ps_ledger_lease_begin(ps_param_store_ledger(store), 7, 0, row);
    ck_ok(test_params_push(store, "worker", &last, 1, &reply));
    ps_waypoints_count(store, &left, &most);
    ck_assert_uint_eq(left, 1);
    for (uint64_t i = 2; i <= 20; i++)
        push(store, i);
    ps_waypoints_count(store, &left, &most);
    ck_assert_uint_eq(left, 2);
    ps_param_store_unref(&store);
}
END_TEST

enum { PUSHERS = 4, PUSHES = 200 };

typedef struct pusher {
    ps_param_store *store;
    char name[8];
    pthread_t thread;
} pusher;

static void *push_many(void *of)
{
    const pusher *p = of;
    ps_push_reply reply;
    for (uint64_t i = 1; i <= PUSHES; i++) {
        const ps_push_header header = {.incarnation = 1, .sequence = i};
        ck_ok(test_params_push(p->store, p->name, &header, 0.001f, &reply));
    }
    return NULL;
}

START_TEST(segments_follow_each_other_whoever_pushes)
{
    ps_param_store *store = store_of(1, 1 << 20);
    pusher pushers[PUSHERS];
    ps_segment s;
    uint64_t version = 0;
    for (int i = 0; i < PUSHERS; i++) {
        pushers[i].store = store;
        (void)snprintf(pushers[i].name, sizeof pushers[i].name, "w%d", i);
        ck_assert_int_eq(pthread_create(&pushers[i].thread, NULL, push_many, &pushers[i]), 0);
    }
    while (version < PUSHERS * PUSHES / 2) {
        if (!ps_waypoints_take(store, &s)) {
            sched_yield();
            continue;
        }
        ck_assert_uint_eq(s.begin, version);
        ck_assert_uint_gt(s.end, s.begin);
        ck_assert(ps_waypoints_done(store, s.number, &s));
        version = s.end;
    }
    for (int i = 0; i < PUSHERS; i++)
        ck_assert_int_eq(pthread_join(pushers[i].thread, NULL), 0);
    ps_param_store_unref(&store);
}
END_TEST

static const ps_check_case cases[] = {
    {&parameters_of_a_waypoint_stay_as_they_were},
    {&segments_go_out_once_come_back_and_free_what_they_began_at},
    {&while_memory_is_used_up_segments_grow},
    {&pushes_after_the_last_row_take_no_waypoint_each},
    {&segments_follow_each_other_whoever_pushes},
    {0},
};

int main(void)
{
    return ps_check_main("params/waypoints", cases);
}
