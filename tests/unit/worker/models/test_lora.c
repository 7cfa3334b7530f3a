/* What is trained of a model, if not all: adapters beside products of language models against
 * Hugging Face's PEFT (tests/golden/lora/make.py made the files), and all but what is frozen. */
#include "common/arch/lora.h"
#include "tests/lib/check_main.h"
#include "tests/unit/worker/models/archs_fixture.h"
#include "tests/unit/worker/models/golden_fixture.h"
#include "tests/unit/worker/models/step.h"

#include <math.h>

#define TOLERANCE 1e-4
enum { ROWS = 3, LENGTH = 12, RANK = 3, ALPHA = 5 };

static const char *const of_gpt2[] = {"q", "mlp.c_proj"}, *const of_llama[] = {"all-linear"},
                         *const of_qwen2[] = {"q", "*.v_proj"};
static const struct {
    const char *kind;
    const char *const *targets;
    size_t n_targets, adapters;
} kinds[] = {{"gpt2", of_gpt2, 2, 4}, {"llama", of_llama, 1, 14}, {"qwen2", of_qwen2, 2, 4}};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct adapted {
    ps_test_device device;
    golden_file base, own;
    ps_model *model;
    ps_model_batch batch;
} adapted;

static ps_model_config config_of(int kind, double dropout)
{
    ps_model_config config = golden_config(kinds[kind].kind);
    config.lora = (ps_model_lora){.rank = RANK,
                                  .scale = (double)ALPHA / RANK,
                                  .dropout = dropout,
                                  .targets = kinds[kind].targets,
                                  .n_targets = kinds[kind].n_targets};
    return config;
}

static void fill(adapted *a)
{
    const ps_model_layout *layout = ps_model_parameters(a->model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(a->model, i);
        const golden_file *from = i < layout->base ? &a->base : &a->own;
        ps_copy_to_device(ps_model_stream(a->model), t,
                          golden_get(from, "parameter/", layout->parameters[i].name),
                          ps_tensor_bytes(t));
    }
    ck_ok(ps_stream_sync(ps_model_stream(a->model)));
    ps_model_refresh(a->model);
}

static void open_adapted(adapted *a, int kind, double dropout, ps_model_options options)
{
    *a = (adapted){0};
    ps_model_config config = config_of(kind, dropout);
    options.max_batch = ROWS;
    ps_test_device_open(&a->device, "cpu");
    golden_open(&a->base, "", kinds[kind].kind);
    golden_open(&a->own, "lora/", kinds[kind].kind);
    ck_ok(ps_model_create(a->device.backend, &config, &options, &a->model));
    fill(a);
    a->batch = (ps_model_batch){.rows = ROWS,
                                .length = LENGTH,
                                .tokens = golden_get(&a->base, "", "tokens"),
                                .labels = golden_get(&a->base, "", "labels"),
                                .train = true};
}

static void close_adapted(adapted *a)
{
    ps_model_free(&a->model);
    golden_close(&a->base);
    golden_close(&a->own);
    ps_test_device_close(&a->device);
}

static double loss_of(adapted *a, const ps_model_hooks *hooks)
{
    ps_model_result result;
    ck_ok(ps_model_forward(a->model, &a->batch, hooks));
    ck_ok(ps_model_loss(a->model, &a->batch));
    if (a->batch.train)
        ck_ok(ps_model_backward(a->model, hooks));
    ck_ok(ps_model_result_get(a->model, &result));
    return result.loss;
}

static double golden_loss(const adapted *a)
{
    return (double)*(const float *)golden_get(&a->own, "", "loss");
}

static void check_gradients(adapted *a, int kind)
{
    const ps_model_layout *layout = ps_model_parameters(a->model);
    ck_assert_uint_eq(layout->count - layout->base, 2 * kinds[kind].adapters);
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *spec = &layout->parameters[i];
        ps_tensor gradient = ps_model_gradient(a->model, i);
        ck_assert_int_eq(spec->frozen, i < layout->base);
        ck_assert_int_eq(ps_tensor_present(gradient), !spec->frozen);
        if (spec->frozen)
            continue;
        double e = golden_error(&a->device, gradient, golden_get(&a->own, "gradient/", spec->name));
        ck_assert_msg(e < TOLERANCE, "%s: the gradient of %s is off by %g", kinds[kind].kind,
                      spec->name, e);
    }
}

