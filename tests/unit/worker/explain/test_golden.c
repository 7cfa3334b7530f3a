/* Attributions against those of other libraries in float64 (tests/golden/explain/attributions.py):
 * a model of layers of each activation, and the tiny gpt2 and llama. */
#include "tests/unit/worker/models/golden_fixture.h"

#include "tests/lib/check_main.h"

#include "worker/explain/baseline.h"
#include "worker/explain/items.h"

#include <math.h>

static const char *const activations[] = {"relu", "gelu", "tanh", "gelu_tanh", "silu"};
static const char *const kinds[] = {"gpt2", "llama"};
static const int64_t sizes[] = {20, 16, 12, 5};
enum { ACTIVATIONS = 5, KINDS = 2, ROWS = 4, INPUTS = 20, CLASS = 2, GROUPS = 10 };
enum { SEQUENCES = 2, LENGTH = 6, TOKEN = 7, LOGIT = 17, HIDDEN = 16, VOCABULARY = 61, GIVEN = 12 };

typedef struct fixture {
    ps_test_device device;
    golden_file golden, parameters;
    char at[32]; /* what the golden names of this model begin with */
    ps_spec_model model_spec;
    ps_spec_explain spec;
    ps_explain_baseline baseline;
    ps_explaining x;
    ps_explain_batch batch;
} fixture;

static ps_status go_on(void *user)
{
    return PS_OK;
}

static const float *golden_of(const fixture *f, const char *name)
{
    return golden_get(&f->golden, f->at, name);
}

static void open_any(fixture *f, const char *prefix, const char *name, int64_t target)
{
    *f = (fixture){.model_spec = {.loss = PS_SPEC_CROSS_ENTROPY},
                   .spec = {.target = {.kind = PS_EXPLAIN_CLASS, .number = target}}};
    (void)snprintf(f->at, sizeof f->at, "%s%s/", prefix, name);
    golden_open(&f->golden, "explain/", "attributions");
    ps_test_device_open(&f->device, ps_test_backend());
    f->x = (ps_explaining){.spec = &f->spec,
                           .model_spec = &f->model_spec,
                           .batch = 8,
                           .baseline = &f->baseline,
                           .check = go_on};
}

static void open_layers(fixture *f, const char *activation)
{
    static const uint64_t numbers[] = {0, 1, 2, 3};
    const ps_model_config config = {
        .architecture = "mlp", .layers = sizes, .layer_count = 4, .activation = activation};
    open_any(f, "mlp/", activation, CLASS);
    f->x.inputs = INPUTS;
    f->x.outputs = sizes[3];
    ck_ok(ps_model_create(f->device.backend, &config,
                          &(ps_model_options){.max_batch = 8, .explain = true}, &f->x.model));
    const ps_model_layout *layout = ps_model_parameters(f->x.model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(f->x.model, i);
        ps_copy_to_device(ps_model_stream(f->x.model), t, golden_of(f, layout->parameters[i].name),
                          ps_tensor_bytes(t));
    }
    ck_ok(ps_stream_sync(ps_model_stream(f->x.model)));
    ps_model_refresh(f->x.model);
    ck_ok(ps_explain_baseline_make(
        &(ps_spec_explain_baseline){.kind = PS_EXPLAIN_VALUE, .value = 0.3}, INPUTS, NULL, NULL,
        &f->baseline));
    ck_ok(ps_explain_batch_make(&f->x,
                                &(ps_explain_raw){.n = ROWS,
                                                  .item = numbers,
                                                  .row = numbers,
                                                  .features = golden_of(f, "inputs"),
                                                  .length = 1},
                                &f->batch));
}

static void set_baseline(fixture *f, unsigned kind)
{
    f->spec.baseline = (ps_spec_explain_baseline){.kind = kind, .token = TOKEN};
    ps_explain_baseline_free(&f->baseline);
    ck_ok(ps_explain_baseline_of(&f->x, &f->baseline));
}

