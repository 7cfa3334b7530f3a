#include "common/loop/loop.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static ps_loop *loop;

typedef struct counted {
    ps_loop_task job;
    int *order, number;
    int *next;
    int again; /* defers itself so many times */
} counted;

static void count_cb(ps_loop_task *job)
{
    counted *c = ps_container(job, counted, job);
    c->order[(*c->next)++] = c->number;
    if (c->again-- > 0)
        ps_loop_defer(loop, job);
}

static void stop_cb(void *user)
{
    (void)user;
    ps_loop_stop(loop);
}

static void run_for(unsigned ms)
{
    ps_timer *timer = NULL;
    ps_timer_create(loop, stop_cb, NULL, &timer);
    ps_timer_start(timer, ms, 0);
    ps_loop_run(loop);
    ps_timer_free(&timer);
}

START_TEST(deferred_jobs_run_later_in_order_and_once)
{
    ck_ok(ps_loop_create(&loop));
    int order[16] = {0}, next = 0;
    counted jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = (counted){.order = order, .next = &next, .number = i + 1};
        ps_loop_task_init(&jobs[i].job, count_cb);
        ps_loop_defer(loop, &jobs[i].job);
        ps_loop_defer(loop, &jobs[i].job); /* queued already */
    }
    ps_loop_cancel(loop, &jobs[1].job);
    ck_assert_int_eq(next, 0); /* never from inside */
    jobs[2].again = 9;
    run_for(20);
    ck_assert_int_eq(next, 11);
    ck_assert_int_eq(order[0], 1);
    for (int i = 1; i < 11; i++)
        ck_assert_int_eq(order[i], 3);
    ps_loop_free(&loop);
}
END_TEST

#define THREADS 4
#define POSTS   2000

typedef struct posted {
    ps_loop_task job;
    unsigned thread, number;
} posted;

static unsigned seen[THREADS], total;
static bool all_came;

static void posted_cb(ps_loop_task *job)
{
    posted *p = ps_container(job, posted, job);
    ck_assert(ps_loop_is_current(loop));
    ck_assert_uint_eq(p->number, seen[p->thread]++); /* in order of each thread */
    all_came = ++total == THREADS * POSTS;
    free(p);
}

static void *post_thread(void *arg)
{
    ck_assert(!ps_loop_is_current(loop));
    for (unsigned i = 0; i < POSTS; i++) {
        posted *p = ps_new(posted);
        p->thread = (unsigned)(uintptr_t)arg;
        p->number = i;
        ps_loop_task_init(&p->job, posted_cb);
        ps_loop_post(loop, &p->job);
    }
    return NULL;
}

START_TEST(posts_of_several_threads_all_arrive_in_order)
{
    ck_ok(ps_loop_create(&loop));
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_thread, (void *)i), 0);
    ck_assert(ps_loop_run_until(loop, &all_came));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(total, THREADS * POSTS);
    ps_loop_free(&loop);
}
END_TEST

typedef struct sum {
    ps_work work;
    pthread_t worked_on;
    sigset_t held;
    long result;
    bool done;
} sum;

static void work_cb(ps_work *w)
{
    sum *s = ps_container(w, sum, work);
    s->worked_on = pthread_self();
    (void)pthread_sigmask(SIG_BLOCK, NULL, &s->held);
    for (long i = 1; i <= 1000; i++)
        s->result += i;
}

static void done_cb(ps_work *w)
{
    sum *s = ps_container(w, sum, work);
    ck_assert(ps_loop_is_current(loop));
    s->done = true;
}

START_TEST(work_is_done_off_the_loop_and_reported_on_it)
{
    ck_ok(ps_loop_create(&loop));
    sum s = {.work = {.work = work_cb, .done = done_cb}};
    ps_work_submit(loop, &s.work);
    ck_assert(!s.done);
    ck_assert(ps_loop_run_until(loop, &s.done));
    ck_assert_int_eq(s.result, 500500);
    ck_assert(!pthread_equal(s.worked_on, pthread_self()));
    ck_assert(sigismember(&s.held, SIGTERM) == 1); /* the loop's thread has them */
    ck_assert(sigismember(&s.held, SIGSEGV) == 0);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &s.held), 0);
    ck_assert(sigismember(&s.held, SIGTERM) == 0);
    ps_loop_free(&loop);
}
END_TEST

static unsigned ticks;

static void tick_cb(void *user)
{
    ps_timer **timer = user;
    if (++ticks == 3)
        ps_timer_free(timer); /* from inside its own callback */
}

START_TEST(a_repeated_timer_ticks_until_it_is_freed)
{
    ck_ok(ps_loop_create(&loop));
    ps_timer *timer = NULL;
    ps_timer_create(loop, tick_cb, &timer, &timer);
    ps_timer_start(timer, 1, 2);
    run_for(100);
    ck_assert_uint_eq(ticks, 3);
    ck_assert_ptr_null(timer);
    ps_loop_free(&loop);
}
END_TEST

static void set_cb(void *user)
{
    *(bool *)user = true;
}

