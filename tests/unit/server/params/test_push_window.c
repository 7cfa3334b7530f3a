#include "server/params/push_window.h"

#include "tests/lib/check_main.h"

static ps_push_windows *windows;

static ps_status begin(const char *client, uint64_t incarnation, uint64_t sequence,
                       ps_push_ticket *ticket)
{
    bool duplicate;
    ps_push_reply reply;
    ps_status st =
        ps_push_windows_begin(windows, client, incarnation, sequence, ticket, &duplicate, &reply);
    ck_assert(st || !duplicate);
    return st;
}

static void finish(const ps_push_ticket *ticket, uint64_t version, uint64_t pending_clock)
{
    ck_ok(ps_push_windows_confirm(windows, ticket));
    ps_push_reply reply = {.version = version, .staleness = version + 1};
    ps_push_windows_finish(windows, ticket, &reply, pending_clock);
}

static void apply(const char *client, uint64_t incarnation, uint64_t sequence, uint64_t version)
{
    ps_push_ticket ticket;
    ck_ok(begin(client, incarnation, sequence, &ticket));
    finish(&ticket, version, 0);
}

/* The version that was stored, 0 when the push is not known. */
static uint64_t known(const char *client, uint64_t incarnation, uint64_t sequence)
{
    ps_push_ticket ticket;
    bool duplicate;
    ps_push_reply reply;
    ck_ok(
        ps_push_windows_begin(windows, client, incarnation, sequence, &ticket, &duplicate, &reply));
    if (!duplicate)
        ps_push_windows_drop(windows, &ticket);
    ck_assert(!duplicate || (reply.duplicate && reply.staleness == reply.version + 1));
    return duplicate ? reply.version : 0;
}

START_TEST(the_window_slides_and_what_fell_out_is_an_error)
{
    ps_push_windows_create(&windows);
    ps_push_ticket ticket;
    for (uint64_t i = 1; i <= 1000; i++) {
        if (i % 7 == 0)
            continue;
        apply("a", 1, i, 10 * i);
        if (i > PS_PUSH_WINDOW)
            ck_assert_int_eq(begin("a", 1, i - PS_PUSH_WINDOW, &ticket), PS_OUT_OF_RANGE);
    }
    for (uint64_t i = 1000 - PS_PUSH_WINDOW + 1; i <= 1000; i++)
        ck_assert_uint_eq(known("a", 1, i), i % 7 ? 10 * i : 0);
    /* a jump forgets all between, and keeps refusing what is older than it knows */
    apply("a", 1, 100000, 5);
    ck_assert_int_eq(begin("a", 1, 1000, &ticket), PS_OUT_OF_RANGE);
    ps_buf saved = PS_BUF_EMPTY;
    ps_push_windows_save(windows, 0, &saved);
    ps_push_windows *again;
    ps_push_windows_create(&again);
    ck_ok(ps_push_windows_load(again, ps_buf_slice(&saved)));
    ps_push_windows_free(&again);
    ps_buf_free(&saved);
    ck_assert_uint_eq(known("a", 1, 99999), 0);
    ck_assert_uint_eq(known("a", 1, 100000), 5);
    ps_push_windows_free(&windows);
}
END_TEST

START_TEST(a_push_under_way_is_not_begun_twice)
{
    ps_push_windows_create(&windows);
    ps_push_ticket first, second;
    ck_ok(begin("a", 1, 1, &first));
    ck_assert_int_eq(begin("a", 1, 1, &second), PS_ABORTED);
    ck_ok(begin("b", 1, 1, &second)); /* another client */
    ps_push_windows_drop(windows, &first);
    ck_ok(begin("a", 1, 1, &first));
    finish(&first, 9, 0);
    ck_assert_uint_eq(known("a", 1, 1), 9);
    /* the ring is full: the slot of one under way is not taken */
    ps_push_windows_drop(windows, &second);
    ck_ok(begin("c", 1, 1, &first));
    ck_assert_int_eq(begin("c", 1, 1 + PS_PUSH_WINDOW, &second), PS_ABORTED);
    ck_ok(begin("c", 1, PS_PUSH_WINDOW, &second));
    ck_assert_int_eq(begin("a", 1, 0, &second), PS_INVALID_ARGUMENT);
    ps_push_windows_free(&windows);
}
END_TEST

START_TEST(a_new_incarnation_fences_the_old)
{
    ps_push_windows_create(&windows);
    apply("a", 5, 1, 1);
    ps_push_ticket begun, committing, other;
    ck_ok(begin("a", 5, 2, &begun));
    ck_ok(begin("a", 5, 3, &committing));
    ck_ok(ps_push_windows_confirm(windows, &committing));
    ck_assert_uint_eq(known("a", 6, 1), 0); /* its sequences start anew */
    ck_assert_int_eq(begin("a", 5, 4, &other), PS_FAILED_PRECONDITION);
    ck_assert_int_eq(ps_push_windows_confirm(windows, &begun), PS_FAILED_PRECONDITION);
    ps_push_windows_drop(windows, &begun);
    /* one that was being applied is, and leaves nothing in the new one's window */
    ps_push_windows_finish(windows, &committing, &(ps_push_reply){.version = 7}, 0);
    ck_assert_uint_eq(known("a", 6, 3), 0);
    ps_push_windows_free(&windows);
}
END_TEST

