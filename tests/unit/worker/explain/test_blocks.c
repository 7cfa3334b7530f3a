/* blocks, part_shapley: against PyTorch in float64 and shap's Exact
 * (tests/golden/explain/blocks.py), on a model of layers and on the tiny gpt2 and llama. */
#include "tests/unit/worker/explain/language_net.h"

#include "tests/lib/check_main.h"

#include "common/conf/explain_spec.h"

enum { BLOCKS = 3, MLP = 2, MLP_ROWS = 4, MLP_INPUTS = 20, MLP_CLASS = 2 };
static const char *const names[] = {"gpt2", "llama", "mlp"};
static char blocks[] = "blocks", part_shapley[] = "part_shapley";

/* What language_net is, of any of the three. */
typedef struct model {
    language_net n;
    golden_file golden;
    const char *name;
    size_t rows;
} model;

static void open_layers(language_net *n)
{
    static const int64_t sizes[] = {MLP_INPUTS, 16, 12, 5};
    static const uint64_t numbers[MLP_ROWS] = {0, 1, 2, 3};
    const ps_model_config config = {
        .architecture = "mlp", .layers = sizes, .layer_count = 4, .activation = "relu"};
    *n = (language_net){.model_spec = {.loss = PS_SPEC_CROSS_ENTROPY},
                        .spec = {.target = {.kind = PS_EXPLAIN_CLASS, .number = MLP_CLASS}}};
    ps_test_device_open(&n->device, ps_test_backend());
    golden_open(&n->parameters, "explain/", "attributions");
    n->x = (ps_explaining){.spec = &n->spec,
                           .model_spec = &n->model_spec,
                           .inputs = MLP_INPUTS,
                           .outputs = sizes[3],
                           .batch = LN_MAX,
                           .check = ln_go_on};
    ck_ok(ps_model_create(n->device.backend, &config,
                          &(ps_model_options){.max_batch = LN_MAX, .explain = true}, &n->x.model));
    const ps_model_layout *layout = ps_model_parameters(n->x.model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(n->x.model, i);
        ps_copy_to_device(ps_model_stream(n->x.model), t,
                          golden_get(&n->parameters, "mlp/relu/", layout->parameters[i].name),
                          ps_tensor_bytes(t));
    }
    ck_ok(ps_stream_sync(ps_model_stream(n->x.model)));
    ps_model_refresh(n->x.model);
    ck_ok(ps_explain_batch_make(
        &n->x,
        &(ps_explain_raw){.n = MLP_ROWS,
                          .item = numbers,
                          .row = numbers,
                          .features = golden_get(&n->parameters, "mlp/relu/", "inputs"),
                          .length = 1},
        &n->batch));
}

static void open_model(model *m, int kind)
{
    *m = (model){.name = names[kind]};
    if (kind == MLP)
        open_layers(&m->n);
    else
        ln_open(&m->n, kind);
    m->rows = m->n.batch.items.n;
    golden_open(&m->golden, "explain/", "blocks");
}

static void close_model(model *m)
{
    golden_close(&m->golden);
    if (strcmp(m->name, "mlp") != 0) {
        ln_close(&m->n);
        return;
    }
    ps_explain_batch_free(&m->n.batch);
    ps_model_free(&m->n.x.model);
    golden_close(&m->n.parameters);
    ps_test_device_close(&m->n.device);
}

static const float *golden_of(const model *m, const char *at, const char *what)
{
    char name[100];
    (void)snprintf(name, sizeof name, "%s/%s/%s", m->name, at, what);
    return golden_find(&m->golden, "", name);
}

static void near(const char *what, size_t i, double got, double want, double tolerance)
{
    ck_assert_msg(fabs(got - want) < tolerance, "%s[%zu]: %g, not %g", what, i, got, want);
}

/* ---- blocks ---- */

