/* watch: everything is said, in order, in bounded memory, and the end comes last. */
#include "common/base/mem.h"
#include "server/catalog/job_lines.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

static void count_cb(void *user)
{
    (*(unsigned *)user)++;
}

/* Takes what there is: how many lines, the last line, the last state seen. */
typedef struct taken {
    unsigned lines, jobs;
    ps_job_state state;
    char last[256], first[256];
    ps_status end;
} taken;

static taken take(ps_watch *watch)
{
    taken t = {0};
    ps_watch_event event;
    while ((t.end = ps_watch_next(watch, &event)) == PS_OK) {
        if (event.log) {
            (void)snprintf(t.last, sizeof t.last, "%s", event.log->text);
            if (t.lines++ == 0)
                (void)snprintf(t.first, sizeof t.first, "%s", event.log->text);
        }
        if (event.job) {
            t.jobs++;
            t.state = event.job->state;
            ck_assert_str_eq(event.job->spec, "");
        }
        ps_watch_event_clear(&event);
    }
    return t;
}

START_TEST(a_watch_sees_what_was_said_before_and_then_each_change_once)
{
    ps_world *w = ps_world_new(NULL, true);
    unsigned notified = 0;
    ps_watch *watch = NULL;
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "");
    ck_ok(ps_sched_watch(w->sched, id, count_cb, &notified, &watch));
    ck_assert_uint_eq(notified, 1);
    taken t = take(watch);
    ck_assert_str_eq(t.first, "submitted by anna");
    ck_assert_uint_eq(t.jobs, 1);
    ck_assert_int_eq(t.state, PS_JOB_QUEUED);
    ck_assert_int_eq(t.end, PS_AGAIN);
    ps_world_attach(w, 1, "w1"); /* several changes and lines: one notification */
    ck_assert_uint_eq(notified, 2);
    t = take(watch);
    ck_assert_int_eq(t.state, PS_JOB_RUNNING);
    ck_assert_uint_eq(t.jobs, 1);
    ps_world_serve(w, (uint64_t[]){1}, 1, 50, 0);
    t = take(watch);
    ck_assert_int_eq(t.state, PS_JOB_DONE);
    ck_assert_int_eq(t.end, PS_END);
    ck_assert_int_eq(take(watch).end, PS_END);
    ps_watch_close(&watch);
    ck_assert_ptr_null(watch);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_slow_watcher_gets_the_newest_lines_and_how_many_it_missed)
{
    ps_world *w = ps_world_new(NULL, true);
    unsigned notified = 0;
    ps_watch *watch = NULL;
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 100}\n");
    ck_ok(ps_sched_watch(w->sched, id, count_cb, &notified, &watch));
    (void)take(watch);
    unsigned before = notified;
    for (unsigned i = 0; i < 200; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "line %u", i);
        ps_sched_job_log(w->sched, id, 6, text);
        ps_world_report(w, ps_world_task_of(w, 1), i / 4, 1);
    }
    ck_assert_uint_eq(notified, before + 1);
    taken t = take(watch);
    ck_assert_str_eq(t.first, "136 lines were left out");
    ck_assert_str_eq(t.last, "line 199");
    ck_assert_uint_eq(t.lines, 65);
    ck_assert_uint_eq(t.jobs, 1); /* 200 reports became one */
    ps_watch_close(&watch);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_job_that_has_ended_is_said_once_and_an_unknown_one_is_refused)
{
    ps_world *w = ps_world_new(NULL, true);
    unsigned notified = 0;
    ps_watch *watch = NULL;
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "");
    ps_world_attach(w, 1, "w1");
    ps_world_serve(w, (uint64_t[]){1}, 1, 50, 0);
    ck_assert_int_eq(ps_sched_watch(w->sched, 99, count_cb, &notified, &watch), PS_NOT_FOUND);
    ck_assert_ptr_null(watch);
    ck_ok(ps_sched_watch(w->sched, id, count_cb, &notified, &watch));
    taken t = take(watch);
    ck_assert_uint_eq(t.jobs, 1);
    ck_assert_int_eq(t.state, PS_JOB_DONE);
    ck_assert_int_eq(t.end, PS_END);
    ps_watch_close(&watch);
    ps_world_free(&w);
}
END_TEST

/* Between its row and its place in memory; who guesses its number would wait for ever. */
START_TEST(a_job_that_is_being_submitted_is_not_watched_yet)
{
    ps_world *w = ps_world_new(NULL, true);
    unsigned notified = 0;
    ps_watch *watch = NULL;
    uint64_t id = 0;
    char name[] = "a", kind[] = "train";
    const ps_job_record record = {.name = name, .kind = kind, .state = PS_JOB_QUEUED};
    ck_ok(ps_catalog_job_add(w->catalog, &record, &id));
    ck_assert_int_eq(ps_sched_watch(w->sched, id, count_cb, &notified, &watch), PS_ABORTED);
    ck_assert_ptr_null(watch);
    ps_world_free(&w);
}
END_TEST

typedef struct closer {
    ps_watch *watch;
    unsigned calls;
} closer;

static void close_cb(void *user)
{
    closer *c = user;
    c->calls++;
    ps_watch_close(&c->watch);
}

