/* Groups against a search that does not know of inverses: each that could go is taken out, what is
 * left is solved anew by least squares, and what is lost is computed from the sums. */
#include "worker/compress/groups.h"

#include "tests/lib/check_main.h"

#include "tests/unit/worker/compress/sample.h"

enum { ROWS = 6, SPAN = 3, GROUPS = 8, COLUMNS = SPAN * GROUPS, TOKENS = 200 };

static double sum_at(const ps_sample *s, size_t i, size_t j)
{
    return (double)s->sums[i < j ? i * COLUMNS + j : j * COLUMNS + i];
}

/* Gauss and Jordan's: a[n, n]·x = b[n] */
static void eliminate(double *a, double *b, size_t n)
{
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            for (size_t j = 0; i != k && j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
            b[i] -= i != k ? f * b[k] : 0;
        }
    for (size_t k = 0; k < n; k++)
        b[k] /= a[k * n + k];
}

/* What is lost when only `keep` is there, and its weights are the best that there are:
 * min over v of (v − w)·(H + λ)·(v − w)ᵀ, v = 0 where nothing is kept. */
static double least_loss(const ps_sample *s, const bool *keep, double damp)
{
    size_t kept[COLUMNS], n = 0;
    double mean = 0, loss = 0;
    for (size_t c = 0; c < COLUMNS; c++) {
        mean += sum_at(s, c, c) / COLUMNS;
        if (keep[c / SPAN])
            kept[n++] = c;
    }
    double *a = calloc(n * n + 1, sizeof *a), b[COLUMNS], change[COLUMNS];
    for (size_t r = 0; r < ROWS; r++) {
        const float *w = s->weights + r * COLUMNS;
        for (size_t c = 0; c < COLUMNS; c++)
            change[c] = keep[c / SPAN] ? 0 : -(double)w[c];
        for (size_t i = 0; i < n; i++) {
            b[i] = 0;
            for (size_t c = 0; c < COLUMNS; c++)
                b[i] -= change[c] * sum_at(s, c, kept[i]);
            for (size_t j = 0; j < n; j++)
                a[i * n + j] = sum_at(s, kept[i], kept[j]) + (i == j ? damp * mean : 0);
        }
        eliminate(a, b, n);
        for (size_t i = 0; i < n; i++)
            change[kept[i]] = b[i];
        for (size_t i = 0; i < COLUMNS; i++)
            for (size_t j = 0; j < COLUMNS; j++)
                loss += change[i] * change[j] * (sum_at(s, i, j) + (i == j ? damp * mean : 0));
    }
    free(a);
    return loss;
}

static double power_of(const ps_sample *s)
{
    double sum = 0;
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < COLUMNS; i++)
            for (size_t j = 0; j < COLUMNS; j++)
                sum += (double)s->weights[r * COLUMNS + i] * (double)s->weights[r * COLUMNS + j] *
                       sum_at(s, i, j);
    return sum;
}

START_TEST(the_group_whose_loss_is_made_good_best_goes_first)
{
    ps_sample s = ps_sample_draw((uint64_t)_i + 1, ROWS, COLUMNS, TOKENS);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    p.options.damp = 1e-3;
    bool want[GROUPS], got[GROUPS];
    memset(want, true, sizeof want);
    for (uint64_t left = GROUPS; left-- > 2;) {
        size_t least = 0;
        double loss = INFINITY;
        for (size_t g = 0; g < GROUPS; g++) {
            if (!want[g])
                continue;
            want[g] = false;
            double without = least_loss(&s, want, 1e-3);
            want[g] = true;
            least = without < loss ? g : least;
            loss = fmin(loss, without);
        }
        want[least] = false;
        double lost = 0;
        ck_ok(ps_groups_keep(&p, SPAN, left, got, &lost));
        ck_assert_mem_eq(got, want, sizeof want);
        ck_assert_double_eq_tol(lost, loss / power_of(&s), 1e-6 * lost);
    }
    ps_sample_free(&s);
}
END_TEST

/* Two groups that always say the same: one of them is free, however much both add. */
START_TEST(what_another_group_says_too_is_free)
{
    ps_sample s = ps_sample_draw(5, ROWS, COLUMNS, TOKENS);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    bool keep[GROUPS];
    double lost;
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t i = 0; i < SPAN; i++) {
            s.inputs[t * COLUMNS + 6 * SPAN + i] *= 5;
            s.inputs[t * COLUMNS + 2 * SPAN + i] = s.inputs[t * COLUMNS + 6 * SPAN + i];
        }
    ps_sample_sum(&s);
    p.options.damp = 1e-7;
    ck_ok(ps_groups_keep(&p, SPAN, GROUPS - 1, keep, &lost));
    ck_assert(!keep[2] != !keep[6]);
    ck_assert_double_lt(lost, 1e-5);
    ps_sample_free(&s);
}
END_TEST

/* Without any input all are alike, but for their weights. */
START_TEST(without_sums_the_smallest_weights_go)
{
    ps_sample s = ps_sample_draw(6, ROWS, COLUMNS, TOKENS);
    ps_compress_problem p = ps_sample_problem(&s, "float32");
    bool keep[GROUPS];
    double lost;
    for (size_t i = 0; i < COLUMNS * COLUMNS; i++)
        s.sums[i] = 0;
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < SPAN; i++)
            s.weights[r * COLUMNS + 4 * SPAN + i] *= 0.1F;
    ck_ok(ps_groups_keep(&p, SPAN, GROUPS - 1, keep, &lost));
    ck_assert(!keep[4]);
    ck_assert_double_eq(lost, 0);
    ps_sample_free(&s);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &the_group_whose_loss_is_made_good_best_goes_first, .repeat = 3},
    {&what_another_group_says_too_is_free},
    {&without_sums_the_smallest_weights_go},
    {0},
};

int main(void)
{
    return ps_check_main("compress/groups", cases);
}
