/* The tuned lens: loss and gradients of the tiny gpt2 and llama against PyTorch in float64
 * (tests/golden/explain/tuned_lens.py), and against differences of the formula in float64; with
 * zeros it gives back what it is given. */
#include "tests/unit/worker/models/golden_fixture.h"

#include "tests/lib/check_main.h"
#include "tests/lib/ref64.h"

#include "common/explain/memory.h"

#include <math.h>

enum { WIDTH = 16, LAYERS = 2, VOCABULARY = 61, ROWS = 7, PARAMETERS = 2 * LAYERS, FEW = 3 };
enum { STREAM = (LAYERS + 1) * WIDTH };

static const char *const kinds[] = {"gpt2", "llama"};

static struct {
    int kind;
    ps_test_device device;
    golden_file base_file, golden;
    ps_model *base, *lens;
    /* of the formula */
    double *gain, *bias, *head, *rows; /* bias NULL: an RMSNorm */
    double *parameters[PARAMETERS];
} t;

/* ---- both models ---- */

static const float *golden_of(const char *what, const char *name)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof prefix, "%s/%s", kinds[t.kind], what);
    return golden_get(&t.golden, prefix, name);
}

static ps_model_config config_of(void)
{
    return (ps_model_config){.architecture = "tuned_lens",
                             .language = {.hidden_size = WIDTH, .num_layers = LAYERS}};
}

static const char *name_of(size_t i)
{
    return ps_model_parameters(t.lens)->parameters[i].name;
}

static double *base_numbers(const char *name, size_t n)
{
    const float *found = golden_find(&t.base_file, "parameter/", name);
    return found ? ps_ref64_from_f32(found, n) : NULL;
}

static void setup(int kind)
{
    memset(&t, 0, sizeof t);
    t.kind = kind;
    ps_test_device_open(&t.device, ps_test_backend());
    golden_open(&t.base_file, "", kinds[kind]);
    golden_open(&t.golden, "explain/", "tuned_lens");
    t.base = golden_model(&t.base_file, &t.device, kinds[kind],
                          (ps_model_options){.max_batch = 1, .inference = true});
    const ps_model_config config = config_of();
    ck_ok(ps_model_create(t.device.backend, &config,
                          &(ps_model_options){.max_batch = ROWS, .base = t.base}, &t.lens));
    ck_assert_uint_eq(ps_model_parameters(t.lens)->count, PARAMETERS);
    ck_assert_int_eq(ps_model_inputs(t.lens), STREAM);
    bool gpt2 = kind == 0;
    t.gain = base_numbers(gpt2 ? "ln_f.weight" : "model.norm.weight", WIDTH);
    t.bias = gpt2 ? base_numbers("ln_f.bias", WIDTH) : NULL;
    t.head = base_numbers(gpt2 ? "wte.weight" : "lm_head.weight", (size_t)VOCABULARY * WIDTH);
    t.rows = ps_ref64_from_f32(golden_of("", "rows"), (size_t)ROWS * STREAM);
}

static void set_parameters(void)
{
    for (size_t i = 0; i < PARAMETERS; i++) {
        ps_tensor to = ps_model_parameter(t.lens, i);
        const float *values = golden_of("parameter/", name_of(i));
        ps_copy_to_device(ps_model_stream(t.lens), to, values, ps_tensor_bytes(to));
        t.parameters[i] = ps_ref64_from_f32(values, (size_t)ps_tensor_count(to));
    }
    ck_ok(ps_stream_sync(ps_model_stream(t.lens)));
    ps_model_refresh(t.lens);
}

static void teardown(void)
{
    for (size_t i = 0; i < PARAMETERS; i++)
        ps_free(&t.parameters[i]);
    ps_free(&t.gain);
    ps_free(&t.bias);
    ps_free(&t.head);
    ps_free(&t.rows);
    ps_model_free(&t.lens);
    ps_model_free(&t.base);
    golden_close(&t.golden);
    golden_close(&t.base_file);
    ps_test_device_close(&t.device);
}

/* ---- the formula ---- */

