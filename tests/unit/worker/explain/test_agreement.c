/* Rank correlation and the area under the curve against their definitions, pair by pair. */
#include "worker/explain/agreement.h"

#include "tests/lib/check_main.h"

#include "common/base/rng.h"

#include <math.h>

enum { N = 60 };

/* A rank by counting: 1 + those below + half of the other equals. */
static double rank_of(const double *x, size_t i)
{
    double below = 0, same = 0;
    for (size_t j = 0; j < N; j++) {
        below += x[j] < x[i];
        same += x[j] == x[i];
    }
    return below + (same + 1) / 2;
}

static void draw(uint64_t seed, double *x, double *y)
{
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    for (size_t i = 0; i < N; i++) {
        x[i] = floor(4 * ps_rng_normal(&rng)); /* with equals */
        y[i] = x[i] * x[i] * x[i] + 20 * ps_rng_normal(&rng);
    }
}

START_TEST(spearman_is_the_correlation_of_ranks)
{
    double x[N], y[N], rx[N], ry[N], got;
    draw((uint64_t)_i, x, y);
    for (size_t i = 0; i < N; i++) {
        rx[i] = rank_of(x, i);
        ry[i] = rank_of(y, i);
    }
    ck_ok(ps_spearman(x, y, N, &got));
    ck_assert_double_eq_tol(got, ps_pearson(rx, ry, N), 1e-13);
    ck_assert(got > 0.5 && got < 1);
}
END_TEST

/* The example of Student's and Kendall's textbooks that Wikipedia works through: −29/165. */
START_TEST(spearman_of_a_published_example)
{
    double iq[10] = {106, 100, 86, 101, 99, 103, 97, 113, 112, 110};
    double hours[10] = {7, 27, 2, 50, 28, 29, 20, 12, 6, 17}, got;
    ck_ok(ps_spearman(iq, hours, 10, &got));
    ck_assert_double_eq_tol(got, -29.0 / 165.0, 1e-13);
}
END_TEST

START_TEST(what_is_all_the_same_agrees_with_nothing)
{
    double same[3] = {2, 2, 2}, other[3] = {1, 2, 3}, got;
    double tenths[12], twelve[12]; /* whose mean is not 0.1, to the last bit */
    for (int i = 0; i < 12; i++) {
        tenths[i] = 0.1;
        twelve[i] = i;
    }
    ck_assert(isnan(ps_pearson(tenths, twelve, 12)) && isnan(ps_pearson(twelve, tenths, 12)));
    ck_ok(ps_spearman(same, other, 3, &got));
    ck_assert(isnan(got));
    ck_ok(ps_spearman(other, other, 1, &got));
    ck_assert(isnan(got));
}
END_TEST

START_TEST(auc_is_the_share_of_pairs_in_order)
{
    double scores[N], other[N], got, won = 0, pairs = 0;
    bool wanted[N];
    draw(40 + (uint64_t)_i, scores, other);
    for (size_t i = 0; i < N; i++)
        wanted[i] = other[i] > 5;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            if (!wanted[i] || wanted[j])
                continue;
            pairs++;
            won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
        }
    ck_ok(ps_auc(scores, wanted, N, &got));
    ck_assert_double_eq_tol(got, won / pairs, 1e-13);
    for (size_t i = 0; i < N; i++)
        wanted[i] = true;
    ck_ok(ps_auc(scores, wanted, N, &got));
    ck_assert(isnan(got));
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &spearman_is_the_correlation_of_ranks, .repeat = 4},
    {&spearman_of_a_published_example},
    {&what_is_all_the_same_agrees_with_nothing},
    {.test = &auc_is_the_share_of_pairs_in_order, .repeat = 4},
    {0},
};

int main(void)
{
    return ps_check_main("explain/agreement", cases);
}
