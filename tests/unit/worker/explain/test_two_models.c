/* representation_change, attribution_change: against NumPy, SciPy and Captum in float64
 * (tests/golden/explain/two_models.py): two models of layers of other widths, and the tiny gpt2 and
 * llama beside themselves with their blocks exchanged. */
#include "tests/unit/worker/models/golden_fixture.h"

#include "tests/lib/check_main.h"

#include "common/base/limits.h"
#include "worker/explain/baseline.h"
#include "worker/explain/items.h"
#include "worker/explain/other.h"

#include <math.h>

enum { MLP, GPT2, LLAMA, KINDS };
enum { ROWS = 12, INPUTS = 12, CLASS = 2, SEQUENCES = 8, LENGTH = 6, LOGIT = 17, BATCH = 8 };
enum { FIRST = 8 }; /* rows of the first of two runs */

static const char *const kinds[] = {"mlp", "gpt2", "llama"};
static char products[] = "gradient_x_input", path[] = "integrated_gradients",
            attribution_change[] = "attribution_change",
            representation_change[] = "representation_change";

static struct {
    int kind;
    ps_test_device device;
    golden_file golden, parameters;
    ps_spec_model model_spec;
    ps_spec_explain_method attributions[2];
    ps_spec_explain spec;
    ps_explain_baseline baseline;
    ps_model *other;
    ps_explain_other how;
    ps_explaining x;
} t;

static ps_status go_on(void *user)
{
    return PS_OK;
}

static ps_status beside(void *user, const ps_explaining *x, ps_explaining *out)
{
    *out = *x;
    out->model = t.other;
    out->evaluations = 0;
    out->other = NULL;
    return PS_OK;
}

static const float *golden_of(const char *name)
{
    char prefix[16];
    (void)snprintf(prefix, sizeof prefix, "%s/", kinds[t.kind]);
    return golden_get(&t.golden, prefix, name);
}

/* ---- both models ---- */

static ps_model *layers(const char *which, const int64_t *sizes)
{
    const ps_model_config config = {
        .architecture = "mlp", .layers = sizes, .layer_count = 4, .activation = "relu"};
    const ps_model_options options = {.max_batch = BATCH, .explain = true};
    ps_model *model = NULL;
    ck_ok(ps_model_create(t.device.backend, &config, &options, &model));
    for (size_t i = 0; i < ps_model_parameters(model)->count; i++) {
        ps_tensor to = ps_model_parameter(model, i);
        ps_copy_to_device(
            ps_model_stream(model), to,
            golden_get(&t.golden, which, ps_model_parameters(model)->parameters[i].name),
            ps_tensor_bytes(to));
    }
    ck_ok(ps_stream_sync(ps_model_stream(model)));
    ps_model_refresh(model);
    return model;
}

/* A tensor of one block gets that of the other. */
static ps_model *exchanged(void)
{
    ps_model *model = golden_model(&t.parameters, &t.device, kinds[t.kind],
                                   (ps_model_options){.max_batch = BATCH, .explain = true});
    for (size_t i = 0; i < ps_model_parameters(model)->count; i++) {
        char name[96];
        (void)snprintf(name, sizeof name, "%s", ps_model_parameters(model)->parameters[i].name);
        char *at = strpbrk(name, "01");
        if (!at || at == name || at[-1] != '.')
            continue;
        *at ^= 1;
        ps_tensor to = ps_model_parameter(model, i);
        ps_copy_to_device(ps_model_stream(model), to, golden_get(&t.parameters, "parameter/", name),
                          ps_tensor_bytes(to));
    }
    ck_ok(ps_stream_sync(ps_model_stream(model)));
    ps_model_refresh(model);
    return model;
}

static void open_models(void)
{
    static const int64_t a[] = {12, 10, 8, 4}, b[] = {12, 9, 7, 4};
    if (t.kind == MLP) {
        t.x.model = layers("mlp/a/", a);
        t.other = layers("mlp/b/", b);
        return;
    }
    golden_open(&t.parameters, "", kinds[t.kind]);
    t.x.model = golden_model(&t.parameters, &t.device, kinds[t.kind],
                             (ps_model_options){.max_batch = BATCH, .explain = true});
    t.other = exchanged();
}