/* log softmax(head(norm(x))) */
static void read_out(const double *x, double *log_p)
{
    double mean = 0, variance = 0, normed[WIDTH], all = 0, most = -INFINITY;
    for (int i = 0; i < WIDTH && t.bias; i++)
        mean += x[i] / WIDTH;
    for (int i = 0; i < WIDTH; i++)
        variance += (x[i] - mean) * (x[i] - mean) / WIDTH;
    for (int i = 0; i < WIDTH; i++)
        normed[i] = (x[i] - mean) / sqrt(variance + 1e-5) * t.gain[i] + (t.bias ? t.bias[i] : 0);
    for (int v = 0; v < VOCABULARY; v++) {
        log_p[v] = ps_ref64_dot(normed, t.head + (ptrdiff_t)v * WIDTH, WIDTH);
        most = fmax(most, log_p[v]);
    }
    for (int v = 0; v < VOCABULARY; v++)
        all += exp(log_p[v] - most);
    for (int v = 0; v < VOCABULARY; v++)
        log_p[v] -= most + log(all);
}

static double divergence_of(const double *stream, int layer)
{
    double y[WIDTH], q[VOCABULARY], p[VOCABULARY], sum = 0;
    const double *x = stream + (ptrdiff_t)layer * WIDTH;
    for (int i = 0; i < WIDTH; i++)
        y[i] = x[i] + t.parameters[2 * layer + 1][i] +
               ps_ref64_dot(t.parameters[2 * layer] + (ptrdiff_t)i * WIDTH, x, WIDTH);
    read_out(y, q);
    read_out(stream + (ptrdiff_t)LAYERS * WIDTH, p);
    for (int v = 0; v < VOCABULARY; v++)
        sum += exp(p[v]) * (p[v] - q[v]);
    return sum;
}

static double objective(void *user)
{
    (void)user;
    double sum = 0;
    for (int row = 0; row < ROWS; row++)
        for (int layer = 0; layer < LAYERS; layer++)
            sum += divergence_of(t.rows + (ptrdiff_t)row * STREAM, layer);
    return sum / (ROWS * LAYERS);
}

/* ---- */

static void step(const ps_model_batch *batch, ps_model_result *result)
{
    ck_ok(ps_model_forward(t.lens, batch, NULL));
    ck_ok(ps_model_loss(t.lens, batch));
    ck_ok(ps_model_backward(t.lens, NULL));
    ck_ok(ps_model_result_get(t.lens, result));
}

static void compare_gradients(double tolerance)
{
    for (size_t i = 0; i < PARAMETERS; i++) {
        ps_tensor g = ps_model_gradient(t.lens, i);
        size_t n = (size_t)ps_tensor_count(g);
        float *found = ps_alloc_array(n, sizeof *found);
        double *want = ps_ref64_from_f32(golden_of("gradient/", name_of(i)), n);
        ck_ok(ps_copy_to_host(ps_model_stream(t.lens), found, g, ps_tensor_bytes(g)));
        double error = ps_ref64_error(found, want, n);
        ck_assert_msg(error < tolerance, "%s is %g off", name_of(i), error);
        ps_free(&found);
        ps_free(&want);
    }
}

START_TEST(loss_and_gradients_are_pytorchs)
{
    setup(_i);
    set_parameters();
    ps_model_result result;
    ps_model_batch batch = {.rows = ROWS, .features = golden_of("", "rows"), .train = true};
    step(&batch, &result);
    double want = (double)golden_of("", "loss")[0];
    ck_assert_double_eq_tol(result.loss, want, 1e-5 * want);
    ck_assert_double_eq_tol(objective(NULL), want, 1e-6 * want);
    ck_assert_int_eq(result.rows, ROWS);
    compare_gradients(2e-5);

    /* the same rows in two batches of one step, and loss is told without their weight */
    double sum = 0;
    for (int part = 0; part < 2; part++) {
        batch.features = golden_of("", "rows") + (part ? FEW * STREAM : 0);
        batch.rows = part ? ROWS - FEW : FEW;
        batch.weight = (double)batch.rows / ROWS;
        batch.add_gradients = part;
        step(&batch, &result);
        sum += batch.weight * result.loss;
    }
    ck_assert_double_eq_tol(sum, want, 1e-5 * want);
    compare_gradients(2e-5);
    teardown();
}
END_TEST

