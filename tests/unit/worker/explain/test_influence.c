/* tracin, ekfac and trak against captum, kronfluence and numpy (tests/golden/explain/influence.py),
 * and against what training does: a step of sgd on a row changes the loss of another by what tracin
 * says, up to the square of the step; of one linear layer with squared error and one output EK-FAC
 * is the Gauss-Newton matrix itself. */
#include "tests/unit/worker/explain/influence_fixture.h"

#include "tests/lib/check_main.h"

#include "common/base/limits.h"

enum { TRAIN = 40, TEST = 5, INPUTS = 10, CLASSES = 4, LAYERS = 3, TOP = 3 };

static const int64_t sizes[] = {INPUTS, 8, 6, CLASSES};
static char tracin[] = "tracin", ekfac[] = "ekfac", trak[] = "trak";

static struct {
    influence_fixture f;
    golden_file golden;
} t;

static void open_golden(void)
{
    influence_open(&t.f, sizes, LAYERS + 1, true);
    golden_open(&t.golden, "explain/", "influence");
    const ps_model_layout *layout = ps_model_parameters(t.f.x.model);
    for (size_t i = 0; i < layout->count; i++)
        influence_fill(&t.f, i, golden_get(&t.golden, "", layout->parameters[i].name));
    t.f.train = influence_data(&t.f.paths[0], golden_get(&t.golden, "", "train_x"),
                               golden_get(&t.golden, "", "train_y"), TRAIN, INPUTS, CLASSES);
    t.f.test = influence_data(&t.f.paths[1], golden_get(&t.golden, "", "test_x"),
                              golden_get(&t.golden, "", "test_y"), TEST, INPUTS, CLASSES);
}

static void close_golden(void)
{
    golden_close(&t.golden);
    influence_close(&t.f);
}

/* Those of a query that come first, with their labels: as all scores have it. */
static void check_lists(const ps_explain_part *part)
{
    const float *scores = influence_array(part, "scores"),
                *labels = golden_get(&t.golden, "", "train_y");
    static const char *const names[] = {"helping", "hurting"},
                             *const values[] = {"helping_scores", "hurting_scores"},
                             *const classes[] = {"helping_labels", "hurting_labels"};
    for (size_t side = 0; side < 2; side++)
        for (size_t q = 0; q < TEST; q++)
            for (size_t k = 0; k < TOP; k++) {
                float row = influence_array(part, names[side])[q * TOP + k];
                float score = influence_array(part, values[side])[q * TOP + k];
                size_t better = 0;
                ck_assert(row >= 0 && row < TRAIN);
                ck_assert(score == scores[q * TRAIN + (size_t)row]);
                ck_assert(labels[(size_t)row] == influence_array(part, classes[side])[q * TOP + k]);
                for (size_t i = 0; i < TRAIN; i++)
                    better += side ? scores[q * TRAIN + i] < score : scores[q * TRAIN + i] > score;
                ck_assert_uint_eq(better, k);
            }
}

START_TEST(tracin_is_as_captum_and_kronfluence_have_it)
{
    ps_explain_part part;
    const ps_spec_explain_method spec = {.method = tracin, .top = TOP, .rate = 0.5, .scores = true};
    open_golden();
    t.f.spec.rows.show = PS_EXPLAIN_SHOW_YES;
    influence_run(&t.f, &spec, &part);
    influence_is(&t.golden, &part, "scores", "tracin", 1e-5);
    influence_is(&t.golden, &part, "self_influence", "self", 1e-5);
    check_lists(&part);
    const ps_explain_array *rows = ps_explain_get(&part, "shown_rows");
    const float *shown = influence_array(&part, "shown"), *x = golden_get(&t.golden, "", "train_x");
    ck_assert(rows && rows->shape[0] >= TOP);
    for (uint64_t i = 0; i < rows->shape[0]; i++)
        for (size_t k = 0; k < INPUTS; k++)
            ck_assert(shown[i * INPUTS + k] == x[(size_t)rows->floats[i] * INPUTS + k]);
    ps_explain_part_free(&part);
    close_golden();
}
END_TEST

static ps_status become(void *user, const ps_spec_explain_checkpoint *checkpoint)
{
    const ps_model_layout *layout = ps_model_parameters(t.f.x.model);
    for (size_t i = 0; i < layout->count; i++)
        influence_fill(&t.f, i, golden_get(user, checkpoint->model, layout->parameters[i].name));
    return PS_OK;
}

