/* method: the two tables agree, and what each of the first methods must be whatever the model. */
#include "worker/explain/method.h"

#include "tests/lib/check_main.h"

#include "common/base/mem.h"
#include "common/conf/explain_rows.h"
#include "worker/explain/baseline.h"
#include "worker/explain/features.h"
#include "worker/explain/items.h"
#include "worker/explain/quadrature.h"
#include "worker/explain/room.h"

#include <math.h>
#include <string.h>

START_TEST(each_method_of_the_job_file_has_its_row_here)
{
    size_t n = 0, here = 0;
    while (ps_explain_names[n]) {
        ck_assert_msg(ps_explain_method_find(ps_explain_names[n]) != NULL, "%s",
                      ps_explain_names[n]);
        ck_assert_uint_ge(ps_explain_row_find(ps_explain_names[n])->passes, 1);
        n++;
    }
    while (ps_explain_methods[here])
        here++;
    ck_assert_uint_eq(here, n);
    ck_assert_ptr_null(ps_explain_method_find("saliencies"));
}
END_TEST

/* ---- quadrature ---- */

START_TEST(gauss_and_legendre_integrate_polynomials)
{
    static const size_t sizes[] = {1, 2, 3, 5, 50, 51, 800, 4096};
    double points[4096], weights[4096];
    for (size_t i = 0; i < 8; i++) {
        size_t n = sizes[i];
        ps_gauss_legendre(n, points, weights);
        double sum = 0, power = 0;
        size_t degree = 2 * n - 1 < 19 ? 2 * n - 1 : 19;
        for (size_t k = 0; k < n; k++) {
            ck_assert(points[k] > 0 && points[k] < 1 && (k == 0 || points[k] > points[k - 1]));
            sum += weights[k];
            power += weights[k] * pow(points[k], (double)degree);
        }
        ck_assert_double_eq_tol(sum, 1, 1e-13);
        ck_assert_double_eq_tol(power, 1 / (double)(degree + 1), 1e-13);
    }
}
END_TEST

/* ---- room ---- */

START_TEST(what_no_machine_has_is_refused)
{
    ck_ok(ps_explain_room(1 << 20, "x", "y"));
    ck_assert_int_eq(ps_explain_room(UINT64_MAX, "orders", "lower samples"), PS_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "orders: 17592186044415 MiB, and "));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), " are available; lower samples"));
}
END_TEST

/* ---- groups ---- */

START_TEST(a_grid_cuts_an_image_into_cells)
{
    int64_t grid[] = {2, 3}, shape[] = {4, 6};
    const ps_spec_explain_features spec = {.grid = grid, .n_grid = 2, .shape = shape, .n_shape = 2};
    ps_explain_groups groups;
    ck_ok(ps_explain_groups_make(&spec, 24, false, &groups));
    ck_assert_uint_eq(groups.n, 6);
    for (uint32_t i = 0; i < 24; i++)
        ck_assert_uint_eq(groups.of[i], i / 12 * 3 + i % 6 / 2);
    ps_explain_groups_free(&groups);
    ck_assert_int_eq(ps_explain_groups_make(&spec, 25, false, &groups), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "shape says 4 rows of 6 numbers, but a row of data has 25 "
                                         "features");
    ck_assert_int_eq(ps_explain_groups_make(&spec, 24, true, &groups), PS_INVALID_ARGUMENT);
}
END_TEST

/* ---- a linear model: what each method must find is known exactly ---- */

static const float weights[2][3] = {{1, -2, 0.5F}, {0.25F, 3, -1}};
static const float inputs[] = {1, 2, 4, -1, 0.5F, 2};
enum { N = 2, INPUTS = 3 };

typedef struct linear {
    ps_backend *backend;
    ps_spec_model model_spec;
    ps_spec_explain spec;
    ps_explain_baseline baseline;
    ps_explaining x;
    ps_explain_batch batch;
} linear;

static void fill(ps_model *m)
{
    const float bias[] = {0.5F, -0.5F};
    ps_copy_to_device(ps_model_stream(m), ps_model_parameter(m, 0), weights, sizeof weights);
    ps_copy_to_device(ps_model_stream(m), ps_model_parameter(m, 1), bias, sizeof bias);
    ck_ok(ps_stream_sync(ps_model_stream(m)));
    ps_model_refresh(m);
}

