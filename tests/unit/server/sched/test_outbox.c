/* outbox: entries in a row of their own, which note what happened in a text. */
#include "server/sched/outbox.h"
#include "tests/lib/check_main.h"
#include "tests/lib/dies.h"

#include "common/base/mem.h"

#include <string.h>

enum { DUE_MAX = 2 };

static ps_mutex mutex = PS_MUTEX_INITIALIZER;
static ps_outbox outbox;
static char happened[64];
static unsigned dues;

typedef struct entry {
    ps_outbox_entry of;
    char name;
    bool calls_in; /* takes the mutex as a call from outside does, and adds 'x' */
} entry;

static void note(char c)
{
    size_t n = strlen(happened);
    ck_assert_uint_lt(n + 1, sizeof happened);
    happened[n] = c;
}

static void put(char name, bool calls_in, bool late);

static void no_due(void *user)
{
    ck_assert(ps_mutex_is_held(&mutex));
}

static void run(ps_outbox_entry *of)
{
    entry *e = ps_container(of, entry, of);
    ps_mutex_lock(&mutex); /* nobody holds it */
    note(e->name);
    ck_assert(ps_outbox_runs_here(&outbox));
    if (e->calls_in) {
        put('x', false, false);
        ps_outbox_run_and_unlock(&outbox, no_due, NULL);
        ck_assert_ptr_null(strchr(happened, 'x')); /* it comes after */
    } else {
        ps_mutex_unlock(&mutex);
    }
}

static void drop(ps_outbox_entry *of)
{
    note('.');
    free(ps_container(of, entry, of));
}

static void put(char name, bool calls_in, bool late)
{
    entry *e = ps_new(entry);
    *e = (entry){.of = {.run = run, .drop = drop}, .name = name, .calls_in = calls_in};
    if (late)
        ps_outbox_add_late(&outbox, &e->of);
    else
        ps_outbox_add(&outbox, &e->of);
}

static void start(void)
{
    ps_outbox_init(&outbox, &mutex);
    memset(happened, 0, sizeof happened);
    dues = 0;
    ps_mutex_lock(&mutex);
}

static void run_all(void (*due)(void *))
{
    ps_outbox_run_and_unlock(&outbox, due, NULL);
    ck_assert(ps_mutex_try_lock(&mutex)); /* it was given back */
    ck_assert(!ps_outbox_runs_here(&outbox));
    ps_mutex_unlock(&mutex);
}

START_TEST(entries_run_in_order_without_the_mutex_and_are_dropped_with_it)
{
    start();
    put('a', false, false);
    put('b', false, false);
    run_all(no_due);
    ck_assert_str_eq(happened, "a.b.");
}
END_TEST

START_TEST(late_entries_come_behind_all_of_their_time_in_the_mutex)
{
    start();
    put('a', false, false);
    put('z', false, true);
    put('b', false, false);
    run_all(no_due);
    ck_assert_str_eq(happened, "a.b.z.");
}
END_TEST

START_TEST(what_an_entry_causes_by_calling_in_comes_after_it)
{
    start();
    put('a', true, false);
    put('b', false, false);
    run_all(no_due);
    ck_assert_str_eq(happened, "a.b.x.");
}
END_TEST

static void due_adds(void *user)
{
    if (dues++ < DUE_MAX)
        put('d', false, false);
}

START_TEST(what_is_due_is_seen_to_before_the_mutex_is_given_back_and_after_each_entry)
{
    start();
    run_all(due_adds);
    ck_assert_str_eq(happened, "d.d.");
    ck_assert_uint_eq(dues, DUE_MAX + 1);
}
END_TEST

START_TEST(entries_that_never_happen_are_dropped_unrun)
{
    start();
    put('a', false, false);
    put('z', false, true);
    ps_outbox_drop_all(&outbox);
    ps_mutex_unlock(&mutex);
    ck_assert_str_eq(happened, "..");
    ck_assert(ps_list_empty(&outbox.entries) && ps_list_empty(&outbox.late));
}
END_TEST

static void put_without_the_mutex(void)
{
    start();
    ps_mutex_unlock(&mutex);
    put('a', false, false);
}

static void put_twice(void)
{
    static ps_outbox_entry twice = {.run = run, .drop = drop};
    start();
    ps_outbox_add(&outbox, &twice);
    ps_outbox_add_late(&outbox, &twice);
}

START_TEST(an_entry_is_put_in_with_the_mutex_and_once)
{
    char said[PS_DIES_SAID];
    ps_test_dies(put_without_the_mutex, said);
    ck_assert_msg(strstr(said, "outbox.c:") && strstr(said, "ps_mutex_is_held(outbox->mutex)"),
                  "%s", said);
    ps_test_dies(put_twice, said);
    ck_assert_msg(strstr(said, "ps_list_empty(&entry->link)"), "%s", said);
}
END_TEST

static const ps_check_case cases[] = {
    {&entries_run_in_order_without_the_mutex_and_are_dropped_with_it},
    {&late_entries_come_behind_all_of_their_time_in_the_mutex},
    {&what_an_entry_causes_by_calling_in_comes_after_it},
    {&what_is_due_is_seen_to_before_the_mutex_is_given_back_and_after_each_entry},
    {&entries_that_never_happen_are_dropped_unrun},
    {&an_entry_is_put_in_with_the_mutex_and_once},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/outbox", cases);
}
