/* Axioms of Shapley's value, and the three ways to it against each other and against its
 * definition: the mean over all orders of the players, summed here one by one. */
#include "worker/explain/shapley.h"

#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 10 };

/* Any game of few players: a number for each coalition. */
static void make_game(size_t players, uint64_t seed, double *values)
{
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    for (size_t s = 0; s < (size_t)1 << players; s++)
        values[s] = ps_rng_normal(&rng);
}

static size_t bits_of(const uint8_t *members, size_t players)
{
    size_t s = 0;
    for (size_t i = 0; i < players; i++)
        s |= (size_t)members[i] << i;
    return s;
}

/* Every order of the players by Heap's algorithm. */
static void all_orders(const double *values, size_t n, size_t k, size_t *order, double *sum,
                       double *orders)
{
    if (k == 1) {
        size_t s = 0;
        for (size_t i = 0; i < n; i++) {
            size_t with = s | (size_t)1 << order[i];
            sum[order[i]] += values[with] - values[s];
            s = with;
        }
        *orders += 1;
        return;
    }
    for (size_t i = 0; i < k; i++) {
        all_orders(values, n, k - 1, order, sum, orders);
        size_t j = k % 2 ? 0 : i, other = order[j];
        order[j] = order[k - 1];
        order[k - 1] = other;
    }
}

START_TEST(exact_is_the_mean_over_all_orders)
{
    size_t n = (size_t)_i + 1, order[MOST];
    double values[1 << MOST], want[MOST] = {0}, got[MOST], orders = 0;
    make_game(n, 1 + (uint64_t)n, values);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    all_orders(values, n, n, order, want, &orders);
    ps_shapley_exact(values, n, got);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol(got[i], want[i] / orders, 1e-13);
}
END_TEST