START_TEST(loss_and_gradients)
{
    adapted a;
    open_adapted(&a, _i, 0, (ps_model_options){0});
    double want = golden_loss(&a);
    ck_assert_double_eq_tol(loss_of(&a, NULL), want, 1e-6 * want);
    check_gradients(&a, _i);
    close_adapted(&a);
}
END_TEST

START_TEST(computed_again_they_are_the_same)
{
    adapted a;
    open_adapted(&a, _i, 0, (ps_model_options){.recompute = true});
    loss_of(&a, NULL);
    check_gradients(&a, _i);
    close_adapted(&a);
}
END_TEST

/* Two halves of a batch, one after the other, are the batch. */
START_TEST(gradients_add_up)
{
    adapted a;
    open_adapted(&a, _i, 0, (ps_model_options){0});
    a.batch.rows = 1;
    a.batch.weight = 1.0 / ROWS;
    for (int row = 0; row < ROWS; row++) {
        loss_of(&a, NULL);
        a.batch.add_gradients = true;
        a.batch.tokens += LENGTH;
        a.batch.labels += LENGTH;
    }
    check_gradients(&a, _i);
    close_adapted(&a);
}
END_TEST

START_TEST(in_bfloat16_it_is_about_the_same)
{
    adapted a;
    open_adapted(&a, _i, 0, (ps_model_options){.bf16 = true});
    double want = golden_loss(&a);
    ck_assert_double_eq_tol(loss_of(&a, NULL), want, 0.02 * want);
    close_adapted(&a);
}
END_TEST

START_TEST(dropout_is_of_training_alone)
{
    adapted a;
    open_adapted(&a, _i, 0.5, (ps_model_options){0});
    double want = golden_loss(&a);
    ck_assert_double_gt(fabs(loss_of(&a, NULL) - want), 1e-3);
    a.batch.train = false;
    ck_assert_double_eq_tol(loss_of(&a, NULL), want, 1e-6 * want);
    close_adapted(&a);
}
END_TEST

typedef struct heard {
    size_t base, ready, used;
    size_t last;
} heard;

static ps_status before_use(void *user, size_t i, bool *changed)
{
    heard *h = user;
    (void)changed;
    h->used += i >= h->base;
    return PS_OK;
}

static ps_status gradient_ready(void *user, size_t i)
{
    heard *h = user;
    ck_assert_uint_ge(i, h->base);
    ck_assert_uint_lt(i, h->last);
    h->last = i;
    h->ready++;
    return PS_OK;
}

/* Only adapters are said to be ready, from the last to the first, each once. */
START_TEST(only_adapters_are_pushed)
{
    adapted a;
    open_adapted(&a, _i, 0, (ps_model_options){0});
    const ps_model_layout *layout = ps_model_parameters(a.model);
    heard h = {.base = layout->base, .last = layout->count};
    const ps_model_hooks hooks = {
        .before_use = before_use, .gradient_ready = gradient_ready, .user = &h};
    loss_of(&a, &hooks);
    ck_assert_uint_eq(h.ready, layout->count - layout->base);
    ck_assert_uint_eq(h.used, h.ready);
    close_adapted(&a);
}
END_TEST

START_TEST(what_means_no_product_is_refused)
{
    static const char *const nothing[] = {"lm_head", "embed_tokens", "norm", "*.bias", ""};
    ps_model_layout layout;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        ps_model_config config = config_of(_i, 0);
        config.lora.targets = &nothing[i];
        config.lora.n_targets = 1;
        ck_assert_int_eq(ps_model_describe(&config, &layout), PS_INVALID_ARGUMENT);
    }
}
END_TEST

/* ---- a model of texts ---- */

static float *numbers_of(const ps_model *m, ps_tensor t)
{
    float *out = ps_alloc_array((size_t)ps_tensor_count(t), sizeof *out);
    ck_ok(ps_copy_to_host(ps_model_stream(m), out, t, ps_tensor_bytes(t)));
    return out;
}

/* With B = 0, dB[out,rank] = scale · dW[out,in] · Aᵀ: dW is the whole model's, which is
 * transformers' (test_archs). */
