/* tracin, ekfac and trak of windows of tokens, of the tiny gpt2 and llama, against float64 in torch
 * (tests/golden/explain/influence_language.py): matrices of blocks that are stored either way
 * round, with and without biases, three of one product, two of one input; of gpt2 against
 * Kronfluence, too; recorded against slopes of the loss, by differences. */
#include "tests/unit/worker/explain/influence_fixture.h"

#include "tests/lib/check_main.h"

#include "common/format/token_file.h"
#include "common/record/influence.h"

#include <string.h>

enum { TRAIN = 30, TEST = 3, LENGTH = 12, TOP = 3 };

static char tracin[] = "tracin", ekfac[] = "ekfac", trak[] = "trak";
static const char *const kinds[] = {"gpt2", "llama"};

static struct {
    influence_fixture f;
    golden_file golden;
} t;

static ps_dataset *windows(char **path, const int32_t *tokens, size_t rows)
{
    static char format[] = "tokens", none[] = "";
    ps_token_writer *writer = NULL;
    ps_dataset *out = NULL;
    uint32_t all[TRAIN * LENGTH + 1];
    *path = ps_test_file((ps_slice){0}, false);
    for (size_t i = 0; i < rows * LENGTH + 1; i++)
        all[i] = (uint32_t)tokens[i];
    ck_ok(ps_token_writer_new(*path, true, &(ps_token_file_info){.vocab_size = 61}, &writer));
    ck_ok(ps_token_writer_add(writer, all, rows * LENGTH + 1));
    ck_ok(ps_token_writer_finish(&writer));
    ps_spec_files files = {.features = none, .labels = none, .tokens = *path};
    const ps_spec_data data = {
        .format = format, .sequence_length = LENGTH, .normalise = {.scale = 1, .std = 1}};
    ck_ok(ps_dataset_open(&(ps_dataset_options){.data = &data,
                                                .files = &files,
                                                .labels = PS_LABELS_NEXT,
                                                .features = LENGTH,
                                                .classes = 61},
                          &out));
    ck_assert_uint_eq(ps_dataset_rows(out), rows);
    return out;
}

static void fill(golden_file *file)
{
    const ps_model_layout *layout = ps_model_parameters(t.f.x.model);
    for (size_t i = 0; i < layout->count; i++)
        influence_fill(&t.f, i, golden_get(file, "parameter/", layout->parameters[i].name));
}

static void open_all(int kind)
{
    const ps_model_config config = golden_config(kinds[kind]);
    golden_file parameters;
    t.f = (influence_fixture){.model_spec = {.loss = PS_SPEC_CROSS_ENTROPY},
                              .spec = {.rows = {.sample = 1000}}};
    ps_test_device_open(&t.f.device, ps_test_backend());
    ps_model *model = NULL;
    ck_ok(ps_model_create(t.f.device.backend, &config,
                          &(ps_model_options){.max_batch = 4, .explain = true}, &model));
    t.f.x = (ps_explaining){.spec = &t.f.spec,
                            .model_spec = &t.f.model_spec,
                            .model = model,
                            .language = true,
                            .inputs = 16,
                            .outputs = 61,
                            .batch = 3,
                            .check = influence_go_on};
    golden_open(&parameters, "", kinds[kind]);
    fill(&parameters);
    golden_close(&parameters);
    char name[32];
    (void)snprintf(name, sizeof name, "influence_%s", kinds[kind]);
    golden_open(&t.golden, "explain/", name);
    t.f.train = windows(&t.f.paths[0], golden_get(&t.golden, "", "train"), TRAIN);
    t.f.test = windows(&t.f.paths[1], golden_get(&t.golden, "", "test"), TEST);
}

static void close_all(void)
{
    golden_close(&t.golden);
    influence_close(&t.f);
}

/* Of two models a simulated device, which takes seconds for each, has one. */
static bool is_left_out(int kind, int taken)
{
    return strcmp(ps_test_backend(), "cpu") != 0 && kind != taken;
}

/* Kronfluence's, of the model as transformers computes it (influence_peer.py). */
static void is_as_the_peer_has_it(const ps_spec_explain_method *spec, const ps_explain_part *part,
                                  const char *golden, double tolerance)
{
    golden_file peer;
    golden_open(&peer, "explain/", "influence_gpt2_peer");
    influence_is(&peer, part, "scores", golden, tolerance);
    if (spec->method == tracin)
        influence_is(&peer, part, "self_influence", "self", tolerance);
    golden_close(&peer);
}

static void compare(const ps_spec_explain_method *spec, const char *golden, double tolerance,
                    int kind)
{
    ps_explain_part part;
    if (is_left_out(kind, spec->method == ekfac ? 0 : 1))
        return;
    open_all(kind);
    influence_run(&t.f, spec, &part);
    influence_is(&t.golden, &part, "scores", golden, tolerance);
    if (spec->method == tracin)
        influence_is(&t.golden, &part, "self_influence", "self", tolerance);
    if (kind == 0 && spec->method != trak)
        is_as_the_peer_has_it(spec, &part, golden, tolerance);
    ps_explain_part_free(&part);
    close_all();
}