START_TEST(run_until_ends_when_a_timer_says_so_and_not_later)
{
    ck_ok(ps_loop_create(&loop));
    bool done = false;
    ps_timer *timer = NULL, *late = NULL;
    ps_timer_create(loop, set_cb, &done, &timer);
    ps_timer_create(loop, set_cb, &done, &late);
    ps_timer_start(timer, 20, 0);
    ps_timer_start(late, 60000, 0);
    uint64_t begin = ps_clock_ms(&ps_clock_system);
    ck_assert(ps_loop_run_until(loop, &done));
    ck_assert_uint_lt(ps_clock_ms(&ps_clock_system) - begin, 5000);
    ps_timer_free(&timer);
    ps_timer_free(&late);
    ps_loop_free(&loop);
}
END_TEST

static void signal_cb(void *user, int number)
{
    *(int *)user = number;
    ps_loop_stop(loop);
}

START_TEST(a_signal_is_delivered_on_the_loop)
{
    ck_ok(ps_loop_create(&loop));
    int got = 0;
    ps_signal *watch = NULL;
    ck_ok(ps_signal_watch(loop, SIGHUP, signal_cb, &got, &watch));
    ck_assert_int_eq(raise(SIGHUP), 0);
    ps_loop_run(loop);
    ck_assert_int_eq(got, SIGHUP);
    ps_signal_free(&watch);
    ck_assert_int_ne(ps_signal_watch(loop, SIGKILL, signal_cb, &got, &watch), PS_OK);
    ps_loop_free(&loop);
}
END_TEST

static atomic_uint on_own_loop;

typedef struct hop {
    ps_loop_task job;
    ps_loop *to;
} hop;

static void hop_cb(ps_loop_task *job)
{
    hop *h = ps_container(job, hop, job);
    on_own_loop += ps_loop_is_current(h->to);
    free(h);
}

START_TEST(each_of_several_loops_has_its_thread)
{
    ps_loops *loops = NULL;
    ck_ok(ps_loops_create(3, true, &loops));
    ck_assert_uint_eq(ps_loops_count(loops), 3);
    for (unsigned i = 0; i < 300; i++) {
        hop *h = ps_new(hop);
        h->to = ps_loops_get(loops, i % 3);
        ps_loop_task_init(&h->job, hop_cb);
        ps_loop_post(h->to, &h->job);
    }
    ps_loops_free(&loops); /* what was posted is still run */
    ck_assert_uint_eq(on_own_loop, 300);
}
END_TEST

enum { BOUNCES = 20000 };

typedef struct ball {
    ps_loop_task job;
    ps_loops *loops;
    unsigned bounces, at_home;
    uint64_t cpu_ns[2];
    atomic_bool landed, rested;
} ball;

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void bounce_cb(ps_loop_task *job)
{
    ball *b = ps_container(job, ball, job);
    b->at_home += ps_loop_is_current(ps_loops_get(b->loops, b->bounces % 2));
    if (++b->bounces < BOUNCES) {
        ps_loop_post(ps_loops_get(b->loops, b->bounces % 2), job);
        return;
    }
    b->cpu_ns[0] = thread_cpu_ns();
    atomic_store(&b->landed, true);
}

static void rested_cb(ps_loop_task *job)
{
    ball *b = ps_container(job, ball, job);
    b->cpu_ns[1] = thread_cpu_ns();
    atomic_store(&b->rested, true);
}

static void wait_for(const atomic_bool *flag)
{
    while (!atomic_load(flag))
        usleep(1000);
}

START_TEST(loops_that_poll_miss_nothing_and_sleep_when_nothing_comes)
{
    ball b = {.bounces = 0};
    ck_ok(ps_loops_create(2, true, &b.loops));
    ps_loop_task_init(&b.job, bounce_cb);
    ps_loop_post(ps_loops_get(b.loops, 0), &b.job);
    wait_for(&b.landed);
    ck_assert_uint_eq(b.at_home, BOUNCES);
    usleep(300000);
    ps_loop_task_init(&b.job, rested_cb);
    ps_loop_post(ps_loops_get(b.loops, (BOUNCES - 1) % 2), &b.job);
    wait_for(&b.rested);
    ck_assert_uint_lt(b.cpu_ns[1] - b.cpu_ns[0], 30000000); /* a tenth of the time */
    ps_loops_free(&b.loops);
}
END_TEST

START_TEST(a_stop_from_another_thread_is_not_lost)
{
    ck_ok(ps_loop_create(&loop));
    ps_loop_stop(loop); /* before it runs */
    ps_loop_run(loop);
    bool never = false;
    ps_loop_stop(loop);
    ck_assert(!ps_loop_run_until(loop, &never));
    ps_loop_free(&loop);
}
END_TEST

static const ps_check_case cases[] = {
    {&deferred_jobs_run_later_in_order_and_once},
    {&posts_of_several_threads_all_arrive_in_order, 60},
    {&work_is_done_off_the_loop_and_reported_on_it},
    {&a_repeated_timer_ticks_until_it_is_freed},
    {&run_until_ends_when_a_timer_says_so_and_not_later},
    {&a_signal_is_delivered_on_the_loop},
    {&each_of_several_loops_has_its_thread, 60},
    {&loops_that_poll_miss_nothing_and_sleep_when_nothing_comes, 60},
    {&a_stop_from_another_thread_is_not_lost},
    {0},
};

int main(void)
{
    return ps_check_main("loop/loop", cases);
}