/* Of a matrix [rows, each], of all tensors [rows, tensors, each]. */
static void compare(const model *m, const ps_explain_part *part, const char *what, size_t tensor,
                    size_t each)
{
    const ps_model_layout *layout = ps_model_parameters(m->n.x.model);
    const char *name = layout->parameters[tensor].name;
    const float *want = golden_of(m, name, what),
                *got = ln_array(part, what, m->rows * layout->count * each);
    for (size_t i = 0; i < m->rows * each; i++) {
        size_t row = i / each, at = (row * layout->count + tensor) * each + i % each;
        ck_assert_msg(isnan(got[at]) == !want, "%s of %s", what, name);
        if (want)
            near(name, i, (double)got[at], (double)want[i], 2e-5);
    }
}

START_TEST(column_blocks_add_what_pytorch_says)
{
    model m;
    ps_explain_part part;
    open_model(&m, _i);
    ln_run(&m.n, &(ps_spec_explain_method){.method = blocks, .blocks = BLOCKS}, &part);
    const ps_model_layout *layout = ps_model_parameters(m.n.x.model);
    const float *sides = ln_array(&part, "side_by_side", layout->count);
    size_t matrices = 0;
    for (size_t i = 0; i < layout->count; i++) {
        compare(&m, &part, "contributions", i, BLOCKS);
        compare(&m, &part, "bias", i, 1);
        compare(&m, &part, "total", i, 1);
        bool is = golden_of(&m, layout->parameters[i].name, "total") != NULL;
        ck_assert(is ? sides[i] == (float)layout->parameters[i].input_major : isnan(sides[i]));
        matrices += is;
    }
    ck_assert_uint_eq(matrices, _i == MLP ? 3 : _i ? 14 : 8);
    for (size_t row = 0; row < m.rows; row++)
        ck_assert_double_lt((double)ln_array(&part, "residual", m.rows)[row], 1e-5);
    ps_explain_part_free(&part);
    close_model(&m);
}
END_TEST

/* More blocks than columns are as many as there are columns. */
START_TEST(blocks_of_some_layers_are_of_these_alone)
{
    int64_t layers[] = {2}, none[] = {3};
    model m;
    ps_explain_part part;
    open_model(&m, MLP);
    ps_spec_explain_method spec = {.method = blocks, .blocks = 16, .layers = layers, .n_layers = 1};
    ln_run(&m.n, &spec, &part);
    const float *got = ln_array(&part, "contributions", (size_t)MLP_ROWS * 6 * 16);
    const float *total = ln_array(&part, "total", (size_t)MLP_ROWS * 6),
                *bias = ln_array(&part, "bias", (size_t)MLP_ROWS * 6);
    ck_assert(isnan(total[0]) && isnan(total[2]) && !isnan(total[4]));
    double sum = (double)bias[4];
    for (size_t b = 0; b < 16; b++) {
        ck_assert(isnan(got[4 * 16 + b]) == (b >= 12));
        sum += b < 12 ? (double)got[4 * 16 + b] : 0;
    }
    near("total", 4, sum, (double)total[4], 1e-5);
    ps_explain_part_free(&part);
    spec.layers = none;
    ck_assert_int_eq(ln_try(&m.n, &spec, &m.n.batch.items, &part), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "layers: the model has no layer 3");
    ps_explain_part_free(&part);
    close_model(&m);
}
END_TEST

/* ---- part_shapley ---- */

