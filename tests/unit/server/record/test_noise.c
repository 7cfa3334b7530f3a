/* Gradients whose truth is known: G, and noise of a known covariance over the root of the rows. */
#include "server/record/noise.h"

#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

enum { N = 40 };

static const double deviation = 0.7; /* of a row's gradient, each element */

static double draw(ps_rng *rng, double rows, float *out)
{
    double square = 0;
    for (int i = 0; i < N; i++) {
        out[i] = (float)(0.1 * (i % 3) + deviation / sqrt(rows) * ps_rng_normal(rng));
        square += (double)out[i] * out[i];
    }
    return square;
}

static double true_square(void)
{
    double square = 0;
    for (int i = 0; i < N; i++)
        square += 0.01 * (i % 3) * (i % 3);
    return square;
}

static void check(ps_noise *n, uint64_t estimates)
{
    ps_noise_scale got;
    ps_noise_get(n, &got);
    ck_assert_uint_eq(got.estimates, estimates);
    ck_assert_double_eq_tol(got.trace, N * deviation * deviation, 0.05 * N * deviation * deviation);
    ck_assert_double_eq_tol(got.square, true_square(), 0.05 * true_square());
}

START_TEST(gradients_of_a_clock_tell_trace_and_square)
{
    const double rows[] = {8, 16, 32};
    ps_noise *n, *again;
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    ck_ok(ps_noise_create(0, &n));
    for (int round = 0; round < 3000; round++) {
        float g[3][N];
        double mean[N] = {0}, square = 0;
        for (int k = 0; k < 3; k++) {
            double all = draw(&rng, rows[k], g[k]);
            const char *name[] = {"a", "b", "c"};
            ps_noise_hold(n, name[k], 5, rows[k], all / 2); /* it came in two pushes */
            ps_noise_hold(n, name[k], 5, rows[k], all / 2);
            for (int i = 0; i < N; i++)
                mean[i] += rows[k] / 56 * g[k][i];
        }
        for (int i = 0; i < N; i++)
            square += mean[i] * mean[i];
        ps_noise_merge(n, square);
    }
    check(n, 3000);
    ps_buf saved = PS_BUF_EMPTY;
    ps_noise_save(n, &saved);
    ck_ok(ps_noise_create(0, &again));
    ps_cursor at = ps_cursor_of(ps_buf_slice(&saved));
    ps_noise_load(again, &at);
    check(again, 3000);
    ps_buf_free(&saved);
    ps_noise_free(&again);
    ps_noise_free(&n);
}
END_TEST

START_TEST(pairs_of_gradients_tell_the_same)
{
    ps_noise *n;
    ps_noise_pair pair, other;
    ps_rng rng;
    ps_rng_seed(&rng, 4);
    ck_ok(ps_noise_create(N, &n));
    for (int i = 0; i < 12000; i++) {
        float g[N];
        double rows = i % 3 ? 16 : 8;
        draw(&rng, rows, g);
        ck_assert(ps_noise_pair_begin(n, &pair));
        ck_assert(!ps_noise_pair_begin(n, &other));
        ps_noise_pair_add(n, &pair, 0, g, 7);
        ps_noise_pair_add(n, &pair, 7, g + 7, N - 7);
        ps_noise_pair_end(n, &pair, rows);
    }
    check(n, 6000);
    ps_noise_free(&n);
}
END_TEST

START_TEST(so_many_gradients_of_a_clock_tell_nothing)
{
    ps_noise *n;
    ps_noise_scale got;
    ck_ok(ps_noise_create(0, &n));
    for (uint64_t rows = 0; rows < 5000; rows++) /* rows are what a worker says */
        ps_noise_hold(n, "a", rows, 1, 1e30);
    ps_noise_merge(n, 1);
    ps_noise_get(n, &got);
    ck_assert_uint_eq(got.estimates, 0);
    ps_noise_hold(n, "a", 0, 2, 5); /* the next clock is measured again */
    ps_noise_hold(n, "b", 0, 2, 5);
    ps_noise_merge(n, 3);
    ps_noise_get(n, &got);
    ck_assert_uint_eq(got.estimates, 1);
    ck_assert_double_eq_tol(got.trace, 8, 1e-12);
    ps_noise_free(&n);
}
END_TEST

START_TEST(one_gradient_tells_nothing)
{
    const double one[] = {1, 2};
    double trace, square;
    ck_assert(!ps_noise_estimate(one, one, 1, 1, &trace, &square));
    ck_assert(!ps_noise_estimate(one, (double[]){0, 1}, 2, 1, &trace, &square));
    /* by hand: 5 = |G|² + S/2, 3 = |G|² + S/4 */
    ck_assert(ps_noise_estimate((double[]){5, 5}, (double[]){2, 2}, 2, 3, &trace, &square));
    ck_assert_double_eq_tol(trace, 8, 1e-12);
    ck_assert_double_eq_tol(square, 1, 1e-12);
}
END_TEST

static const ps_check_case cases[] = {
    {&gradients_of_a_clock_tell_trace_and_square},
    {&pairs_of_gradients_tell_the_same},
    {&so_many_gradients_of_a_clock_tell_nothing},
    {&one_gradient_tells_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("record/noise", cases);
}
