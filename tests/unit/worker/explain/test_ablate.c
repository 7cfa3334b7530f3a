/* feature_ablation, by what changes behind the first layer and by whole passes: against the answers
 * in float64. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

static char ablation[] = "feature_ablation";
static const double baseline = 0.3;

/* f(x) − f(x with the features of [first, end) as in the baseline) */
static double drop(const net *n, size_t row, size_t first, size_t end)
{
    double x[NET_IN], whole;
    for (size_t k = 0; k < NET_IN; k++)
        x[k] = (double)n->inputs[row * NET_IN + k];
    whole = net_f(n, x);
    for (size_t k = first; k < end; k++)
        x[k] = (double)(float)baseline;
    return whole - net_f(n, x);
}

START_TEST(single_features_are_changed_behind_the_first_layer)
{
    net n;
    ps_explain_part part;
    net_open(&n, 31, baseline);
    net_run(&n, &(ps_spec_explain_method){.method = ablation}, &part);
    for (size_t row = 0; row < NET_ROWS; row++)
        for (size_t k = 0; k < NET_IN; k++)
            ck_assert_double_eq_tol((double)net_array(&part, "values")[row * NET_IN + k],
                                    drop(&n, row, k, k + 1), 2e-6);
    ck_assert_uint_eq(n.x.evaluations, NET_ROWS * (NET_IN + 2)); /* items, and their first layer */
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

/* Half the features each. */
START_TEST(large_groups_are_whole_passes)
{
    int64_t grid[] = {2, 1}, shape[] = {2, 3};
    net n;
    ps_explain_part part;
    net_open(&n, 32, baseline);
    net_run(&n,
            &(ps_spec_explain_method){
                .method = ablation,
                .features = {.grid = grid, .n_grid = 2, .shape = shape, .n_shape = 2}},
            &part);
    for (size_t row = 0; row < NET_ROWS; row++)
        for (size_t k = 0; k < 2; k++)
            ck_assert_double_eq_tol((double)net_array(&part, "groups")[row * 2 + k],
                                    drop(&n, row, 3 * k, 3 * k + 3), 2e-6);
    ck_assert_uint_eq(n.x.evaluations, NET_ROWS * 3);
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {&single_features_are_changed_behind_the_first_layer},
    {&large_groups_are_whole_passes},
    {0},
};

int main(void)
{
    return ps_check_main("explain/ablate", cases);
}