static void check_game(model *m, const ps_spec_explain_method *spec, const char *at)
{
    ps_explain_part part;
    ck_ok(ln_try(&m->n, spec, &m->n.batch.items, &part));
    size_t players = (size_t)ps_explain_get(&part, "players")->shape[0];
    static const char *const arrays[] = {"shapley", "leave_one_out", "ends"};
    for (size_t k = 0; k < 3; k++) {
        size_t n = m->rows * (k == 2 ? 2 : players);
        const float *got = ln_array(&part, arrays[k], n), *want = golden_of(m, at, arrays[k]);
        ck_assert_msg(want != NULL, "%s/%s", at, arrays[k]);
        for (size_t i = 0; i < n; i++)
            near(arrays[k], i, (double)got[i], (double)want[i], 1e-5);
    }
    for (size_t row = 0; row < m->rows; row++) {
        const float *shares = ps_explain_get(&part, "shapley")->floats + row * players,
                    *ends = ps_explain_get(&part, "ends")->floats + 2 * row;
        double sum = 0;
        for (size_t i = 0; i < players; i++)
            sum += (double)shares[i];
        near("sum", row, sum, (double)ends[0] - (double)ends[1], 1e-5);
        near("score", row, (double)ends[0], m->n.batch.items.scores[row], 1e-5);
    }
    ps_explain_part_free(&part);
}

START_TEST(shares_of_parts_are_those_of_shap)
{
    static char tensors[][48] = {"h.0.attn.c_attn.weight", "h.1.mlp.c_fc.weight",
                                 "model.layers.0.self_attn.k_proj.weight",
                                 "model.layers.1.mlp.down_proj.weight"};
    model m;
    ps_spec_explain_method spec = {.method = part_shapley};
    open_model(&m, _i);
    for (size_t k = 0; _i != MLP && k < 2; k++) {
        spec.tensor = tensors[2 * _i + (int)k];
        spec.blocks = _i == 0 && k == 0 ? 5 : 4;
        check_game(&m, &spec, spec.tensor);
    }
    spec = (ps_spec_explain_method){.method = part_shapley, .players = PS_EXPLAIN_PLAYERS_LAYERS};
    if (_i != MLP)
        check_game(&m, &spec, "layers");
    spec.players = PS_EXPLAIN_PLAYERS_HEADS;
    if (_i != MLP)
        check_game(&m, &spec, "heads");
    spec = (ps_spec_explain_method){
        .method = part_shapley, .blocks = 8, .tensor = (char[]){"layers.1.weight"}};
    if (_i == MLP)
        check_game(&m, &spec, spec.tensor);
    close_model(&m);
}
END_TEST

static void refused(model *m, const ps_spec_explain_method *spec, const char *text)
{
    ps_explain_part part;
    ck_assert_int_eq(ln_try(&m->n, spec, &m->n.batch.items, &part), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), text) != NULL, "%s", ps_error_message());
    ps_explain_part_free(&part);
}

START_TEST(players_that_there_are_not_are_refused)
{
    static char none[] = "h.7.weight";
    int64_t layers[] = {0, 1, 0, 1}, far[] = {2};
    model m;
    ps_spec_explain_method spec = {.method = part_shapley, .blocks = 4, .tensor = none};
    open_model(&m, 0);
    refused(&m, &spec, "no matrix of a layer of the model; its last one is h.1.mlp.c_proj.weight");
    spec.tensor = NULL;
    spec.blocks = 13;
    refused(&m, &spec, "at most 12 players");
    spec.layers = layers;
    spec.n_layers = 1;
    refused(&m, &spec, "of players layers and heads");
    spec.players = PS_EXPLAIN_PLAYERS_HEADS;
    spec.n_layers = 4;
    refused(&m, &spec, "more than 12 players");
    spec.layers = far;
    spec.n_layers = 1;
    refused(&m, &spec, "layers: 2, and the model has 2");
    spec.tensor = none;
    refused(&m, &spec, "tensor: of players blocks alone");
    close_model(&m);
    open_model(&m, MLP);
    spec = (ps_spec_explain_method){.method = part_shapley, .players = PS_EXPLAIN_PLAYERS_LAYERS};
    refused(&m, &spec, "of language models");
    close_model(&m);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &column_blocks_add_what_pytorch_says, .repeat = 3},
    {.test = &blocks_of_some_layers_are_of_these_alone},
    {.test = &shares_of_parts_are_those_of_shap, .repeat = 3},
    {.test = &players_that_there_are_not_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("explain/blocks", cases);
}