static void open_language(fixture *f, const char *kind)
{
    static const uint64_t numbers[] = {0, 1};
    int32_t tokens[SEQUENCES * LENGTH];
    open_any(f, "", kind, LOGIT);
    golden_open(&f->parameters, "", kind);
    f->x.language = true;
    f->x.inputs = HIDDEN;
    f->x.outputs = f->model_spec.vocab_size = VOCABULARY;
    f->x.model = golden_model(&f->parameters, &f->device, kind,
                              (ps_model_options){.max_batch = 8, .explain = true});
    const int32_t *given = golden_get(&f->parameters, "", "tokens");
    for (size_t i = 0; i < SEQUENCES; i++)
        memcpy(tokens + i * LENGTH, given + i * GIVEN, LENGTH * sizeof *tokens);
    set_baseline(f, PS_EXPLAIN_ZERO);
    ck_ok(ps_explain_batch_make(
        &f->x,
        &(ps_explain_raw){
            .n = SEQUENCES, .item = numbers, .row = numbers, .tokens = tokens, .length = LENGTH},
        &f->batch));
}

static void close_fixture(fixture *f)
{
    ps_explain_batch_free(&f->batch);
    ps_explain_baseline_free(&f->baseline);
    ps_model_free(&f->x.model);
    if (f->x.language)
        golden_close(&f->parameters);
    golden_close(&f->golden);
    ps_test_device_close(&f->device);
}

static void run_method(fixture *f, const ps_spec_explain_method *spec, ps_explain_part *out)
{
    const ps_explain_method *m = ps_explain_method_find(spec->method);
    void *state = NULL;
    *out = PS_EXPLAIN_PART_EMPTY;
    if (m->prepare)
        ck_ok(m->prepare(&f->x, spec, &state));
    ck_ok(m->run(&f->x, spec, state, &f->batch.items, out));
    if (m->free)
        m->free(state);
}

/* Apart by no more than that share of the largest golden value. */
static void check_array(const fixture *f, const ps_explain_part *part, const char *array,
                        const char *golden, double tolerance)
{
    const ps_explain_array *got = ps_explain_get(part, array);
    ck_assert_msg(got != NULL, "no array %s", array);
    const float *want = golden_of(f, golden);
    double largest = 0, off = 0;
    for (uint64_t i = 0; i < ps_explain_array_count(got); i++) {
        largest = fmax(largest, fabs((double)want[i]));
        off = fmax(off, fabs((double)got->floats[i] - (double)want[i]));
    }
    ck_assert_msg(off <= tolerance * largest, "%s%s: off by %g of %g", f->at, golden, off, largest);
}

static void check_method(fixture *f, const ps_spec_explain_method *spec, const char *array,
                         const char *golden, double tolerance)
{
    ps_explain_part part;
    run_method(f, spec, &part);
    check_array(f, &part, array, golden, tolerance);
    ps_explain_part_free(&part);
}

/* ---- what both families have ---- */

static char saliency[] = "saliency", times_input[] = "gradient_x_input",
            integrated[] = "integrated_gradients", ablation[] = "feature_ablation",
            occlusion[] = "occlusion", shapley[] = "shapley", lift[] = "deep_lift", lrp[] = "lrp",
            cp_lrp[] = "cp_lrp", conductance[] = "conductance",
            counterfactuals[] = "counterfactuals";

static void check_shared(fixture *f)
{
    int64_t wide[] = {f->x.language ? 2 : 4}, stride[] = {f->x.language ? 1 : 2};
    check_method(f, &(ps_spec_explain_method){.method = saliency}, "values", saliency, 2e-5);
    check_method(f, &(ps_spec_explain_method){.method = times_input}, "values", times_input, 2e-5);
    check_method(f, &(ps_spec_explain_method){.method = ablation}, "values", ablation, 2e-5);
    check_method(
        f,
        &(ps_spec_explain_method){
            .method = occlusion, .window = wide, .n_window = 1, .stride = stride, .n_stride = 1},
        "values", occlusion, 2e-5);
}

