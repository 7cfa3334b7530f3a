/* rng: published outputs of the generators, and the normals against the error function: how many
 * fall into each of many bins, tails included, their moments, and that one does not follow from the
 * one before. */
#include "common/base/rng.h"

#include "tests/lib/check_main.h"

#include <math.h>

enum { DRAWS = 4000000, BINS = 42 }; /* 40 of a quarter between -5 and 5, and the rest */

START_TEST(words_are_those_of_xoshiro256plusplus)
{
    /* the first outputs of the authors' C for the state 1, 2, 3, 4 */
    static const uint64_t want[] = {41943041,
                                    58720359,
                                    3588806011781223,
                                    3591011842654386,
                                    9228616714210784205u,
                                    9973669472204895162u,
                                    14011001112246962877u,
                                    12406186145184390807u};
    ps_rng rng = {.s = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        ck_assert_uint_eq(ps_rng_next(&rng), want[i]);
}
END_TEST

START_TEST(a_seed_is_spread_by_splitmix64)
{
    static const uint64_t want[] = {6457827717110365317u, 3203168211198807973u,
                                    9817491932198370423u, 4593380528125082431u};
    ps_rng rng;
    ps_rng_seed(&rng, 1234567);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(rng.s[i], want[i]);
}
END_TEST

/* The normal distribution's, below x. */
static double below(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}

START_TEST(normals_fall_where_the_density_says)
{
    static unsigned counts[BINS];
    double sums[5] = {0}, product = 0, last = 0;
    ps_rng rng;
    ps_rng_seed(&rng, 99);
    for (int i = 0; i < DRAWS; i++) {
        double x = ps_rng_normal(&rng);
        double bin = floor(x * 4) + 20 + 1;
        counts[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : (int)bin]++;
        for (int k = 1; k <= 4; k++)
            sums[k] += pow(x, k);
        product += x * last;
        last = x;
    }
    double chi2 = 0;
    for (int b = 0; b < BINS; b++) {
        double low = b ? below((b - 21) / 4.0) : 0, high = b < BINS - 1 ? below((b - 20) / 4.0) : 1;
        double want = DRAWS * (high - low), off = counts[b] - want;
        chi2 += off * off / want;
    }
    ck_assert_double_lt(chi2, 105); /* 41 degrees of freedom: one in a million is above 101 */
    double n = DRAWS;
    /* five deviations of each mean */
    ck_assert_double_eq_tol(sums[1] / n, 0, 5 / sqrt(n));
    ck_assert_double_eq_tol(sums[2] / n, 1, 5 * sqrt(2 / n));
    ck_assert_double_eq_tol(sums[3] / n, 0, 5 * sqrt(15 / n));
    ck_assert_double_eq_tol(sums[4] / n, 3, 5 * sqrt(96 / n));
    ck_assert_double_eq_tol(product / n, 0, 5 / sqrt(n));
}
END_TEST

START_TEST(the_tail_is_the_densitys)
{
    ps_rng rng;
    ps_rng_seed(&rng, 5);
    unsigned beyond[2] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double x = fabs(ps_rng_normal(&rng));
        beyond[0] += x > 3.6541528853610088;
        beyond[1] += x > 4;
    }
    static const double at[] = {3.6541528853610088, 4};
    for (int i = 0; i < 2; i++) {
        double want = 2 * DRAWS * below(-at[i]);
        ck_assert_double_eq_tol(beyond[i], want, 5 * sqrt(want));
    }
}
END_TEST

static const ps_check_case tests[] = {{&words_are_those_of_xoshiro256plusplus},
                                      {&a_seed_is_spread_by_splitmix64},
                                      {&normals_fall_where_the_density_says, 60},
                                      {&the_tail_is_the_densitys, 60},
                                      {0}};

int main(void)
{
    return ps_check_main("common/base/rng", tests);
}
