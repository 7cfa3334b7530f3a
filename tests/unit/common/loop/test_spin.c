/* spin: when a loop looks instead of sleeping, told by waits of chosen lengths. */
#include "common/loop/spin.h"

#include "tests/lib/check_main.h"

#define US    1000u
#define LIMIT (200u * US)

static ps_spin spin;
static uint64_t now;

static void begin(void)
{
    ps_spin_init(&spin, LIMIT);
    now = 1000000000;
}

/* A wait of so long, slept through or looked through in steps of 1 us, then so much work. Returns
 * for how long it was looked. */
static uint64_t wait_and_work(uint64_t wait_us, uint64_t work_us)
{
    uint64_t until = now + wait_us * US, looked = 0;
    while (ps_spin_looks(&spin, now) && now < until) {
        now += US;
        looked += US;
    }
    now = until;
    ps_spin_woken(&spin, now);
    now += work_us * US;
    return looked / US;
}

static uint64_t looked_in(unsigned waits, uint64_t wait_us, uint64_t work_us)
{
    uint64_t looked = 0;
    for (unsigned i = 0; i < waits; i++)
        looked += wait_and_work(wait_us, work_us);
    return looked;
}

START_TEST(short_waits_in_a_row_make_it_look)
{
    begin();
    ck_assert_uint_eq(looked_in(4, 120, 20), 0); /* asleep: with the waking of both sides */
    for (int i = 0; i < 1000; i++)
        ck_assert_uint_eq(wait_and_work(25, 20), 25);
}
END_TEST

START_TEST(a_call_now_and_then_is_slept_for)
{
    begin();
    ck_assert_uint_eq(looked_in(10000, 1000, 20), 0);
    for (int i = 0; i < 1000; i++) { /* three messages each */
        ck_assert_uint_eq(looked_in(3, 100, 20), 0);
        ck_assert_uint_eq(looked_in(1, 10000, 20), 0);
    }
}
END_TEST

START_TEST(one_long_wait_ends_it_at_the_limit)
{
    begin();
    (void)looked_in(100, 25, 20);
    ck_assert_uint_eq(wait_and_work(50000, 20), LIMIT / US);
    ck_assert_uint_eq(looked_in(100, 50000, 20), 0);
}
END_TEST

START_TEST(guessing_wrong_again_and_again_costs_little)
{
    begin();
    /* short enough to be tried, never soon enough to be found */
    uint64_t looked = looked_in(100000, 300, 20);
    ck_assert_uint_gt(looked, 0);
    ck_assert_uint_lt(looked, 100000u * 300u / 500);
}
END_TEST

START_TEST(what_comes_late_in_the_mean_is_slept_for)
{
    begin();
    uint64_t looked = looked_in(100000, 120, 20);
    ck_assert_uint_gt(looked, 0);
    ck_assert_uint_lt(looked, 100000u * 120u / 50);
}
END_TEST

START_TEST(after_wrong_guesses_it_finds_its_way_back)
{
    begin();
    (void)looked_in(100000, 300, 20);
    (void)looked_in(1100, 25, 20);
    for (int i = 0; i < 1000; i++)
        ck_assert_uint_eq(wait_and_work(25, 20), 25);
}
END_TEST

START_TEST(a_loop_that_moves_data_sleeps)
{
    begin();
    (void)looked_in(100, 25, 20);
    (void)looked_in(1, 25, 150);
    ck_assert_uint_eq(looked_in(1000, 25, 150), 0);
}
END_TEST

/* As wait_and_work, but others work on the core as well: at every 20th wait that is looked through
 * they have it for 3 ms, whatever comes meanwhile. Returns whether this was one. */
static bool wait_beside_others(uint64_t wait_us, unsigned *looked_waits)
{
    uint64_t until = now + wait_us * US;
    bool late = ps_spin_looks(&spin, now) && ++*looked_waits % 20 == 0;
    for (; !late && now < until; now += US)
        (void)ps_spin_looks(&spin, now);
    now = late ? now + 3000 * US : until;
    ps_spin_woken(&spin, now);
    now += 20 * US;
    return late;
}

START_TEST(where_others_have_the_core_now_and_then_it_sleeps)
{
    begin();
    unsigned late = 0, looked = 0;
    for (int i = 0; i < 100000; i++)
        late += wait_beside_others(25, &looked);
    ck_assert_uint_gt(late, 1); /* it tries again: the others may have gone */
    ck_assert_uint_le(late, 100);

    (void)looked_in(1100, 25, 20); /* they have */
    ck_assert_uint_eq(wait_and_work(25, 20), 25);
}
END_TEST

/* A wait that is looked through, in which the core is gone for so long. */
static void lose_the_core(uint64_t away_us)
{
    ck_assert(ps_spin_looks(&spin, now));
    now += away_us * US;
    (void)ps_spin_looks(&spin, now);
    ps_spin_woken(&spin, now);
    now += 20 * US;
}

/* Waits until it looks again, at most. */
static unsigned waits_until_it_looks(void)
{
    unsigned n = 0;
    while (!wait_and_work(25, 20))
        n++;
    return n;
}

START_TEST(an_interrupt_is_nobodys_turn)
{
    begin();
    (void)looked_in(100, 25, 20);
    lose_the_core(150);
    ck_assert_uint_eq(waits_until_it_looks(), 0);
}
END_TEST

START_TEST(losing_the_core_again_and_again_counts_more_than_once)
{
    begin();
    (void)looked_in(100, 25, 20);
    lose_the_core(3000);
    ck_assert_uint_eq(waits_until_it_looks(), 64);
    lose_the_core(3000);
    ck_assert_uint_eq(waits_until_it_looks(), 256);
    (void)looked_in(1100, 25, 20); /* it was long ago */
    lose_the_core(3000);
    ck_assert_uint_eq(waits_until_it_looks(), 64);
}
END_TEST

START_TEST(time_away_is_not_a_wait)
{
    begin();
    (void)looked_in(100, 25, 20);
    (void)ps_spin_looks(&spin, now);
    now += 10 * US;
    ps_spin_forget(&spin);
    now += 50 * US; /* the caller does something else, then runs the loop again */
    ck_assert_uint_eq(wait_and_work(25, 20), 25);
}
END_TEST

START_TEST(switched_off_it_never_looks)
{
    begin();
    ps_spin_init(&spin, 0);
    ck_assert_uint_eq(looked_in(1000, 1, 1), 0);
}
END_TEST

static const ps_check_case cases[] = {
    {&short_waits_in_a_row_make_it_look},
    {&a_call_now_and_then_is_slept_for},
    {&one_long_wait_ends_it_at_the_limit},
    {&guessing_wrong_again_and_again_costs_little},
    {&what_comes_late_in_the_mean_is_slept_for},
    {&after_wrong_guesses_it_finds_its_way_back},
    {&a_loop_that_moves_data_sleeps},
    {&where_others_have_the_core_now_and_then_it_sleeps},
    {&an_interrupt_is_nobodys_turn},
    {&losing_the_core_again_and_again_counts_more_than_once},
    {&time_away_is_not_a_wait},
    {&switched_off_it_never_looks},
    {0},
};

int main(void)
{
    return ps_check_main("loop/spin", cases);
}