static void setup(int kind)
{
    bool language = kind != MLP;
    memset(&t, 0, sizeof t);
    t.kind = kind;
    t.model_spec = (ps_spec_model){.loss = PS_SPEC_CROSS_ENTROPY};
    t.attributions[0] = (ps_spec_explain_method){.method = products};
    t.attributions[1] =
        (ps_spec_explain_method){.method = path, .steps = 50, .tolerance = 1, .steps_max = 50};
    t.spec =
        (ps_spec_explain){.target = {.kind = PS_EXPLAIN_CLASS, .number = language ? LOGIT : CLASS},
                          .attributions = t.attributions,
                          .n_attributions = 2};
    ps_test_device_open(&t.device, ps_test_backend());
    golden_open(&t.golden, "explain/", "two_models");
    t.how = (ps_explain_other){.name = "b", .beside = beside};
    t.x = (ps_explaining){.spec = &t.spec,
                          .model_spec = &t.model_spec,
                          .language = language,
                          .inputs = language ? 16 : INPUTS,
                          .outputs = language ? 61 : 4,
                          .batch = BATCH,
                          .baseline = &t.baseline,
                          .other = &t.how,
                          .method = 2,
                          .check = go_on};
    open_models();
    ck_ok(ps_explain_baseline_make(
        &(ps_spec_explain_baseline){.kind = PS_EXPLAIN_VALUE, .value = 0.3}, (size_t)t.x.inputs,
        NULL, NULL, &t.baseline));
}

static void teardown(void)
{
    ps_explain_baseline_free(&t.baseline);
    ps_model_free(&t.other);
    ps_model_free(&t.x.model);
    golden_close(&t.golden);
    if (t.parameters.bytes)
        golden_close(&t.parameters);
    ps_test_device_close(&t.device);
}

/* ---- a run ---- */

static void run_rows(const ps_spec_explain_method *spec, size_t first, size_t n,
                     ps_explain_part *out)
{
    const ps_explain_method *m = ps_explain_method_find(spec->method);
    const float *tokens = t.kind == MLP ? NULL : golden_of("tokens");
    int32_t ids[SEQUENCES * LENGTH];
    uint64_t numbers[ROWS];
    void *state = NULL;
    ps_explain_batch batch;
    *out = PS_EXPLAIN_PART_EMPTY;
    for (size_t i = 0; i < n; i++)
        numbers[i] = first + i;
    for (size_t i = 0; tokens && i < n * LENGTH; i++)
        ids[i] = (int32_t)tokens[first * LENGTH + i];
    ck_ok(ps_explain_batch_make(
        &t.x,
        &(ps_explain_raw){.n = n,
                          .item = numbers,
                          .row = numbers,
                          .features = tokens ? NULL : golden_of("inputs") + first * INPUTS,
                          .tokens = tokens ? ids : NULL,
                          .length = tokens ? LENGTH : 1},
        &batch));
    ck_ok(m->prepare(&t.x, spec, &state));
    ck_ok(m->run(&t.x, spec, state, &batch.items, out));
    if (m->free)
        m->free(state);
    else
        ps_free(&state);
    ps_explain_batch_free(&batch);
}

/* In two pieces, as two workers would. */
static void run_all(const ps_spec_explain_method *spec, ps_explain_part *out)
{
    size_t rows = t.kind == MLP ? ROWS : SEQUENCES, first = t.kind == MLP ? FIRST : SEQUENCES / 2;
    ps_explain_part more;
    run_rows(spec, 0, first, out);
    run_rows(spec, first, rows - first, &more);
    ck_ok(ps_explain_merge(out, &more));
    ps_explain_part_free(&more);
    ck_ok(ps_explain_method_find(spec->method)->finish(&t.x, spec, out));
}

static void compare(const ps_explain_part *part, const char *name, const char *golden,
                    double tolerance)
{
    const ps_explain_array *got = ps_explain_get(part, name);
    const float *want = golden_of(golden);
    ck_assert_msg(got && got->floats, "no array %s", name);
    for (uint64_t i = 0; i < ps_explain_array_count(got); i++) {
        double a = (double)got->floats[i], b = (double)want[i];
        ck_assert_msg(isnan(a) == isnan(b) && !(fabs(a - b) > tolerance * (1 + fabs(b))),
                      "%s %s[%zu]: %g, not %g", kinds[t.kind], golden, (size_t)i, a, b);
    }
}

/* ---- what is so ---- */

START_TEST(layers_of_two_models_are_as_alike_as_numpy_says)
{
    ps_explain_part part;
    setup(_i);
    run_all(&(ps_spec_explain_method){.method = representation_change}, &part);
    const ps_explain_array *cka = ps_explain_get(&part, "cka");
    ck_assert(cka && cka->rank == 2 && cka->shape[0] == 2 && cka->shape[1] == 2);
    compare(&part, "cka", "cka", 1e-5);
    compare(&part, "cka_debiased", "cka_debiased", 1e-4);
    ck_assert_ptr_null(ps_explain_get(&part, "activations"));
    ck_assert_ptr_null(ps_explain_get(&part, "other_activations"));
    ps_explain_part_free(&part);
    teardown();
}
END_TEST

