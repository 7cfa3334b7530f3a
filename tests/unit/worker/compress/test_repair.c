#include "worker/compress/repair.h"

#include "tests/lib/check_main.h"

#include "tests/unit/worker/compress/sample.h"

enum { ROWS = 10, COLUMNS = 150, TOKENS = 400 };

/* Solves a[n, n]·x = b by Gauss's elimination with pivots. */
static void eliminate(double *a, double *b, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k; i < n; i++)
            pivot = fabs(a[i * n + k]) > fabs(a[pivot * n + k]) ? i : pivot;
        for (size_t j = 0; j < n; j++) {
            double was = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = was;
        }
        double was = b[k];
        b[k] = b[pivot];
        b[pivot] = was;
        for (size_t i = k + 1; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            for (size_t j = k; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
            b[i] -= f * b[k];
        }
    }
    for (size_t k = n; k-- > 0; b[k] /= a[k * n + k])
        for (size_t j = k + 1; j < n; j++)
            b[k] -= a[k * n + j] * b[j];
}

static double sum_at(const ps_sample *s, uint64_t i, uint64_t j)
{
    return (double)s->sums[i < j ? i * COLUMNS + j : j * COLUMNS + i];
}

START_TEST(what_is_left_is_the_least_squares)
{
    ps_sample s = ps_sample_draw(8, ROWS, COLUMNS, TOKENS);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    bool stays[COLUMNS];
    uint64_t keep[COLUMNS], kept = 0;
    for (uint64_t c = 0; c < COLUMNS; c++)
        if ((stays[c] = c % 3 != 1))
            keep[kept++] = c;
    float *out = ps_sample_room(ROWS * kept);
    ps_repair_report report;
    ck_ok(ps_repair_columns(&p, stays, out, &report));
    ck_assert_double_eq(report.damp, 0.01);
    ck_assert_double_lt(report.repaired, 0.8 * report.cut);
    double mean = 0;
    for (uint64_t c = 0; c < COLUMNS; c++)
        mean += sum_at(&s, c, c) / COLUMNS;
    double *a = calloc(kept * kept, sizeof *a), b[COLUMNS];
    for (uint64_t r = 0; r < ROWS; r++) {
        for (uint64_t i = 0; i < kept; i++) {
            b[i] = 0;
            for (uint64_t c = 0; c < COLUMNS; c++)
                b[i] += stays[c] ? 0 : (double)s.weights[r * COLUMNS + c] * sum_at(&s, c, keep[i]);
            for (uint64_t j = 0; j < kept; j++)
                a[i * kept + j] = sum_at(&s, keep[i], keep[j]) + (i == j ? 0.01 * mean : 0);
        }
        eliminate(a, b, kept);
        for (uint64_t i = 0; i < kept; i++)
            ck_assert_double_eq_tol((double)out[r * kept + i],
                                    (double)s.weights[r * COLUMNS + keep[i]] + b[i], 1e-6);
    }
    free(a);
    free(out);
    ps_sample_free(&s);
}
END_TEST

/* 40 tokens for 100 columns that stay: what fits them best is worse than nothing on others, and
 * some more damping is better. */
START_TEST(what_is_held_out_says_how_far_to_go)
{
    ps_sample s = ps_sample_draw(8, ROWS, COLUMNS, 40), other = ps_sample_draw(9, 1, COLUMNS, 4000);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    static float out[ROWS * COLUMNS];
    bool stays[COLUMNS];
    for (uint64_t c = 0; c < COLUMNS; c++)
        stays[c] = c % 3 != 1;
    ps_repair_report blind, seeing;
    p.options.damp = 1e-4;
    ck_ok(ps_repair_columns(&p, stays, out, &blind));
    ck_assert_double_eq(blind.damp, 1e-4);
    ck_assert_double_eq(blind.held_out, -1);
    p.held_out = &other.hessian;
    ck_ok(ps_repair_columns(&p, stays, out, &seeing));
    ck_assert_double_gt(seeing.damp, 0.01);
    ck_assert_double_gt(seeing.repaired, blind.repaired);
    ck_assert_double_lt(seeing.held_out, 0.9 * seeing.held_out_cut);
    /* inputs that have nothing to do with each other there */
    for (uint64_t i = 0; i < COLUMNS; i++)
        for (uint64_t j = i; j < COLUMNS; j++)
            other.sums[i * COLUMNS + j] = i == j;
    ck_ok(ps_repair_columns(&p, stays, out, &seeing));
    ck_assert(seeing.damp == 0 && seeing.why == PS_REASON_NO_BETTER);
    ck_assert_double_eq(seeing.held_out, seeing.held_out_cut);
    for (uint64_t c = 0, at = 0; c < COLUMNS; c++)
        if (stays[c])
            ck_assert_float_eq(out[at++], s.weights[c]);
    ps_sample_free(&s);
    ps_sample_free(&other);
}
END_TEST

/* What is removed is a sum of what stays: nothing has to be lost. */
START_TEST(what_others_can_say_is_not_lost)
{
    ps_sample s = ps_sample_draw(8, ROWS, COLUMNS, TOKENS);
    for (uint64_t t = 0; t < TOKENS; t++)
        s.inputs[t * COLUMNS + 7] = s.inputs[t * COLUMNS + 60] - 2 * s.inputs[t * COLUMNS + 149];
    ps_sample_sum(&s);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    p.options.damp = 1e-6;
    static float out[ROWS * COLUMNS];
    bool stays[COLUMNS];
    memset(stays, true, sizeof stays);
    stays[7] = false;
    ps_repair_report report;
    ck_ok(ps_repair_columns(&p, stays, out, &report));
    ck_assert_double_gt(report.cut, 1e-3);
    ck_assert_double_lt(report.repaired, 1e-6 * report.cut);
    ps_sample_free(&s);
}
END_TEST

START_TEST(what_cannot_be_repaired_is_cut_and_told)
{
    ps_sample s = ps_sample_draw(8, ROWS, COLUMNS, TOKENS);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    static float out[ROWS * COLUMNS];
    bool stays[COLUMNS];
    memset(stays, true, sizeof stays);
    stays[0] = false;
    memset(s.sums, 0, COLUMNS * COLUMNS * sizeof *s.sums);
    ps_repair_report report;
    ck_ok(ps_repair_columns(&p, stays, out, &report));
    ck_assert(report.damp == 0 && report.why == PS_REASON_NO_INPUT);
    for (uint64_t r = 0; r < ROWS; r++)
        ck_assert_mem_eq(out + r * (COLUMNS - 1), s.weights + r * COLUMNS + 1,
                         (COLUMNS - 1) * sizeof *out);
    ps_sample_free(&s);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_is_left_is_the_least_squares},
    {&what_is_held_out_says_how_far_to_go},
    {&what_others_can_say_is_not_lost},
    {&what_cannot_be_repaired_is_cut_and_told},
    {0},
};

int main(void)
{
    return ps_check_main("compress/repair", cases);
}
