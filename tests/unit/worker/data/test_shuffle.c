/* shuffle: a permutation, the same everywhere, different each epoch, and without visible order. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "worker/data/shuffle.h"

#include <math.h>

START_TEST(every_row_comes_exactly_once)
{
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 1000, 4096, 60000, 65537};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t n = sizes[i];
        uint8_t *seen = ps_alloc(n);
        ps_shuffle s = ps_shuffle_make(n, 7, 3);
        for (uint64_t k = 0; k < n; k++) {
            uint64_t row = ps_shuffle_at(&s, k);
            ck_assert_uint_lt(row, n);
            ck_assert_uint_eq(seen[row]++, 0);
        }
        ps_free(&seen);
    }
}
END_TEST

START_TEST(everybody_gets_the_same_order)
{
    ps_shuffle a = ps_shuffle_make(60000, 1, 0), b = ps_shuffle_make(60000, 1, 0);
    for (uint64_t k = 0; k < 60000; k += 37)
        ck_assert_uint_eq(ps_shuffle_at(&a, k), ps_shuffle_at(&b, k));
}
END_TEST

/* Workers in other languages count on it: deploy/examples/worker.py has it in Python. */
START_TEST(the_order_stays_as_it_is)
{
    static const uint64_t ten[] = {7, 8, 0, 9, 6, 2, 1, 4, 5, 3};
    static const uint64_t thousand[] = {111, 148, 226, 436, 734, 656, 133, 942, 510, 718};
    ps_shuffle a = ps_shuffle_make(10, 1, 0), b = ps_shuffle_make(1000, 77, 3);
    for (uint64_t k = 0; k < 10; k++) {
        ck_assert_uint_eq(ps_shuffle_at(&a, k), ten[k]);
        ck_assert_uint_eq(ps_shuffle_at(&b, k), thousand[k]);
    }
}
END_TEST

static uint64_t agreements(ps_shuffle a, ps_shuffle b)
{
    uint64_t same = 0;
    for (uint64_t k = 0; k < a.rows; k++)
        same += ps_shuffle_at(&a, k) == ps_shuffle_at(&b, k);
    return same;
}

/* Two independent permutations agree in about one place (Poisson with mean 1). */
START_TEST(seeds_and_epochs_give_other_orders)
{
    ps_shuffle base = ps_shuffle_make(10000, 1, 0);
    ck_assert_uint_le(agreements(base, ps_shuffle_make(10000, 1, 1)), 10);
    ck_assert_uint_le(agreements(base, ps_shuffle_make(10000, 2, 0)), 10);
    ck_assert_uint_le(agreements(ps_shuffle_make(10000, 1, 2), ps_shuffle_make(10000, 2, 1)), 10);
}
END_TEST

/* Correlation of position and row over 60000 draws has a deviation of 1/sqrt(60000) = 0.004; each
 * tenth of the positions holds about as many of each tenth of the rows (chi-square with 81 degrees
 * of freedom: mean 81, deviation 12.7). */
START_TEST(the_order_looks_like_none)
{
    enum { N = 60000 };
    for (uint64_t seed = 0; seed < 8; seed++) {
        ps_shuffle s = ps_shuffle_make(N, seed, 0);
        double sum = 0, cells[10][10] = {{0}};
        for (uint64_t k = 0; k < N; k++) {
            uint64_t row = ps_shuffle_at(&s, k);
            sum += ((double)k - N / 2.0) * ((double)row - N / 2.0);
            cells[k * 10 / N][row * 10 / N]++;
        }
        ck_assert_double_lt(fabs(sum / (N * (double)N * N / 12)), 0.025);
        double chi = 0, expected = N / 100.0;
        for (int i = 0; i < 100; i++)
            chi += pow(cells[i / 10][i % 10] - expected, 2) / expected;
        ck_assert_double_lt(chi, 81 + 6 * 12.7);
        ck_assert_double_gt(chi, 20); /* not too even either */
    }
}
END_TEST

START_TEST(huge_data_sets_need_no_memory)
{
    ps_shuffle s = ps_shuffle_make(UINT64_C(1) << 62, 1, 1);
    ck_assert_uint_lt(ps_shuffle_at(&s, UINT64_C(1) << 61), UINT64_C(1) << 62);
    s = ps_shuffle_make(UINT64_MAX, 1, 1);
    ck_assert_uint_lt(ps_shuffle_at(&s, 5), UINT64_MAX);
}
END_TEST

static const ps_check_case tests[] = {
    {&every_row_comes_exactly_once},
    {&everybody_gets_the_same_order},
    {&seeds_and_epochs_give_other_orders},
    {&the_order_looks_like_none},
    {&huge_data_sets_need_no_memory},
    {&the_order_stays_as_it_is},
    {0},
};

int main(void)
{
    return ps_check_main("data/shuffle", tests);
}
