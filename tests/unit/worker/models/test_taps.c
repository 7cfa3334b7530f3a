/* What a hook sees at each point of a pass, and its gradient, against PyTorch in float64
 * (tests/golden/make_taps.py); and what becomes of a pass whose values a hook replaces. */
#include "tests/lib/check_main.h"
#include "tests/unit/worker/models/golden_fixture.h"

#include <math.h>

#define TOLERANCE 2e-5
enum { LENGTH = 5, POSITION = 3, LOGIT = 17, VOCABULARY = 61, WIDTH = 16, HEADS = 4, LAYERS = 2 };

static const char *const kinds[] = {"gpt2", "llama"};

typedef struct fixture {
    ps_test_device device;
    golden_file parameters, golden;
    ps_model *model;
    ps_model_batch batch;
    ps_model_point point;
    float douts[VOCABULARY]; /* of one logit */
} fixture;

static void open_fixture(fixture *f, int kind)
{
    *f = (fixture){.point = {.position = POSITION}, .douts = {[LOGIT] = 1}};
    ps_test_device_open(&f->device, ps_test_backend());
    golden_open(&f->parameters, "", kinds[kind]);
    golden_open(&f->golden, "taps_", kinds[kind]);
    f->model = golden_model(&f->parameters, &f->device, kinds[kind],
                            (ps_model_options){.max_batch = 3, .explain = true});
    f->batch = (ps_model_batch){
        .rows = 1, .length = LENGTH, .tokens = golden_get(&f->parameters, "", "tokens")};
}

static void close_fixture(fixture *f)
{
    ps_model_free(&f->model);
    golden_close(&f->golden);
    golden_close(&f->parameters);
    ps_test_device_close(&f->device);
}

/* ---- what is seen ---- */

typedef struct seen {
    fixture *f;
    const char *what; /* "value/", "gradient/" */
    int calls, last;
    bool back;
} seen;

