/* ranges: against a plain array of what was added. */
#include "worker/exchange/ranges.h"

#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <stdbool.h>
#include <string.h>

enum { ELEMENTS = 2000 };

static bool added[ELEMENTS], held[ELEMENTS];

/* Checks form and contents; the elements that are held and were not added. */
static unsigned check(const ps_ranges *r)
{
    ck_assert_uint_le(r->count, PS_RANGES_MAX);
    memset(held, 0, sizeof held);
    for (uint32_t i = 0; i < r->count; i++) {
        ck_assert_uint_lt(r->list[i].begin, r->list[i].end);
        if (i)
            ck_assert_uint_gt(r->list[i].begin, r->list[i - 1].end);
        memset(held + r->list[i].begin, true, r->list[i].end - r->list[i].begin);
    }
    unsigned more = 0, missing = 0;
    for (int k = 0; k < ELEMENTS; k++) {
        missing += added[k] && !held[k];
        more += held[k] && !added[k];
    }
    ck_assert_uint_eq(missing, 0);
    return more;
}

static void add(ps_ranges *r, uint64_t begin, uint64_t end)
{
    memset(added + begin, true, end - begin);
    ps_ranges_add(r, begin, end);
}

START_TEST(few_ranges_are_exact)
{
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    for (int round = 0; round < 500; round++) {
        memset(added, 0, sizeof added);
        ps_ranges r = {.count = 0};
        for (int i = 0; i < PS_RANGES_MAX; i++) {
            uint64_t begin = ps_rng_below(&rng, ELEMENTS);
            uint64_t length = ps_rng_below(&rng, round % 2 ? 300 : 40);
            add(&r, begin, begin + length < ELEMENTS ? begin + length : ELEMENTS);
            ck_assert_uint_eq(check(&r), 0);
        }
    }
}
END_TEST

START_TEST(many_ranges_hold_all_that_was_added)
{
    ps_rng rng;
    ps_rng_seed(&rng, 4);
    for (int round = 0; round < 200; round++) {
        memset(added, 0, sizeof added);
        ps_ranges r = {.count = 0};
        for (int i = 0; i < 100; i++) {
            uint64_t begin = ps_rng_below(&rng, ELEMENTS);
            add(&r, begin, begin + 1);
            check(&r);
        }
    }
}
END_TEST

START_TEST(the_smallest_gap_is_taken_in)
{
    memset(added, 0, sizeof added);
    ps_ranges r = {.count = 0};
    for (uint64_t i = 0; i < PS_RANGES_MAX; i++)
        add(&r, i * 100, i * 100 + 10);
    add(&r, 715, 720); /* 5 behind the eighth */
    ck_assert_uint_eq(check(&r), 5);
    ck_assert_uint_eq(r.count, PS_RANGES_MAX);
}
END_TEST

START_TEST(what_follows_lengthens_the_last)
{
    memset(added, 0, sizeof added);
    ps_ranges r = {.count = 0};
    for (uint64_t k = 0; k < ELEMENTS; k += 50)
        add(&r, k, k + 50);
    add(&r, 70, 70);
    ck_assert_uint_eq(r.count, 1);
    ck_assert_uint_eq(check(&r), 0);
}
END_TEST

static const ps_check_case tests[] = {{&few_ranges_are_exact},
                                      {&many_ranges_hold_all_that_was_added},
                                      {&the_smallest_gap_is_taken_in},
                                      {&what_follows_lengthens_the_last},
                                      {0}};

int main(void)
{
    return ps_check_main("worker/exchange/ranges", tests);
}
