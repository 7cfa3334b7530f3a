/* sample: prints a report of a model whose names are as hostile as they can be, for check.py and
 * walk.py. */
#include "client/report/graph_svg.h"
#include "client/report/report.h"
#include "common/base/mem.h"
#include "tests/lib/graph_sample.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOSTILE "</script><img src=x onerror=alert(1)>\"'&<!--"

static char hostile[] = HOSTILE, version[] = "models/" HOSTILE "\xff\x01.safetensors";

static char config[] = SAMPLE_LLAMA, accuracy[] = "accuracy", empty[] = "";

static const char *form_of(const char *name)
{
    return strstr(name, ".1.mlp.") ? "q4_0" : NULL; /* a block of the three */
}

/* ---- what explains it: two methods, of rows of 8×8 numbers or of 12 tokens ---- */

enum {
    ROWS = 5,
    FEATURES = 64,
    TOKENS = 12,
    ARRAYS = 12,
    TENSORS = 30,
    RESULTS = 7,
    HEADS = 2,
    LOOKS = 12
};

static float numbers[ARRAYS][TENSORS * FEATURES];
static char *classes[] = {hostile, hostile};
static char axes[] = "row feature";
static char arguments[] = "{\"steps\":50}", attributions[] = "attributions";
/* Of each, its sides; columns 0: those of a row. */
static const struct {
    char *array, *name;
    uint64_t rows, columns;
    size_t result;
} parts[ARRAYS] = {
    {(char[]){"a/0"}, (char[]){"values"}, ROWS, 0, 0},
    {(char[]){"a/1"}, (char[]){"values"}, ROWS, 0, 1},
    {(char[]){"rows/x"}, (char[]){""}, ROWS, 0, RESULTS},
    {(char[]){"b/0"}, (char[]){"counts"}, 2, 2, 2},
    {(char[]){"b/1"}, (char[]){"bins"}, 15, 3, 3},
    {(char[]){"b/2"}, (char[]){"summary"}, 1, 5, 3},
    {(char[]){"b/3"}, (char[]){"rows"}, ROWS, 4, 4},
    {(char[]){"i/0"}, (char[]){"statistics"}, TENSORS, 16, 5},
    {(char[]){"i/1"}, (char[]){"histogram"}, TENSORS, 64, 5},
    {(char[]){"i/2"}, (char[]){"singular"}, TENSORS, 64, 5},
    {(char[]){"n/0"}, (char[]){"entropy"}, ROWS, HEADS, 6},
    {(char[]){"n/1"}, (char[]){"patterns"}, ROWS, HEADS *LOOKS *LOOKS, 6},
};
static char *const methods[RESULTS] = {(char[]){"integrated_gradients"},
                                       (char[]){"saliency"},
                                       (char[]){"confusion"},
                                       (char[]){"calibration"},
                                       (char[]){"losses"},
                                       (char[]){"weights"},
                                       (char[]){"attention"}};

static void word_of(void *user, uint32_t id, ps_buf *out)
{
    static const char *const words[] = {" the", HOSTILE, "\n", "\xc3\xa9", "\xff", " cat"};
    ps_buf_puts(out, words[id % 6]);
}

static void fill_numbers(uint64_t columns, bool tokens)
{
    for (uint64_t i = 0; i < ROWS * columns; i++) {
        double x = (double)(i % columns % 8), y = (double)(i % columns / 8);
        numbers[0][i] = (float)(sin(x + (double)(i / columns)) * cos(y / 2));
        numbers[1][i] = (float)exp(-(x - 4) * (x - 4) / 8 - (y - 3) * (y - 3) / 8);
        numbers[2][i] = tokens ? (float)(i % 7) : (float)x;
    }
    numbers[0][3] = NAN;
    for (size_t k = 3; k < ARRAYS; k++)
        for (uint64_t i = 0; i < parts[k].rows * parts[k].columns; i++)
            numbers[k][i] = (float)(1 + (i * 7 + k) % 11) / (k == 4 && i % 3 ? 11.0f : 1.0f);
    numbers[9][70] = NAN;
}

static ps_safetensors *file_of(uint64_t columns)
{
    static ps_safetensors_tensor tensors[ARRAYS];
    static ps_safetensors file = {.tensors = tensors, .n_tensors = ARRAYS};
    for (size_t i = 0; i < ARRAYS; i++) {
        uint64_t wide = parts[i].columns ? parts[i].columns : columns;
        tensors[i] =
            (ps_safetensors_tensor){.name = parts[i].array,
                                    .dtype = PS_SAFETENSORS_F32,
                                    .n_dims = parts[i].rows > 1 ? 2 : 1,
                                    .shape = {parts[i].rows > 1 ? parts[i].rows : wide, wide},
                                    .begin = i * sizeof numbers[0],
                                    .end = i * sizeof numbers[0] + parts[i].rows * wide * 4};
    }
    ps_safetensors_tensor *patterns = &tensors[ARRAYS - 1];
    patterns->n_dims = 4;
    patterns->shape[1] = HEADS;
    patterns->shape[2] = patterns->shape[3] = LOOKS;
    return &file;
}