static double total(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

START_TEST(shares_sum_to_the_whole_and_who_does_nothing_gets_nothing)
{
    double values[1 << MOST], got[MOST];
    make_game(MOST, 7, values);
    for (size_t s = 0; s < 1 << MOST; s++) { /* 3 does nothing; 4 and 5 do the same */
        size_t lesser = s & ~((size_t)1 << 3);
        if (lesser & 1 << 5 && !(lesser & 1 << 4))
            lesser ^= 1 << 5 | 1 << 4;
        values[s] = values[lesser];
    }
    ps_shapley_exact(values, MOST, got);
    ck_assert_double_eq_tol(total(got, MOST), values[(1 << MOST) - 1] - values[0], 1e-12);
    ck_assert_double_eq(got[3], 0);
    ck_assert_double_eq_tol(got[4], got[5], 1e-13);
}
END_TEST

static void solve_by_kernel(const double *values, size_t n, size_t most, uint64_t seed,
                            ps_shapley_plan *plan, double *got)
{
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    ck_ok(ps_shapley_plan_make(n, most, &rng, plan));
    double *valued = calloc(plan->count, sizeof *valued);
    for (size_t c = 0; c < plan->count; c++)
        valued[c] = values[bits_of(plan->members + c * n, n)];
    ck_ok(ps_shapley_solve(plan, values[0], values[((size_t)1 << n) - 1], valued, NULL, NULL, got));
    free(valued);
}

START_TEST(kernel_with_all_coalitions_is_exact)
{
    size_t n = (size_t)_i + 2;
    double values[1 << MOST], want[MOST], got[MOST];
    make_game(n, 20 + (uint64_t)n, values);
    ps_shapley_exact(values, n, want);
    ps_shapley_plan plan;
    solve_by_kernel(values, n, n > 2 ? ((size_t)1 << n) - 2 : 2, 3, &plan, got);
    ck_assert(plan.all && plan.count == ((size_t)1 << n) - 2);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol(got[i], want[i], 1e-12);
    ps_shapley_plan_free(&plan);
}
END_TEST

START_TEST(kernel_with_some_coalitions_comes_close_and_keeps_the_sum)
{
    enum { WIDE = 14 };
    static double values[1 << WIDE];
    double want[WIDE], got[WIDE], off = 0, size = 0;
    for (size_t s = 0; s < 1 << WIDE; s++) { /* parts that add up, and pairs that do not */
        values[s] = 1;
        for (size_t i = 0; i < WIDE; i++) {
            if (!(s >> i & 1))
                continue;
            values[s] += (double)i - 5;
            values[s] += s >> (i * 5 % WIDE) & 1 ? 0.5 * (double)(i % 3) : 0;
        }
    }
    ps_shapley_exact(values, WIDE, want);
    ps_shapley_plan plan;
    solve_by_kernel(values, WIDE, 1000, 11, &plan, got);
    ck_assert(!plan.all && plan.count <= 1000);
    for (size_t i = 0; i < WIDE; i++) {
        off += fabs(got[i] - want[i]);
        size += fabs(want[i]);
    }
    ck_assert_double_lt(off, 0.02 * size);
    ck_assert_double_eq_tol(total(got, WIDE), values[(1 << WIDE) - 1] - values[0], 1e-10);
    ps_shapley_plan_free(&plan);
}
END_TEST

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

START_TEST(a_coalition_is_asked_for_once)
{
    enum { WIDE = 12 };
    static size_t seen[1 << WIDE];
    ps_rng rng;
    ps_rng_seed(&rng, 5);
    ps_shapley_plan plan;
    ck_ok(ps_shapley_plan_make(WIDE, 3000, &rng, &plan));
    double weights = 0, all = 0;
    for (size_t c = 0; c < plan.count; c++) {
        seen[c] = bits_of(plan.members + c * WIDE, WIDE);
        ck_assert(seen[c] != 0 && seen[c] != (1 << WIDE) - 1);
        weights += plan.weights[c];
    }
    qsort(seen, plan.count, sizeof *seen, compare_sizes);
    for (size_t c = 1; c < plan.count; c++)
        ck_assert_uint_ne(seen[c], seen[c - 1]);
    for (size_t k = 1; k < WIDE; k++)
        all += (double)(WIDE - 1) / (double)(k * (WIDE - k));
    ck_assert_double_eq_tol(weights, all, 1e-10);
    ps_shapley_plan_free(&plan);
}
END_TEST

/* Of parts that only add up any coalitions that tell players apart say all. */
START_TEST(many_players_that_add_up_are_exact)
{
    enum { WIDE = 100 };
    double got[WIDE], values[400];
    ps_rng rng;
    ps_rng_seed(&rng, 17);
    ps_shapley_plan plan;
    ck_ok(ps_shapley_plan_make(WIDE, 400, &rng, &plan));
    for (size_t c = 0; c < plan.count; c++) {
        values[c] = 2;
        for (size_t i = 0; i < WIDE; i++)
            values[c] += plan.members[c * WIDE + i] ? sqrt((double)i) : 0;
    }
    double full = 2;
    for (size_t i = 0; i < WIDE; i++)
        full += sqrt((double)i);
    ck_ok(ps_shapley_solve(&plan, 2, full, values, NULL, NULL, got));
    for (size_t i = 0; i < WIDE; i++)
        ck_assert_double_eq_tol(got[i], sqrt((double)i), 1e-9);
    ps_shapley_plan_free(&plan);
}
END_TEST

START_TEST(too_few_coalitions_are_refused)
{
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    ps_shapley_plan plan;
    ck_assert_int_eq(ps_shapley_plan_make(10, 9, &rng, &plan), PS_INVALID_ARGUMENT);
    ck_ok(ps_shapley_plan_make(30, 30, &rng, &plan));
    double values[64] = {0}, got[30];
    ck_assert_int_eq(ps_shapley_solve(&plan, 0, 1, values, NULL, NULL, got), PS_OUT_OF_RANGE);
    ps_shapley_plan_free(&plan);
}
END_TEST

static ps_status refuse(void *user)
{
    ++*(int *)user;
    return ps_fail(PS_CANCELLED, "enough");
}

START_TEST(many_coalitions_of_many_players_are_bounded_and_can_be_ended)
{
    enum { MANY = 500, COALITIONS = 1000 };
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    ps_shapley_plan plan;
    int asked = 0;
    ck_assert_int_eq(ps_shapley_plan_make(4096, 1 << 20, &rng, &plan), PS_INVALID_ARGUMENT);
    ck_ok(ps_shapley_plan_make(MANY, COALITIONS, &rng, &plan));
    double values[COALITIONS] = {0}, got[MANY];
    ck_assert_int_eq(ps_shapley_solve(&plan, 0, 1, values, refuse, &asked, got), PS_CANCELLED);
    ck_assert_int_eq(asked, 1);
    ps_shapley_plan_free(&plan);
}
END_TEST

static void run_order(const double *values, const uint32_t *order, size_t n, bool back, double *out)
{
    size_t s = 0;
    for (size_t k = 0; k < n; k++) {
        s |= (size_t)1 << order[back ? n - 1 - k : k];
        out[k] = values[s];
    }
}

START_TEST(orders_keep_the_sum_and_say_how_sure_they_are)
{
    double values[1 << MOST], want[MOST], there[MOST], back[MOST];
    uint32_t order[MOST];
    make_game(MOST, 33, values);
    ps_shapley_exact(values, MOST, want);
    ps_shapley_orders orders;
    ck_ok(ps_shapley_orders_make(MOST, &orders));
    ps_rng rng;
    ps_rng_seed(&rng, 4);
    ck_assert(isnan(ps_shapley_orders_error(&orders, 0)));
    for (int i = 0; i < 2000; i++) {
        ps_shapley_order(&rng, MOST, order);
        run_order(values, order, MOST, false, there);
        run_order(values, order, MOST, true, back);
        ps_shapley_orders_add(&orders, order, values[0], there, back);
        if (i == 0)
            ck_assert_double_eq_tol(total(orders.mean, MOST), values[(1 << MOST) - 1] - values[0],
                                    1e-12);
    }
    for (size_t i = 0; i < MOST; i++) {
        double error = ps_shapley_orders_error(&orders, i);
        ck_assert(error > 0 && error < 0.1);
        ck_assert_double_lt(fabs(orders.mean[i] - want[i]), 4 * error);
    }
    ps_shapley_orders_free(&orders);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &exact_is_the_mean_over_all_orders, .repeat = 7},
    {&shares_sum_to_the_whole_and_who_does_nothing_gets_nothing},
    {.test = &kernel_with_all_coalitions_is_exact, .repeat = MOST - 1},
    {&kernel_with_some_coalitions_comes_close_and_keeps_the_sum},
    {&a_coalition_is_asked_for_once},
    {&many_players_that_add_up_are_exact},
    {&too_few_coalitions_are_refused},
    {&many_coalitions_of_many_players_are_bounded_and_can_be_ended},
    {&orders_keep_the_sum_and_say_how_sure_they_are},
    {0},
};

int main(void)
{
    return ps_check_main("explain/shapley", cases);
}
