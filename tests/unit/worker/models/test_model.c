/* What the table of models says of a configuration, and batches that do not fit. */
#include "worker/models/model.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/fault.h"

#include <math.h>
#include <string.h>

static const int64_t layers[] = {784, 512, 256, 10};
static const ps_model_config fashion = {.architecture = "mlp", .layers = layers, .layer_count = 4};

START_TEST(an_mlp_lists_its_parameters_as_pytorch_would)
{
    ps_model_layout l;
    ck_ok(ps_model_describe(&fashion, &l));
    static const char *const names[] = {"layers.0.weight", "layers.0.bias",   "layers.1.weight",
                                        "layers.1.bias",   "layers.2.weight", "layers.2.bias"};
    static const int64_t shapes[][2] = {{512, 784}, {512, 0},  {256, 512},
                                        {256, 0},   {10, 256}, {10, 0}};
    static const double inputs[] = {784, 784, 512, 512, 256, 256};
    ck_assert_uint_eq(l.count, 6);
    for (int i = 0; i < 6; i++) {
        const ps_model_parameter_spec *p = &l.parameters[i];
        ck_assert_str_eq(p->name, names[i]);
        ck_assert_int_eq(p->rank, 2 - i % 2);
        ck_assert_int_eq(p->shape[0], shapes[i][0]);
        ck_assert_int_eq(p->shape[1], shapes[i][1]);
        ck_assert_int_eq(p->init, PS_INIT_UNIFORM);
        ck_assert_int_eq(p->role, i % 2 ? PS_ROLE_BIAS : PS_ROLE_MATRIX);
        ck_assert_double_eq_tol((double)p->scale, 1 / sqrt(inputs[i]), 1e-7);
    }
    ps_model_layout_free(&l);
    ck_assert_ptr_null(l.parameters);
}
END_TEST

/* By their names: each parameter of the language models is what it is called. */
START_TEST(a_language_model_says_what_its_parameters_are)
{
    static const char *const architectures[] = {"gpt2", "llama", "bert"};
    static const size_t counts[][4] = {
        [0] = {[PS_ROLE_MATRIX] = 8,
               [PS_ROLE_EMBEDDING] = 2,
               [PS_ROLE_NORM] = 10,
               [PS_ROLE_BIAS] = 8},
        [1] = {[PS_ROLE_MATRIX] = 15, [PS_ROLE_EMBEDDING] = 1, [PS_ROLE_NORM] = 5},
        [2] = {[PS_ROLE_MATRIX] = 12,
               [PS_ROLE_EMBEDDING] = 3,
               [PS_ROLE_NORM] = 10,
               [PS_ROLE_BIAS] = 12},
    };
    for (size_t a = 0; a < 3; a++) {
        ps_model_config config = {.architecture = architectures[a],
                                  .language = {.vocab_size = 11,
                                               .context_length = 8,
                                               .hidden_size = 8,
                                               .num_layers = 2,
                                               .num_heads = 2,
                                               .num_kv_heads = 2,
                                               .intermediate_size = 12,
                                               .rope = {.theta = 1e4},
                                               .norm_epsilon = 1e-5,
                                               .choices = {.type_vocab_size = 2},
                                               .tie_embeddings = !a}};
        ps_model_layout l;
        size_t seen[4] = {0};
        ck_assert_msg(ps_model_describe(&config, &l) == PS_OK, "%s", ps_error_message());
        for (size_t i = 0; i < l.count; i++) {
            const char *name = l.parameters[i].name;
            bool norm = strstr(name, "norm") || strstr(name, "ln_") || strstr(name, "LayerNorm");
            bool table = strstr(name, "wte") || strstr(name, "wpe") ||
                         strstr(name, "embed_tokens") || strstr(name, "_embeddings");
            ps_parameter_role role = norm                    ? PS_ROLE_NORM
                                     : table                 ? PS_ROLE_EMBEDDING
                                     : strstr(name, ".bias") ? PS_ROLE_BIAS
                                                             : PS_ROLE_MATRIX;
            ck_assert_msg(l.parameters[i].role == role, "%s", name);
            ck_assert_int_eq(l.parameters[i].rank, role < PS_ROLE_BIAS ? 2 : 1);
            seen[role]++;
        }
        ck_assert_mem_eq(seen, counts[a], sizeof seen);
        ps_model_layout_free(&l);
    }
}
END_TEST

typedef struct bad_config {
    ps_model_config config;
    const char *message;
} bad_config;

static const int64_t one[] = {784}, zero[] = {784, 0, 10}, negative[] = {-1, 10},
                     huge[] = {784, INT64_MAX, 10}, wide[] = {1 << 22, 1 << 22}, single[] = {4, 1};
#define MLP(sizes) \
    .architecture = "mlp", .layers = sizes, .layer_count = sizeof sizes / sizeof *sizes