static ps_explanation_result *results_of(bool unmet)
{
    static ps_explanation_array of[RESULTS][3];
    static ps_explanation_result results[RESULTS];
    for (size_t i = 0; i < RESULTS; i++)
        results[i] = (ps_explanation_result){.kind = attributions,
                                             .method = methods[i],
                                             .arguments = arguments,
                                             .arrays = of[i],
                                             .has_residual = !i,
                                             .relative_median = 1e-3,
                                             .relative_max = 2e-2,
                                             .tolerance = 0.01,
                                             .unmet = unmet,
                                             .standard_error = NAN,
                                             .steps_median = i ? NAN : 50,
                                             .steps_max = NAN,
                                             .evaluations = 1000};
    for (size_t i = 0; i < ARRAYS; i++)
        if (parts[i].result < RESULTS) {
            ps_explanation_result *r = &results[parts[i].result];
            r->arrays[r->n_arrays++] = (ps_explanation_array){
                .name = parts[i].name, .array = parts[i].array, .axes = axes};
        }
    return results;
}

static ps_explain_view explain(bool tokens)
{
    static ps_explanation_row rows[ROWS];
    static char *warnings[] = {hostile};
    static ps_explanation m;
    static ps_explanation_source source = {.name = hostile, .said = hostile};
    fill_numbers(tokens ? TOKENS : FEATURES, tokens);
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = (ps_explanation_row){.row = 10 + i,
                                       .label = i % 2,
                                       .prediction = i % 2 ^ (i == 3),
                                       .target = i % 2,
                                       .confidence = 0.9,
                                       .score = 5.25};
    m = (ps_explanation){.job = 7,
                         .model = hostile,
                         .model_version = version,
                         .architecture = hostile,
                         .model_sha256 = hostile,
                         .spec_sha256 = hostile,
                         .data = tokens ? empty : hostile,
                         .files = &source,
                         .n_files = tokens ? 0 : 1,
                         .workers = &source,
                         .n_workers = 1,
                         .psd_version = hostile,
                         .score = hostile,
                         .target = hostile,
                         .baseline = hostile,
                         .classes = true,
                         .language = tokens,
                         .contents = parts[2].array,
                         .rows = rows,
                         .n_rows = ROWS,
                         .left_out = 2,
                         .results = results_of(tokens),
                         .n_results = RESULTS,
                         .warnings = warnings,
                         .n_warnings = 1};
    return (ps_explain_view){.manifest = &m,
                             .file = file_of(tokens ? TOKENS : FEATURES),
                             .arrays = ps_slice_of(numbers, sizeof numbers),
                             .names = classes,
                             .n_names = 2,
                             .token = tokens ? word_of : NULL};
}

/* ---- the model ---- */

static Psd__V1__Model hostile_model(void)
{
    static Psd__V1__Metric metric = PSD__V1__METRIC__INIT;
    static Psd__V1__Metric *metrics[] = {&metric};
    Psd__V1__Model model = PSD__V1__MODEL__INIT;
    metric.name = accuracy;
    metric.value = 0.884;
    model.name = model.parent = model.owner = model.forms = hostile;
    model.config = config;
    model.version = version;
    model.parent_version = empty;
    model.has_test = 1;
    model.test_loss = 0.32;
    model.n_test_metrics = 1;
    model.test_metrics = metrics;
    return model;
}

/* sample [graph|image|tokens|small|tiny|figure|svg] */
int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "graph";
    bool tiny = !strcmp(what, "tiny"), small = !strcmp(what, "small") || tiny,
         tokens = !strcmp(what, "tokens");
    ps_graph *graph;
    const ps_graph_cuts cuts = {.column_blocks = 4};
    if (sample_graph(SAMPLE_LLAMA, small ? NULL : form_of, cuts, NULL, &graph))
        return 1;
    Psd__V1__Model model = hostile_model();
    ps_fold *fold = ps_fold_of(graph, PS_FOLD_OPS);
    ps_explain_view view = explain(tokens);
    ps_report report = {.title = HOSTILE,
                        .command = "psctl model " HOSTILE,
                        .model = &model,
                        .graph = graph,
                        .fold = fold,
                        .quantity = ps_quantities[0],
                        .explanation = strcmp(what, "graph") != 0 && !small ? &view : NULL,
                        .job_file = "kind: explain\nname: " HOSTILE "\n",
                        .now_ms = 1700000000000,
                        .room = ps_room_of(tiny    ? 20000
                                           : small ? 54000
                                                   : PS_ROOM_DEFAULT)};
    ps_buf out = PS_BUF_EMPTY;
    if (!strcmp(what, "svg"))
        ps_graph_svg(&out, HOSTILE, fold, ps_quantities[1], NULL, true);
    else if (!strcmp(what, "figure") ? ps_report_svg(&report, "behaviour", 1, &out)
                                     : ps_report_html(&report, &out))
        fprintf(stderr, "%s\n", ps_error_message());
    fwrite(out.data, 1, out.len, stdout);
    bool failed = !out.len;
    ps_room_clear(&report.room);
    ps_buf_free(&out);
    ps_fold_free(&fold);
    ps_graph_free(&graph);
    return failed;
}
