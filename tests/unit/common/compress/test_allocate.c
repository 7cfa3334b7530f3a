#include "common/compress/allocate.h"

#include "tests/lib/check_main.h"

#include "common/base/rng.h"

#include <math.h>
#include <string.h>

enum { ITEMS = 9, CHOICES = 4, MOST_ITEMS = 200 };

static ps_choice choices[MOST_ITEMS][CHOICES];
static ps_item items[MOST_ITEMS];
static size_t chosen[MOST_ITEMS];

/* As tensors are: sizes that differ by ten, and a loss that falls fourfold with each bit, more or
 * less. */
static void draw(uint64_t seed, size_t n)
{
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    for (size_t k = 0; k < n; k++) {
        double size = 1000 * (1 + (double)ps_rng_below(&rng, 10)), loss = size;
        for (size_t i = 0; i < CHOICES; i++) {
            choices[k][i] = (ps_choice){.cost = size * (double)(i + 2) / 8,
                                        .loss = loss * (0.5 + ps_rng_uniform(&rng))};
            loss /= 4;
        }
        items[k] = (ps_item){choices[k], CHOICES};
    }
}

static ps_allocation sum_of(size_t n)
{
    ps_allocation sum = {0, 0};
    for (size_t k = 0; k < n; k++) {
        sum.cost += choices[k][chosen[k]].cost;
        sum.loss += choices[k][chosen[k]].loss;
    }
    return sum;
}

/* The least loss of all 4⁹ that fit. */
static double least_of_all(double most)
{
    double least = INFINITY;
    for (size_t code = 0; code < (size_t)1 << 2 * ITEMS; code++) {
        double cost = 0, loss = 0;
        for (size_t k = 0; k < ITEMS; k++) {
            const ps_choice *c = &choices[k][code >> 2 * k & 3];
            cost += c->cost;
            loss += c->loss;
        }
        if (cost <= most && loss < least)
            least = loss;
    }
    return least;
}

START_TEST(few_items_lose_hardly_more_than_the_least)
{
    double worst = 1;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        draw(seed, ITEMS);
        double low = 0, high = 0;
        for (size_t k = 0; k < ITEMS; k++) {
            low += choices[k][0].cost;
            high += choices[k][CHOICES - 1].cost;
        }
        double most = low + (high - low) * (0.1 + 0.1 * (double)seed);
        ps_allocation got;
        ck_ok(ps_allocate(items, ITEMS, most, chosen, &got));
        ps_allocation is = sum_of(ITEMS);
        ck_assert_double_eq_tol(got.cost, is.cost, 1e-6);
        ck_assert_double_eq_tol(got.loss, is.loss, 1e-9 * is.loss);
        ck_assert_double_le(got.cost, most);
        worst = fmax(worst, got.loss / least_of_all(most));
    }
    ck_assert_double_le(worst, 1.05);
}
END_TEST

/* A target is met within a hundredth, and never exceeded. */
START_TEST(many_items_meet_the_target)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        draw(seed, MOST_ITEMS);
        double numbers = 0;
        for (size_t k = 0; k < MOST_ITEMS; k++)
            numbers += choices[k][0].cost * 4;
        double most = numbers * (2.1 + 0.25 * (double)seed) / 8;
        ps_allocation got;
        ck_ok(ps_allocate(items, MOST_ITEMS, most, chosen, &got));
        ck_assert_double_le(got.cost, most);
        ck_assert_double_ge(got.cost, 0.99 * most);
    }
}
END_TEST

START_TEST(what_nobody_needs_is_not_spent_and_what_is_too_little_is_told)
{
    draw(1, ITEMS);
    ps_allocation got;
    ck_ok(ps_allocate(items, ITEMS, 1e9, chosen, &got));
    double least = 0, cheapest = 0;
    for (size_t k = 0; k < ITEMS; k++) {
        double one = INFINITY;
        for (size_t i = 0; i < CHOICES; i++)
            one = fmin(one, choices[k][i].loss);
        least += one;
        cheapest += choices[k][0].cost;
    }
    ck_assert_double_eq_tol(got.loss, least, 1e-9 * least);
    ck_ok(ps_allocate(items, ITEMS, cheapest, chosen, &got));
    ck_assert_double_eq(got.cost, cheapest);
    ck_assert_int_eq(ps_allocate(items, ITEMS, cheapest - 1, chosen, &got), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "the least that can be had is"));
}
END_TEST

/* Equal costs, equal losses, one choice, no loss at all. */
START_TEST(odd_choices_do_no_harm)
{
    const ps_choice same[2] = {{5, 3}, {5, 1}}, one[1] = {{7, 2}}, none[2] = {{1, 0}, {9, 0}};
    const ps_item odd[3] = {{same, 2}, {one, 1}, {none, 2}};
    ps_allocation got;
    ck_ok(ps_allocate(odd, 3, 13, chosen, &got));
    ck_assert(chosen[0] == 1 && chosen[1] == 0 && chosen[2] == 0);
    ck_assert(got.cost == 13 && got.loss == 3);
}
END_TEST

static const ps_check_case cases[] = {
    {&few_items_lose_hardly_more_than_the_least},
    {&many_items_meet_the_target},
    {&what_nobody_needs_is_not_spent_and_what_is_too_little_is_told},
    {&odd_choices_do_no_harm},
    {0},
};

int main(void)
{
    return ps_check_main("compress/allocate", cases);
}
