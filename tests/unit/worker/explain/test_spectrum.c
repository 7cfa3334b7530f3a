/* Matrices whose singular values are known since they were made of them, and WeightWatcher's fits
 * of a power law (tests/golden/explain/power_law.py). */
#include "worker/explain/spectrum.h"

#include "tests/lib/check_main.h"

#include "common/base/rng.h"

#include <math.h>
#include <string.h>

enum { ROWS = 150, COLUMNS = 210 };

/* The k-th vector of the discrete cosine transform: orthonormal. */
static double cosine(size_t k, size_t i, size_t n)
{
    double scale = k == 0 ? sqrt(1.0 / (double)n) : sqrt(2.0 / (double)n);
    return scale * cos(3.14159265358979323846 * (double)k * ((double)i + 0.5) / (double)n);
}

static double sigma(size_t k)
{
    return 9 * exp(-0.05 * (double)k);
}

/* Σ_k sigma(k)·u_k·v_kᵀ */
static void make(float *w, size_t rows, size_t columns)
{
    size_t m = rows < columns ? rows : columns;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            double sum = 0;
            for (size_t k = 0; k < m; k++)
                sum += sigma(k) * cosine(k, i, rows) * cosine(k, j, columns);
            w[i * columns + j] = (float)sum;
        }
    }
}

START_TEST(values_are_those_it_was_made_of)
{
    static float w[ROWS * COLUMNS];
    static double values[ROWS], one[ROWS];
    make(w, _i ? COLUMNS : ROWS, _i ? ROWS : COLUMNS);
    ck_ok(ps_spectrum(w, _i ? COLUMNS : ROWS, _i ? ROWS : COLUMNS, 3, NULL, values));
    double sum = 0, squares = 0;
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        squares += (double)w[i] * w[i];
    for (size_t k = 0; k < ROWS; k++) {
        ck_assert_double_eq_tol(sqrt(values[k]), sigma(k), 2e-6);
        sum += values[k];
    }
    ck_assert_double_eq_tol(sum, squares, 1e-9 * squares);
    ck_ok(ps_spectrum(w, _i ? COLUMNS : ROWS, _i ? ROWS : COLUMNS, 1, NULL, one));
    ck_assert_mem_eq(one, values, sizeof one);
}
END_TEST

START_TEST(ranks_count_what_counts)
{
    double equal[8] = {2, 2, 2, 2, 2, 2, 2, 2}, one[3] = {5, 0, 0}, none[2] = {0};
    ck_assert_double_eq_tol(ps_spectrum_stable_rank(equal, 8), 8, 1e-12);
    ck_assert_double_eq_tol(ps_spectrum_effective_rank(equal, 8), 8, 1e-12);
    ck_assert_double_eq(ps_spectrum_stable_rank(one, 3), 1);
    ck_assert_double_eq(ps_spectrum_effective_rank(one, 3), 1);
    ck_assert_double_eq(ps_spectrum_stable_rank(none, 2), 0);
    ck_assert_double_eq(ps_spectrum_effective_rank(none, 2), 0);
}
END_TEST

static ps_status end_at_last(void *user)
{
    return --*(int *)user ? PS_OK : ps_fail(PS_CANCELLED, "enough");
}

/* In the products, in the reduction or its vectors, in the sweeps. */
START_TEST(the_work_ends_when_it_is_told_to)
{
    static float w[ROWS * COLUMNS];
    double values[ROWS];
    make(w, ROWS, COLUMNS);
    for (int at = 0; at < 3; at++) {
        int left = at * ROWS + 1;
        const ps_eigen_watch watch = {end_at_last, &left};
        ck_assert_int_eq(ps_spectrum(w, ROWS, COLUMNS, 1, &watch, values), PS_CANCELLED);
        ck_assert_int_eq(left, 0);
    }
}
END_TEST

START_TEST(what_is_no_number_is_refused)
{
    float w[6] = {1, 2, 3, 4, NAN, 6};
    double values[2];
    ck_assert_int_eq(ps_spectrum(w, 2, 3, 1, NULL, values), PS_OUT_OF_RANGE);
    ck_assert_str_eq(ps_error_message(), "row 1 has NaN or infinity in column 1");
}
END_TEST

/* How much of it follows a law, the fit of it, and its distance, as WeightWatcher has them. */
typedef struct fit {
    size_t n;
    double power, alpha, from, distance;
} fit;

static const fit fits[] = {
    {40, 0.9, 2.253420643511909, 1.9535444009763812, 0.03508126394150679},
    {100, 0.5, 3.0382583704652895, 1.6307701743017189, 0.017255316762775363},
    {256, 0.35, 3.8859432863633376, 1.518713671697895, 0.008797934642862937},
    {400, 1.4, 1.7194228064351114, 5.427722746017066, 0.005621052359593204},
};

/* Falling, with a head that follows a power and a body that does not. */
static void make_tail(double *values, size_t n, double power)
{
    for (size_t i = 0; i < n; i++) {
        double at = ((double)i + 0.5) / (double)n;
        values[i] = at < 0.3 ? pow(at, -power) : pow(0.3, -power) * (1 - at) / 0.7;
        values[i] += 1e-3 * sin(7.0 * (double)(i * i % 101));
    }
    for (size_t i = 1; i < n; i++) /* insertion: it is nearly in order */
        for (size_t j = i; j > 0 && values[j] > values[j - 1]; j--) {
            double v = values[j];
            values[j] = values[j - 1];
            values[j - 1] = v;
        }
}

START_TEST(a_power_law_is_fitted_as_weightwatcher_does)
{
    static double values[512];
    const fit *want = &fits[_i];
    make_tail(values, want->n, want->power);
    ps_power_law got;
    ck_assert(ps_power_law_fit(values, want->n, &got));
    ck_assert_double_eq_tol(got.alpha, want->alpha, 1e-6 * want->alpha);
    ck_assert_double_eq_tol(got.from, want->from, 1e-9 * want->from);
    ck_assert_double_eq_tol(got.distance, want->distance, 1e-8);
    size_t tail = 0;
    while (tail < want->n && values[tail] >= got.from)
        tail++;
    ck_assert_uint_eq(got.tail, tail);
}
END_TEST

START_TEST(nothing_to_fit_is_no_law)
{
    double same[4] = {3, 3, 3, 3}, one[1] = {2}, zeros[3] = {0};
    ps_power_law law;
    ck_assert(!ps_power_law_fit(same, 4, &law));
    ck_assert(!ps_power_law_fit(one, 1, &law));
    ck_assert(!ps_power_law_fit(zeros, 3, &law));
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &values_are_those_it_was_made_of, .repeat = 2},
    {&ranks_count_what_counts},
    {&the_work_ends_when_it_is_told_to},
    {&what_is_no_number_is_refused},
    {.test = &a_power_law_is_fitted_as_weightwatcher_does, .repeat = sizeof fits / sizeof *fits},
    {&nothing_to_fit_is_no_law},
    {0},
};

int main(void)
{
    return ps_check_main("explain/spectrum", cases);
}
