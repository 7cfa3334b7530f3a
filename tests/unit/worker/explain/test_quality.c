/* infidelity, sensitivity, randomisation: against their definitions over the model's own answers
 * and slopes in float64; infidelity and deletion against other libraries
 * (tests/golden/explain/quality.py), which say of that model, too, what its answers come to and how
 * its layer has the rows. */
#include "tests/unit/worker/explain/net.h"
#include "tests/unit/worker/models/golden_fixture.h"

#include "tests/lib/check_main.h"

#include <stdio.h>

static const double baseline = 0.25;
static char ablation[] = "feature_ablation", slopes[] = "saliency", products[] = "gradient_x_input";
static char infidelity[] = "infidelity", sensitivity[] = "sensitivity",
            randomisation[] = "randomisation", deletion[] = "deletion";

static ps_spec_explain_method attributions[] = {
    {.method = slopes}, {.method = ablation}, {.method = products}};

static void open_job(net *n, uint64_t seed)
{
    net_open(n, seed, baseline);
    n->spec.attributions = attributions;
    n->spec.n_attributions = 3;
    n->spec.seed = 9;
    n->x.method = 3;
}

/* All units stay above 0: f is linear. */
static void make_linear(net *n)
{
    for (size_t j = 0; j < NET_HIDDEN; j++)
        n->b1[j] = 200;
    net_fill(n);
    net_again(n);
}

static double f_with(const net *n, size_t row, size_t hidden)
{
    double x[NET_IN];
    for (size_t k = 0; k < NET_IN; k++)
        x[k] = hidden >> k & 1 ? baseline : (double)n->inputs[row * NET_IN + k];
    return net_f(n, x);
}

/* Means over all subsets of the features: of ab, aa, and (βa − b)². */
typedef struct expectation {
    double ab, aa, error;
} expectation;

static expectation expect(const net *n, size_t row, bool normalise)
{
    enum { SETS = 1 << NET_IN };
    double a[SETS], b[SETS], full = f_with(n, row, 0);
    expectation e = {0};
    for (size_t s = 0; s < SETS; s++) {
        a[s] = 0;
        for (size_t k = 0; k < NET_IN; k++)
            a[s] += s >> k & 1 ? full - f_with(n, row, (size_t)1 << k) : 0;
        b[s] = full - f_with(n, row, s);
        e.ab += a[s] * b[s] / SETS;
        e.aa += a[s] * a[s] / SETS;
    }
    for (size_t s = 0; s < SETS; s++)
        e.error += pow((normalise ? e.ab / e.aa : 1) * a[s] - b[s], 2) / SETS;
    return e;
}