START_TEST(tracin_is_the_product_of_gradients)
{
    compare(&(ps_spec_explain_method){.method = tracin, .top = TOP, .rate = 0.5, .scores = true},
            "tracin", 2e-5, _i);
}
END_TEST

/* The script's: the parameters times a number that float32 multiplies with exactly. */
static ps_status become(void *user, const ps_spec_explain_checkpoint *checkpoint)
{
    const ps_model_layout *layout = ps_model_parameters(t.f.x.model);
    const float scale = strtof(checkpoint->model, NULL);
    golden_file file;
    golden_open(&file, "", kinds[*(const int *)user]);
    for (size_t i = 0; i < layout->count; i++) {
        const float *stored = golden_get(&file, "parameter/", layout->parameters[i].name);
        size_t n = ps_tensor_bytes(ps_model_parameter(t.f.x.model, i)) / sizeof(float);
        float *scaled = ps_alloc_array(n, sizeof *scaled);
        for (size_t k = 0; k < n; k++)
            scaled[k] = scale * stored[k];
        influence_fill(&t.f, i, scaled);
        ps_free(&scaled);
    }
    golden_close(&file);
    return PS_OK;
}

static char one[] = "1", less[] = "0.875", more[] = "1.125";
static ps_spec_explain_checkpoint checkpoints[] = {
    {one, NULL, 0.5}, {less, NULL, 0.25}, {more, NULL, 2}};

START_TEST(checkpoints_are_summed_and_averaged)
{
    const ps_spec_explain_method specs[] = {{.method = tracin,
                                             .top = TOP,
                                             .rate = 9,
                                             .scores = true,
                                             .checkpoints = checkpoints,
                                             .n_checkpoints = 3},
                                            {.method = trak,
                                             .top = TOP,
                                             .sketch = 64,
                                             .ridge = 0.05,
                                             .scores = true,
                                             .checkpoints = checkpoints,
                                             .n_checkpoints = 3}};
    int kind = _i;
    ps_explain_part part;
    open_all(kind);
    t.f.x.become = become;
    t.f.x.user = &kind;
    influence_run(&t.f, &specs[0], &part);
    influence_is(&t.golden, &part, "scores", "tracin_3", 2e-5);
    influence_is(&t.golden, &part, "self_influence", "self_3", 2e-5);
    ps_explain_part_free(&part);
    influence_run(&t.f, &specs[1], &part);
    influence_is(&t.golden, &part, "scores", "trak_3", 1e-4);
    ps_explain_part_free(&part);
    close_all();
}
END_TEST

START_TEST(ekfac_is_as_its_formula_in_float64)
{
    compare(
        &(ps_spec_explain_method){
            .method = ekfac, .top = TOP, .damping = 0.1, .empirical = true, .scores = true},
        "ekfac", 2e-3, _i);
}
END_TEST

START_TEST(trak_is_as_its_formula_in_float64)
{
    compare(
        &(ps_spec_explain_method){
            .method = trak, .top = TOP, .sketch = 64, .ridge = 0.05, .scores = true},
        "trak", 1e-4, _i);
}
END_TEST

/* By name, blocks as one. */
START_TEST(what_is_not_counted_is_said)
{
    static const char *const names[] = {
        "not counted are wte.weight, wpe.weight, h.*.ln_1.weight, h.*.ln_1.bias, "
        "h.*.ln_2.weight, h.*.ln_2.bias, ln_f.weight, ln_f.bias",
        "not counted are model.embed_tokens.weight, model.layers.*.input_layernorm.weight, "
        "model.layers.*.post_attention_layernorm.weight, model.norm.weight, lm_head.weight"};
    ps_explain_part part;
    if (is_left_out(_i, 0))
        return;
    open_all(_i);
    influence_run(&t.f, &(ps_spec_explain_method){.method = tracin, .top = TOP, .rate = 1}, &part);
    ck_assert_uint_eq(part.n_warnings, 1);
    ck_assert_msg(strstr(part.warnings[0], names[_i]) != NULL, "%s", part.warnings[0]);
    ps_explain_part_free(&part);
    close_all();
}
END_TEST

/* ---- recorded: one push, whose change is a whole number of 127ths, sketched exactly ---- */

static struct {
    ps_buf record;
    float *change[64];
    ps_job_spec job;
} r;

static ps_status give_record(void *user, ps_buf *out)
{
    ps_buf_append(out, r.record.data, r.record.len);
    return PS_OK;
}