static char first[] = "0/", second[] = "1/", third[] = "2/";
static ps_spec_explain_checkpoint checkpoints[] = {
    {first, NULL, 0.5}, {second, NULL, 0.25}, {third, NULL, 2}};

START_TEST(checkpoints_are_as_captum_and_dattri_have_them)
{
    ps_spec_explain_method specs[] = {{.method = tracin,
                                       .top = TOP,
                                       .rate = 9,
                                       .scores = true,
                                       .checkpoints = checkpoints,
                                       .n_checkpoints = 3},
                                      {.method = trak,
                                       .top = TOP,
                                       .sketch = 64,
                                       .ridge = 0.05,
                                       .scores = true,
                                       .checkpoints = checkpoints,
                                       .n_checkpoints = 3}};
    golden_file golden;
    ps_explain_part part;
    open_golden();
    golden_open(&golden, "explain/", "influence_checkpoints");
    t.f.x.become = become;
    t.f.x.user = &golden;
    influence_run(&t.f, &specs[0], &part);
    influence_is(&golden, &part, "scores", "tracin", 1e-5);
    influence_is(&golden, &part, "self_influence", "self", 1e-5);
    check_lists(&part);
    ps_explain_part_free(&part);
    influence_run(&t.f, &specs[1], &part);
    influence_is(&golden, &part, "scores", "trak", 2e-5);
    check_lists(&part);
    ps_explain_part_free(&part);
    golden_close(&golden);
    close_golden();
}
END_TEST

START_TEST(ekfac_is_as_kronfluence_has_it)
{
    ps_explain_part part;
    open_golden();
    influence_run(
        &t.f,
        &(ps_spec_explain_method){
            .method = ekfac, .top = TOP, .damping = 0.1, .empirical = true, .scores = true},
        &part);
    influence_is(&t.golden, &part, "scores", "ekfac", 2e-5);
    check_lists(&part);
    ps_explain_part_free(&part);
    close_golden();
}
END_TEST

START_TEST(trak_is_as_numpy_has_it)
{
    ps_explain_part part;
    open_golden();
    influence_run(&t.f,
                  &(ps_spec_explain_method){
                      .method = trak, .top = TOP, .sketch = 64, .ridge = 0.05, .scores = true},
                  &part);
    influence_is(&t.golden, &part, "scores", "trak", 2e-5);
    check_lists(&part);
    ps_explain_part_free(&part);
    close_golden();
}
END_TEST

/* ---- what must hold ---- */

/* The loss of query q at the parameters, each moved by `step` times against its gradient for row z.
 */
static double loss_of(ps_model *m, const float *x, float label)
{
    const int32_t class = (int32_t)label;
    ps_model_result result;
    const ps_model_batch batch = {.rows = 1, .features = x, .labels = &class};
    ck_ok(ps_model_forward(m, &batch, NULL));
    ck_ok(ps_model_loss(m, &batch));
    ck_ok(ps_model_backward(m, NULL));
    ck_ok(ps_model_result_get(m, &result));
    return result.loss;
}

static void step(ps_model *m, float rate, float *work)
{
    ps_stream *s = ps_model_stream(m);
    for (size_t i = 0; i < ps_model_parameters(m)->count; i++) {
        ps_tensor w = ps_model_parameter(m, i), g = ps_model_gradient(m, i);
        size_t n = ps_tensor_bytes(w) / sizeof(float);
        ck_ok(ps_copy_to_host(s, work, w, ps_tensor_bytes(w)));
        ck_ok(ps_copy_to_host(s, work + n, g, ps_tensor_bytes(g)));
        for (size_t k = 0; k < n; k++)
            work[k] -= rate * work[n + k];
        ps_copy_to_device(s, w, work, ps_tensor_bytes(w));
        ck_ok(ps_stream_sync(s));
    }
    ps_model_refresh(m);
}

