/* shapley, permutation_shapley: against the definition over the model's own answers in float64. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

#include "worker/explain/shapley.h"

enum { COALITIONS = 1 << NET_IN };
static const double baseline = 0.3;

/* φ of a row by all coalitions; *change: f(x) − f(x′). */
static void define(const net *n, size_t row, double *shares, double *change)
{
    double values[COALITIONS], x[NET_IN];
    for (size_t s = 0; s < COALITIONS; s++) {
        for (size_t k = 0; k < NET_IN; k++)
            x[k] = s >> k & 1 ? (double)n->inputs[row * NET_IN + k] : (double)(float)baseline;
        values[s] = net_f(n, x);
    }
    memset(shares, 0, NET_IN * sizeof *shares);
    for (size_t i = 0; i < NET_IN; i++)
        for (size_t s = 0; s < COALITIONS; s++) {
            if (s >> i & 1)
                continue;
            int size = __builtin_popcountll(s);
            double weight = tgamma(size + 1) * tgamma(NET_IN - size) / tgamma(NET_IN + 1);
            shares[i] += weight * (values[s | (size_t)1 << i] - values[s]);
        }
    *change = values[COALITIONS - 1] - values[0];
}

static char shapley[] = "shapley", orders[] = "permutation_shapley";

static void check_rows(const net *n, const ps_explain_part *part, double tolerance)
{
    const float *values = net_array(part, "values"), *residual = net_array(part, "residual");
    for (size_t row = 0; row < NET_ROWS; row++) {
        double want[NET_IN], change, sum = 0;
        define(n, row, want, &change);
        for (size_t k = 0; k < NET_IN; k++) {
            double got = (double)values[row * NET_IN + k];
            ck_assert_double_eq_tol(got, want[k], tolerance);
            sum += got;
        }
        ck_assert_double_eq_tol(sum, change, 1e-5);
        ck_assert_double_lt((double)residual[row], 1e-5);
    }
}

START_TEST(all_coalitions_are_exact)
{
    net n;
    ps_explain_part part;
    net_open(&n, 3, baseline);
    net_run(&n, &(ps_spec_explain_method){.method = shapley, .samples = COALITIONS}, &part);
    check_rows(&n, &part, 1e-5);
    ck_assert_uint_ge(n.x.evaluations, NET_ROWS * COALITIONS);
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

/* 62 coalitions of six are all: least squares find the same. */
START_TEST(least_squares_over_all_coalitions_are_exact)
{
    net n;
    ps_explain_part part;
    net_open(&n, 4, baseline);
    net_run(&n, &(ps_spec_explain_method){.method = shapley, .samples = COALITIONS - 2}, &part);
    check_rows(&n, &part, 1e-4);
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

START_TEST(orders_come_close_and_say_how_close)
{
    net n;
    ps_explain_part part;
    net_open(&n, 5, baseline);
    net_run(&n, &(ps_spec_explain_method){.method = orders, .permutations = 200}, &part);
    check_rows(&n, &part, 0.3);
    const float *values = net_array(&part, "values"), *errors = net_array(&part, "standard_error");
    double off = 0, said = 0;
    for (size_t row = 0; row < NET_ROWS; row++) {
        double want[NET_IN], change;
        define(&n, row, want, &change);
        for (size_t k = 0; k < NET_IN; k++) {
            off += pow((double)values[row * NET_IN + k] - want[k], 2);
            said += pow((double)errors[row * NET_IN + k], 2);
        }
    }
    ck_assert(off < 3 * said && said < 9 * off + 1e-12);
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

/* Two groups of three: Shapley of two players by hand. */
START_TEST(groups_are_players)
{
    int64_t grid[] = {2, 1}, shape[] = {2, 3};
    net n;
    ps_explain_part part;
    net_open(&n, 6, baseline);
    net_run(&n,
            &(ps_spec_explain_method){
                .method = shapley,
                .samples = 4,
                .features = {.grid = grid, .n_grid = 2, .shape = shape, .n_shape = 2}},
            &part);
    const float *groups = net_array(&part, "groups");
    for (size_t row = 0; row < NET_ROWS; row++) {
        double v[4], x[NET_IN];
        for (size_t s = 0; s < 4; s++) {
            for (size_t k = 0; k < NET_IN; k++)
                x[k] =
                    s >> k / 3 & 1 ? (double)n.inputs[row * NET_IN + k] : (double)(float)baseline;
            v[s] = net_f(&n, x);
        }
        ck_assert_double_eq_tol((double)groups[row * 2], (v[1] - v[0] + v[3] - v[2]) / 2, 1e-5);
        ck_assert_double_eq_tol((double)groups[row * 2 + 1], (v[2] - v[0] + v[3] - v[1]) / 2, 1e-5);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {&all_coalitions_are_exact},
    {&least_squares_over_all_coalitions_are_exact},
    {&orders_come_close_and_say_how_close},
    {&groups_are_players},
    {0},
};

int main(void)
{
    return ps_check_main("explain/shapley_values", cases);
}
