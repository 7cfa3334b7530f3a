/* Integrated gradients of a score with a step that is narrow on the way: points are to gather
 * there. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

#define NARROW 1e4F /* the step's slope: its width on the way is 1e-4 */
#define AT     0.9137F

static const float slope[NET_IN] = {1, 2, 3, -1, 0.5F, 0.25F};
static const float row[NET_IN] = {0.3F, 0.2F, 0.1F, -0.2F, 0.1F, 0.4F};

/* f(x) = min(max(0, NARROW·(slope·x − AT)), 1): two units of the hidden layer. */
static void open_step(net *n)
{
    net_open(n, 1, 0);
    memset(n->w1, 0, sizeof n->w1);
    memset(n->b1, 0, sizeof n->b1);
    memset(n->w2, 0, sizeof n->w2);
    memset(n->b2, 0, sizeof n->b2);
    for (size_t k = 0; k < NET_IN; k++) {
        n->w1[k] = n->w1[NET_IN + k] = NARROW * slope[k];
        for (size_t i = 0; i < NET_ROWS; i++)
            n->inputs[i * NET_IN + k] = row[k] * (1 + (float)i);
    }
    n->b1[0] = -NARROW * AT;
    n->b1[1] = -NARROW * AT - 1;
    n->w2[NET_TARGET * NET_HIDDEN] = 1;
    n->w2[NET_TARGET * NET_HIDDEN + 1] = -1;
    net_fill(n);
    net_again(n);
}

static void integrate(net *n, int64_t steps_max, ps_explain_part *out)
{
    static char name[] = "integrated_gradients";
    net_run(n,
            &(ps_spec_explain_method){
                .method = name, .steps = 50, .steps_max = steps_max, .tolerance = 0.01},
            out);
}

/* The gradient is along `slope` wherever there is one, so a feature's share is slope·row's. */
START_TEST(a_narrow_step_is_found)
{
    net n;
    ps_explain_part part;
    double whole = 0;
    open_step(&n);
    integrate(&n, 800, &part);
    for (size_t k = 0; k < NET_IN; k++)
        whole += (double)(slope[k] * row[k]);
    for (size_t i = 0; i < NET_ROWS; i++) {
        ck_assert_double_le((double)net_array(&part, "residual")[i], 0.01);
        ck_assert_double_gt((double)net_array(&part, "steps")[i], 100);
        ck_assert_double_le((double)net_array(&part, "steps")[i], 800);
        for (size_t k = 0; k < NET_IN; k++)
            ck_assert_double_eq_tol((double)net_array(&part, "values")[i * NET_IN + k],
                                    (double)(slope[k] * row[k]) / whole, 0.01);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

/* Too few for parts: what the first points give stays. A few parts: no more than are allowed. */
START_TEST(steps_max_holds)
{
    net n;
    ps_explain_part part;
    open_step(&n);
    integrate(&n, 84, &part);
    for (size_t i = 0; i < NET_ROWS; i++) {
        ck_assert_double_gt((double)net_array(&part, "residual")[i], 0.5);
        ck_assert(net_array(&part, "steps")[i] == 50);
    }
    ps_explain_part_free(&part);
    integrate(&n, 200, &part);
    for (size_t i = 0; i < NET_ROWS; i++) {
        ck_assert_double_gt((double)net_array(&part, "residual")[i], 0.01);
        ck_assert_double_gt((double)net_array(&part, "steps")[i], 150);
        ck_assert_double_le((double)net_array(&part, "steps")[i], 200);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_narrow_step_is_found},
    {&steps_max_holds},
    {0},
};

int main(void)
{
    return ps_check_main("explain/path_parts", cases);
}
