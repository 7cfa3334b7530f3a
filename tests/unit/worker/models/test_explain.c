/* Gradients of outputs by the input, and passes that begin at embeddings, against float64: outputs
 * are the reference's, gradients its finite differences. */
#include "tests/lib/check_main.h"
#include "tests/lib/ref64.h"
#include "tests/unit/worker/models/language_fixture.h"
#include "tests/unit/worker/models/mlp_fixture.h"

#include <math.h>
#include <string.h>

enum { POINTS = 7, VOCABULARY = 13, WIDTH = 8 };

/* ---- models of layers ---- */

enum { MLP_ROWS = 3, INPUTS = 6, OUTPUTS = 4 };
static const int64_t layers[] = {INPUTS, 9, 5, OUTPUTS}, one_layer[] = {INPUTS, OUTPUTS};
static const char *const activations[] = {"relu", "gelu", "tanh", "gelu_tanh", "silu"};
enum { ACTIVATIONS = 5, MLPS = ACTIVATIONS + 1 };

/* In no order, some twice, and more than the batch has rows. */
static const ps_model_point mlp_points[POINTS] = {{2, 0}, {0, 0}, {2, 0}, {1, 0},
                                                  {0, 0}, {2, 0}, {1, 0}};

typedef struct explained {
    mlp_fixture f;
    ps_model *model;
    float douts[POINTS * VOCABULARY];
    double outputs[MLP_ROWS * OUTPUTS];
} explained;

static void draw(ps_rng *rng, float *values, int n)
{
    for (int i = 0; i < n; i++)
        values[i] = (float)ps_rng_normal(rng);
}

static void mlp_open(explained *e, int kind)
{
    bool one = kind == ACTIVATIONS;
    ps_model_config config = {.architecture = "mlp",
                              .layers = one ? one_layer : layers,
                              .layer_count = one ? 2 : 4,
                              .activation = activations[kind % ACTIVATIONS],
                              .loss = kind % 2 ? "cross_entropy" : "squared_error"};
    fixture_open(&e->f, &config, MLP_ROWS, MLP_ROWS);
    ck_ok(ps_model_create(e->f.device.backend, &config,
                          &(ps_model_options){.max_batch = MLP_ROWS + 1, .explain = true},
                          &e->model));
    for (size_t i = 0; i < e->f.count; i++)
        ps_copy(ps_model_stream(e->model), ps_model_parameter(e->model, i),
                ps_model_parameter(e->f.model, i));
    e->f.ref.gradients = NULL;
    e->f.ref.outputs = e->outputs;
    draw(&e->f.device.rng, e->douts, POINTS * OUTPUTS);
}

static void mlp_close(explained *e)
{
    e->f.ref.gradients = e->f.gradients;
    ps_model_free(&e->model);
    fixture_close(&e->f);
}

/* Σ over the points of douts · outputs */
static double mlp_projected_cb(void *context)
{
    explained *e = context;
    double sum = 0;
    (void)ps_ref64_mlp_run(&e->f.ref, e->f.features64, MLP_ROWS, e->f.labels, NULL);
    for (int i = 0; i < POINTS; i++)
        for (int k = 0; k < OUTPUTS; k++)
            sum += (double)e->douts[i * OUTPUTS + k] * e->outputs[mlp_points[i].row * OUTPUTS + k];
    return sum;
}

START_TEST(outputs_and_input_gradients_of_layers_agree_with_float64)
{
    explained e;
    mlp_open(&e, _i);
    double slopes[MLP_ROWS * INPUTS];
    ps_ref64_differences(mlp_projected_cb, &e, e.f.features64, MLP_ROWS * INPUTS, slopes);
    ck_ok(ps_model_forward(e.model, &e.f.batch, NULL));
    for (int again = 0; again < 2; again++) { /* a pass back leaves forward's as it was */
        float out[POINTS * OUTPUTS];
        ck_ok(ps_model_outputs_at(e.model, mlp_points, POINTS, out));
        for (int i = 0; i < POINTS; i++)
            ck_assert_double_lt(
                ps_ref64_error(out + i * OUTPUTS, e.outputs + mlp_points[i].row * OUTPUTS, OUTPUTS),
                1e-5);
        ck_ok(ps_model_backward_at(e.model, mlp_points, POINTS, e.douts, NULL));
        ck_ok(ps_stream_sync(ps_model_stream(e.model)));
        ps_tensor got = ps_model_input_gradient(e.model);
        ck_assert_int_eq(got.shape[0], MLP_ROWS);
        ck_assert_double_lt(ps_test_error(&e.f.device, got, slopes), 1e-5);
    }
    mlp_close(&e);
}
END_TEST

