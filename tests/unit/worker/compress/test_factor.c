#include "worker/compress/factor.h"

#include "tests/lib/check_main.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <math.h>
#include <string.h>

/* Sizes about the blocks', and several of them. */
static const size_t sizes[] = {1, 2, 63, 127, 128, 129, 193, 300};
enum { SIZES = sizeof sizes / sizeof *sizes, MOST = 300 };

static void draw(double *a, size_t n)
{
    static double x[MOST * MOST];
    ps_rng rng;
    ps_rng_seed(&rng, n);
    for (size_t i = 0; i < n * n; i++)
        x[i] = ps_rng_normal(&rng);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = i == j ? 1 : 0;
            for (size_t k = 0; k < n; k++)
                sum += x[i * n + k] * x[j * n + k] / (double)n;
            a[i * n + j] = sum;
        }
}

START_TEST(factors_multiply_to_the_matrix)
{
    static double a[MOST * MOST], l[MOST * MOST], d[MOST];
    size_t n = sizes[_i];
    bool positive = false;
    draw(a, n);
    memcpy(l, a, n * n * sizeof *a);
    ck_ok(ps_factor(l, n, d, 2, &positive));
    ck_assert(positive);
    for (size_t i = 0; i < n; i++) {
        ck_assert_double_gt(d[i], 0);
        for (size_t j = 0; j <= i; j++) {
            double sum = (i == j ? 1 : l[i * n + j]) * d[j];
            for (size_t k = 0; k < j; k++)
                sum += l[i * n + k] * d[k] * l[j * n + k];
            ck_assert_double_eq_tol(sum, a[i * n + j], 1e-12);
        }
    }
}
END_TEST

START_TEST(what_is_not_positive_definite_is_told)
{
    static double a[MOST * MOST], d[MOST];
    size_t n = sizes[_i];
    bool positive = true;
    draw(a, n);
    a[(n - 1) * n + n - 1] = -1;
    ck_ok(ps_factor(a, n, d, 2, &positive));
    ck_assert(!positive);
    draw(a, n);
    a[(n - 1) * n + n - 1] = NAN;
    ck_ok(ps_factor(a, n, d, 2, &positive));
    ck_assert(!positive);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &factors_multiply_to_the_matrix, .repeat = SIZES},
    {.test = &what_is_not_positive_definite_is_told, .repeat = SIZES},
    {0},
};

int main(void)
{
    return ps_check_main("compress/factor", cases);
}
