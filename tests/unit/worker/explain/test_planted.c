/* Planted truth: a model is trained on rows whose label two of the features give away, and the
 * attributions are to find these two, whatever method says it. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

#include "worker/explain/agreement.h"

#define RATE 0.3F

enum { IN = 16, TRAINED = 256, ROWS = 32, STEPS = 150 };

static const int64_t sizes[] = {IN, 12, 2};
static const ps_model_config config = {.architecture = "mlp", .layers = sizes, .layer_count = 3};

static bool gives_away(size_t feature)
{
    return feature == 3 || feature == 11;
}

/* Three features know a little of the label, two nearly all, and the rest nothing. */
static void draw_rows(ps_rng *rng, size_t n, float *x, int32_t *labels)
{
    for (size_t i = 0; i < n; i++) {
        float sign = i % 2 ? 1 : -1;
        labels[i] = i % 2;
        for (size_t k = 0; k < IN; k++) {
            float noise = (float)ps_rng_normal(rng);
            x[i * IN + k] = gives_away(k) ? sign + 0.2F * noise
                            : k < 3       ? 0.2F * sign + noise
                                          : noise;
        }
    }
}

enum { PARAMETERS = 4, LARGEST = IN * 12 };

static void put(ps_model *to, size_t i, const float *values)
{
    ps_tensor p = ps_model_parameter(to, i);
    ps_copy_to_device(ps_model_stream(to), p, values, ps_tensor_bytes(p));
    ck_ok(ps_stream_sync(ps_model_stream(to)));
}

/* Steps of gradient descent on all rows, from drawn parameters; `to` gets what is learnt. */
static void train(ps_backend *backend, ps_rng *rng, ps_model *to)
{
    static float x[TRAINED * IN], values[PARAMETERS][LARGEST], slopes[LARGEST];
    static int32_t labels[TRAINED];
    const ps_model_batch batch = {.rows = TRAINED, .features = x, .labels = labels};
    ps_model *m = NULL;
    ps_model_result result;
    draw_rows(rng, TRAINED, x, labels);
    ck_ok(ps_model_create(backend, &config, &(ps_model_options){.max_batch = TRAINED}, &m));
    for (size_t i = 0; i < PARAMETERS; i++)
        net_draw(rng, values[i], LARGEST);
    for (size_t i = 0; i < PARAMETERS * LARGEST; i++)
        values[i / LARGEST][i % LARGEST] *= 0.25F;
    for (int step = 0; step < STEPS; step++) {
        for (size_t i = 0; i < PARAMETERS; i++)
            put(m, i, values[i]);
        ps_model_refresh(m);
        ck_ok(ps_model_forward(m, &batch, NULL));
        ck_ok(ps_model_loss(m, &batch));
        ck_ok(ps_model_backward(m, NULL));
        for (size_t i = 0; i < PARAMETERS; i++) {
            ps_tensor g = ps_model_gradient(m, i);
            ck_ok(ps_copy_to_host(ps_model_stream(m), slopes, g, ps_tensor_bytes(g)));
            for (int64_t k = 0; k < ps_tensor_count(g); k++)
                values[i][k] -= RATE * slopes[k];
        }
    }
    ck_ok(ps_model_result_get(m, &result));
    ck_assert_int_ge(result.correct, TRAINED * 99 / 100);
    for (size_t i = 0; i < PARAMETERS; i++)
        put(to, i, values[i]);
    ps_model_refresh(to);
    ps_model_free(&m);
}

static void open_trained(net *n)
{
    static float x[ROWS * IN];
    static int32_t labels[ROWS];
    uint64_t numbers[ROWS];
    ps_rng rng;
    ps_rng_seed(&rng, 7);
    *n = (net){.model_spec = {.loss = PS_SPEC_CROSS_ENTROPY}, .spec = {.seed = 3}};
    ck_ok(ps_backend_open(ps_test_backend(), &(ps_backend_options){.threads = 1}, &n->backend));
    n->x = (ps_explaining){.spec = &n->spec,
                           .model_spec = &n->model_spec,
                           .inputs = IN,
                           .outputs = 2,
                           .batch = ROWS,
                           .baseline = &n->baseline,
                           .check = net_go_on};
    ck_ok(ps_model_create(n->backend, &config,
                          &(ps_model_options){.max_batch = ROWS, .explain = true}, &n->x.model));
    train(n->backend, &rng, n->x.model);
    ck_ok(ps_explain_baseline_make(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_ZERO}, IN, NULL,
                                   NULL, &n->baseline));
    draw_rows(&rng, ROWS, x, labels);
    for (size_t i = 0; i < ROWS; i++)
        numbers[i] = i;
    ck_ok(ps_explain_batch_make(
        &n->x,
        &(ps_explain_raw){.n = ROWS, .item = numbers, .row = numbers, .features = x, .length = 1},
        &n->batch));
}

/* The mean over rows of how often a feature that gives the label away stands before one that does
 * not, by the size of its value. */
static double found_by(net *n, const ps_spec_explain_method *spec)
{
    ps_explain_part part;
    double sum = 0;
    net_run(n, spec, &part);
    const float *values = net_array(&part, "values");
    for (size_t row = 0; row < ROWS; row++) {
        double size[IN];
        bool planted[IN];
        for (size_t k = 0; k < IN; k++) {
            size[k] = fabs((double)values[row * IN + k]);
            planted[k] = gives_away(k);
        }
        double auc;
        ck_ok(ps_auc(size, planted, IN, &auc));
        sum += auc / ROWS;
    }
    ps_explain_part_free(&part);
    return sum;
}

START_TEST(what_gives_the_label_away_is_found)
{
    static char names[][24] = {"saliency",
                               "gradient_x_input",
                               "integrated_gradients",
                               "smooth_grad",
                               "gradient_shap",
                               "feature_ablation",
                               "occlusion",
                               "shapley",
                               "permutation_shapley",
                               "deep_lift",
                               "lrp"};
    int64_t one[] = {1};
    net n;
    open_trained(&n);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const ps_spec_explain_method spec = {.method = names[i],
                                             .steps = 16,
                                             .steps_max = 64,
                                             .tolerance = 0.01,
                                             .samples = i == 7 ? 512 : 16,
                                             .permutations = 4,
                                             .noise = 0.15,
                                             .epsilon = 1e-6,
                                             .window = one,
                                             .n_window = 1,
                                             .stride = one,
                                             .n_stride = 1};
        double auc = found_by(&n, &spec);
        ck_assert_msg(auc >= 0.95, "%s: AUC %.3f", names[i], auc);
    }
    net_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_gives_the_label_away_is_found},
    {0},
};

int main(void)
{
    return ps_check_main("explain/planted", cases);
}