/* Captum's saliency of features has no sign, and no more have ours. */
START_TEST(methods_on_layers_are_as_captum_and_shap_have_them)
{
    int64_t grid[] = {2, 5}, shape[] = {4, 5};
    fixture f;
    open_layers(&f, activations[_i]);
    check_shared(&f);
    check_method(&f,
                 &(ps_spec_explain_method){
                     .method = integrated, .steps = 50, .steps_max = 50, .tolerance = 1e-5},
                 "values", integrated, 2e-5);
    for (size_t samples = 1024; _i == 0 && samples >= 1022; samples -= 2) /* exact; by the kernel */
        check_method(&f,
                     &(ps_spec_explain_method){
                         .method = shapley,
                         .samples = (int64_t)samples,
                         .features = {.grid = grid, .n_grid = 2, .shape = shape, .n_shape = 2}},
                     "groups", shapley, 1e-4);
    close_fixture(&f);
}
END_TEST

START_TEST(rules_on_layers_are_as_captum_and_zennit_have_them)
{
    fixture f;
    ps_explain_part part;
    open_layers(&f, activations[_i]);
    run_method(&f, &(ps_spec_explain_method){.method = lift}, &part);
    check_array(&f, &part, "values", lift, 1e-4);
    for (size_t i = 0; i < ROWS; i++)
        ck_assert_double_lt((double)ps_explain_get(&part, "residual")->floats[i], 1e-4);
    ps_explain_part_free(&part);
    check_method(&f, &(ps_spec_explain_method){.method = lrp, .epsilon = 1e-6}, "values",
                 "lrp/1e-06", 1e-4);
    check_method(&f, &(ps_spec_explain_method){.method = lrp, .epsilon = 0.25}, "values",
                 "lrp/0.25", 2e-5);
    close_fixture(&f);
}
END_TEST

START_TEST(methods_on_language_models_are_as_captum_and_shap_have_them)
{
    static const struct {
        unsigned baseline;
        const char *golden;
    } paths[] = {{PS_EXPLAIN_ZERO, "integrated_gradients/zero"},
                 {PS_EXPLAIN_TOKEN, "integrated_gradients/token"},
                 {PS_EXPLAIN_USUAL, "integrated_gradients/mean"}};
    fixture f;
    open_language(&f, kinds[_i]);
    check_shared(&f);
    check_method(&f, &(ps_spec_explain_method){.method = shapley, .samples = 64}, "values", shapley,
                 1e-4);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        set_baseline(&f, paths[i].baseline);
        check_method(&f,
                     &(ps_spec_explain_method){
                         .method = integrated, .steps = 50, .steps_max = 50, .tolerance = 1e-5},
                     "values", paths[i].golden, 1e-4);
    }
    close_fixture(&f);
}
END_TEST

/* And of llama, which has no biases, they add up to the logit. */
START_TEST(cp_lrp_is_as_autograd_has_it)
{
    fixture f;
    ps_explain_part part;
    open_language(&f, kinds[_i]);
    run_method(&f, &(ps_spec_explain_method){.method = cp_lrp}, &part);
    check_array(&f, &part, "values", cp_lrp, 2e-5);
    const float *logits = golden_of(&f, "logit");
    bool llama = !strcmp(kinds[_i], "llama");
    ck_assert(llama == (ps_explain_get(&part, "residual") != NULL));
    ck_assert(llama != (ps_explain_get(&part, "remainder") != NULL));
    for (size_t row = 0; row < SEQUENCES; row++) {
        double sum = 0;
        for (size_t t = 0; t < LENGTH; t++)
            sum += (double)ps_explain_get(&part, "values")->floats[row * LENGTH + t];
        if (llama)
            ck_assert_double_eq_tol(sum, (double)logits[row], 1e-5);
        else
            ck_assert_double_eq_tol(sum + (double)ps_explain_get(&part, "remainder")->floats[row],
                                    (double)logits[row], 1e-5);
    }
    ps_explain_part_free(&part);
    close_fixture(&f);
}
END_TEST

