/* A model whose matrices are in forms says what the same model says with the numbers that they
 * decode to. */
#include "common/base/mem.h"
#include "common/form/factors.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/unit/worker/models/step.h"
#include "worker/models/model.h"

#include <math.h>
#include <string.h>

enum { KINDS = 5, ROWS = 3, LENGTH = 6, TOKENS = ROWS * LENGTH, WIDTH = 64, VOCABULARY = 37 };

static const int64_t layers[] = {WIDTH, 96, 50, 11};

static ps_model_config config_of(int kind)
{
    static const char *const names[KINDS] = {"mlp", "gpt2", "llama", "llama", "qwen2"};
    if (kind == 0)
        return (ps_model_config){.architecture = names[kind], .layers = layers, .layer_count = 4};
    return (ps_model_config){.architecture = names[kind],
                             .language = {.vocab_size = VOCABULARY,
                                          .context_length = 8,
                                          .hidden_size = WIDTH,
                                          .num_layers = 2,
                                          .num_heads = 4,
                                          .num_kv_heads = kind == 1 ? 4 : 2,
                                          .intermediate_size = 96,
                                          .rope = {.theta = 10000},
                                          .norm_epsilon = 1e-5,
                                          .tie_embeddings = kind != 3}};
}

typedef struct fixture {
    ps_test_device device;
    ps_model *plain, *formed;
    int kind;
    float features[ROWS * WIDTH];
    int32_t tokens[TOKENS], labels[TOKENS];
    ps_model_batch batch;
} fixture;

/* Every matrix in another form, all of which have numbers in rows of any of these widths but one:
 * 50, which has only one form. */
static ps_form form_of(const ps_model_parameter_spec *spec, size_t i)
{
    static const char *const texts[] = {"int8/row", "int4/32", "q8_0",     "uint4/32",
                                        "bfloat16", "int3/32", "uint8/row"};
    ps_form form = {0};
    if (spec->rank != 2)
        return form;
    if (spec->of_block && i % 3 == 0) /* two factors, of different ranks */
        return ps_form_of_rank((uint32_t)(3 + i % 7));
    ck_assert(ps_form_parse(texts[i % (sizeof texts / sizeof *texts)], &form));
    if (!ps_form_divides(form, (uint64_t)spec->shape[spec->input_major ? 0 : 1]))
        ck_assert(ps_form_parse("int8/row", &form));
    return form;
}

static void copy(ps_model *m, size_t i, const void *bytes, size_t len)
{
    ps_tensor t = ps_model_parameter(m, i);
    ck_assert_uint_eq(len, ps_tensor_bytes(t));
    ps_copy_to_device(ps_model_stream(m), t, bytes, len);
    ck_ok(ps_stream_sync(ps_model_stream(m)));
}

static void transpose(const float *x, int64_t rows, int64_t columns, float *out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            out[c * rows + r] = x[r * columns + c];
}

/* Random factors, in the model that has them, and their product in x. */
static void draw_factors(fixture *f, size_t i, int64_t rows, int64_t columns, size_t rank, float *x)
{
    size_t n = (size_t)(rows + columns) * rank;
    float *factors = ps_alloc_array(n, sizeof *factors);
    for (size_t k = 0; k < n; k++)
        factors[k] = 0.2f * (float)ps_rng_normal(&f->device.rng);
    copy(f->formed, i, factors, n * sizeof *factors);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            double sum = 0;
            for (size_t k = 0; k < rank; k++)
                sum += (double)factors[(size_t)r * rank + k] *
                       (double)factors[(size_t)(rows + c) * rank + k];
            x[r * columns + c] = (float)sum;
        }
    ps_free(&factors);
}

/* Random numbers x[n] become the form's, in the model that has it, and then in the other. */
static void fill_form(fixture *f, const ps_model_parameter_spec *spec, size_t i, ps_form form,
                      float *x)
{
    int64_t rows = spec->shape[spec->input_major], columns = spec->shape[!spec->input_major];
    size_t bytes = form.rank ? 0 : ps_form_row_bytes(form, (uint64_t)columns) * (size_t)rows;
    uint8_t *blocks = ps_alloc(bytes + 1);
    if (form.rank) {
        draw_factors(f, i, rows, columns, form.rank, x);
    } else {
        ps_form_encode(form, x, NULL, (uint64_t)rows, (uint64_t)columns, blocks);
        copy(f->formed, i, blocks, bytes);
        ps_form_decode(form, blocks, (uint64_t)rows, (uint64_t)columns, x);
    }
    if (spec->input_major) {
        float *turned = ps_alloc_array((size_t)(rows * columns), sizeof *turned);
        transpose(x, rows, columns, turned);
        memcpy(x, turned, (size_t)(rows * columns) * sizeof *x);
        ps_free(&turned);
    }
    ps_free(&blocks);
}

static void fill(fixture *f, const ps_form *forms)
{
    const ps_model_layout *layout = ps_model_parameters(f->plain);
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *spec = &layout->parameters[i];
        size_t n = (size_t)ps_model_parameter_elements(spec);
        float *x = ps_alloc_array(n, sizeof *x);
        for (size_t j = 0; j < n; j++)
            x[j] =
                (spec->init == PS_INIT_ONES ? 1 : 0) + 0.1f * (float)ps_rng_normal(&f->device.rng);
        if (forms[i].row)
            fill_form(f, spec, i, forms[i], x);
        else
            copy(f->formed, i, x, n * sizeof *x);
        copy(f->plain, i, x, n * sizeof *x);
        ps_free(&x);
    }
    ps_model_refresh(f->plain);
    ps_model_refresh(f->formed);
}