static const bad_config bad_configs[] = {
    {{.architecture = "rnn"}, "architecture: rnn is unknown, there are mlp, cnn, "},
    {{.architecture = NULL}, "architecture: (none) is unknown, there are mlp, cnn, "},
    {{MLP(one)}, "layers: 1 sizes, an mlp has 2 (input, output) to 256"},
    {{.architecture = "mlp"}, "layers: 0 sizes, an mlp has 2 (input, output) to 256"},
    {{MLP(zero)}, "layers[1]: 0, allowed are 1 to 16777216"},
    {{MLP(negative)}, "layers[0]: -1, allowed are 1 to 16777216"},
    {{MLP(huge)}, "layers[1]: 9223372036854775807, allowed are 1 to 16777216"},
    {{MLP(wide)}, "layers[1]: a weight of 4194304 × 4194304, at most 1099511627776 elements"},
    {{MLP(layers), .activation = "swish"},
     "activation: swish is unknown, there are relu, gelu, tanh, gelu_tanh, silu"},
    {{MLP(layers), .loss = "hinge"},
     "loss: hinge is unknown, there are cross_entropy, squared_error"},
    {{MLP(single)}, "loss: cross_entropy needs a last layer of at least 2, not 1"},
};
#define BAD_CONFIGS (int)(sizeof bad_configs / sizeof *bad_configs)

START_TEST(a_bad_configuration_gets_one_clear_line)
{
    ps_model_layout l = {0};
    ck_assert_int_eq(ps_model_describe(&bad_configs[_i].config, &l), PS_INVALID_ARGUMENT);
    ck_assert_ptr_eq(strstr(ps_error_message(), bad_configs[_i].message), ps_error_message());
    ck_assert_ptr_null(l.parameters);

    ps_test_device d;
    ps_test_device_open(&d, "cpu");
    ps_model *m = NULL;
    ck_assert_int_eq(ps_model_create(d.backend, &bad_configs[_i].config,
                                     &(ps_model_options){.max_batch = 4}, &m),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(m);
    ps_test_device_close(&d);
}
END_TEST

START_TEST(memory_that_is_not_there_is_an_error_wherever_it_is_missing)
{
    ps_test_device d;
    ps_test_device_open(&d, "cpu");
    ps_model *m = NULL;
    unsigned long k = 1;
    for (;; k++) {
        fault_memory(k);
        ps_status st = ps_model_create(d.backend, &fashion,
                                       &(ps_model_options){.max_batch = 4, .explain = _i}, &m);
        fault_memory(0);
        if (!st)
            break;
        ck_assert_int_eq(st, PS_NO_MEMORY);
        ck_assert_ptr_null(m);
    }
    ck_assert_uint_gt(k, 3);
    ps_model_free(&m);
    ck_assert_ptr_null(m);
    ps_test_device_close(&d);
}
END_TEST

static void open_model(ps_test_device *d, ps_model **m, bool inference)
{
    static const int64_t sizes[] = {3, 4, 2};
    ps_model_config config = {MLP(sizes)};
    ps_test_device_open(d, "cpu");
    ck_ok(ps_model_create(d->backend, &config,
                          &(ps_model_options){.max_batch = 5, .inference = inference}, m));
}

START_TEST(parameters_are_found_by_name)
{
    ps_test_device d;
    ps_model *m = NULL;
    open_model(&d, &m, false);
    size_t i = 9;
    ck_ok(ps_model_find(m, "layers.1.weight", &i));
    ck_assert_uint_eq(i, 2);
    ps_tensor t = ps_model_parameter(m, i);
    ck_assert_int_eq(t.shape[0], 2);
    ck_assert_int_eq(t.shape[1], 4);
    ck_assert_int_eq(ps_model_find(m, "layers.2.weight", &i), PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "the model has no parameter layers.2.weight");
    ck_assert_int_eq(ps_model_inputs(m), 3);
    ck_assert_int_eq(ps_model_outputs(m), 2);
    ps_model_free(&m);
    ps_test_device_close(&d);
}
END_TEST

START_TEST(no_two_parameters_or_gradients_share_memory)
{
    ps_test_device d;
    ps_model *m = NULL;
    open_model(&d, &m, false);
    size_t n = ps_model_parameters(m)->count;
    for (size_t i = 0; i < n; i++) {
        ps_op_fill(d.stream, ps_model_parameter(m, i), (float)i + 1);
        ps_op_fill(d.stream, ps_model_gradient(m, i), -(float)i - 1);
    }
    for (size_t i = 0; i < n; i++) {
        ps_tensor p = ps_model_parameter(m, i), g = ps_model_gradient(m, i);
        const float *a = ps_tensor_host(d.backend, p), *b = ps_tensor_host(d.backend, g);
        for (int64_t j = 0; j < ps_tensor_count(p); j++)
            ck_assert(a[j] == (float)i + 1 && b[j] == -(float)i - 1);
    }
    ps_model_free(&m);
    ps_test_device_close(&d);
}
END_TEST

START_TEST(a_batch_that_does_not_fit_is_refused_and_the_next_one_works)
{
    ps_test_device d;
    ps_model *m = NULL;
    open_model(&d, &m, false);
    static const float x[15] = {1};
    static const int32_t bad[5] = {0, 1, 2, 0, 0}, good[5] = {0, 1, 1, 0, 0};
    ps_model_batch batch = {.rows = 6, .features = x, .labels = good};
    ck_assert_int_eq(ps_model_forward(m, &batch, NULL), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "batch of 6 rows, the model was made for 1 to 5");
    batch.rows = 0;
    ck_assert_int_eq(ps_model_forward(m, &batch, NULL), PS_INVALID_ARGUMENT);
    batch = (ps_model_batch){.rows = 5, .labels = good};
    ck_assert_int_eq(ps_model_forward(m, &batch, NULL), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "batch without features");

    batch = (ps_model_batch){.rows = 5, .features = x, .labels = bad};
    ck_ok(ps_model_forward(m, &batch, NULL));
    ck_assert_int_eq(ps_model_loss(m, &batch), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "label 2 in row 2"));
    batch.labels = good;
    ps_model_result result;
    ck_ok(ps_model_loss(m, &batch));
    ck_ok(ps_model_backward(m, NULL));
    ck_ok(ps_model_result_get(m, &result));
    /* all parameters are zero: both classes are as likely, and the first counts as the guess */
    ck_assert_double_eq_tol(result.loss, log(2), 1e-6);
    ck_assert_int_eq(result.correct, 3);
    ps_model_free(&m);
    ps_test_device_close(&d);
}
END_TEST