static void check_against_whole(const ps_model *whole, const ps_model *beside_it, size_t weight,
                                size_t a)
{
    ps_tensor dw = ps_model_gradient(whole, weight), db = ps_model_gradient(beside_it, a + 1);
    int64_t in = dw.shape[1], out = dw.shape[0];
    float *w = numbers_of(whole, dw), *b = numbers_of(beside_it, db),
          *rows = numbers_of(beside_it, ps_model_parameter(beside_it, a));
    double apart = 0, length = 0;
    for (int64_t o = 0; o < out; o++)
        for (int64_t r = 0; r < RANK; r++) {
            double sum = 0;
            for (int64_t i = 0; i < in; i++)
                sum += (double)w[o * in + i] * (double)rows[r * in + i];
            sum *= (double)ALPHA / RANK;
            apart += pow((double)b[o * RANK + r] - sum, 2);
            length += sum * sum;
        }
    ck_assert_msg(sqrt(apart) <= TOLERANCE * sqrt(length) + 1e-7, "%s: %g of %g off",
                  ps_model_parameters(beside_it)->parameters[a].name, sqrt(apart), sqrt(length));
    ps_free(&w);
    ps_free(&b);
    ps_free(&rows);
}

static void fill_with_zeros(ps_model *m, size_t i)
{
    ps_tensor t = ps_model_parameter(m, i);
    ps_op_fill(ps_model_stream(m), ps_tensor_1d(t.buffer, t.offset, t.dtype, ps_tensor_count(t)),
               0);
    ps_model_refresh(m);
}

START_TEST(a_model_of_texts_has_them_beside_its_blocks)
{
    static const char *const all[] = {"all-linear"};
    int32_t tokens[ARCHS_TEXTS * ARCHS_TEXT], labels[ARCHS_TEXTS];
    const ps_model_options options = {.max_batch = ARCHS_TEXTS, .max_length = ARCHS_TEXT};
    ps_test_device device;
    archs_variant v;
    FILE *file = archs_open("bert");
    ck_assert(archs_next(file, &v));
    ps_test_device_open(&device, "cpu");
    ps_model_config config = ps_job_model_config(v.spec);
    config.lora = (ps_model_lora){
        .rank = RANK, .scale = (double)ALPHA / RANK, .targets = all, .n_targets = 1};
    ps_model *whole = archs_model(&device, &v, options),
             *beside_it = archs_model_of(&device, &v, &config, options);
    const ps_model_layout *layout = ps_model_parameters(beside_it);
    ck_assert_uint_eq(layout->count - layout->base,
                      2 * 6 * (size_t)v.spec->num_layers); /* four of attention, two of the MLP */
    for (size_t i = layout->base; i < layout->count; i += 2)
        fill_with_zeros(beside_it, i + 1);
    const ps_model_batch batch = archs_batch(&v, tokens, labels);
    ck_assert_double_eq_tol(model_step(beside_it, &batch).loss, model_step(whole, &batch).loss,
                            1e-6);
    for (size_t i = 0, a = layout->base; i < layout->base; i++) {
        char name[PS_LM_NAME];
        bool beside = a < layout->count &&
                      ps_lora_name(layout->parameters[i].name, PS_LORA_A, name) &&
                      !strcmp(name, layout->parameters[a].name);
        ck_assert(!ps_tensor_present(ps_model_gradient(beside_it, i)));
        if (beside)
            check_against_whole(whole, beside_it, i, a);
        a += beside ? 2 : 0;
    }
    ps_model_free(&whole);
    ps_model_free(&beside_it);
    ps_spec_model_free(&v.spec);
    ps_test_device_close(&device);
    (void)fclose(file);
}
END_TEST

START_TEST(other_models_have_no_adapters)
{
    static const int64_t layers[] = {4, 2};
    ps_model_layout layout;
    ps_model_config config = config_of(0, 0);
    config.architecture = "mlp";
    config.layers = layers;
    config.layer_count = 2;
    ck_assert_int_eq(ps_model_describe(&config, &layout), PS_INVALID_ARGUMENT);
}
END_TEST

/* ---- parameters by name ---- */