/* What is left over of it falls with the square of the step. */
START_TEST(a_step_of_sgd_does_what_tracin_says)
{
    const ps_model_config config = {
        .architecture = "mlp", .layers = sizes, .layer_count = LAYERS + 1};
    const float rates[] = {0.004F, 0.002F};
    ps_explain_part part;
    ps_model *m = NULL;
    float work[2 * 8 * INPUTS];
    double worst[2] = {0, 0};
    open_golden();
    influence_run(
        &t.f, &(ps_spec_explain_method){.method = tracin, .top = TOP, .rate = 1, .scores = true},
        &part);
    ck_ok(ps_model_create(t.f.device.backend, &config, &(ps_model_options){.max_batch = 1}, &m));
    const float *scores = influence_array(&part, "scores");
    const float *x = golden_get(&t.golden, "", "train_x"),
                *y = golden_get(&t.golden, "", "train_y");
    const float *ax = golden_get(&t.golden, "", "test_x"),
                *ay = golden_get(&t.golden, "", "test_y");
    for (size_t r = 0; r < 2; r++)
        for (size_t z = 0; z < TRAIN; z += 7) {
            double before[TEST];
            for (size_t i = 0; i < ps_model_parameters(m)->count; i++) {
                ps_tensor w = ps_model_parameter(m, i);
                ps_copy_to_device(
                    ps_model_stream(m), w,
                    golden_get(&t.golden, "", ps_model_parameters(m)->parameters[i].name),
                    ps_tensor_bytes(w));
            }
            ck_ok(ps_stream_sync(ps_model_stream(m)));
            ps_model_refresh(m);
            for (size_t q = 0; q < TEST; q++)
                before[q] = loss_of(m, ax + q * INPUTS, ay[q]);
            (void)loss_of(m, x + z * INPUTS, y[z]);
            step(m, rates[r], work);
            for (size_t q = 0; q < TEST; q++) {
                double off = before[q] - loss_of(m, ax + q * INPUTS, ay[q]) -
                             (double)rates[r] * (double)scores[q * TRAIN + z];
                worst[r] = fmax(worst[r], fabs(off));
            }
        }
    ck_assert_double_lt(worst[1], 0.3 * worst[0] + 1e-6);
    ck_assert_double_lt(worst[0], 2e-3);
    ps_model_free(&m);
    ps_explain_part_free(&part);
    close_golden();
}
END_TEST

enum { WIDE = 4, ROWS = 30, ASKED = 3, SIDE = WIDE + 1 };

/* a·x = b by Gauss-Jordan, x in b. */
static void solve(double a[SIDE][SIDE], double *b)
{
    for (size_t i = 0; i < SIDE; i++) {
        double pivot = a[i][i]; /* positive definite */
        for (size_t k = 0; k < SIDE; k++)
            a[i][k] /= pivot;
        b[i] /= pivot;
        for (size_t j = 0; j < SIDE; j++) {
            double factor = a[j][i];
            for (size_t k = 0; j != i && k < SIDE; k++)
                a[j][k] -= factor * a[i][k];
            b[j] -= j != i ? factor * b[i] : 0;
        }
    }
}

/* One linear layer, one number, squared error: the loss is (w·a − t)², its matrix 2·E[a·aᵀ]. */
START_TEST(ekfac_of_one_linear_layer_is_gauss_newton)
{
    static const int64_t one[] = {WIDE, 1};
    influence_fixture *f = &t.f;
    float x[(ROWS + ASKED) * WIDE], y[ROWS + ASKED], w[WIDE], b[1] = {0.3F};
    double matrix[SIDE][SIDE] = {{0}}, trace = 0;
    ps_explain_part part;
    influence_open(f, one, 2, false);
    for (size_t i = 0; i < (ROWS + ASKED) * WIDE; i++)
        x[i] = (float)ps_rng_normal(&f->device.rng);
    for (size_t i = 0; i < ROWS + ASKED; i++)
        y[i] = (float)ps_rng_normal(&f->device.rng);
    for (size_t i = 0; i < WIDE; i++)
        w[i] = (float)ps_rng_normal(&f->device.rng);
    influence_fill(f, 0, w);
    influence_fill(f, 1, b);
    f->train = influence_data(&f->paths[0], x, y, ROWS, WIDE, 0);
    f->test = influence_data(&f->paths[1], x + ROWS * WIDE, y + ROWS, ASKED, WIDE, 0);
    influence_run(
        f, &(ps_spec_explain_method){.method = ekfac, .top = 3, .damping = 0.1, .scores = true},
        &part);
    double a[ROWS + ASKED][SIDE], slope[ROWS + ASKED];
    for (size_t i = 0; i < ROWS + ASKED; i++) {
        double answer = (double)b[0];
        for (size_t k = 0; k < WIDE; k++) {
            a[i][k] = (double)x[i * WIDE + k];
            answer += (double)w[k] * a[i][k];
        }
        a[i][WIDE] = 1;
        slope[i] = 2 * (answer - (double)y[i]);
        for (size_t j = 0; i < ROWS && j < SIDE; j++)
            for (size_t k = 0; k < SIDE; k++)
                matrix[j][k] += 2 * a[i][j] * a[i][k] / ROWS;
    }
    for (size_t k = 0; k < SIDE; k++)
        trace += matrix[k][k];
    for (size_t q = 0; q < ASKED; q++) {
        double damped[SIDE][SIDE], g[SIDE];
        memcpy(damped, matrix, sizeof damped);
        for (size_t k = 0; k < SIDE; k++) {
            damped[k][k] += 0.1 * trace / SIDE;
            g[k] = slope[ROWS + q] * a[ROWS + q][k];
        }
        solve(damped, g);
        for (size_t i = 0; i < ROWS; i++) {
            double want = 0;
            for (size_t k = 0; k < SIDE; k++)
                want += g[k] * slope[i] * a[i][k];
            ck_assert_double_eq_tol((double)influence_array(&part, "scores")[q * ROWS + i], want,
                                    1e-4 * fmax(1, fabs(want)));
        }
    }
    ps_explain_part_free(&part);
    influence_close(f);
}
END_TEST