static void make_batch(fixture *f)
{
    for (int i = 0; i < ROWS * WIDTH; i++)
        f->features[i] = (float)ps_rng_normal(&f->device.rng);
    for (int i = 0; i < TOKENS; i++) {
        f->tokens[i] = (int32_t)ps_rng_below(&f->device.rng, VOCABULARY);
        f->labels[i] = (int32_t)ps_rng_below(&f->device.rng, f->kind ? VOCABULARY : 11);
    }
    f->batch = (ps_model_batch){.rows = ROWS, .labels = f->labels};
    if (f->kind) {
        f->batch.tokens = f->tokens;
        f->batch.length = LENGTH;
    } else {
        f->batch.features = f->features;
    }
}

static void open_fixture(fixture *f, int kind, bool exact, bool decode)
{
    *f = (fixture){.kind = kind};
    ps_test_device_open(&f->device, "cpu");
    ps_model_config config = config_of(kind);
    ps_model_options options = {.max_batch = ROWS, .inference = true, .decode = decode};
    ck_ok(ps_model_create(f->device.backend, &config, &options, &f->plain));
    const ps_model_layout *layout = ps_model_parameters(f->plain);
    ps_form *forms = ps_alloc_array(layout->count, sizeof *forms);
    for (size_t i = 0; i < layout->count; i++)
        forms[i] = form_of(&layout->parameters[i], i);
    options.forms = forms;
    options.exact = exact;
    ck_ok(ps_model_create(f->device.backend, &config, &options, &f->formed));
    ck_assert_uint_lt(ps_model_memory(f->formed), ps_model_memory(f->plain));
    fill(f, forms);
    ps_free(&forms);
    make_batch(f);
}

static void close_fixture(fixture *f)
{
    ps_model_free(&f->plain);
    ps_model_free(&f->formed);
    ps_test_device_close(&f->device);
}

/* Of float32's roundings, or of numbers of 8 bits. */
static double allowed(bool exact)
{
    return exact ? 2e-5 : 2e-2;
}

START_TEST(losses_and_predictions_are_those_of_the_decoded_numbers)
{
    bool exact = _i % 2;
    fixture f;
    open_fixture(&f, _i / 2, exact, false);
    double want = model_loss(f.plain, &f.batch).loss;
    for (int again = 0; again < 2; again++)
        ck_assert_double_eq_tol(model_loss(f.formed, &f.batch).loss, want, allowed(exact));
    float p[ROWS * VOCABULARY], q[ROWS * VOCABULARY];
    ck_ok(ps_model_predict(f.plain, &f.batch, NULL, p));
    ck_ok(ps_model_predict(f.formed, &f.batch, NULL, q));
    for (int i = 0; i < ROWS * (f.kind ? VOCABULARY : 11); i++)
        ck_assert_float_eq_tol(q[i], p[i], (float)allowed(exact));
    close_fixture(&f);
}
END_TEST

START_TEST(generation_is_that_of_the_decoded_numbers)
{
    bool exact = _i % 2;
    fixture f;
    open_fixture(&f, 1 + _i / 2, exact, true);
    static const int counts[] = {4, 1, 1}; /* a prompt, and one after the other */
    for (int i = 0, before = 0; i < 3; before += counts[i++]) {
        float want[VOCABULARY], got[VOCABULARY];
        ck_ok(ps_model_extend(f.plain, f.tokens + before, counts[i], before, want));
        ck_ok(ps_model_extend(f.formed, f.tokens + before, counts[i], before, got));
        for (int v = 0; v < VOCABULARY; v++)
            ck_assert_float_eq_tol(got[v], want[v], 10 * (float)allowed(exact));
    }
    close_fixture(&f);
}
END_TEST

START_TEST(a_form_that_does_not_fit_is_refused_by_name)
{
    static const struct {
        size_t parameter;
        const char *form, *message;
    } wrong[] = {
        {1, "int8/row", "parameter layers.0.bias is no matrix and cannot be in form int8/row"},
        {4, "q8_0",
         "parameter layers.2.weight: rows of 50 numbers are no whole blocks of form q8_0"},
        {4, "int3/row", NULL},
        {4, "factors/12", "parameter layers.2.weight cannot be two factors of rank 12"},
        {1, "factors/2", "parameter layers.0.bias cannot be two factors of rank 2"}};
    ps_test_device device;
    ps_test_device_open(&device, "cpu");
    ps_model_config config = config_of(0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ps_form forms[6] = {0};
        ps_model *m = NULL;
        ck_assert(ps_form_parse_stored(wrong[i].form, &forms[wrong[i].parameter]));
        ck_assert_int_eq(
            ps_model_create(device.backend, &config,
                            &(ps_model_options){.max_batch = 1, .inference = true, .forms = forms},
                            &m),
            PS_INVALID_ARGUMENT);
        ck_assert_ptr_null(m);
        if (wrong[i].message)
            ck_assert_str_eq(ps_error_message(), wrong[i].message);
    }
    ps_test_device_close(&device);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &losses_and_predictions_are_those_of_the_decoded_numbers, .repeat = 2 * KINDS},
    {.test = &generation_is_that_of_the_decoded_numbers, .repeat = 2 * (KINDS - 1)},
    {.test = &a_form_that_does_not_fit_is_refused_by_name},
    {0},
};

int main(void)
{
    return ps_check_main("worker/models/forms", tests);
}