/* The gradient of unit 2 of the first layer becomes zeros. */
static void zero_unit(void *user, ps_tap tap, ps_tensor dx, int64_t ld)
{
    if (tap.kind != PS_TAP_LAYER_PRE || tap.layer != 0)
        return;
    float rows[MLP_ROWS * 9];
    ck_assert_int_eq(ld, 9);
    ck_ok(ps_tap_read(user, dx, ld, rows));
    for (int r = 0; r < MLP_ROWS; r++)
        rows[r * 9 + 2] = 0;
    ck_ok(ps_tap_write(user, dx, ld, rows));
}

/* Then the features' gradient is as without that unit's weights. */
START_TEST(a_gradient_between_layers_can_be_replaced)
{
    explained e;
    mlp_open(&e, _i);
    ps_stream *s = ps_model_stream(e.model);
    const ps_model_hooks hooks = {.gradient_at = zero_unit, .user = s};
    ck_ok(ps_model_forward(e.model, &e.f.batch, NULL));
    ck_ok(ps_model_backward_at(e.model, mlp_points, POINTS, e.douts, &hooks));
    ck_ok(ps_stream_sync(s));
    float *got = ps_test_read(&e.f.device, ps_model_input_gradient(e.model));
    ps_tensor w = ps_model_parameter(e.model, 0);
    w.offset += 2 * INPUTS * sizeof(float);
    ps_op_fill(s, ps_tensor_head(w, 1), 0);
    ck_ok(ps_model_backward_at(e.model, mlp_points, POINTS, e.douts, NULL));
    ck_ok(ps_stream_sync(s));
    float *want = ps_test_read(&e.f.device, ps_model_input_gradient(e.model));
    for (int i = 0; i < MLP_ROWS * INPUTS; i++)
        ck_assert_double_eq_tol((double)got[i], (double)want[i], 1e-6);
    ps_free(&got);
    ps_free(&want);
    mlp_close(&e);
}
END_TEST

typedef struct first_layer {
    ps_stream *stream;
    float z[MLP_ROWS * 9];
    int inputs; /* how often the input was seen */
} first_layer;

static void keep_first(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    first_layer *f = user;
    f->inputs += tap.kind == PS_TAP_INPUT;
    if (tap.kind == PS_TAP_LAYER_PRE && tap.layer == 0)
        ck_ok(ps_tap_read(f->stream, x, ld, f->z));
}

/* What comes of it is what comes of the features, and the gradient by it, turned by the first
 * layer's weights, is theirs. */
START_TEST(a_pass_may_begin_with_what_the_first_layer_gives)
{
    explained e;
    mlp_open(&e, _i);
    first_layer first = {.stream = ps_model_stream(e.model)};
    const ps_model_hooks hooks = {.at = keep_first, .user = &first};
    float want[POINTS * OUTPUTS], got[POINTS * OUTPUTS];
    ck_ok(ps_model_forward(e.model, &e.f.batch, &hooks));
    ck_ok(ps_model_outputs_at(e.model, mlp_points, POINTS, want));
    ck_ok(ps_model_backward_at(e.model, mlp_points, POINTS, e.douts, NULL));
    ck_ok(ps_stream_sync(first.stream));
    float *slopes = ps_test_read(&e.f.device, ps_model_input_gradient(e.model));
    const ps_model_batch other = {.rows = 1, .features = e.f.batch.features};
    ck_ok(ps_model_forward(e.model, &other, NULL));
    const ps_model_batch begun = {.rows = MLP_ROWS, .first = first.z};
    ck_ok(ps_model_forward(e.model, &begun, &hooks));
    ck_assert_int_eq(first.inputs, 1);
    ck_ok(ps_model_outputs_at(e.model, mlp_points, POINTS, got));
    ck_assert_mem_eq(got, want, sizeof got);
    ck_ok(ps_model_backward_at(e.model, mlp_points, POINTS, e.douts, NULL));
    ck_ok(ps_stream_sync(first.stream));
    ps_tensor inner = ps_model_input_gradient(e.model);
    float *again = ps_test_read(&e.f.device, inner);
    float *w = ps_test_read(&e.f.device, ps_model_parameter(e.model, 0));
    int64_t units = inner.shape[1];
    ck_assert_int_eq(inner.shape[0], MLP_ROWS);
    for (int64_t i = 0; i < MLP_ROWS * INPUTS; i++) {
        double sum = 0;
        for (int64_t u = 0; u < units; u++)
            sum += (double)again[i / INPUTS * units + u] * (double)w[u * INPUTS + i % INPUTS];
        ck_assert_double_eq_tol(sum, (double)slopes[i], 1e-5);
    }
    ps_free(&w);
    ps_free(&slopes);
    ps_free(&again);
    mlp_close(&e);
}
END_TEST