/* Of the matrices of blocks and their biases. */
static void make_record(void)
{
    const ps_model_layout *layout = ps_model_parameters(t.f.x.model);
    ps_influence_tensor tensors[64];
    uint64_t elements[65];
    bool touched[65];
    ps_influence_head head = {.sketch = PS_SKETCH_SIZE_MAX,
                              .every = 1,
                              .n_tensors = layout->count,
                              .tensors = tensors,
                              .elements = elements};
    ps_sketch *sketch = NULL;
    ck_assert_uint_le(layout->count, 64);
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *p = &layout->parameters[i];
        tensors[i] = (ps_influence_tensor){ps_strdup(p->name), (uint32_t)head.n_units, 1};
        elements[head.n_units] = (uint64_t)ps_model_parameter_elements(p);
        touched[head.n_units++] = true;
    }
    ck_ok(ps_sketch_create(elements, head.n_units, head.sketch, &sketch));
    float *numbers = ps_alloc_array(ps_sketch_width(sketch), sizeof *numbers);
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *p = &layout->parameters[i];
        bool counted = p->of_block || (p->role == PS_ROLE_BIAS && strstr(p->name, ".c_"));
        r.change[i] = ps_alloc_array((size_t)elements[i], sizeof *r.change[i]);
        for (size_t k = 0; counted && k < elements[i]; k++)
            r.change[i][k] = (float)((int)ps_rng_below(&t.f.device.rng, 255) - 127) / 127;
        ps_sketch_add(sketch, i, 0, r.change[i], (size_t)elements[i], 1, numbers);
    }
    r.record = PS_BUF_EMPTY;
    ps_influence_head_write(&head, &r.record);
    ps_influence_write(sketch, &(ps_influence_push){.version = 1, .worker = "w"}, touched, numbers,
                       &r.record);
    for (size_t i = 0; i < layout->count; i++)
        ps_free(&tensors[i].name);
    ps_free(&numbers);
    ps_sketch_free(&sketch);
}

/* The loss of query q with all parameters moved by so much of the change. */
static double moved_loss(ps_model *m, golden_file *file, size_t q, float by)
{
    const ps_model_layout *layout = ps_model_parameters(m);
    const int32_t *tokens = golden_get(&t.golden, "", "test");
    ps_model_result result;
    const ps_model_batch batch = {.rows = 1,
                                  .length = LENGTH,
                                  .tokens = tokens + q * LENGTH,
                                  .labels = tokens + q * LENGTH + 1};
    for (size_t i = 0; i < layout->count; i++) {
        const float *at = golden_get(file, "parameter/", layout->parameters[i].name);
        size_t n = (size_t)ps_model_parameter_elements(&layout->parameters[i]);
        float *moved = ps_alloc_array(n, sizeof *moved);
        for (size_t k = 0; k < n; k++)
            moved[k] = at[k] + by * r.change[i][k];
        ps_copy_to_device(ps_model_stream(m), ps_model_parameter(m, i), moved, n * sizeof *moved);
        ck_ok(ps_stream_sync(ps_model_stream(m)));
        ps_free(&moved);
    }
    ps_model_refresh(m);
    ck_ok(ps_model_forward(m, &batch, NULL));
    ck_ok(ps_model_loss(m, &batch));
    ck_ok(ps_model_result_get(m, &result));
    return result.loss;
}

START_TEST(a_push_did_what_the_loss_does_along_it)
{
    static const uint64_t rows[TEST] = {0, 1, 2};
    static char recorded[] = "recorded", name[] = "m";
    const ps_spec_explain_method spec = {.method = recorded, .top = 1, .job = 7};
    const ps_explain_method *method = ps_explain_method_find(recorded);
    const ps_explain_items items = {.n = TEST, .item = rows, .row = rows, .length = LENGTH};
    const ps_model_config config = golden_config(kinds[_i]);
    const float h = 1e-3F;
    golden_file parameters;
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    ps_model *m = NULL;
    void *state = NULL;
    open_all(_i);
    make_record();
    r.job.model_name = name;
    t.f.x.job = &r.job;
    t.f.x.test = t.f.test;
    t.f.x.record = give_record;
    ck_ok(method->prepare(&t.f.x, &spec, &state));
    ck_ok(method->run(&t.f.x, &spec, state, &items, &part));
    method->free(state);
    golden_open(&parameters, "", kinds[_i]);
    ck_ok(ps_model_create(t.f.device.backend, &config, &(ps_model_options){.max_batch = 1}, &m));
    for (size_t q = 0; q < TEST; q++) {
        double slope = (moved_loss(m, &parameters, q, -h) - moved_loss(m, &parameters, q, h)) /
                       (2 * (double)h);
        ck_assert_double_eq_tol((double)influence_array(&part, "scores")[q], slope,
                                0.02 * fabs(slope) + 5e-3);
    }
    for (size_t i = 0; i < ps_model_parameters(m)->count; i++)
        ps_free(&r.change[i]);
    ps_model_free(&m);
    golden_close(&parameters);
    ps_buf_free(&r.record);
    ps_explain_part_free(&part);
    close_all();
}
END_TEST

static const ps_check_case cases[] = {
    {&tracin_is_the_product_of_gradients, 0, 2},
    {&ekfac_is_as_its_formula_in_float64, 0, 2},
    {&trak_is_as_its_formula_in_float64, 0, 2},
    {&what_is_not_counted_is_said, 0, 2},
    {&a_push_did_what_the_loss_does_along_it, 0, 2},
    {&checkpoints_are_summed_and_averaged, 0, 2},
    {0},
};

int main(void)
{
    return ps_check_main("explain/influence_language", cases);
}
