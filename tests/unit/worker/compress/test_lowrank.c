#include "worker/compress/lowrank.h"

#include "tests/lib/check_main.h"

#include "tests/unit/worker/compress/sample.h"
#include "worker/compress/eigen.h"

static const size_t sizes[] = {1, 2, 3, 17, 64, 130, 300};
enum { SIZES = sizeof sizes / sizeof *sizes, MOST = 300 };

START_TEST(vectors_are_orthonormal_and_solve_the_equation)
{
    static double a[MOST * MOST], v[MOST * MOST], values[MOST];
    size_t n = sizes[_i];
    ps_rng rng;
    ps_rng_seed(&rng, n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            a[i * n + j] = a[j * n + i] = ps_rng_normal(&rng);
    memcpy(v, a, n * n * sizeof *a);
    ck_ok(ps_eigen(v, n, values, 2, NULL));
    for (size_t k = 0; k < n; k++) {
        ck_assert(k == 0 || values[k] <= values[k - 1]);
        for (size_t i = 0; i < n; i++) {
            double av = 0, dot = 0;
            for (size_t j = 0; j < n; j++) {
                av += a[i * n + j] * v[k * n + j];
                dot += v[k * n + j] * v[i * n + j];
            }
            ck_assert_double_eq_tol(av, values[k] * v[k * n + i], 1e-11);
            ck_assert_double_eq_tol(dot, i == k ? 1 : 0, 1e-12);
        }
    }
}
END_TEST

/* Sums of few products, as the outputs of a matrix with more rows than columns have them. */
START_TEST(a_matrix_without_full_rank_has_values)
{
    enum { WIDE = 200, FEW = 5 };
    static double a[WIDE * WIDE], x[FEW][WIDE], values[WIDE];
    ps_rng rng;
    ps_rng_seed(&rng, 9 + (uint64_t)_i);
    double all = 0, sum = 0;
    memset(a, 0, sizeof a);
    for (size_t k = 0; k < FEW; k++) {
        for (size_t i = 0; i < WIDE; i++)
            x[k][i] = ps_rng_normal(&rng) * pow(10, -3 * (int)k);
        for (size_t i = 0; i < WIDE * WIDE; i++)
            a[i] += x[k][i / WIDE] * x[k][i % WIDE];
    }
    for (size_t i = 0; i < WIDE; i++)
        all += a[i * WIDE + i];
    ck_ok(ps_eigen(a, WIDE, values, 2, NULL));
    for (size_t k = 0; k < WIDE; k++) {
        sum += values[k];
        ck_assert(k < FEW || fabs(values[k]) < 1e-12 * all);
    }
    ck_assert_double_eq_tol(sum, all, 1e-10 * all);
    ck_assert_double_gt(values[3], 1e-17 * all);
}
END_TEST

START_TEST(diagonals_and_equal_values_are_no_trouble)
{
    double a[16] = {2, 0, 0, 0, 0, 5, 0, 0, 0, 0, 2, 0, 0, 0, 0, -1}, values[4];
    ck_ok(ps_eigen(a, 4, values, 1, NULL));
    ck_assert(values[0] == 5 && values[1] == 2 && values[2] == 2 && values[3] == -1);
    double zero[4] = {0}, nan[4] = {1, NAN, NAN, 1};
    ck_ok(ps_eigen(zero, 2, values, 1, NULL));
    ck_assert(values[0] == 0 && values[1] == 0);
    ck_assert_int_eq(ps_eigen(nan, 2, values, 1, NULL), PS_INTERNAL);
}
END_TEST

enum { ROWS = 40, COLUMNS = 150, TOKENS = 400, RANK = 10 };

/* The least that any matrix of this rank loses: what is left of the outputs' second moment, whose
 * values are found another way: by taking the largest out, one after the other. */
static double least_loss(const ps_sample *s, bool whitened)
{
    static double g[ROWS * ROWS];
    double all = 0, taken = 0;
    for (uint64_t i = 0; i < ROWS; i++)
        for (uint64_t j = 0; j < ROWS; j++) {
            double sum = 0;
            for (uint64_t a = 0; a < COLUMNS; a++)
                for (uint64_t b = 0; b < COLUMNS; b++) {
                    double h = !whitened
                                   ? a == b
                                   : (double)s->sums[a < b ? a * COLUMNS + b : b * COLUMNS + a];
                    sum += (double)s->weights[i * COLUMNS + a] * h *
                           (double)s->weights[j * COLUMNS + b];
                }
            g[i * ROWS + j] = sum;
            all += i == j ? sum : 0;
        }
    for (int k = 0; k < RANK; k++) {
        double v[ROWS], next[ROWS], value = 0;
        for (int i = 0; i < ROWS; i++)
            v[i] = sin(1 + i * (k + 1));
        for (int turn = 0; turn < 3000; turn++) {
            value = 0;
            for (int i = 0; i < ROWS; i++) {
                next[i] = 0;
                for (int j = 0; j < ROWS; j++)
                    next[i] += g[i * ROWS + j] * v[j];
                value += next[i] * next[i];
            }
            value = sqrt(value);
            for (int i = 0; i < ROWS; i++)
                v[i] = next[i] / value;
        }
        taken += value;
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < ROWS; j++)
                g[i * ROWS + j] -= value * v[i] * v[j];
    }
    return 1 - taken / all;
}

START_TEST(no_matrix_of_the_rank_loses_less)
{
    ps_sample s = ps_sample_draw(12, ROWS, COLUMNS, TOKENS);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    static float factors[(ROWS + COLUMNS) * RANK], merged[ROWS * COLUMNS];
    ps_lowrank_report whitened, plain;
    ck_ok(ps_lowrank(&p, RANK, factors, &whitened));
    double least = least_loss(&s, true);
    ck_assert_double_eq_tol(whitened.error, least, 1e-5);
    p.hessian = NULL;
    p.held_out = &s.hessian;
    ck_ok(ps_lowrank(&p, RANK, factors, &plain));
    ck_assert_double_eq(plain.error, -1);
    ck_assert_double_lt(whitened.error, 0.95 * plain.held_out);
    double all = 0, lost = 0;
    for (size_t r = 0; r < ROWS; r++) /* L·R, as files have the two */
        for (size_t c = 0; c < COLUMNS; c++) {
            double sum = 0;
            for (size_t k = 0; k < RANK; k++)
                sum += (double)factors[r * RANK + k] * (double)factors[(ROWS + c) * RANK + k];
            merged[r * COLUMNS + c] = (float)sum;
        }
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        all += (double)s.weights[i] * (double)s.weights[i];
        lost += pow((double)s.weights[i] - (double)merged[i], 2);
    }
    ck_assert_double_eq_tol(lost / all, least_loss(&s, false), 1e-5);
    ck_assert_double_eq_tol(plain.mse, lost / (ROWS * COLUMNS), 1e-6 * plain.mse);
    ps_sample_free(&s);
}
END_TEST

START_TEST(the_whole_rank_loses_nothing)
{
    ps_sample s = ps_sample_draw(13, 30, 12, 50);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    static float factors[(30 + 12) * 12];
    ps_lowrank_report report;
    ck_ok(ps_lowrank(&p, 12, factors, &report));
    ck_assert_double_lt(report.error, 1e-12);
    ps_sample_free(&s);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &vectors_are_orthonormal_and_solve_the_equation, .repeat = SIZES},
    {.test = &a_matrix_without_full_rank_has_values, .repeat = 4},
    {&diagonals_and_equal_values_are_no_trouble},
    {&no_matrix_of_the_rank_loses_less},
    {&the_whole_rank_loses_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("compress/lowrank", cases);
}