static void setup(linear *l, double baseline)
{
    static const int64_t layers[] = {3, 2};
    static const uint64_t numbers[] = {0, 1};
    const ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 2};
    const ps_model_options options = {.max_batch = 4, .explain = true};
    *l = (linear){.model_spec = {.loss = PS_SPEC_CROSS_ENTROPY},
                  .spec = {.target = {.kind = PS_EXPLAIN_CLASS, .number = 1}}};
    ck_ok(ps_backend_open("cpu", &(ps_backend_options){.threads = 1}, &l->backend));
    l->x = (ps_explaining){.spec = &l->spec,
                           .model_spec = &l->model_spec,
                           .inputs = INPUTS,
                           .outputs = 2,
                           .batch = 4,
                           .baseline = &l->baseline};
    ck_ok(ps_model_create(l->backend, &config, &options, &l->x.model));
    fill(l->x.model);
    ck_ok(ps_explain_baseline_make(
        &(ps_spec_explain_baseline){.kind = PS_EXPLAIN_VALUE, .value = baseline}, INPUTS, NULL,
        NULL, &l->baseline));
    ck_ok(ps_explain_batch_make(
        &l->x,
        &(ps_explain_raw){.n = N, .item = numbers, .row = numbers, .features = inputs, .length = 1},
        &l->batch));
}

static void teardown(linear *l)
{
    ps_explain_batch_free(&l->batch);
    ps_explain_baseline_free(&l->baseline);
    ps_model_free(&l->x.model);
    ps_backend_close(&l->backend);
}

static void run_method(linear *l, const ps_spec_explain_method *spec, ps_explain_part *out)
{
    *out = PS_EXPLAIN_PART_EMPTY;
    ck_ok(ps_explain_method_find(spec->method)->run(&l->x, spec, NULL, &l->batch.items, out));
}

START_TEST(of_a_linear_model_each_feature_is_its_product)
{
    static char names[][24] = {"gradient_x_input", "integrated_gradients", "feature_ablation"};
    linear l;
    setup(&l, 0);
    for (size_t i = 0; i < 3; i++) {
        ps_explain_part part;
        run_method(&l,
                   &(ps_spec_explain_method){
                       .method = names[i], .steps = 3, .steps_max = 12, .tolerance = 1e-5},
                   &part);
        const ps_explain_array *values = ps_explain_get(&part, "values");
        for (size_t k = 0; k < N * INPUTS; k++)
            ck_assert_double_eq_tol((double)values->floats[k],
                                    (double)(weights[1][k % INPUTS] * inputs[k]), 1e-5);
        const ps_explain_array *steps = ps_explain_get(&part, "steps");
        ck_assert(!steps || steps->floats[0] == 3);
        ps_explain_part_free(&part);
    }
    ps_explain_part part;
    static char saliency[] = "saliency";
    run_method(&l, &(ps_spec_explain_method){.method = saliency}, &part);
    for (size_t k = 0; k < N * INPUTS; k++)
        ck_assert_double_eq_tol((double)ps_explain_get(&part, "values")->floats[k],
                                fabs((double)weights[1][k % INPUTS]), 1e-6);
    ps_explain_part_free(&part);
    teardown(&l);
}
END_TEST

/* f(x) − f(x′), whatever the baseline. */
START_TEST(integrated_gradients_and_ablation_add_up_to_the_change)
{
    static char names[][24] = {"integrated_gradients", "feature_ablation"};
    linear l;
    setup(&l, 0.75);
    for (size_t i = 0; i < 2; i++) {
        ps_explain_part part;
        run_method(&l,
                   &(ps_spec_explain_method){
                       .method = names[i], .steps = 2, .steps_max = 2, .tolerance = 1e-5},
                   &part);
        for (size_t row = 0; row < N; row++) {
            double sum = 0, change = 0;
            for (size_t k = 0; k < INPUTS; k++) {
                sum += (double)ps_explain_get(&part, "values")->floats[row * INPUTS + k];
                change += (double)(weights[1][k] * (inputs[row * INPUTS + k] - 0.75F));
            }
            ck_assert_double_eq_tol(sum, change, 1e-5);
        }
        ps_explain_part_free(&part);
    }
    teardown(&l);
}
END_TEST