/* ---- language models ---- */

static const ps_model_point points[POINTS] = {{1, 4}, {0, 0}, {0, 3}, {1, 4},
                                              {1, 0}, {0, 4}, {1, 2}};

typedef struct spoken {
    language_fixture f;
    ps_model *model;
    double embeddings[TOKENS * WIDTH], logits[TOKENS * VOCABULARY];
    float given[TOKENS * WIDTH]; /* the same */
    float douts[POINTS * VOCABULARY];
} spoken;

static void spoken_open(spoken *s, int kind)
{
    language_open(&s->f, kind);
    s->model = language_create(&s->f, (ps_model_options){.explain = true, .max_batch = ROWS + 1});
    language_load(&s->f, s->model);
    draw(&s->f.device.rng, s->douts, POINTS * VOCABULARY);
    draw(&s->f.device.rng, s->given, TOKENS * WIDTH);
    for (int i = 0; i < TOKENS * WIDTH; i++)
        s->embeddings[i] = (double)s->given[i];
    s->f.batch.train = false;
}

static void spoken_close(spoken *s)
{
    ps_model_free(&s->model);
    language_close(&s->f);
}

static double spoken_projected_cb(void *context)
{
    spoken *s = context;
    ps_ref64_language ref = language_reference(&s->f);
    double sum = 0;
    ref.embeddings = s->embeddings;
    (void)ps_ref64_language_loss(&ref, s->f.tokens, s->f.labels, ROWS, LENGTH, s->logits);
    for (int i = 0; i < POINTS; i++)
        for (int k = 0; k < VOCABULARY; k++)
            sum += (double)s->douts[i * VOCABULARY + k] *
                   s->logits[(points[i].row * LENGTH + points[i].position) * VOCABULARY + k];
    return sum;
}

static ps_model_batch of_embeddings(const spoken *s)
{
    ps_model_batch batch = s->f.batch;
    batch.tokens = NULL;
    batch.embeddings = s->given;
    return batch;
}

static void check_logits(spoken *s)
{
    float out[POINTS * VOCABULARY];
    ck_ok(ps_model_outputs_at(s->model, points, POINTS, out));
    for (int i = 0; i < POINTS; i++) {
        const double *want = s->logits + (points[i].row * LENGTH + points[i].position) * VOCABULARY;
        ck_assert_double_lt(ps_ref64_error(out + i * VOCABULARY, want, VOCABULARY), 1e-5);
    }
}

START_TEST(outputs_and_gradients_by_embeddings_agree_with_float64)
{
    spoken s;
    spoken_open(&s, _i);
    double slopes[TOKENS * WIDTH];
    ps_ref64_differences(spoken_projected_cb, &s, s.embeddings, TOKENS * WIDTH, slopes);
    ps_model_batch batch = of_embeddings(&s);
    ck_ok(ps_model_forward(s.model, &batch, NULL));
    (void)spoken_projected_cb(&s);
    for (int again = 0; again < 2; again++) {
        check_logits(&s);
        ck_ok(ps_model_backward_at(s.model, points, POINTS, s.douts, NULL));
        ck_ok(ps_stream_sync(ps_model_stream(s.model)));
        ps_tensor got = ps_model_input_gradient(s.model);
        ck_assert_int_eq(got.shape[0], TOKENS);
        ck_assert_int_eq(got.shape[1], WIDTH);
        ck_assert_double_lt(ps_test_error(&s.f.device, got, slopes), 2e-5);
    }
    spoken_close(&s);
}
END_TEST

START_TEST(tokens_and_their_embeddings_are_the_same_input)
{
    spoken s;
    spoken_open(&s, _i);
    float of_tokens[POINTS * VOCABULARY], again[POINTS * VOCABULARY];
    ck_ok(ps_model_forward(s.model, &s.f.batch, NULL));
    ck_ok(ps_model_embed(s.model, s.f.tokens, TOKENS, s.given));
    ck_ok(ps_model_outputs_at(s.model, points, POINTS, of_tokens));
    ps_model_batch batch = of_embeddings(&s);
    ck_ok(ps_model_forward(s.model, &batch, NULL));
    ck_ok(ps_model_outputs_at(s.model, points, POINTS, again));
    ck_assert_mem_eq(of_tokens, again, sizeof again);
    ck_assert_int_eq(ps_model_embed(s.model, &(int32_t){VOCABULARY}, 1, s.given),
                     PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "token 13 at 0, the vocabulary has 13");
    spoken_close(&s);
}
END_TEST

/* A head's weights do not fit where logits are made, and are made some queries at a time: they are
 * as with room for all. */
