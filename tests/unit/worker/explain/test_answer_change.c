/* answer_change: KL, flips and losses of a net and of one whose last biases are others, against
 * what probabilities in float64 say. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

#include "worker/explain/other.h"

static struct {
    net net, other; /* of the same numbers, but for b2 */
    ps_explain_other how;
} t;

static ps_status beside(void *user, const ps_explaining *x, ps_explaining *out)
{
    *out = *x;
    out->model = t.other.x.model;
    net_fill(&t.other);
    return PS_OK;
}

static void probabilities(const net *n, const float *row, double *p)
{
    double x[NET_IN], sum = 0;
    for (size_t k = 0; k < NET_IN; k++)
        x[k] = (double)row[k];
    net_answer(n, x, p);
    for (size_t c = 0; c < NET_OUT; c++)
        sum += p[c] = exp(p[c]);
    for (size_t c = 0; c < NET_OUT; c++)
        p[c] /= sum;
}

static size_t likeliest(const double *p)
{
    size_t best = 0;
    for (size_t c = 1; c < NET_OUT; c++)
        best = p[c] > p[best] ? c : best;
    return best;
}

START_TEST(answers_differ_as_their_probabilities_do)
{
    const ps_spec_explain_method spec = {.method = (char *)(uintptr_t) "answer_change"};
    ps_explain_part part;
    double kl = 0, flips = 0, losses = 0;
    net_open(&t.net, 3, 0);
    net_open(&t.other, 3, 0);
    t.other.b2[0] += 1.5F;
    t.other.b2[2] -= 0.5F;
    t.how = (ps_explain_other){.name = "b", .beside = beside};
    t.net.x.other = &t.how;
    net_run(&t.net, &spec, &part);
    const float *rows = net_array(&part, "rows"), *summary = net_array(&part, "summary");
    for (size_t i = 0; i < NET_ROWS; i++) {
        double p[NET_OUT], q[NET_OUT], its = 0;
        probabilities(&t.net, t.net.inputs + i * NET_IN, p);
        probabilities(&t.other, t.net.inputs + i * NET_IN, q);
        for (size_t c = 0; c < NET_OUT; c++)
            its += p[c] * log(p[c] / q[c]);
        bool flip = likeliest(p) != likeliest(q);
        ck_assert_double_eq_tol((double)rows[4 * i], its, 1e-5);
        ck_assert_double_eq((double)rows[4 * i + 1], flip);
        ck_assert_double_eq_tol((double)rows[4 * i + 2], -log(p[t.net.labels[i]]), 1e-5);
        ck_assert_double_eq_tol((double)rows[4 * i + 3], -log(q[t.net.labels[i]]), 1e-5);
        kl += its / NET_ROWS;
        flips += flip;
        losses += -log(q[t.net.labels[i]]) / NET_ROWS;
    }
    ck_assert(flips > 0 && flips < NET_ROWS);
    ck_assert_double_eq((double)summary[0], NET_ROWS);
    ck_assert_double_eq_tol((double)summary[1], kl, 1e-5);
    ck_assert_double_eq((double)summary[2], flips);
    ck_assert_double_eq_tol((double)summary[4], losses, 1e-5);
    ps_explain_part_free(&part);
    net_close(&t.other);
    net_close(&t.net);
}
END_TEST

START_TEST(an_answer_that_is_no_number_is_not_the_same)
{
    const ps_spec_explain_method spec = {.method = (char *)(uintptr_t) "answer_change"};
    ps_explain_part part;
    net_open(&t.net, 3, 0);
    net_open(&t.other, 3, 0);
    t.other.b2[0] = NAN;
    t.how = (ps_explain_other){.name = "b", .beside = beside};
    t.net.x.other = &t.how;
    net_run(&t.net, &spec, &part);
    ck_assert(isnan(net_array(&part, "rows")[0]));
    ck_assert(isnan(net_array(&part, "summary")[1]));
    ps_explain_part_free(&part);
    net_close(&t.other);
    net_close(&t.net);
}
END_TEST

static const ps_check_case cases[] = {
    {&answers_differ_as_their_probabilities_do},
    {&an_answer_that_is_no_number_is_not_the_same},
    {0},
};

int main(void)
{
    return ps_check_main("explain/answer_change", cases);
}