/* The mean over the windows that cover a feature. */
START_TEST(occlusion_shares_a_window_out)
{
    static char name[] = "occlusion";
    int64_t window[] = {2}, stride[] = {1};
    linear l;
    ps_explain_part part;
    setup(&l, 0);
    run_method(
        &l,
        &(ps_spec_explain_method){
            .method = name, .window = window, .n_window = 1, .stride = stride, .n_stride = 1},
        &part);
    const float *v = ps_explain_get(&part, "values")->floats;
    double a = 0.25 * 1 + 3 * 2, b = 3 * 2 - 1 * 4; /* of the first row: features 0 1, and 1 2 */
    ck_assert_double_eq_tol((double)v[0], a, 1e-5);
    ck_assert_double_eq_tol((double)v[1], (a + b) / 2, 1e-5);
    ck_assert_double_eq_tol((double)v[2], b, 1e-5);
    ps_explain_part_free(&part);
    teardown(&l);
}
END_TEST

/* The second row's answer overflows. */
START_TEST(a_row_whose_score_is_not_finite_is_left_out)
{
    static const uint64_t item[] = {4, 5, 6}, row[] = {40, 50, 60};
    static const float rows[] = {1, 2, 4, 1e38F, 3e38F, -3e38F, -1, 0.5F, 2};
    linear l;
    ps_explain_batch batch;
    setup(&l, 0);
    ck_ok(ps_explain_batch_make(
        &l.x, &(ps_explain_raw){.n = 3, .item = item, .row = row, .features = rows, .length = 1},
        &batch));
    ck_assert_uint_eq(batch.items.n, 2);
    ck_assert_uint_eq(batch.items.row[1], 60);
    ck_assert_uint_eq(batch.items.item[1], 6);
    ck_assert(batch.items.features[INPUTS] == -1);
    ck_assert_double_eq_tol(batch.items.scores[1], -0.25 + 1.5 - 2 - 0.5, 1e-6);
    ck_assert_uint_eq(batch.n_left_out, 1);
    ck_assert_uint_eq(batch.left_out[0], 50);
    ps_explain_batch_free(&batch);
    l.spec.target.kind = PS_EXPLAIN_LABEL;
    ck_assert_int_eq(
        ps_explain_batch_make(
            &l.x,
            &(ps_explain_raw){.n = 1, .item = item, .row = row, .features = rows, .length = 1},
            &batch),
        PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "row 40: it has no label, and explain.target is label");
    ps_explain_batch_free(&batch);
    teardown(&l);
}
END_TEST

START_TEST(what_is_drawn_is_drawn_by_the_item)
{
    const ps_spec_explain spec = {.seed = 5};
    ps_rng a, b, c;
    ps_explain_rng(&(ps_explaining){.spec = &spec, .method = 1}, 17, &a);
    ps_explain_rng(&(ps_explaining){.spec = &spec, .method = 1, .batch = 9}, 17, &b);
    ps_explain_rng(&(ps_explaining){.spec = &spec, .method = 1}, 18, &c);
    uint64_t first = ps_rng_next(&a);
    ck_assert_uint_eq(first, ps_rng_next(&b));
    ck_assert_uint_ne(first, ps_rng_next(&c));
}
END_TEST

static const ps_check_case cases[] = {
    {&each_method_of_the_job_file_has_its_row_here},
    {&gauss_and_legendre_integrate_polynomials},
    {&what_no_machine_has_is_refused},
    {&a_grid_cuts_an_image_into_cells},
    {&of_a_linear_model_each_feature_is_its_product},
    {&integrated_gradients_and_ablation_add_up_to_the_change},
    {&occlusion_shares_a_window_out},
    {&a_row_whose_score_is_not_finite_is_left_out},
    {&what_is_drawn_is_drawn_by_the_item},
    {0},
};

int main(void)
{
    return ps_check_main("explain/method", cases);
}
