/* health: a loop is held up by a job that waits until the test lets it go. */
#include "server/health.h"

#include "common/base/log.h"
#include "tests/lib/check_main.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LIMIT_MS = 1000, LOOPS = 3, HELD = 1 };

typedef struct holder {
    ps_loop_task job;
    sem_t holds, go;
} holder;

static char last_line[256];
static int lines;

static void keep(void *state, ps_log_level level, const char *line)
{
    (void)state, (void)level;
    lines++;
    (void)snprintf(last_line, sizeof last_line, "%s", line);
}

static void hold_cb(ps_loop_task *job)
{
    holder *h = ps_container(job, holder, job);
    sem_post(&h->holds);
    sem_wait(&h->go);
}

static bool healthy(ps_health *health, ps_buf *text)
{
    ps_buf_clear(text);
    return ps_health_check(health, text);
}

/* Asks until the answer changes. */
static void wait_for(ps_health *health, ps_buf *text, bool answer)
{
    while (healthy(health, text) != answer)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

START_TEST(a_loop_that_stands_is_named_until_it_goes_on)
{
    ps_health health = {.limit_ms = LIMIT_MS};
    ps_buf text = PS_BUF_EMPTY;
    holder h;
    static const char said[] = "connection loop 1 has stood still for ";
    ck_ok(ps_loops_create(LOOPS, false, &health.loops));
    ps_log_set_sink(keep, NULL);
    sem_init(&h.holds, 0, 0);
    sem_init(&h.go, 0, 0);
    ps_loop_task_init(&h.job, hold_cb);
    ck_assert(healthy(&health, &text));
    ps_loop_post(ps_loops_get(health.loops, HELD), &h.job);
    sem_wait(&h.holds);
    wait_for(&health, &text, false);
    ck_assert(strncmp(ps_buf_cstr(&text), said, strlen(said)) == 0);
    ck_assert_ptr_eq(strchr(ps_buf_cstr(&text), '\n') + 1, strrchr(ps_buf_cstr(&text), 0));
    ck_assert(!healthy(&health, &text));
    ck_assert_int_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(last_line, said));
    sem_post(&h.go);
    wait_for(&health, &text, true);
    ck_assert_uint_eq(text.len, 0);
    ck_assert_int_eq(lines, 2);
    ck_assert_str_eq(last_line, "health: all loops go on");
    ps_loops_free(&health.loops);
    ps_buf_free(&text);
}
END_TEST

/* Before it runs and after, as while psd starts and stops, nobody waits for it. */
START_TEST(a_loop_that_does_not_run_does_not_stand)
{
    ps_loop *loop = NULL;
    ps_buf text = PS_BUF_EMPTY;
    ck_ok(ps_loop_create(&loop));
    ps_health health = {.limit_ms = LIMIT_MS, .main = loop};
    ck_assert(ps_health_check(&health, &text));
    ck_assert_uint_eq(ps_loop_stands_ms(loop), 0);
    ps_loop_stop(loop);
    ps_loop_run(loop);
    ck_assert_uint_eq(ps_loop_stands_ms(loop), 0);
    ps_loop_free(&loop);
    ps_buf_free(&text);
}
END_TEST

static const ps_check_case tests[] = {{&a_loop_that_stands_is_named_until_it_goes_on, 30},
                                      {&a_loop_that_does_not_run_does_not_stand},
                                      {0}};

int main(void)
{
    return ps_check_main("server/health", tests);
}