START_TEST(a_model_beside_itself_sees_the_same)
{
    ps_explain_part part;
    setup(LLAMA);
    ps_model *other = t.other;
    t.other = t.x.model;
    run_all(&(ps_spec_explain_method){.method = representation_change}, &part);
    const float *cka = ps_explain_get(&part, "cka")->floats;
    ck_assert(cka[0] == 1 && cka[3] == 1 && cka[1] == cka[2]);
    ps_explain_part_free(&part);
    run_all(&(ps_spec_explain_method){.method = attribution_change}, &part);
    const float *rows = ps_explain_get(&part, "rows")->floats;
    for (size_t i = 0; i < SEQUENCES; i++)
        ck_assert(fabsf(rows[5 * i] - 1) < 1e-6F && fabsf(rows[5 * i + 1] - 1) < 1e-6F &&
                  rows[5 * i + 2] == 0);
    ps_explain_part_free(&part);
    t.other = other;
    teardown();
}
END_TEST

START_TEST(attributions_of_two_models_differ_as_captum_and_scipy_say)
{
    static char *const of[] = {products, path, products, products};
    static const int kind[] = {MLP, MLP, GPT2, LLAMA};
    char name[64];
    ps_explain_part part;
    setup(kind[_i]);
    run_all(&(ps_spec_explain_method){.method = attribution_change, .of = of[_i]}, &part);
    for (size_t i = 0; i < 4; i++) {
        static const char *const arrays[] = {"values", "rows", "mean", "mean_size"};
        (void)snprintf(name, sizeof name, "%s/%s", of[_i], arrays[i]);
        compare(&part, arrays[i], name, 2e-5);
    }
    (void)snprintf(name, sizeof name, "%s/rows", of[_i]);
    const float *rows = golden_of(name), *summary = ps_explain_get(&part, "summary")->floats;
    double rank = 0, count = 0, n = t.kind == MLP ? ROWS : SEQUENCES;
    for (size_t i = 0; i < (size_t)n; i++) {
        rank += isnan(rows[5 * i]) ? 0 : (double)rows[5 * i];
        count += !isnan(rows[5 * i]);
    }
    ck_assert_double_eq((double)summary[0], n);
    ck_assert_double_eq_tol((double)summary[1], rank / count, 1e-5);
    ck_assert_uint_gt(t.x.evaluations, 0);
    ps_explain_part_free(&part);
    teardown();
}
END_TEST

static int64_t coder_sizes[] = {10, 4096, 10};

static ps_status open_coder(void *user, const ps_model_options *options, ps_model **out)
{
    const ps_model_config config = {
        .architecture = "sae", .layers = coder_sizes, .layer_count = 3, .top_k = 4};
    return ps_model_create(t.device.backend, &config, options, out);
}

/* Its features of many rows are more than there is memory: said in bytes before it is taken. */
START_TEST(an_autoencoder_says_beforehand_what_its_features_take)
{
    enum { ITEMS = 1 << 20 };
    static char sae[] = "sae", architecture[] = "sae", point[] = "";
    const ps_spec_model coder = {
        .architecture = architecture, .layers = coder_sizes, .n_layers = 3};
    const ps_spec_explain_method spec = {.method = sae, .point = point, .top = 4};
    const ps_explain_method *m = ps_explain_method_find(sae);
    const ps_explain_items items = {.n = ITEMS, .length = 1}; /* no row is looked at */
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    void *state = NULL;
    if (ps_limits_memory_left() / ITEMS / sizeof(float) > 2 * 4096)
        return; /* a machine for which they are not too many */
    setup(MLP);
    t.how.spec = &coder;
    t.how.open = open_coder;
    ck_ok(m->prepare(&t.x, &spec, &state));
    ck_assert_int_eq(m->run(&t.x, &spec, state, &items, &part), PS_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "are available; lower explain.batch"));
    m->free(state);
    ps_explain_part_free(&part);
    teardown();
}
END_TEST

static const ps_check_case cases[] = {
    {&layers_of_two_models_are_as_alike_as_numpy_says, .repeat = KINDS},
    {&a_model_beside_itself_sees_the_same},
    {&attributions_of_two_models_differ_as_captum_and_scipy_say, .repeat = 4},
    {&an_autoencoder_says_beforehand_what_its_features_take},
    {0},
};

int main(void)
{
    return ps_check_main("explain/two_models", cases);
}