static ps_model *model_that_freezes(ps_test_device *device, const golden_file *file,
                                    const ps_model_config *config)
{
    ps_model *model = NULL;
    ck_ok(ps_model_create(device->backend, config, &(ps_model_options){.max_batch = ROWS}, &model));
    const ps_model_layout *layout = ps_model_parameters(model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(model, i);
        ps_copy_to_device(ps_model_stream(model), t,
                          golden_get(file, "parameter/", layout->parameters[i].name),
                          ps_tensor_bytes(t));
    }
    ck_ok(ps_stream_sync(ps_model_stream(model)));
    ps_model_refresh(model);
    return model;
}

static void step(ps_model *model, const golden_file *file)
{
    ps_model_result result;
    const ps_model_batch batch = {.rows = ROWS,
                                  .length = LENGTH,
                                  .tokens = golden_get(file, "", "tokens"),
                                  .labels = golden_get(file, "", "labels"),
                                  .train = true};
    ck_ok(ps_model_forward(model, &batch, NULL));
    ck_ok(ps_model_loss(model, &batch));
    ck_ok(ps_model_backward(model, NULL));
    ck_ok(ps_model_result_get(model, &result));
}

/* Of gpt2.safetensors and its neighbours; what is not frozen has the gradients that it has else. */
START_TEST(what_is_frozen_has_no_gradient)
{
    static const char *const words[][3] = {{"wte", "h.0", "*mlp*"},
                                           {"model.embed_tokens.weight", "model.layers.0", "*mlp*"},
                                           {"lm_head", "*_proj.bias", "model.layers.1.mlp"}};
    golden_file file;
    ps_test_device device;
    size_t frozen = 0;
    const char *kind = kinds[_i].kind;
    ps_model_config config = golden_config(kind);
    config.freeze = words[_i];
    config.n_freeze = 3;
    ps_test_device_open(&device, "cpu");
    golden_open(&file, "", kind);
    ps_model *model = model_that_freezes(&device, &file, &config);
    const ps_model_layout *layout = ps_model_parameters(model);
    step(model, &file);
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *spec = &layout->parameters[i];
        ps_tensor gradient = ps_model_gradient(model, i);
        frozen += spec->frozen;
        ck_assert_int_eq(ps_tensor_present(gradient), !spec->frozen);
        if (spec->frozen)
            continue;
        double e = golden_error(&device, gradient, golden_get(&file, "gradient/", spec->name));
        ck_assert_msg(e < TOLERANCE, "%s: the gradient of %s is off by %g", kind, spec->name, e);
    }
    ck_assert_uint_gt(frozen, 3);
    ck_assert_uint_lt(frozen, layout->count);
    ps_model_free(&model);
    golden_close(&file);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(what_makes_no_sense_is_not_frozen)
{
    static const struct {
        const char *word, *message;
    } rows[] = {
        {"h.2", "train.freeze: 'h.2' is no parameter of the model"},
        {"h.0.attn.c", "train.freeze: 'h.0.attn.c' is no parameter of the model"},
        {"*", "train.freeze: nothing is left to be trained"},
        {"*ln_1.weight", "train.freeze: of a norm both or none is frozen, and not h.0.ln_1.weight "
                         "alone"},
        {"ln_f.bias", "train.freeze: of a norm both or none is frozen, and not ln_f.bias alone"},
    };
    ps_model_layout layout = {0};
    ps_model_config config = golden_config("gpt2");
    config.n_freeze = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        config.freeze = &rows[i].word;
        ck_assert_int_eq(ps_model_describe(&config, &layout), PS_INVALID_ARGUMENT);
        ck_assert_str_eq(ps_error_message(), rows[i].message);
        ck_assert_ptr_null(layout.parameters);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &loss_and_gradients, .repeat = KINDS},
    {.test = &computed_again_they_are_the_same, .repeat = KINDS},
    {.test = &gradients_add_up, .repeat = KINDS},
    {.test = &in_bfloat16_it_is_about_the_same, .repeat = KINDS},
    {.test = &dropout_is_of_training_alone, .repeat = KINDS},
    {.test = &only_adapters_are_pushed, .repeat = KINDS},
    {.test = &what_means_no_product_is_refused, .repeat = KINDS},
    {.test = &a_model_of_texts_has_them_beside_its_blocks},
    {.test = &other_models_have_no_adapters},
    {.test = &what_is_frozen_has_no_gradient, .repeat = KINDS},
    {.test = &what_makes_no_sense_is_not_frozen},
    {0},
};

int main(void)
{
    return ps_check_main("models/lora", tests);
}