/* What is in the rows, and all scores, are left when they are asked for. */
START_TEST(nothing_is_shown_that_was_not_asked_for)
{
    ps_explain_part part;
    open_golden();
    influence_run(&t.f, &(ps_spec_explain_method){.method = tracin, .top = TOP, .rate = 1}, &part);
    ck_assert_ptr_null(ps_explain_get(&part, "shown"));
    ck_assert_ptr_null(ps_explain_get(&part, "shown_rows"));
    ck_assert_ptr_null(ps_explain_get(&part, "scores"));
    ck_assert_uint_eq(part.n, 11);
    ps_explain_part_free(&part);
    close_golden();
}
END_TEST

/* Eigenvectors of a wide layer take minutes: who merges is asked meanwhile whether it is to end. */
static ps_status end_now(void *user)
{
    return ps_fail(PS_CANCELLED, "it is to end");
}

START_TEST(eigenvectors_are_given_up_with_the_task)
{
    const ps_spec_explain_method spec = {.method = ekfac, .top = TOP, .damping = 0.1};
    const ps_explain_method *m = ps_explain_method_find(ekfac);
    enum { SQUARES = 11 * 11 + 8 * 8 + 9 * 9 + 6 * 6 + 7 * 7 + CLASSES * CLASSES };
    const uint64_t n = SQUARES, one = 1, layers[] = {LAYERS, 2};
    const float shapes[] = {11, 8, 9, 6, 7, CLASSES};
    double sums[SQUARES] = {0}, rows = 1;
    ps_explain_part merged = PS_EXPLAIN_PART_EMPTY;
    open_golden();
    ck_ok(ps_explain_put_sums(&merged, "vectors", "number", 1, &n, sums));
    ck_ok(ps_explain_put_sums(&merged, "rows", "number", 1, &one, &rows));
    ck_ok(ps_explain_put_result(&merged, "shapes", "layer side", 2, layers, shapes));
    t.f.x.check = end_now;
    ck_assert_int_eq(m->finish(&t.f.x, &spec, &merged), PS_CANCELLED);
    ps_explain_part_free(&merged);
    close_golden();
}
END_TEST

/* So does what trak whitens with. */
START_TEST(whitening_is_given_up_with_the_task)
{
    const ps_spec_explain_method spec = {.method = trak, .top = TOP, .sketch = 64, .ridge = 1};
    const ps_explain_method *m = ps_explain_method_find(trak);
    ps_explain_part merged = PS_EXPLAIN_PART_EMPTY;
    open_golden();
    t.f.x.train = t.f.train;
    t.f.x.test = t.f.test;
    ck_ok(m->run(&t.f.x, &spec, NULL, NULL, &merged));
    t.f.x.check = end_now;
    ck_assert_int_eq(m->finish(&t.f.x, &spec, &merged), PS_CANCELLED);
    ps_explain_part_free(&merged);
    close_golden();
}
END_TEST

/* Queries of a wide model are more than there is memory: said beforehand, not found out by Linux.
 */
