/* probes: a bit that was planted is found, chance is not, and in between it is ridge regression. */
#include "tests/unit/worker/explain/turned_net.h"

#include "tests/lib/check_main.h"

static char probes[] = "probes";

static const ps_spec_explain_method probing = {.method = probes, .ridge = 0.01, .train_share = 0.6};

START_TEST(a_planted_bit_is_found_and_chance_is_not)
{
    rig r;
    ps_explain_part part;
    setup(&r, 37);
    run_all(&r, &probing, &part);
    double usual = (double)array(&part, "usual")[0];
    ck_assert(usual > 0.2 && usual < 0.8);
    for (size_t layer = 0; layer < 2; layer++) {
        ck_assert(array(&part, "accuracy")[layer] == 1);
        ck_assert_double_eq_tol((double)array(&part, "control")[layer], 0.5, 0.12);
        ck_assert_double_eq_tol((double)array(&part, "selectivity")[layer], 0.5, 0.12);
    }
    ck_assert_ptr_null(ps_explain_get(&part, "labels"));
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

/* Ridge regression by channels: (XᵀX + λ)·w = Xᵀy, of rows and targets less their means over those
 * it is fitted to. */
typedef struct line {
    bool train[ROWS];
    double n, means[WIDE], usual[OUT];
    double a[WIDE][WIDE + OUT]; /* XᵀX + λ beside Xᵀy, then 1 beside w */
} line;

static void eliminate(line *l)
{
    for (size_t k = 0; k < WIDE; k++) {
        double pivot = l->a[k][k]; /* above 0: λ is */
        for (size_t c = 0; c < WIDE + OUT; c++)
            l->a[k][c] /= pivot;
        for (size_t i = 0; i < WIDE; i++) {
            double factor = i == k ? 0 : l->a[i][k];
            for (size_t c = 0; c < WIDE + OUT; c++)
                l->a[i][c] -= factor * l->a[k][c];
        }
    }
}

static void fit(const rig *r, double ridge, line *l)
{
    double trace = 0;
    for (size_t i = 0; i < ROWS; i++) {
        l->n += l->train[i];
        for (size_t c = 0; c < WIDE; c++)
            l->means[c] += l->train[i] ? first_layer(r, i, c) : 0;
        l->usual[r->labels[i]] += l->train[i];
    }
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; l->train[i] && c < WIDE; c++) {
            double x = first_layer(r, i, c) - l->means[c] / l->n;
            trace += x * x;
            for (size_t d = 0; d < WIDE; d++)
                l->a[c][d] += x * (first_layer(r, i, d) - l->means[d] / l->n);
            for (size_t d = 0; d < OUT; d++)
                l->a[c][WIDE + d] += x * ((r->labels[i] == (int32_t)d) - l->usual[d] / l->n);
        }
    for (size_t c = 0; c < WIDE; c++)
        l->a[c][c] += ridge * trace / l->n;
    eliminate(l);
}

static int32_t guess(const rig *r, const line *l, size_t row)
{
    double scores[OUT];
    int32_t best = 0;
    for (int32_t d = 0; d < OUT; d++) {
        scores[d] = l->usual[d] / l->n;
        for (size_t c = 0; c < WIDE; c++)
            scores[d] += l->a[c][WIDE + d] * (first_layer(r, row, c) - l->means[c] / l->n);
        best = scores[d] > scores[best] ? d : best;
    }
    return best;
}

START_TEST(a_probe_is_ridge_regression_by_channels)
{
    rig r;
    ps_rng rng;
    line l = {.n = 0};
    ps_explain_part part;
    double right = 0, tested = 0;
    setup(&r, 39);
    ps_rng_seed(&rng, 6);
    for (size_t i = 0; i < ROWS; i++) { /* half of it is there to be found */
        double is = (double)r.inputs[i * IN + 1] + ps_rng_normal(&rng);
        r.labels[i] = is < -0.5 ? 0 : is < 0.5 ? 1 : 2;
    }
    run_all(&r, &probing, &part);
    for (size_t i = 0; i < ROWS; i++) {
        ps_explain_rng(&r.x, i, &rng);
        l.train[i] = ps_rng_uniform(&rng) < probing.train_share;
    }
    fit(&r, probing.ridge, &l);
    for (size_t i = 0; i < ROWS; i++) {
        tested += !l.train[i];
        right += !l.train[i] && guess(&r, &l, i) == r.labels[i];
    }
    ck_assert(right / tested > 0.35 && right / tested < 0.9);
    ck_assert_double_eq_tol((double)array(&part, "accuracy")[0], right / tested, 1e-6);
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

START_TEST(labels_without_a_reason_are_not_found)
{
    rig r;
    ps_rng rng;
    ps_explain_part part;
    setup(&r, 38);
    ps_rng_seed(&rng, 5);
    for (size_t i = 0; i < ROWS; i++)
        r.labels[i] = (int32_t)ps_rng_below(&rng, 2);
    run_all(&r, &probing, &part);
    for (size_t layer = 0; layer < 2; layer++)
        ck_assert(array(&part, "accuracy")[layer] < 0.75F);
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_planted_bit_is_found_and_chance_is_not},
    {&a_probe_is_ridge_regression_by_channels},
    {&labels_without_a_reason_are_not_found},
    {0},
};

int main(void)
{
    return ps_check_main("explain/probes", cases);
}