/* Layer by layer, against very many steps; the last batch of points is not full. */
START_TEST(conductance_of_layers_is_as_autograd_has_it)
{
    fixture f;
    ps_explain_part part;
    open_layers(&f, activations[_i]);
    run_method(&f,
               &(ps_spec_explain_method){
                   .method = conductance, .steps = 50, .steps_max = 800, .tolerance = 0.005},
               &part);
    const ps_explain_array *got = ps_explain_get(&part, conductance);
    ck_assert(got->rank == 3 && got->shape[1] == 2 && got->shape[2] == 16);
    for (size_t layer = 0; layer < 2; layer++) {
        const float *want = golden_of(&f, layer ? "conductance/1" : "conductance/0");
        size_t units = (size_t)sizes[layer + 1];
        for (size_t row = 0; row < ROWS; row++)
            for (size_t k = 0; k < 16; k++) {
                double value = (double)got->floats[(row * 2 + layer) * 16 + k];
                ck_assert(isnan(value) == (k >= units));
                if (k < units)
                    ck_assert_double_eq_tol(value, (double)want[row * units + k], 0.01);
            }
    }
    for (size_t row = 0; row < ROWS; row++)
        ck_assert_double_lt((double)ps_explain_get(&part, "residual")->floats[row], 0.0051);
    ps_explain_part_free(&part);
    close_fixture(&f);
}
END_TEST

START_TEST(conductance_of_blocks_is_as_autograd_has_it)
{
    fixture f;
    ps_explain_part part;
    open_language(&f, kinds[_i]);
    set_baseline(&f, PS_EXPLAIN_TOKEN);
    run_method(&f,
               &(ps_spec_explain_method){
                   .method = conductance, .steps = 50, .steps_max = 800, .tolerance = 0.005},
               &part);
    check_array(&f, &part, conductance, conductance, 0.01);
    for (size_t row = 0; row < SEQUENCES; row++)
        ck_assert_double_lt((double)ps_explain_get(&part, "residual")->floats[row], 0.0051);
    ps_explain_part_free(&part);
    close_fixture(&f);
}
END_TEST

static void conduct_from_zero(int64_t steps, ps_explain_part *out, fixture *f)
{
    open_language(f, "llama");
    run_method(f,
               &(ps_spec_explain_method){
                   .method = conductance, .steps = steps, .steps_max = 1500, .tolerance = 0.01},
               out);
}

/* x/√(mean x² + ε) is a step of width √ε at 0: points gather there, where even ones, of which there
 * are more, pass it by. A simulated device would take minutes for them. */
START_TEST(conductance_of_a_llama_from_zero_finds_its_step)
{
    fixture f;
    ps_explain_part part;
    if (strcmp(ps_test_backend(), "cpu") != 0)
        return;
    conduct_from_zero(50, &part, &f);
    for (size_t row = 0; row < SEQUENCES; row++) {
        float steps = ps_explain_get(&part, "steps")->floats[row];
        ck_assert_double_le((double)ps_explain_get(&part, "residual")->floats[row], 0.01);
        ck_assert(steps > 50 && steps < 1000);
    }
    ps_explain_part_free(&part);
    close_fixture(&f);
    conduct_from_zero(1500, &part, &f);
    for (size_t row = 0; row < SEQUENCES; row++) {
        ck_assert_double_gt((double)ps_explain_get(&part, "residual")->floats[row], 1);
        ck_assert(ps_explain_get(&part, "steps")->floats[row] == 1500);
    }
    ps_explain_part_free(&part);
    close_fixture(&f);
}
END_TEST

enum { CANDIDATES = 20 };