START_TEST(tracin_says_beforehand_what_its_queries_take)
{
    enum { QUERIES = 65536, WIDEST = 1 << 17 };
    static const int64_t wide[] = {1, WIDEST, 2};
    static float zeros[QUERIES];
    const ps_spec_explain_method spec = {.method = tracin, .top = TOP, .rate = 1};
    influence_fixture *f = &t.f;
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    if (ps_limits_memory_left() / QUERIES / sizeof(float) > 2 * WIDEST)
        return; /* a machine for which they are not too many */
    influence_open(f, wide, 3, true);
    f->spec.rows.sample = QUERIES;
    f->x.train = f->train = influence_data(&f->paths[0], zeros, zeros, 8, 1, 2);
    f->x.test = f->test = influence_data(&f->paths[1], zeros, zeros, QUERIES, 1, 2);
    ck_assert_int_eq(ps_explain_method_find(tracin)->run(&f->x, &spec, NULL, NULL, &part),
                     PS_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "lower explain.rows"));
    ps_explain_part_free(&part);
    influence_close(f);
}
END_TEST

/* Shares of no row, of rows that are fewer than shares; one query, at most as many as are wanted.
 */
START_TEST(one_row_of_training_is_enough)
{
    static char *const methods[] = {tracin, ekfac, trak};
    influence_fixture *f = &t.f;
    ps_explain_part part;
    open_golden();
    ps_dataset_close(&f->train);
    ps_test_file_drop(&f->paths[0]);
    f->train = influence_data(&f->paths[0], golden_get(&t.golden, "", "train_x"),
                              golden_get(&t.golden, "", "train_y"), 1, INPUTS, CLASSES);
    f->spec.rows.show = PS_EXPLAIN_SHOW_YES;
    for (size_t i = 0; i < 3; i++) {
        const ps_spec_explain_method spec = {.method = methods[i],
                                             .top = TOP,
                                             .rate = 1,
                                             .damping = 0.1,
                                             .sketch = 64,
                                             .ridge = 0.05,
                                             .scores = true};
        influence_run(f, &spec, &part);
        ck_assert(isfinite(influence_array(&part, "self_influence")[0]));
        ck_assert_uint_eq(ps_explain_get(&part, "shown_rows")->shape[0], 1);
        ck_assert(influence_array(&part, "shown_rows")[0] == 0);
        ps_explain_part_free(&part);
    }
    close_golden();
}
END_TEST

/* The model's answer to it is no number: it has no lists, and that is said; others have theirs. */
START_TEST(a_query_without_a_finite_gradient_is_named)
{
    static char *const methods[] = {tracin, ekfac, trak};
    influence_fixture *f = &t.f;
    float x[TEST * INPUTS];
    ps_explain_part part;
    open_golden();
    memcpy(x, golden_get(&t.golden, "", "test_x"), sizeof x);
    for (size_t k = 0; k < INPUTS; k++)
        x[INPUTS + k] = x[INPUTS + k] > 0 ? 3e38F : -3e38F;
    ps_dataset_close(&f->test);
    ps_test_file_drop(&f->paths[1]);
    f->test =
        influence_data(&f->paths[1], x, golden_get(&t.golden, "", "test_y"), TEST, INPUTS, CLASSES);
    for (size_t i = 0; i < 3; i++) {
        const ps_spec_explain_method spec = {.method = methods[i],
                                             .top = TOP,
                                             .rate = 1,
                                             .damping = 0.1,
                                             .sketch = 64,
                                             .ridge = 0.05,
                                             .scores = true};
        influence_run(f, &spec, &part);
        ck_assert_uint_eq(part.n_warnings, 1);
        ck_assert_ptr_nonnull(strstr(part.warnings[0], "row 1 of data.test has no finite"));
        ck_assert(isnan(influence_array(&part, "helping")[TOP]));
        ck_assert(isnan(influence_array(&part, "scores")[TRAIN]));
        ck_assert(isfinite(influence_array(&part, "helping")[0]));
        ck_assert(isfinite(influence_array(&part, "scores")[2 * TRAIN]));
        ps_explain_part_free(&part);
    }
    close_golden();
}
END_TEST

static const ps_check_case cases[] = {
    {&checkpoints_are_as_captum_and_dattri_have_them},
    {&tracin_is_as_captum_and_kronfluence_have_it},
    {&ekfac_is_as_kronfluence_has_it},
    {&trak_is_as_numpy_has_it},
    {&a_step_of_sgd_does_what_tracin_says},
    {&ekfac_of_one_linear_layer_is_gauss_newton},
    {&nothing_is_shown_that_was_not_asked_for},
    {&eigenvectors_are_given_up_with_the_task},
    {&whitening_is_given_up_with_the_task},
    {&tracin_says_beforehand_what_its_queries_take},
    {&one_row_of_training_is_enough},
    {&a_query_without_a_finite_gradient_is_named},
    {0},
};

int main(void)
{
    return ps_check_main("explain/influence", cases);
}