static void compare(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    seen *s = user;
    char name[PS_TAP_NAME];
    ck_assert_int_eq(x.shape[0], LENGTH);
    ck_assert_int_eq(x.shape[1], ps_model_tap_columns(s->f->model, tap));
    float *got = ps_alloc_array((size_t)ps_tensor_count(x), sizeof *got);
    ck_ok(ps_tap_read(ps_model_stream(s->f->model), x, ld, got));
    const float *want = golden_get(&s->f->golden, s->what, ps_tap_name(tap, name));
    double e = 0, largest = 1e-6;
    for (int64_t i = 0; i < ps_tensor_count(x); i++) {
        e = fmax(e, fabs((double)got[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    ck_assert_msg(e < TOLERANCE * largest, "%s%s: off by %g of %g", s->what, name, e, largest);
    int order = (int)tap.layer * PS_TAP_KINDS + (int)tap.kind;
    if (tap.kind == PS_TAP_LN_FINAL)
        order += LAYERS * PS_TAP_KINDS;
    ck_assert(s->back ? order < s->last : order > s->last);
    s->last = order;
    s->calls++;
    ps_free(&got);
}

/* Of one kind each a layer, and those that are there once. */
static int points_of(const ps_model *model)
{
    int count = 0;
    for (int kind = 0; kind < PS_TAP_KINDS; kind++)
        for (int64_t layer = 0; layer <= LAYERS; layer++)
            count += ps_model_tap_columns(model, (ps_tap){(ps_tap_kind)kind, layer}) > 0;
    return count;
}

START_TEST(values_and_gradients_of_all_points_are_pytorchs)
{
    fixture f;
    open_fixture(&f, _i);
    seen value = {.f = &f, .what = "value/", .last = -1};
    seen gradient = {.f = &f, .what = "gradient/", .last = 1000, .back = true};
    ck_ok(ps_model_forward(f.model, &f.batch, &(ps_model_hooks){.at = compare, .user = &value}));
    ck_ok(ps_model_backward_at(f.model, &f.point, 1, f.douts,
                               &(ps_model_hooks){.gradient_at = compare, .user = &gradient}));
    ck_assert_int_eq(value.calls, points_of(f.model));
    ck_assert_int_eq(gradient.calls, value.calls);
    ck_ok(ps_stream_sync(ps_model_stream(f.model)));
    ck_assert_double_lt(golden_error(&f.device, ps_model_input_gradient(f.model),
                                     golden_get(&f.golden, "gradient/", "hook_embed")),
                        TOLERANCE);
    float logits[VOCABULARY];
    ck_ok(ps_model_outputs_at(f.model, &f.point, 1, logits));
    const float *want = golden_get(&f.golden, "", "logits");
    for (int i = 0; i < VOCABULARY; i++)
        ck_assert_double_eq_tol((double)logits[i], (double)want[POSITION * VOCABULARY + i], 1e-4);
    close_fixture(&f);
}
END_TEST

/* Rows of the batch have their own; what is asked for one does not depend on the others. */
START_TEST(weights_of_attention_are_pytorchs_and_add_up_to_1)
{
    fixture f;
    open_fixture(&f, _i);
    int32_t tokens[2 * LENGTH] = {1, 2, 3, 4, 5};
    float got[HEADS][LENGTH][LENGTH];
    char name[PS_TAP_NAME];
    memcpy(tokens + LENGTH, f.batch.tokens, LENGTH * sizeof *tokens);
    f.batch.tokens = tokens;
    f.batch.rows = 2;
    ck_ok(ps_model_forward(f.model, &f.batch, NULL));
    for (int64_t layer = 0; layer < LAYERS; layer++) {
        ck_ok(ps_model_attention(f.model, layer, 1, &got[0][0][0]));
        const float *want =
            golden_get(&f.golden, "value/", ps_tap_name((ps_tap){PS_TAP_PATTERN, layer}, name));
        for (int row = 0; row < HEADS * LENGTH; row++) {
            double sum = 0;
            for (int key = 0; key < LENGTH; key++) {
                double p = (double)got[row / LENGTH][row % LENGTH][key];
                ck_assert_double_eq_tol(p, (double)want[row * LENGTH + key], 1e-6);
                sum += p;
            }
            ck_assert_double_eq_tol(sum, 1, 1e-6);
        }
    }
    ck_assert_int_eq(ps_model_attention(f.model, LAYERS, 0, &got[0][0][0]), PS_INVALID_ARGUMENT);
    close_fixture(&f);
}
END_TEST

/* More vectors than the head takes at once, of no pass; the pass before stays as it was. */
START_TEST(vectors_of_the_stream_are_read_out_as_a_pass_reads_its_last)
{
    fixture f;
    open_fixture(&f, _i);
    float of_pass[VOCABULARY], again[VOCABULARY], got[LENGTH * VOCABULARY];
    const float *x = golden_get(&f.golden, "value/", "blocks.1.hook_resid_post");
    const float *want = golden_get(&f.golden, "", "logits");
    ck_ok(ps_model_forward(f.model, &f.batch, NULL));
    ck_ok(ps_model_outputs_at(f.model, &f.point, 1, of_pass));
    ck_ok(ps_model_read_out(f.model, x, LENGTH, got));
    for (int i = 0; i < LENGTH * VOCABULARY; i++)
        ck_assert_double_eq_tol((double)got[i], (double)want[i], 1e-5);
    ck_ok(ps_model_outputs_at(f.model, &f.point, 1, again));
    ck_assert_mem_eq(of_pass, again, sizeof again);
    ck_ok(ps_model_backward_at(f.model, &f.point, 1, f.douts, NULL));
    ck_ok(ps_stream_sync(ps_model_stream(f.model)));
    ck_assert_double_lt(golden_error(&f.device, ps_model_input_gradient(f.model),
                                     golden_get(&f.golden, "gradient/", "hook_embed")),
                        TOLERANCE);
    close_fixture(&f);
}
END_TEST

START_TEST(each_matrix_names_the_point_before_its_product)
{
    fixture f;
    open_fixture(&f, _i);
    static const char *const names[][3] = {
        {"wte.weight", "model.embed_tokens.weight", NULL},
        {"h.1.attn.c_attn.weight", "model.layers.1.self_attn.v_proj.weight",
         "blocks.1.ln1.hook_normalized"},
        {"h.1.attn.c_proj.weight", "model.layers.1.self_attn.o_proj.weight",
         "blocks.1.attn.hook_z"},
        {"h.0.mlp.c_fc.weight", "model.layers.0.mlp.gate_proj.weight",
         "blocks.0.ln2.hook_normalized"},
        {"h.0.mlp.c_proj.weight", "model.layers.0.mlp.down_proj.weight", "blocks.0.mlp.hook_post"},
        {"h.0.ln_1.weight", "model.norm.weight", NULL}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t weight;
        ps_tap tap;
        char name[PS_TAP_NAME];
        ck_ok(ps_model_find(f.model, names[i][_i], &weight));
        /* gpt2's head is the table of its tokens */
        const char *want = i == 0 && _i == 0 ? "ln_final.hook_normalized" : names[i][2];
        ck_assert_int_eq(ps_model_tap_before(f.model, weight, &tap),
                         want ? PS_OK : PS_INVALID_ARGUMENT);
        if (want)
            ck_assert_str_eq(ps_tap_name(tap, name), want);
    }
    close_fixture(&f);
}
END_TEST

typedef struct copied {
    ps_stream *stream;
    float *rows; /* all points, one behind the other */
    size_t used;
    int64_t first; /* token from which on rows are taken */
} copied;

static void copy(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    (void)tap;
    copied *c = user;
    float *all = ps_alloc_array((size_t)ps_tensor_count(x), sizeof *all);
    ck_ok(ps_tap_read(c->stream, x, ld, all));
    size_t n = (size_t)(LENGTH * x.shape[1]);
    memcpy(c->rows + c->used, all + c->first * x.shape[1], n * sizeof *all);
    c->used += n;
    ps_free(&all);
}

START_TEST(a_row_of_a_batch_is_as_it_is_alone)
{
    fixture f;
    open_fixture(&f, _i);
    enum { MOST = 40 * LENGTH * 64 };
    int32_t tokens[3 * LENGTH];
    for (int i = 0; i < 3 * LENGTH; i++)
        tokens[i] = i * 11 % VOCABULARY;
    copied batch = {.stream = ps_model_stream(f.model), .first = 2 * LENGTH}, alone = batch;
    batch.rows = ps_alloc_array(MOST, sizeof(float));
    alone.rows = ps_alloc_array(MOST, sizeof(float));
    alone.first = 0;
    f.batch.rows = 3;
    f.batch.tokens = tokens;
    ck_ok(ps_model_forward(f.model, &f.batch, &(ps_model_hooks){.at = copy, .user = &batch}));
    f.batch.rows = 1;
    f.batch.tokens = tokens + 2 * LENGTH;
    ck_ok(ps_model_forward(f.model, &f.batch, &(ps_model_hooks){.at = copy, .user = &alone}));
    ck_assert_uint_eq(batch.used, alone.used);
    ck_assert_uint_gt(batch.used, 1000);
    for (size_t i = 0; i < batch.used; i++)
        ck_assert_double_eq_tol((double)batch.rows[i], (double)alone.rows[i], 1e-5);
    ps_free(&batch.rows);
    ps_free(&alone.rows);
    close_fixture(&f);
}
END_TEST

/* ---- what is replaced ---- */

typedef struct replacing {
    ps_stream *stream;
    ps_tap tap;
    int head; /* of z, which becomes zeros */
} replacing;

static void zero_head(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    const replacing *r = user;
    if (!ps_tap_equal(tap, r->tap))
        return;
    float rows[LENGTH * WIDTH];
    ck_ok(ps_tap_read(r->stream, x, ld, rows));
    for (int t = 0; t < LENGTH; t++)
        for (int i = 0; i < WIDTH / HEADS; i++)
            rows[t * WIDTH + r->head * (WIDTH / HEADS) + i] = 0;
    ck_ok(ps_tap_write(r->stream, x, ld, rows));
}

/* What is multiplied with a head's z: of gpt2 rows of c_proj [in,out], else columns of o_proj. */
static void zero_weights(fixture *f, int kind, int head)
{
    size_t i;
    const char *name = kind ? "model.layers.1.self_attn.o_proj.weight" : "h.1.attn.c_proj.weight";
    ck_ok(ps_model_find(f->model, name, &i));
    float *w = ps_test_read(&f->device, ps_model_parameter(f->model, i));
    for (int j = 0; j < WIDTH; j++)
        for (int k = head * WIDTH / HEADS; k < (head + 1) * WIDTH / HEADS; k++)
            w[kind ? j * WIDTH + k : k * WIDTH + j] = 0;
    ps_tensor t = ps_model_parameter(f->model, i);
    ps_copy_to_device(f->device.stream, t, w, ps_tensor_bytes(t));
    ck_ok(ps_stream_sync(f->device.stream));
    ps_free(&w);
}

static float *explain(fixture *f, const ps_model_hooks *hooks, float logits[VOCABULARY])
{
    ck_ok(ps_model_forward(f->model, &f->batch, hooks));
    ck_ok(ps_model_outputs_at(f->model, &f->point, 1, logits));
    ck_ok(ps_model_backward_at(f->model, &f->point, 1, f->douts, hooks));
    ck_ok(ps_stream_sync(ps_model_stream(f->model)));
    return ps_test_read(&f->device, ps_model_input_gradient(f->model));
}

START_TEST(a_head_without_output_is_one_without_weights)
{
    fixture f;
    open_fixture(&f, _i);
    replacing r = {.stream = ps_model_stream(f.model), .tap = {PS_TAP_Z, 1}, .head = 2};
    const ps_model_hooks hooks = {.at = zero_head, .gradient_at = zero_head, .user = &r};
    float whole[VOCABULARY], replaced[VOCABULARY], weightless[VOCABULARY];
    float *before = explain(&f, NULL, whole), *got = explain(&f, &hooks, replaced);
    zero_weights(&f, _i, r.head);
    float *want = explain(&f, NULL, weightless);
    ck_assert_double_gt(fabs((double)(whole[LOGIT] - replaced[LOGIT])), 1e-3);
    for (int i = 0; i < VOCABULARY; i++)
        ck_assert_double_eq_tol((double)replaced[i], (double)weightless[i], 1e-5);
    double changed = 0;
    for (int i = 0; i < LENGTH * WIDTH; i++) {
        ck_assert_double_eq_tol((double)got[i], (double)want[i], 1e-5);
        changed = fmax(changed, fabs((double)(got[i] - before[i])));
    }
    ck_assert_double_gt(changed, 1e-3);
    ps_free(&before);
    ps_free(&got);
    ps_free(&want);
    close_fixture(&f);
}
END_TEST

/* A step along each number, of all that a hook can see, changes the logit by its gradient,
 * but for what is of second order: what is written is what the pass goes on with, everywhere. */
typedef struct nudging {
    fixture *f;
    ps_tap tap;
    float by, *values, *gradient;
} nudging;

static void nudge(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    nudging *n = user;
    if (!ps_tap_equal(tap, n->tap))
        return;
    ps_stream *s = ps_model_stream(n->f->model);
    ck_ok(ps_tap_read(s, x, ld, n->values));
    for (int64_t i = 0; i < ps_tensor_count(x); i++)
        n->values[i] += n->by * n->gradient[i];
    ck_ok(ps_tap_write(s, x, ld, n->values));
}

static void take_gradient(void *user, ps_tap tap, ps_tensor dx, int64_t ld)
{
    nudging *n = user;
    if (ps_tap_equal(tap, n->tap))
        ck_ok(ps_tap_read(ps_model_stream(n->f->model), dx, ld, n->gradient));
}

static double logit_with(nudging *n, float by)
{
    float logits[VOCABULARY];
    n->by = by;
    ck_ok(ps_model_forward(n->f->model, &n->f->batch, &(ps_model_hooks){.at = nudge, .user = n}));
    ck_ok(ps_model_outputs_at(n->f->model, &n->f->point, 1, logits));
    return (double)logits[LOGIT];
}

static void check_step(nudging *n)
{
    char name[PS_TAP_NAME];
    int64_t count = LENGTH * ps_model_tap_columns(n->f->model, n->tap);
    n->values = ps_alloc_array((size_t)count, sizeof *n->values);
    n->gradient = ps_alloc_array((size_t)count, sizeof *n->gradient);
    ck_ok(ps_model_forward(n->f->model, &n->f->batch, NULL));
    ck_ok(ps_model_backward_at(n->f->model, &n->f->point, 1, n->f->douts,
                               &(ps_model_hooks){.gradient_at = take_gradient, .user = n}));
    double square = 0;
    for (int64_t i = 0; i < count; i++)
        square += (double)n->gradient[i] * (double)n->gradient[i];
    if (square > 0) {
        float by = (float)(0.02 / sqrt(square));
        double slope = (logit_with(n, by) - logit_with(n, -by)) / (2 * (double)by);
        ck_assert_msg(fabs(slope - square) < 0.01 * square, "%s: %g by a step, %g",
                      ps_tap_name(n->tap, name), slope, square);
    }
    ps_free(&n->values);
    ps_free(&n->gradient);
}

START_TEST(what_is_written_anywhere_changes_the_logit_by_its_gradient)
{
    fixture f;
    open_fixture(&f, _i);
    for (int kind = 0; kind < PS_TAP_KINDS; kind++)
        for (int64_t layer = 0; layer < LAYERS; layer++) {
            nudging n = {.f = &f, .tap = {(ps_tap_kind)kind, layer}};
            if (ps_model_tap_columns(f.model, n.tap) > 0)
                check_step(&n);
        }
    close_fixture(&f);
}
END_TEST

/* ---- rules of other passes back ---- */

/* CP-LRP (Ali 2022): nothing goes back through the weights of attention and the gate. */
static void stop(void *user, ps_tap tap, ps_tensor dx, int64_t ld)
{
    static const float zeros[LENGTH * 64];
    if (tap.kind == PS_TAP_Q || tap.kind == PS_TAP_K || tap.kind == PS_TAP_MLP_PRE)
        ck_ok(ps_tap_write(user, dx, ld, zeros));
}

/* Without biases, and with deviations that are constants, relevance is conserved: x0·dx0 adds up to
 * the logit. With the plain gradient it does not. */
START_TEST(relevance_adds_up_to_the_logit)
{
    fixture f;
    open_fixture(&f, 1);
    ps_model_hooks hooks = {
        .gradient_at = stop, .constant_rstd = true, .user = ps_model_stream(f.model)};
    float logits[VOCABULARY], x[LENGTH * WIDTH];
    float *plain = explain(&f, NULL, logits), *dx = explain(&f, &hooks, logits);
    ck_ok(ps_model_embed(f.model, f.batch.tokens, LENGTH, x));
    double sum = 0, other = 0;
    for (int i = 0; i < LENGTH * WIDTH; i++) {
        sum += (double)x[i] * (double)dx[i];
        other += (double)x[i] * (double)plain[i];
    }
    ck_assert_double_eq_tol(sum, (double)logits[LOGIT], 1e-5);
    ck_assert_double_gt(fabs(other - (double)logits[LOGIT]), 1e-2);
    ps_free(&plain);
    ps_free(&dx);
    close_fixture(&f);
}
END_TEST

/* ---- other models ---- */

static void count(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    (void)tap;
    (void)x;
    (void)ld;
    ++*(int *)user;
}

/* Watched, training computes the same bits. */
START_TEST(who_looks_on_changes_no_bit_of_training)
{
    fixture f;
    open_fixture(&f, _i);
    int calls = 0;
    const ps_model_hooks hooks = {.at = count, .gradient_at = count, .user = &calls};
    f.batch.labels = golden_get(&f.parameters, "", "labels");
    f.batch.train = true;
    ps_model *models[2];
    for (int i = 0; i < 2; i++) {
        models[i] =
            golden_model(&f.parameters, &f.device, kinds[_i], (ps_model_options){.max_batch = 1});
        ck_ok(ps_model_forward(models[i], &f.batch, i ? &hooks : NULL));
        ck_ok(ps_model_loss(models[i], &f.batch));
        ck_ok(ps_model_backward(models[i], i ? &hooks : NULL));
        ck_ok(ps_stream_sync(ps_model_stream(models[i])));
    }
    ck_assert_int_eq(calls, 2 * points_of(f.model));
    for (size_t i = 0; i < ps_model_parameters(f.model)->count; i++) {
        ps_tensor t = ps_model_gradient(models[0], i);
        float *want = ps_test_read(&f.device, t);
        float *got = ps_test_read(&f.device, ps_model_gradient(models[1], i));
        ck_assert_mem_eq(got, want, ps_tensor_bytes(t));
        ps_free(&want);
        ps_free(&got);
    }
    ps_model_free(&models[0]);
    ps_model_free(&models[1]);
    close_fixture(&f);
}
END_TEST

/* Of models for inference, whose blocks share their memory, a hook sees the same values. */
START_TEST(inference_shows_the_same_values)
{
    fixture f;
    open_fixture(&f, _i);
    seen value = {.f = &f, .what = "value/", .last = -1};
    ps_model *plain = golden_model(&f.parameters, &f.device, kinds[_i],
                                   (ps_model_options){.max_batch = 1, .inference = true});
    ps_model_free(&f.model);
    f.model = plain;
    ck_ok(ps_model_forward(plain, &f.batch, &(ps_model_hooks){.at = compare, .user = &value}));
    ck_assert_int_eq(value.calls, points_of(plain));
    close_fixture(&f);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &values_and_gradients_of_all_points_are_pytorchs, .repeat = 2},
    {.test = &weights_of_attention_are_pytorchs_and_add_up_to_1, .repeat = 2},
    {.test = &vectors_of_the_stream_are_read_out_as_a_pass_reads_its_last, .repeat = 2},
    {.test = &each_matrix_names_the_point_before_its_product, .repeat = 2},
    {.test = &a_row_of_a_batch_is_as_it_is_alone, .repeat = 2},
    {.test = &a_head_without_output_is_one_without_weights, .repeat = 2},
    {.test = &what_is_written_anywhere_changes_the_logit_by_its_gradient, .repeat = 2},
    {.test = &relevance_adds_up_to_the_logit},
    {.test = &who_looks_on_changes_no_bit_of_training, .repeat = 2},
    {.test = &inference_shows_the_same_values, .repeat = 2},
    {0},
};

int main(void)
{
    return ps_check_main("models/taps", tests);
}