/* (e_v − e_{x_t})·∂f/∂e_t by the golden gradient, in float64. */
static double expected(const fixture *f, size_t row, size_t t, size_t token)
{
    const float *g = golden_of(f, "gradient") + (row * LENGTH + t) * HIDDEN;
    const float *x = f->batch.items.points + (row * LENGTH + t) * HIDDEN;
    const float *table =
        golden_find(&f->parameters, "parameter/", "wte.weight"); /* or llama's name */
    double sum = 0;
    if (!table)
        table = golden_get(&f->parameters, "parameter/", "model.embed_tokens.weight");
    for (size_t k = 0; k < HIDDEN; k++)
        sum += ((double)table[token * HIDDEN + k] - (double)x[k]) * (double)g[k];
    return sum;
}

/* How many exchanges are expected to be lower than that, and the lowest at each token. */
static size_t count_lower(const fixture *f, size_t row, double than, double *lowest)
{
    size_t lower = 0;
    for (size_t t = 0; t < LENGTH; t++) {
        lowest[t] = INFINITY;
        for (size_t v = 0; v < VOCABULARY; v++) {
            if (v == (size_t)f->batch.items.tokens[row * LENGTH + t])
                continue;
            double e = expected(f, row, t, v);
            lower += e < than - 1e-5;
            lowest[t] = fmin(lowest[t], e);
        }
    }
    return lower;
}

/* The candidates are those whose estimates are lowest, and what f does is what transformers' does.
 */
START_TEST(counterfactual_tokens_are_the_steepest_and_tried)
{
    fixture f;
    ps_explain_part part;
    open_language(&f, kinds[_i]);
    run_method(&f, &(ps_spec_explain_method){.method = counterfactuals, .candidates = CANDIDATES},
               &part);
    const float *position = ps_explain_get(&part, "position")->floats;
    const float *token = ps_explain_get(&part, "replacement")->floats;
    const float *estimate = ps_explain_get(&part, "estimate")->floats;
    const float *change = ps_explain_get(&part, "change")->floats;
    for (size_t row = 0; row < SEQUENCES; row++) {
        double lowest[LENGTH], worst = -INFINITY;
        for (size_t i = row * CANDIDATES; i < (row + 1) * CANDIDATES; i++) {
            size_t t = (size_t)position[i], v = (size_t)token[i];
            ck_assert(t < LENGTH && v < VOCABULARY);
            ck_assert_double_eq_tol((double)estimate[i], expected(&f, row, t, v), 1e-5);
            ck_assert_double_eq_tol(
                (double)change[i],
                (double)golden_of(&f, "exchange")[(row * LENGTH + t) * VOCABULARY + v], 1e-5);
            ck_assert(i == row * CANDIDATES || change[i] >= change[i - 1]);
            worst = fmax(worst, (double)estimate[i]);
        }
        ck_assert_uint_lt(count_lower(&f, row, worst, lowest), CANDIDATES);
        for (size_t t = 0; t < LENGTH; t++)
            ck_assert_double_eq_tol(
                (double)ps_explain_get(&part, "values")->floats[row * LENGTH + t], -lowest[t],
                1e-5);
    }
    ps_explain_part_free(&part);
    close_fixture(&f);
}
END_TEST

static const ps_check_case cases[] = {
    {&methods_on_layers_are_as_captum_and_shap_have_them, .repeat = ACTIVATIONS},
    {&rules_on_layers_are_as_captum_and_zennit_have_them, .repeat = ACTIVATIONS},
    {&methods_on_language_models_are_as_captum_and_shap_have_them, .repeat = KINDS},
    {&cp_lrp_is_as_autograd_has_it, .repeat = KINDS},
    {&conductance_of_layers_is_as_autograd_has_it, .repeat = ACTIVATIONS},
    {&conductance_of_blocks_is_as_autograd_has_it, .repeat = KINDS},
    {&conductance_of_a_llama_from_zero_finds_its_step},
    {&counterfactual_tokens_are_the_steepest_and_tried, .repeat = KINDS},
    {0},
};

int main(void)
{
    return ps_check_main("explain/golden", cases);
}