START_TEST(gradients_are_the_differences_of_the_formula)
{
    setup(_i);
    set_parameters();
    for (size_t i = 0; i < PARAMETERS; i++) {
        size_t n = (size_t)ps_tensor_count(ps_model_gradient(t.lens, i));
        double *slopes = ps_alloc_array(n, sizeof *slopes);
        const float *golden = golden_of("gradient/", name_of(i));
        ps_ref64_differences(objective, NULL, t.parameters[i], n, slopes);
        for (size_t k = 0; k < n; k++)
            ck_assert_double_eq_tol((double)golden[k], slopes[k], 1e-7);
        ps_free(&slopes);
    }
    teardown();
}
END_TEST

/* A and b are zeros, as they begin: what is read out is the stream itself, to the bit. */
START_TEST(zeros_give_back_the_stream)
{
    setup(_i);
    const float *rows = golden_of("", "rows");
    float out[ROWS * LAYERS * WIDTH];
    const ps_model_batch batch = {.rows = ROWS, .features = rows};
    ck_ok(ps_model_predict(t.lens, &batch, NULL, out));
    for (int row = 0; row < ROWS; row++)
        ck_assert_mem_eq(out + (ptrdiff_t)row * LAYERS * WIDTH, rows + (ptrdiff_t)row * STREAM,
                         (size_t)LAYERS * WIDTH * sizeof *out);
    teardown();
}
END_TEST

/* What psctl submit --dry-run says, of a larger batch than the tests' own, so that what tensors are
 * padded by is little; what the files have is for each token a row of the stream. */
START_TEST(its_memory_is_foretold)
{
    enum { BATCH = 512 };
    ps_spec_activations of = {.rows = 0};
    ps_spec_train train = {.batch_size = BATCH};
    const ps_job_spec job = {.train = &train, .data = {.activations = &of, .sequence_length = 8}};
    const ps_spec_model base = {
        .hidden_size = WIDTH, .num_layers = LAYERS, .vocab_size = VOCABULARY};
    setup(0);
    const ps_model_config config = config_of();
    ps_model *lens = NULL;
    ck_ok(ps_model_create(t.device.backend, &config,
                          &(ps_model_options){.max_batch = BATCH, .base = t.base}, &lens));
    double told = (double)ps_lens_memory(&job, &base), taken = (double)ps_model_memory(lens);
    ck_assert_msg(told > 0.8 * taken && told < 1.25 * taken, "%g, and %g are taken", told, taken);
    of.rows = 3;
    ck_assert_double_eq((double)ps_lens_memory(&job, &base) - told, 3 * 8 * STREAM * sizeof(float));
    ps_model_free(&lens);
    teardown();
}
END_TEST

START_TEST(sizes_that_make_no_lens_are_refused)
{
    ps_model_layout layout;
    ps_model_config config = config_of();
    config.language.num_layers = 0;
    ck_assert_int_eq(ps_model_describe(&config, &layout), PS_INVALID_ARGUMENT);
    config = config_of();
    config.language.hidden_size = INT64_C(1) << 40;
    ck_assert_int_eq(ps_model_describe(&config, &layout), PS_INVALID_ARGUMENT);
    config.language.hidden_size = 1 << 12;
    config.language.num_layers = 1 << 13;
    ck_assert_int_eq(ps_model_describe(&config, &layout), PS_INVALID_ARGUMENT);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &loss_and_gradients_are_pytorchs, .repeat = 2},
    {.test = &gradients_are_the_differences_of_the_formula, .repeat = 2},
    {.test = &zeros_give_back_the_stream, .repeat = 2},
    {.test = &its_memory_is_foretold},
    {.test = &sizes_that_make_no_lens_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("worker/models/tuned_lens", cases);
}
