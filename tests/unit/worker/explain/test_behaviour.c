/* calibration, confusion, losses; weights: against the same sums over the answers in float64. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

#include "worker/explain/weights.h"

static char calibration[] = "calibration", confusion[] = "confusion", losses[] = "losses",
            weights[] = "weights";

/* Probabilities of a row in float64. */
static void answer(const net *n, size_t row, double *p)
{
    double x[NET_IN], sum = 0;
    for (size_t k = 0; k < NET_IN; k++)
        x[k] = (double)n->inputs[row * NET_IN + k];
    net_answer(n, x, p);
    for (size_t c = 0; c < NET_OUT; c++)
        sum += exp(p[c]);
    for (size_t c = 0; c < NET_OUT; c++)
        p[c] = exp(p[c]) / sum;
}

static size_t best_of(const double *p)
{
    size_t best = 0;
    for (size_t c = 1; c < NET_OUT; c++)
        best = p[c] > p[best] ? c : best;
    return best;
}

START_TEST(sums_over_the_rows_are_those_of_their_answers)
{
    net n;
    ps_explain_part part;
    net_open(&n, 11, 0);
    net_run(&n, &(ps_spec_explain_method){.method = calibration}, &part);
    double right = 0, nll = 0, brier = 0, p[NET_OUT];
    for (size_t row = 0; row < NET_ROWS; row++) {
        answer(&n, row, p);
        right += best_of(p) == (size_t)n.labels[row];
        nll -= log(p[n.labels[row]]);
        for (size_t c = 0; c < NET_OUT; c++)
            brier += pow(p[c] - (c == (size_t)n.labels[row]), 2);
    }
    const float *summary = net_array(&part, "summary");
    ck_assert_double_eq_tol((double)summary[0], right / NET_ROWS, 1e-6);
    ck_assert_double_eq_tol((double)summary[1], nll / NET_ROWS, 1e-5);
    ck_assert_double_eq_tol((double)summary[2], brier / NET_ROWS, 1e-5);
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

START_TEST(each_row_is_one_count_and_one_line)
{
    net n;
    ps_explain_part counts, rows;
    net_open(&n, 12, 0);
    n.labels[2] = 0;
    net_run(&n, &(ps_spec_explain_method){.method = confusion}, &counts);
    net_run(&n, &(ps_spec_explain_method){.method = losses}, &rows);
    const double *c = ps_explain_get(&counts, "counts")->doubles;
    const float *r = net_array(&rows, "rows");
    double want[NET_OUT * NET_OUT] = {0}, p[NET_OUT];
    for (size_t row = 0; row < NET_ROWS; row++) {
        answer(&n, row, p);
        want[(size_t)n.batch.items.labels[row] * NET_OUT + best_of(p)]++;
        ck_assert_double_eq_tol((double)r[row * 4], -log(p[n.batch.items.labels[row]]), 1e-5);
        ck_assert_double_eq_tol((double)r[row * 4 + 1], p[best_of(p)], 1e-6);
        ck_assert_double_eq((double)r[row * 4 + 3], (double)best_of(p));
    }
    for (size_t i = 0; i < NET_OUT * NET_OUT; i++)
        ck_assert_double_eq(c[i], want[i]);
    ps_explain_part_free(&counts);
    ps_explain_part_free(&rows);
    net_close(&n);
}
END_TEST

/* e^-2000 is 0 in float64, and its logarithm none. */
/* Mean and standard error of those rows whose label it is, by the definition. */
START_TEST(slices_by_label_are_of_the_rows_of_that_label)
{
    static char slices[] = "slices";
    net n;
    ps_explain_part part;
    net_open(&n, 13, 0);
    net_run(&n, &(ps_spec_explain_method){.method = slices}, &part);
    const float *table = net_array(&part, "by_label");
    for (int label = 0; label < NET_OUT; label++) {
        double rows = 0, right = 0, each[NET_ROWS], mean = 0, spread = 0, p[NET_OUT];
        for (size_t row = 0; row < NET_ROWS; row++) {
            if (n.labels[row] != label)
                continue;
            answer(&n, row, p);
            right += best_of(p) == (size_t)label;
            each[(size_t)rows++] = -log(p[label]);
        }
        for (size_t i = 0; i < (size_t)rows; i++)
            mean += each[i] / rows;
        for (size_t i = 0; i < (size_t)rows; i++)
            spread += pow(each[i] - mean, 2) / (rows - 1);
        const float *got = table + (size_t)label * 5;
        ck_assert_double_eq((double)got[0], rows);
        ck_assert_double_eq_tol((double)got[1], right / rows, 1e-6);
        ck_assert_double_eq_tol((double)got[2], mean, 1e-5);
        ck_assert(isnan(got[4]) == (rows < 2));
        if (rows > 1)
            ck_assert_double_eq_tol((double)got[4], sqrt(spread / rows), 1e-5);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

START_TEST(a_loss_is_told_where_its_probability_is_too_small)
{
    net n;
    ps_explain_part rows, all;
    net_open(&n, 12, 0);
    memset(n.w2, 0, sizeof n.w2);
    memcpy(n.b2, (const float[NET_OUT]){2000, 0, 2000}, sizeof n.b2);
    net_fill(&n);
    net_again(&n);
    net_run(&n, &(ps_spec_explain_method){.method = losses}, &rows);
    net_run(&n, &(ps_spec_explain_method){.method = calibration}, &all);
    double sum = 0;
    for (size_t row = 0; row < NET_ROWS; row++) {
        double want = log(2) + (n.labels[row] == 1 ? 2000 : 0);
        ck_assert_double_eq_tol((double)net_array(&rows, "rows")[row * 4], want, 1e-3);
        sum += want;
    }
    ck_assert_double_eq_tol((double)net_array(&all, "summary")[1], sum / NET_ROWS, 1e-3);
    ps_explain_part_free(&rows);
    ps_explain_part_free(&all);
    net_close(&n);
}
END_TEST

START_TEST(nothing_is_told_of_no_rows)
{
    ps_explain_part none = PS_EXPLAIN_PART_EMPTY;
    ck_ok(ps_explain_method_find(calibration)->finish(NULL, NULL, &none));
    ck_assert_uint_eq(none.n, 0);
    ps_explain_part_free(&none);
}
END_TEST

/* All shares added up say each tensor once. */
START_TEST(shares_of_the_weights_add_up_to_all_tensors)
{
    net n;
    net_open(&n, 13, 0);
    ps_explain_part all = PS_EXPLAIN_PART_EMPTY;
    const ps_spec_explain_method spec = {.method = weights, .side_max = 100};
    for (n.x.share = 0; n.x.share < PS_EXPLAIN_SHARES; n.x.share++) {
        ps_explain_part part;
        net_run(&n, &spec, &part);
        ck_ok(ps_explain_merge(&all, &part));
    }
    const double *s = ps_explain_get(&all, "statistics")->doubles;
    const double *bins = ps_explain_get(&all, "histogram")->doubles;
    const float *tensors[4] = {n.w1, n.b1, n.w2, n.b2};
    const size_t sizes[4] = {sizeof n.w1 / 4, sizeof n.b1 / 4, sizeof n.w2 / 4, sizeof n.b2 / 4};
    for (size_t t = 0; t < 4; t++) {
        double sum = 0, squares = 0, count = 0;
        const double *q = s + t * PS_EXPLAIN_WEIGHT_COUNT;
        for (size_t i = 0; i < sizes[t]; i++) {
            sum += (double)tensors[t][i];
            squares += (double)tensors[t][i] * (double)tensors[t][i];
        }
        for (size_t b = 0; b < PS_EXPLAIN_WEIGHT_BINS; b++)
            count += bins[t * PS_EXPLAIN_WEIGHT_BINS + b];
        ck_assert_double_eq(q[PS_WEIGHT_elements], (double)sizes[t]);
        ck_assert_double_eq(count, (double)sizes[t]);
        ck_assert_double_eq_tol(q[PS_WEIGHT_mean], sum / (double)sizes[t], 1e-12);
        ck_assert_double_eq_tol(q[PS_WEIGHT_norm], sqrt(squares), 1e-12);
        ck_assert(isnan(q[PS_WEIGHT_stable_rank]) == (t % 2 == 1));
    }
    /* The largest singular value by power iteration. */
    double v[NET_IN] = {1, 1, 1, 1, 1, 1}, length = 0;
    for (int step = 0; step < 500; step++) {
        double u[NET_HIDDEN] = {0}, next[NET_IN] = {0};
        for (size_t i = 0; i < NET_HIDDEN * NET_IN; i++)
            u[i / NET_IN] += (double)n.w1[i] * v[i % NET_IN];
        for (size_t i = 0; i < NET_HIDDEN * NET_IN; i++)
            next[i % NET_IN] += (double)n.w1[i] * u[i / NET_IN];
        length = 0;
        for (size_t k = 0; k < NET_IN; k++)
            length += next[k] * next[k];
        length = sqrt(length);
        for (size_t k = 0; k < NET_IN; k++)
            v[k] = next[k] / length;
    }
    ck_assert_double_eq_tol(s[PS_WEIGHT_largest_singular], sqrt(length), 1e-9);
    ck_assert_double_eq_tol(ps_explain_get(&all, "singular")->doubles[0], sqrt(length), 1e-9);
    ps_explain_part_free(&all);
    net_close(&n);
}
END_TEST

START_TEST(a_matrix_that_is_too_large_is_left_out_and_said)
{
    net n;
    ps_explain_part part;
    net_open(&n, 14, 0);
    net_run(&n, &(ps_spec_explain_method){.method = weights, .side_max = 4}, &part);
    ck_assert_uint_eq(part.n_warnings, 1);
    ck_assert_str_eq(part.warnings[0], "layers.0.weight: no spectrum, its smaller side is 5, over "
                                       "side_max (4)");
    ck_assert(isnan(ps_explain_get(&part, "statistics")->doubles[PS_WEIGHT_alpha]));
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {&sums_over_the_rows_are_those_of_their_answers},
    {&each_row_is_one_count_and_one_line},
    {&slices_by_label_are_of_the_rows_of_that_label},
    {&a_loss_is_told_where_its_probability_is_too_small},
    {&nothing_is_told_of_no_rows},
    {&shares_of_the_weights_add_up_to_all_tensors},
    {&a_matrix_that_is_too_large_is_left_out_and_said},
    {0},
};

int main(void)
{
    return ps_check_main("explain/behaviour", cases);
}