START_TEST(a_model_for_inference_takes_less_memory_and_says_its_loss)
{
    ps_test_device d;
    ps_model *m = NULL, *trained = NULL;
    open_model(&d, &m, true);
    static const int64_t sizes[] = {3, 4, 2};
    ps_model_config config = {MLP(sizes)};
    ck_ok(ps_model_create(d.backend, &config, &(ps_model_options){.max_batch = 5}, &trained));
    ck_assert_uint_lt(ps_model_memory(m), ps_model_memory(trained));
    ps_model_free(&trained);

    static const float x[15] = {1};
    static const int32_t labels[5] = {0, 1, 1, 1, 1};
    ps_model_batch batch = {.rows = 5, .features = x, .labels = labels};
    ps_model_result result;
    ck_ok(ps_model_forward(m, &batch, NULL));
    ck_ok(ps_model_loss(m, &batch));
    ck_ok(ps_model_result_get(m, &result));
    ck_assert_double_eq_tol(result.loss, log(2), 1e-6);
    ck_assert_int_eq(result.correct, 1);
    ps_model_free(&m);
    ps_test_device_close(&d);
}
END_TEST

START_TEST(what_the_device_reports_reaches_the_caller)
{
    ps_test_device d;
    ps_model *m = NULL;
    open_model(&d, &m, false);
    static const float x[15] = {1};
    static const int32_t labels[5] = {0};
    ps_model_batch batch = {.rows = 5, .features = x, .labels = labels};
    float out[10];
    ps_model_result result;
    ps_stream_fail(ps_model_stream(m), ps_fail(PS_IO, "device lost"));
    ck_ok(ps_model_forward(m, &batch, NULL)); /* only enqueued */
    ck_ok(ps_model_loss(m, &batch));
    ck_assert_int_eq(ps_model_result_get(m, &result), PS_IO);
    ck_assert_int_eq(ps_model_predict(m, &batch, NULL, out), PS_IO);
    ck_assert_str_eq(ps_error_message(), "device lost");
    ps_model_free(&m);
    ps_test_device_close(&d);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &an_mlp_lists_its_parameters_as_pytorch_would},
    {.test = &a_language_model_says_what_its_parameters_are},
    {.test = &a_bad_configuration_gets_one_clear_line, .repeat = BAD_CONFIGS},
    {.test = &memory_that_is_not_there_is_an_error_wherever_it_is_missing, .repeat = 2},
    {.test = &parameters_are_found_by_name},
    {.test = &no_two_parameters_or_gradients_share_memory},
    {.test = &a_batch_that_does_not_fit_is_refused_and_the_next_one_works},
    {.test = &a_model_for_inference_takes_less_memory_and_says_its_loss},
    {.test = &what_the_device_reports_reaches_the_caller},
    {0},
};

int main(void)
{
    return ps_check_main("models/model", tests);
}
