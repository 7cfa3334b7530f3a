/* deletion, insertion: against the model's own answers in float64, feature by feature; and a model
 * whose answer hangs on one feature. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

static const double baseline = 0.25;
static char ablation[] = "feature_ablation", slopes[] = "saliency";
static char deletion[] = "deletion", insertion[] = "insertion";

/* The job: two attributions, and what is asked about one of them. */
static ps_spec_explain_method attributions[] = {{.method = slopes}, {.method = ablation}};

static void open_job(net *n, uint64_t seed)
{
    net_open(n, seed, baseline);
    n->spec.attributions = attributions;
    n->spec.n_attributions = 2;
    n->spec.seed = 9;
    n->x.method = 2;
}

/* f of a row whose features of `hidden` are as in the baseline. */
static double f_without(const net *n, size_t row, const bool *hidden)
{
    double x[NET_IN];
    for (size_t k = 0; k < NET_IN; k++)
        x[k] = hidden[k] ? baseline : (double)n->inputs[row * NET_IN + k];
    return net_f(n, x);
}

/* The next feature by what f loses without it, which is not hidden yet. */
static size_t next_feature(const net *n, size_t row, const bool *taken)
{
    size_t best = NET_IN;
    double most = 0;
    for (size_t k = 0; k < NET_IN; k++) {
        bool alone[NET_IN] = {false}, none[NET_IN] = {false};
        alone[k] = true;
        double loss = f_without(n, row, none) - f_without(n, row, alone);
        if (!taken[k] && (best == NET_IN || loss > most)) {
            best = k;
            most = loss;
        }
    }
    return best;
}

static void check_curves(bool insert)
{
    net n;
    ps_explain_part part;
    open_job(&n, 11);
    net_run(
        &n,
        &(ps_spec_explain_method){
            .method = insert ? insertion : deletion, .of = ablation, .steps = 20, .samples = 10},
        &part);
    ck_assert_uint_eq(ps_explain_get(&part, "curve")->shape[1], NET_IN + 1);
    for (size_t row = 0; row < NET_ROWS; row++) {
        const float *curve = net_array(&part, "curve") + row * (NET_IN + 1);
        bool taken[NET_IN] = {false}, all[NET_IN], none[NET_IN] = {false};
        double sum = 0, before = 0;
        memset(all, 1, sizeof all);
        for (size_t k = 0; k <= NET_IN; k++) {
            bool hidden[NET_IN];
            for (size_t i = 0; i < NET_IN; i++)
                hidden[i] = taken[i] != insert;
            double f = f_without(&n, row, hidden);
            ck_assert_double_eq_tol((double)curve[k], f, 1e-5);
            sum += k ? (f + before) / 2 / NET_IN : 0;
            before = f;
            if (k < NET_IN)
                taken[next_feature(&n, row, taken)] = true;
        }
        double full = f_without(&n, row, none), empty = f_without(&n, row, all);
        double auc = (sum - empty) / fabs(full - empty);
        ck_assert_double_eq_tol((double)net_array(&part, "auc")[row], auc, 1e-4);
        double gain = auc - (double)net_array(&part, "random")[row];
        ck_assert_double_eq_tol((double)net_array(&part, "gain")[row], insert ? gain : -gain, 1e-4);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}

START_TEST(curves_are_of_what_is_hidden_in_that_order)
{
    check_curves(_i);
}
END_TEST

/* All orders of six features have this mean: the number of places before a feature is even. */
START_TEST(random_orders_are_as_all_orders_on_the_mean)
{
    net n;
    ps_explain_part part;
    open_job(&n, 12);
    net_run(&n, &(ps_spec_explain_method){.method = deletion, .steps = 6, .samples = 4000}, &part);
    for (size_t row = 0; row < NET_ROWS; row++) {
        double by_size[NET_IN + 1] = {0}, sets[NET_IN + 1] = {0}, mean = 0;
        for (size_t s = 0; s < 1 << NET_IN; s++) {
            bool hidden[NET_IN];
            for (size_t k = 0; k < NET_IN; k++)
                hidden[k] = s >> k & 1;
            by_size[__builtin_popcountll(s)] += f_without(&n, row, hidden);
            sets[__builtin_popcountll(s)]++;
        }
        for (size_t k = 0; k <= NET_IN; k++)
            mean += by_size[k] / sets[k] / NET_IN * (k == 0 || k == NET_IN ? 0.5 : 1);
        double full = by_size[0], empty = by_size[NET_IN];
        mean = (mean - empty) / fabs(full - empty);
        double error = (double)net_array(&part, "standard_error")[row];
        ck_assert_double_gt(error, 0);
        ck_assert_double_lt(fabs((double)net_array(&part, "random")[row] - mean), 4.5 * error);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

/* Planted: feature 4 alone decides, so its turn is first, and f is gone (or there) at once. */
START_TEST(what_decides_is_hidden_first)
{
    for (int insert = 0; insert < 2; insert++) {
        net n;
        ps_explain_part part;
        open_job(&n, 13);
        for (size_t j = 0; j < NET_HIDDEN; j++)
            for (size_t k = 0; k < NET_IN; k++)
                n.w1[j * NET_IN + k] = k == 4 ? 1 + 0.1F * (float)j : 0;
        for (size_t row = 0; row < NET_ROWS; row++)
            n.inputs[row * NET_IN + 4] = 2 + (float)row;
        memset(n.b1, 0, sizeof n.b1);
        for (size_t i = 0; i < NET_OUT * NET_HIDDEN; i++)
            n.w2[i] = fabsf(n.w2[i]);
        net_fill(&n);
        net_again(&n);
        net_run(&n,
                &(ps_spec_explain_method){
                    .method = insert ? insertion : deletion, .steps = 6, .samples = 10},
                &part);
        for (size_t row = 0; row < NET_ROWS; row++) {
            double at_once = 1.0 / 12; /* one trapezoid of six, from 1 to 0 */
            ck_assert_double_eq_tol((double)net_array(&part, "auc")[row],
                                    insert ? 1 - at_once : at_once, 1e-5);
            ck_assert_double_gt((double)net_array(&part, "gain")[row], 0.1);
        }
        ps_explain_part_free(&part);
        net_close(&n);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &curves_are_of_what_is_hidden_in_that_order, .repeat = 2},
    {&random_orders_are_as_all_orders_on_the_mean},
    {&what_decides_is_hidden_first},
    {0},
};

int main(void)
{
    return ps_check_main("explain/deletion", cases);
}