START_TEST(weights_of_attention_are_the_same_in_parts)
{
    enum { LONG = 64, HEADS = 4 };
    language_fixture f;
    ps_model_config config = language_config(_i);
    config.language.context_length = LONG;
    language_open_of(&f, config);
    int32_t tokens[LONG];
    for (int i = 0; i < LONG; i++)
        tokens[i] = i * i % VOCABULARY;
    ps_model_batch batch = {.rows = 1, .tokens = tokens, .length = LONG};
    float *p[2];
    for (int i = 0; i < 2; i++) {
        ps_model *model =
            language_create(&f, (ps_model_options){.explain = true, .max_batch = i ? 8 : 1});
        language_load(&f, model);
        p[i] = ps_alloc_array(HEADS * LONG * LONG, sizeof(float));
        ck_ok(ps_model_forward(model, &batch, NULL));
        ck_ok(ps_model_attention(model, 1, 0, p[i]));
        ps_model_free(&model);
    }
    for (int row = 0; row < HEADS * LONG; row++) {
        double sum = 0;
        for (int key = 0; key < LONG; key++) {
            double part = (double)p[0][row * LONG + key];
            ck_assert_double_eq_tol(part, (double)p[1][row * LONG + key], 1e-6);
            ck_assert(key <= row % LONG || part == 0);
            sum += part;
        }
        ck_assert_double_eq_tol(sum, 1, 1e-5);
    }
    ps_free(&p[0]);
    ps_free(&p[1]);
    language_close(&f);
}
END_TEST

/* The loss is there as for inference; what it leaves is no obstacle to a pass back. */
START_TEST(the_loss_is_the_plain_models_and_memory_less)
{
    spoken s;
    spoken_open(&s, _i);
    ps_model_result plain, result;
    ck_ok(ps_model_forward(s.f.model, &s.f.batch, NULL));
    ck_ok(ps_model_loss(s.f.model, &s.f.batch));
    ck_ok(ps_model_result_get(s.f.model, &plain));
    ck_ok(ps_model_forward(s.model, &s.f.batch, NULL));
    ck_ok(ps_model_loss(s.model, &s.f.batch));
    ck_ok(ps_model_result_get(s.model, &result));
    ck_assert_double_eq(result.loss, plain.loss);
    ck_ok(ps_model_backward_at(s.model, points, POINTS, s.douts, NULL));
    ps_model *trained = language_create(&s.f, (ps_model_options){.max_batch = 1, .max_length = 1});
    ps_model *small =
        language_create(&s.f, (ps_model_options){.max_batch = 1, .max_length = 1, .explain = true});
    ck_assert_uint_lt(ps_model_memory(small), ps_model_memory(trained));
    ps_model_free(&trained);
    ps_model_free(&small);
    spoken_close(&s);
}
END_TEST

/* A failure of the device is told where the host waits. */
START_TEST(what_the_device_reports_reaches_the_caller)
{
    spoken s;
    spoken_open(&s, 1);
    float out[POINTS * VOCABULARY], weights[4 * LENGTH * LENGTH];
    ck_ok(ps_model_forward(s.model, &s.f.batch, NULL));
    ps_stream_fail(ps_model_stream(s.model), ps_fail(PS_IO, "device lost"));
    ck_assert_int_eq(ps_model_outputs_at(s.model, points, POINTS, out), PS_IO);
    ck_assert_int_eq(ps_model_backward_at(s.model, points, POINTS, s.douts, NULL), PS_IO);
    ck_assert_int_eq(ps_model_attention(s.model, 0, 0, weights), PS_IO);
    ck_assert_int_eq(ps_model_embed(s.model, s.f.tokens, TOKENS, s.given), PS_IO);
    ck_assert_str_eq(ps_error_message(), "device lost");
    spoken_close(&s);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &outputs_and_input_gradients_of_layers_agree_with_float64, .repeat = MLPS},
    {.test = &a_gradient_between_layers_can_be_replaced, .repeat = ACTIVATIONS},
    {.test = &a_pass_may_begin_with_what_the_first_layer_gives, .repeat = ACTIVATIONS},
    {.test = &outputs_and_gradients_by_embeddings_agree_with_float64, .repeat = KINDS},
    {.test = &tokens_and_their_embeddings_are_the_same_input, .repeat = KINDS},
    {.test = &weights_of_attention_are_the_same_in_parts, .repeat = 2},
    {.test = &the_loss_is_the_plain_models_and_memory_less, .repeat = KINDS},
    {.test = &what_the_device_reports_reaches_the_caller},
    {0},
};

int main(void)
{
    return ps_check_main("models/explain", tests);
}