START_TEST(a_watch_may_be_closed_from_its_own_notification)
{
    ps_world *w = ps_world_new(NULL, true);
    closer c = {0};
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "");
    ck_ok(ps_sched_watch(w->sched, id, close_cb, &c, &c.watch));
    ck_assert_uint_eq(c.calls, 1);
    ck_assert_ptr_null(c.watch);
    ps_world_attach(w, 1, "w1");
    ck_assert_uint_eq(c.calls, 1);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_workers_line_is_cut_and_made_fit_for_a_protobuf_string)
{
    ps_world *w = ps_world_new(NULL, true);
    unsigned notified = 0;
    ps_watch *watch = NULL;
    uint64_t id = ps_world_training(w, "asp", false, "");
    ck_ok(ps_sched_watch(w->sched, id, count_cb, &notified, &watch));
    (void)take(watch);
    char *text = ps_alloc(5001);
    memset(text, 'x', 5000);
    memcpy(text, "a\xff\n\xc3\xa9\xed\xa0\x80", 8); /* bad byte, newline, é, a lone surrogate */
    const ps_task_report report = {
        .lease_id = ps_world_task_of(w, 1)->lease, .log_level = -5, .log_text = text};
    ck_ok(ps_sched_progress(w->sched, 1, &report));
    ps_watch_event event;
    ck_ok(ps_watch_next(watch, &event));
    ck_assert_ptr_nonnull(event.log);
    ck_assert_int_eq(strncmp(event.log->text, "a??\xc3\xa9???x", 9), 0);
    ck_assert_uint_lt(strlen(event.log->text), 1024);
    ck_assert_int_eq(event.log->level, 3);
    ck_assert_str_eq(event.log->source, "w1");
    ps_watch_event_clear(&event);
    ps_watch_close(&watch);
    free(text);
    ps_world_free(&w);
}
END_TEST

static void say(ps_world *w, uint64_t id, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "line %u", i);
        ps_sched_job_log(w->sched, id, 6, text);
    }
}

/* More is said between two saves than the ring holds. */
START_TEST(what_was_left_out_of_a_kept_log_is_told_where_it_is_missing)
{
    ps_world *w = ps_world_new(NULL, true);
    unsigned notified = 0, before = 0, after = 0, gaps = 0;
    ps_watch *watch = NULL;
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "");
    say(w, id, 0, 60);
    ps_world_attach(w, 1, "w1"); /* it runs, and the lines are in the catalog */
    say(w, id, 60, 560);
    ps_world_serve(w, (uint64_t[]){1}, 1, 50, 0);
    ck_ok(ps_sched_watch(w->sched, id, count_cb, &notified, &watch));
    ps_watch_event event;
    unsigned last = 0;
    while (ps_watch_next(watch, &event) == PS_OK) {
        unsigned number = 0;
        if (event.log && strstr(event.log->text, "lines were left out")) {
            gaps++;
        } else if (event.log && sscanf(event.log->text, "line %u", &number) == 1) {
            ck_assert_uint_ge(number, last);
            last = number;
            before += number < 60;
            after += number >= 60;
        }
        ps_watch_event_clear(&event);
    }
    ck_assert_uint_eq(before, 60);
    ck_assert_uint_ge(after, 60);
    ck_assert_uint_eq(last, 559);
    ck_assert_uint_eq(gaps, 1);
    ps_watch_close(&watch);
    ps_world_free(&w);
}
END_TEST

START_TEST(what_is_said_is_kept_before_the_ring_is_full)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "");
    for (unsigned i = 0; i < 200; i += 40) {
        say(w, id, i, i + 40);
        ps_world_run_ms(w, 1250);
    }
    ps_job_line *lines = NULL;
    size_t n = 0;
    ck_ok(ps_catalog_job_lines(w->catalog, id, 1000, &lines, &n));
    ck_assert_uint_ge(n, 200);
    ps_job_lines_free(&lines, n);
    ps_world_free(&w);
}
END_TEST

/* Each has a copy of the log: what they take together is bounded. */
START_TEST(many_watches_of_an_ended_job_have_its_newest_lines)
{
    enum { MANY = 100 };
    ps_world *w = ps_world_new(NULL, true);
    unsigned notified = 0;
    ps_watch *watches[MANY];
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "");
    for (unsigned i = 0; i < 200; i += 40) {
        say(w, id, i, i + 40);
        ps_world_run_ms(w, 1250);
    }
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    for (size_t i = 0; i < MANY; i++)
        ck_ok(ps_sched_watch(w->sched, id, count_cb, &notified, &watches[i]));
    ck_assert_uint_ge(take(watches[0]).lines, 200);
    taken last = take(watches[MANY - 1]);
    ck_assert_uint_eq(last.lines, 64);
    ck_assert_int_eq(last.end, PS_END);
    for (size_t i = 0; i < MANY; i++)
        ps_watch_close(&watches[i]);
    ck_ok(ps_sched_watch(w->sched, id, count_cb, &notified, &watches[0]));
    ck_assert_uint_ge(take(watches[0]).lines, 200);
    ps_watch_close(&watches[0]);
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&many_watches_of_an_ended_job_have_its_newest_lines},
    {&what_is_said_is_kept_before_the_ring_is_full},
    {&a_watch_sees_what_was_said_before_and_then_each_change_once},
    {&a_slow_watcher_gets_the_newest_lines_and_how_many_it_missed},
    {&a_job_that_has_ended_is_said_once_and_an_unknown_one_is_refused},
    {&a_job_that_is_being_submitted_is_not_watched_yet},
    {&a_watch_may_be_closed_from_its_own_notification},
    {&what_was_left_out_of_a_kept_log_is_told_where_it_is_missing},
    {&a_workers_line_is_cut_and_made_fit_for_a_protobuf_string},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/watch", cases);
}