START_TEST(infidelity_is_the_mean_over_all_subsets)
{
    bool normalise = _i;
    net n;
    ps_explain_part part;
    open_job(&n, 21);
    net_run(&n,
            &(ps_spec_explain_method){
                .method = infidelity, .of = ablation, .samples = 8000, .normalise = normalise},
            &part);
    for (size_t row = 0; row < NET_ROWS; row++) {
        expectation e = expect(&n, row, normalise);
        double error = (double)net_array(&part, "standard_error")[row];
        ck_assert_double_lt(fabs((double)net_array(&part, "infidelity")[row] - e.error),
                            4.5 * error + 1e-9);
        ck_assert(error < 0.1 * e.error + 1e-9);
        if (normalise)
            ck_assert_double_eq_tol((double)net_array(&part, "beta")[row], e.ab / e.aa, 0.05);
        else
            ck_assert_ptr_null(ps_explain_get(&part, "beta"));
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

START_TEST(of_a_linear_model_what_ablation_says_is_right)
{
    net n;
    ps_explain_part part;
    open_job(&n, 22);
    make_linear(&n);
    net_run(&n, &(ps_spec_explain_method){.method = infidelity, .of = ablation, .samples = 100},
            &part);
    for (size_t row = 0; row < NET_ROWS; row++) {
        ck_assert_double_lt((double)net_array(&part, "infidelity")[row], 1e-6);
        ck_assert_double_gt((double)net_array(&part, "correlation")[row], 0.9999);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

/* Cells of a grid: each feature of a cell has its share of the cell's value, so the sum is right.
 */
START_TEST(groups_are_shared_out)
{
    int64_t grid[] = {1, 1}, shape[] = {1, NET_IN};
    ps_spec_explain_method whole[] = {
        {.method = ablation,
         .features = {.grid = grid, .n_grid = 2, .shape = shape, .n_shape = 2}}};
    net n;
    ps_explain_part part;
    open_job(&n, 23);
    n.spec.attributions = whole;
    n.spec.n_attributions = 1;
    n.x.method = 1;
    net_run(&n, &(ps_spec_explain_method){.method = infidelity, .samples = 8000}, &part);
    for (size_t row = 0; row < NET_ROWS; row++) {
        double full = f_with(&n, row, 0), all = full - f_with(&n, row, 63), want = 0;
        for (size_t s = 0; s < 64; s++)
            want += pow(all * __builtin_popcountll(s) / NET_IN - (full - f_with(&n, row, s)), 2);
        ck_assert_double_lt(fabs((double)net_array(&part, "infidelity")[row] - want / 64),
                            4.5 * (double)net_array(&part, "standard_error")[row]);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

/* ---- other libraries ---- */

static void open_golden(net *n, golden_file *golden)
{
    golden_open(golden, "explain/", "quality");
    open_job(n, 20);
    memcpy(n->inputs, golden_get(golden, "", "inputs"), sizeof n->inputs);
    memcpy(n->w1, golden_get(golden, "", "w1"), sizeof n->w1);
    memcpy(n->b1, golden_get(golden, "", "b1"), sizeof n->b1);
    memcpy(n->w2, golden_get(golden, "", "w2"), sizeof n->w2);
    memcpy(n->b2, golden_get(golden, "", "b2"), sizeof n->b2);
    net_fill(n);
    net_again(n);
}

/* Captum's, over all subsets. */
START_TEST(infidelity_is_captums)
{
    static const char *const names[] = {"infidelity", "normalised"};
    net n;
    golden_file golden;
    open_golden(&n, &golden);
    for (int normalise = 0; normalise < 2; normalise++) {
        const float *want = golden_get(&golden, "", names[normalise]);
        ps_explain_part part;
        net_run(&n,
                &(ps_spec_explain_method){
                    .method = infidelity, .of = ablation, .samples = 20000, .normalise = normalise},
                &part);
        for (size_t row = 0; row < NET_ROWS; row++) {
            double error = (double)net_array(&part, "standard_error")[row];
            ck_assert_double_lt(error, 0.05 * (double)want[row]);
            ck_assert_double_lt(
                fabs((double)net_array(&part, "infidelity")[row] - (double)want[row]), 4.5 * error);
        }
        ps_explain_part_free(&part);
    }
    golden_close(&golden);
    net_close(&n);
}
END_TEST

/* Quantus says f behind each feature that has gone. */
START_TEST(deletion_is_pixel_flipping)
{
    net n;
    golden_file golden;
    ps_explain_part part;
    open_golden(&n, &golden);
    const float *want = golden_get(&golden, "", "curves");
    net_run(&n,
            &(ps_spec_explain_method){
                .method = deletion, .of = ablation, .steps = NET_IN, .samples = 2},
            &part);
    for (size_t row = 0; row < NET_ROWS; row++)
        for (size_t k = 0; k < NET_IN; k++)
            ck_assert_double_eq_tol((double)net_array(&part, "curve")[row * (NET_IN + 1) + k + 1],
                                    (double)want[row * NET_IN + k], 1e-5);
    ps_explain_part_free(&part);
    golden_close(&golden);
    net_close(&n);
}
END_TEST

static void near(const ps_explain_part *part, const char *name, const golden_file *golden,
                 const char *of, size_t n)
{
    const ps_explain_array *a = ps_explain_get(part, name);
    const float *want = golden_get(golden, "", of);
    ck_assert_msg(a && ps_explain_array_count(a) >= n, "%s", name);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol(a->floats ? (double)a->floats[i] : a->doubles[i], (double)want[i],
                                1e-5 * (1 + fabs((double)want[i])));
}

/* scikit-learn's confusion, loss and components, SciPy's moments, NumPy's singular values. */
START_TEST(answers_layers_and_weights_are_as_other_libraries_have_them)
{
    static const struct {
        char method[16];
        const char *array, *of;
        size_t n;
    } looks[] = {{"confusion", "counts", "confusion", NET_OUT * NET_OUT},
                 {"calibration", "summary", "answers", 3},
                 {"pca", "coordinates", "pca/coordinates", NET_ROWS * 2},
                 {"pca", "explained", "pca/explained", 2},
                 {"activations", "statistics", "channels", NET_HIDDEN * 6}};
    net n;
    golden_file golden;
    ps_explain_part part;
    open_golden(&n, &golden);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        net_run(&n,
                &(ps_spec_explain_method){.method = (char *)(uintptr_t)looks[i].method,
                                          .components = 2},
                &part);
        near(&part, looks[i].array, &golden, looks[i].of, looks[i].n);
        ps_explain_part_free(&part);
    }
    const ps_spec_explain_method weights = {.method = (char *)(uintptr_t) "weights",
                                            .side_max = 100};
    n.x.share = 0; /* the first tensor's */
    net_run(&n, &weights, &part);
    const float *want = golden_get(&golden, "", "singular");
    const ps_explain_array *curve = ps_explain_get(&part, "singular");
    ck_assert_double_eq_tol(curve->doubles[0], (double)want[0], 1e-5);
    ck_assert_double_eq_tol(curve->doubles[curve->shape[1] - 1], (double)want[NET_HIDDEN - 1],
                            1e-5);
    ps_explain_part_free(&part);
    golden_close(&golden);
    net_close(&n);
}
END_TEST

/* ---- sensitivity ---- */

/* ∂f/∂x */
static void slope(const net *n, const double *x, double *out)
{
    for (size_t k = 0; k < NET_IN; k++)
        out[k] = 0;
    for (size_t j = 0; j < NET_HIDDEN; j++) {
        double a = (double)n->b1[j];
        for (size_t k = 0; k < NET_IN; k++)
            a += (double)n->w1[j * NET_IN + k] * x[k];
        for (size_t k = 0; a > 0 && k < NET_IN; k++)
            out[k] += (double)n->w2[NET_TARGET * NET_HIDDEN + j] * (double)n->w1[j * NET_IN + k];
    }
}

static double change_of_products(const net *n, const double *x, const double *moved)
{
    double before[NET_IN], after[NET_IN], change = 0, length = 0;
    slope(n, x, before);
    slope(n, moved, after);
    for (size_t k = 0; k < NET_IN; k++) {
        change += pow(after[k] * moved[k] - before[k] * x[k], 2);
        length += pow(before[k] * x[k], 2);
    }
    return sqrt(change / length);
}

START_TEST(sensitivity_is_the_largest_change_nearby)
{
    enum { SAMPLES = 10 };
    const double radius = 0.1;
    net n;
    ps_explain_part part;
    open_job(&n, 24);
    net_run(&n,
            &(ps_spec_explain_method){
                .method = sensitivity, .of = products, .samples = SAMPLES, .radius = radius},
            &part);
    for (size_t row = 0; row < NET_ROWS; row++) {
        double x[NET_IN], largest = 0, mean = 0;
        for (size_t k = 0; k < NET_IN; k++)
            x[k] = (double)n.inputs[row * NET_IN + k];
        for (uint64_t i = 0; i < SAMPLES; i++) {
            double moved[NET_IN];
            ps_rng rng;
            ps_explain_rng(&n.x, row << 20 | i, &rng);
            for (size_t k = 0; k < NET_IN; k++)
                moved[k] = x[k] + radius * (2 * ps_rng_uniform(&rng) - 1);
            double change = change_of_products(&n, x, moved);
            largest = fmax(largest, change);
            mean += change / SAMPLES;
        }
        ck_assert_double_gt(mean, 0);
        ck_assert_double_eq_tol((double)net_array(&part, "largest")[row], largest, 1e-5);
        ck_assert_double_eq_tol((double)net_array(&part, "mean")[row], mean, 1e-5);
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

START_TEST(slopes_of_a_linear_model_change_nowhere)
{
    net n;
    ps_explain_part part;
    open_job(&n, 25);
    make_linear(&n);
    net_run(&n,
            &(ps_spec_explain_method){
                .method = sensitivity, .of = slopes, .samples = 10, .radius = 0.5},
            &part);
    for (size_t row = 0; row < NET_ROWS; row++)
        ck_assert(net_array(&part, "largest")[row] == 0);
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

/* ---- randomisation ---- */

/* 1 + those below + half of the others that are equal. */
static double rank_of(const double *values, size_t i)
{
    double rank = 1;
    for (size_t k = 0; k < NET_IN; k++)
        rank += values[k] < values[i] ? 1 : k != i && values[k] == values[i] ? 0.5 : 0;
    return rank;
}

static double rank_correlation(const double *a, const double *b)
{
    double middle = (NET_IN + 1) / 2.0, ab = 0, aa = 0, bb = 0;
    for (size_t k = 0; k < NET_IN; k++) {
        double x = rank_of(a, k) - middle, y = rank_of(b, k) - middle;
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / sqrt(aa * bb);
}

/* Uniform within 1/√inputs, as torch's linear layers begin. */
static void redraw(const net *n, const char *tensor, size_t inputs, float *out, size_t count)
{
    char name[64];
    ps_rng rng;
    (void)snprintf(name, sizeof name, "explain.%zu.%s", n->x.method, tensor);
    ps_rng_seed_named(&rng, (uint64_t)n->spec.seed, name);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((2 * ps_rng_uniform(&rng) - 1) / sqrt((double)inputs));
}

static void sizes_of_slopes(const net *n, size_t row, double *out)
{
    double x[NET_IN];
    for (size_t k = 0; k < NET_IN; k++)
        x[k] = (double)n->inputs[row * NET_IN + k];
    slope(n, x, out);
    for (size_t k = 0; k < NET_IN; k++)
        out[k] = fabs(out[k]);
}

static void check_back(const net *n)
{
    const float *want[4] = {n->w1, n->b1, n->w2, n->b2};
    for (size_t i = 0; i < 4; i++) {
        float got[NET_HIDDEN * NET_IN];
        ps_tensor from = ps_model_parameter(n->x.model, i);
        ck_ok(ps_copy_to_host(ps_model_stream(n->x.model), got, from, ps_tensor_bytes(from)));
        ck_assert_mem_eq(got, want[i], ps_tensor_bytes(from));
    }
}

START_TEST(layers_are_drawn_anew_from_the_last_and_put_back)
{
    net n, other;
    ps_explain_part part;
    open_job(&n, 26);
    net_run(&n, &(ps_spec_explain_method){.method = randomisation, .of = slopes}, &part);
    check_back(&n);
    ck_assert_uint_eq(ps_explain_get(&part, "correlation")->shape[1], 2);
    other = n;
    for (size_t step = 0; step < 2; step++) {
        if (step == 0) {
            redraw(&n, "layers.1.weight", NET_HIDDEN, other.w2, NET_OUT * NET_HIDDEN);
        } else {
            redraw(&n, "layers.0.weight", NET_IN, other.w1, NET_HIDDEN * NET_IN);
            redraw(&n, "layers.0.bias", NET_IN, other.b1, NET_HIDDEN);
        }
        for (size_t row = 0; row < NET_ROWS; row++) {
            double before[NET_IN], after[NET_IN];
            sizes_of_slopes(&n, row, before);
            sizes_of_slopes(&other, row, after);
            ck_assert_double_eq_tol((double)net_array(&part, "correlation")[row * 2 + step],
                                    rank_correlation(before, after), 1e-6);
        }
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

static ps_status fail_later(void *user)
{
    size_t *left = user;
    return (*left)-- ? PS_OK : ps_fail(PS_CANCELLED, "enough");
}

START_TEST(a_task_that_ends_in_between_leaves_the_model_as_it_was)
{
    net n;
    size_t left = 1;
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    const ps_explain_method *m = ps_explain_method_find(randomisation);
    const ps_spec_explain_method spec = {.method = randomisation};
    open_job(&n, 27);
    n.x.check = fail_later;
    n.x.user = &left;
    ck_assert_int_eq(m->run(&n.x, &spec, NULL, &n.batch.items, &part), PS_CANCELLED);
    check_back(&n);
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &infidelity_is_the_mean_over_all_subsets, .repeat = 2},
    {&of_a_linear_model_what_ablation_says_is_right},
    {&groups_are_shared_out},
    {&infidelity_is_captums},
    {&deletion_is_pixel_flipping},
    {&answers_layers_and_weights_are_as_other_libraries_have_them},
    {&sensitivity_is_the_largest_change_nearby},
    {&slopes_of_a_linear_model_change_nowhere},
    {&layers_are_drawn_anew_from_the_last_and_put_back},
    {&a_task_that_ends_in_between_leaves_the_model_as_it_was},
    {0},
};

int main(void)
{
    return ps_check_main("explain/quality", cases);
}