START_TEST(windows_survive_saving_without_what_was_not_final)
{
    ps_push_windows_create(&windows);
    apply("a", 1, 3, 30);
    apply("b", 2, 300, 31);
    ps_push_ticket pending, begun;
    ck_ok(begin("a", 1, 4, &pending));
    finish(&pending, 32, 8);
    ck_ok(begin("a", 1, 5, &begun));
    ps_buf unfinished = PS_BUF_EMPTY, finished = PS_BUF_EMPTY;
    ps_push_windows_save(windows, 8, &unfinished);
    ps_push_windows_save(windows, 9, &finished);
    ps_push_windows_free(&windows);
    for (int i = 0; i < 2; i++) {
        ps_push_windows_create(&windows);
        ck_ok(ps_push_windows_load(windows, ps_buf_slice(i ? &finished : &unfinished)));
        ck_assert_uint_eq(known("a", 1, 3), 30);
        ck_assert_uint_eq(known("a", 1, 4), i ? 32 : 0);
        ck_assert_uint_eq(known("a", 1, 5), 0);
        ck_assert_uint_eq(known("b", 2, 300), 31);
        ck_assert_int_eq(begin("b", 2, 44, &begun), PS_OUT_OF_RANGE);
        ck_assert_int_eq(begin("b", 1, 400, &begun), PS_FAILED_PRECONDITION);
        ps_push_windows_free(&windows);
    }
    for (size_t len = 0; len < finished.len; len++) {
        ps_push_windows_create(&windows);
        ck_assert_int_eq(ps_push_windows_load(windows, ps_slice_of(finished.data, len)),
                         PS_CORRUPT);
        ps_push_windows_free(&windows);
    }
    ps_buf_free(&unfinished);
    ps_buf_free(&finished);
}
END_TEST

/* "a:3/1 b:0/2 ", by name. */
static void add_count(void *user, const char *client, uint64_t pushes, uint64_t refused)
{
    ps_buf_printf(user, "%s:%llu/%llu ", client, (unsigned long long)pushes,
                  (unsigned long long)refused);
}

static void counts_are(const char *wanted)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_push_windows_count(windows, add_count, &text);
    ck_assert_str_eq(ps_buf_cstr(&text), wanted);
    ps_buf_free(&text);
}

/* Over incarnations and restarts; what waits for the end of a clock is pushed again after one. */
START_TEST(who_pushed_how_often_survives_saving)
{
    ps_push_windows_create(&windows);
    ps_push_ticket pending;
    for (uint64_t i = 1; i <= 300; i++)
        apply("a", 1, i, i);
    apply("a", 2, 1, 301);
    (void)known("a", 2, 1); /* the same again is no other push */
    ck_ok(begin("a", 2, 2, &pending));
    finish(&pending, 302, 8);
    ps_push_windows_reject(windows, "a");
    counts_are("a:302/1 ");
    ps_push_windows_reject(windows, "b");
    ps_buf saved[2] = {PS_BUF_EMPTY, PS_BUF_EMPTY};
    ps_push_windows_save(windows, 8, &saved[0]);
    ps_push_windows_save(windows, 0, &saved[1]);
    ps_push_windows_free(&windows);
    for (int i = 0; i < 2; i++) {
        ps_push_windows_create(&windows);
        ck_ok(ps_push_windows_load(windows, ps_buf_slice(&saved[i])));
        counts_are(i ? "a:302/1 b:0/1 " : "a:301/1 b:0/1 ");
        ps_push_windows_free(&windows);
        ps_buf_free(&saved[i]);
    }
}
END_TEST

/* As a psd of before has saved it: version 1, one client, its incarnation, newest, no slot. */
START_TEST(windows_of_a_psd_that_did_not_count_are_read)
{
    ps_buf old = PS_BUF_EMPTY;
    ps_buf_put_u64le(&old, 1);
    ps_buf_put_u64le(&old, 1);
    ps_buf_put_u64le(&old, 1);
    ps_buf_puts(&old, "a");
    ps_buf_put_u64le(&old, 7);
    ps_buf_put_u64le(&old, 40);
    ps_buf_put_u64le(&old, 0);
    ps_push_windows_create(&windows);
    ck_ok(ps_push_windows_load(windows, ps_buf_slice(&old)));
    counts_are("a:0/0 ");
    apply("a", 7, 41, 5);
    counts_are("a:1/0 ");
    ps_push_windows_free(&windows);
    ps_buf_free(&old);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_window_slides_and_what_fell_out_is_an_error},
    {&a_push_under_way_is_not_begun_twice},
    {&a_new_incarnation_fences_the_old},
    {&windows_survive_saving_without_what_was_not_final},
    {&who_pushed_how_often_survives_saving},
    {&windows_of_a_psd_that_did_not_count_are_read},
    {0},
};

int main(void)
{
    return ps_check_main("params/push_window", cases);
}
