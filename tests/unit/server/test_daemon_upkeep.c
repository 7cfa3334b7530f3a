/* daemon_upkeep: what the scheduler has decided takes long, and the main loop does not wait. */
#include "server/daemon_internal.h"
#include "tests/lib/check_main.h"

#include <semaphore.h>

enum { TIMEOUT_MS = 1000, ROUNDS = 50, STEP_MS = 200, A_ROUND_MS = 1000 };

static sem_t entered, go;
static unsigned dropped;
static ps_clock_virtual of_daemon = {.now_ns = 1};

/* What becomes of a worker that is silent: it stands for all that is slow. */
static void drop_session(void *user, uint64_t session, const char *reason)
{
    dropped++;
    sem_post(&entered);
    sem_wait(&go);
}

static const ps_to_workers to_workers = {.drop_session = drop_session};
static const ps_to_store to_store = {0};
static const ps_sched_out out = {.workers = &to_workers, .store = &to_store};

/* Once the scheduler is in there, the loop comes round so often. */
static void round_cb(void *user)
{
    static int rounds;
    if (rounds == 0 && sem_trywait(&entered) != 0)
        return;
    of_daemon.now_ns += A_ROUND_MS * UINT64_C(1000000);
    if (++rounds >= ROUNDS)
        ps_loop_stop(user);
}

START_TEST(a_tick_that_takes_long_holds_up_no_signal_and_no_watchdog)
{
    ps_clock_virtual time = {.now_ns = UINT64_C(1000000000000)};
    const ps_sched_conf conf = {.lease_timeout_ms = TIMEOUT_MS,
                                .clock = ps_clock_virtual_table(&time)};
    ps_hello hello = {0};
    ps_daemon d = {.clock = ps_clock_virtual_table(&of_daemon)};
    ps_timer *tick = NULL, *rounds = NULL;
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    hello.incarnation = hello.slots = 1;
    ck_ok(ps_catalog_open(":memory:", &d.catalog));
    ck_ok(ps_loop_create(&d.loop));
    d.sched = ps_sched_create(&conf, d.catalog, &out);
    ck_ok(ps_sched_recover(d.sched, NULL));
    ck_ok(ps_sched_attach(d.sched, 1, "w1", "127.0.0.1:1", &hello));
    for (int ms = 0; ms < TIMEOUT_MS; ms += STEP_MS) { /* it is silent from the next tick on */
        ps_sched_tick(d.sched);
        time.now_ns += STEP_MS * UINT64_C(1000000);
    }
    ck_assert_uint_eq(dropped, 0);
    time.now_ns += STEP_MS * UINT64_C(1000000);
    ps_timer_create(d.loop, ps_daemon_tick_cb, &d, &tick);
    ps_timer_start(tick, 1, 1);
    ps_timer_create(d.loop, round_cb, d.loop, &rounds);
    ps_timer_start(rounds, 1, 1);
    ps_loop_run(d.loop);
    ck_assert_uint_eq(dropped, 1);
    ck_assert_uint_gt(d.sched_trouble.times, 0); /* a disk that is slow is told of, */
    ck_assert_uint_eq(d.sched_trouble.said, 1);  /* once in a while */
    ps_timer_free(&tick);
    sem_post(&go);
    while (ps_off_loop_pending())
        ps_loop_run(d.loop);
    ps_timer_free(&rounds);
    ps_loop_free(&d.loop);
    ps_sched_free(&d.sched);
    ps_catalog_close(&d.catalog);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_tick_that_takes_long_holds_up_no_signal_and_no_watchdog, 20},
    {0},
};

int main(void)
{
    return ps_check_main("server/daemon_upkeep", cases);
}
