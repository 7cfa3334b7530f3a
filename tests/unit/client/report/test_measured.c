/* measured: what jobs have left is found by the tensors' names, part by part; what is not there, or
 * is none, is not measured. */
#include "client/report/graph_svg.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/graph_sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GAME(players)                                                                   \
    "{\"method\":\"part_shapley\",\"arrays\":[{\"name\":\"shapley\",\"array\":\"y\"},{" \
    "\"name\":\"players\",\"array\":\"" players "\"}]}"
#define MLP_MANIFEST                                                                             \
    "{\"psd_explain\":1,\"lineage\":{\"model\":{\"name\":\"m\",\"tensors\":[\"layers.0."         \
    "weight\",\"gone\",\"layers.1.weight\"]}},\"results\":[{\"method\":\"weights\",\"arrays\":[" \
    "{\"name\":\"statistics\",\"array\":\"s\",\"entries\":[\"norm\",\"stable_rank\"]}]},"        \
    "{\"method\":\"loss_path\",\"arrays\":[{\"name\":\"by_block\",\"array\":\"b\"}]},"           \
    "{\"method\":\"blocks\",\"arrays\":[{\"name\":\"contributions\",\"array\":\"c\"}]}," GAME(   \
        "z") "," GAME("p") "]}"
#define GPT2_MANIFEST                                                                          \
    "{\"psd_explain\":1,\"lineage\":{\"model\":{\"name\":\"m\",\"tensors\":[]}},\"results\":[" \
    "{\"method\":\"head_ablation\",\"arrays\":[{\"name\":\"effect\",\"array\":\"h\"}]}," GAME( \
        "q") "," GAME("g") "]}"

static const char header[] =
    "{\"s\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]},"
    "\"b\":{\"dtype\":\"F32\",\"shape\":[3,4],\"data_offsets\":[24,72]},"
    "\"h\":{\"dtype\":\"F32\",\"shape\":[2,2,2],\"data_offsets\":[72,104]},"
    "\"c\":{\"dtype\":\"F32\",\"shape\":[2,3,4],\"data_offsets\":[104,200]},"
    "\"y\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[200,216]},"
    "\"p\":{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[216,248]},"
    "\"q\":{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[248,280]},"
    "\"g\":{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[280,312]},"
    "\"z\":{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[312,344]}}";
static const float data[] = {
    4, 2, 9, 9, NAN, 5, 0.5F, -1, 0, 0.25F, 7, 7, 7, 7, 0, 0, 0, 0, 1, 2, 3, 4, 3, 4, 5, 8,
    /* contributions of two rows */
    1, 2, 3, NAN, 5, 5, 5, 5, NAN, NAN, NAN, NAN, 3, 2, -9, NAN, 5, 5, 5, 5, NAN, NAN, NAN, NAN,
    /* shares of two rows, and whose they are: blocks of a matrix, halves of block 0, heads of 1 */
    1, 3, 2, -5, 0, 0, 0, 2, 0, 0, 1, 2, 1, 0, 0, NAN, 1, 0, 1, NAN, 2, 1, 1, NAN, 2, 1, 0, NAN,
    /* of no block that there is, and no number */
    2, 7, 0, NAN, 0, NAN, -1, 1e30F};

typedef struct fixture {
    ps_graph *graph;
    ps_fold *fold;
    uint8_t *bytes;
    ps_safetensors *file;
    ps_explanation manifest;
    ps_explain_view view;
} fixture;

static void setup(fixture *f, const char *config, const char *manifest)
{
    size_t len = 0;
    ck_ok(sample_graph(config, NULL, (ps_graph_cuts){.column_blocks = 3}, NULL, &f->graph));
    f->fold = ps_fold_of(f->graph, PS_FOLD_OPS);
    f->bytes = ps_test_safetensors(
        header, ps_slice_of((const uint8_t *)(const void *)data, sizeof data), &len);
    ck_ok(ps_safetensors_parse(ps_slice_of(f->bytes, len), len, &f->file));
    ck_ok(ps_explanation_read(ps_slice_str(manifest), &f->manifest));
    f->view = (ps_explain_view){
        .manifest = &f->manifest, .file = f->file, .arrays = ps_slice_of(f->bytes, len)};
}

static void teardown(fixture *f)
{
    ps_explanation_free(&f->manifest);
    ps_safetensors_free(&f->file);
    free(f->bytes);
    ps_fold_free(&f->fold);
    ps_graph_free(&f->graph);
}

static const ps_measured_tensor *tensor(const fixture *f, const ps_measured *m, const char *name)
{
    for (size_t i = 0; i < f->graph->n_tensors; i++)
        if (!strcmp(f->graph->tensors[i].name, name))
            return &m->tensors[i];
    ck_abort_msg("no tensor %s", name);
}

static char *drawn(const fixture *f, const ps_measured *m)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_graph_svg(&out, "m", f->fold, ps_quantities[0], m, true);
    char *text = strdup(ps_buf_cstr(&out));
    ps_buf_free(&out);
    return text;
}

START_TEST(statistics_are_of_tensors_and_a_loss_of_their_parts)
{
    fixture f;
    ps_buf note = PS_BUF_EMPTY;
    setup(&f, SAMPLE_MLP, MLP_MANIFEST);
    const ps_measured_files files = {.job = 7, .explanation = &f.view};
    ps_measured *m = ps_measured_of(f.graph, &files, "stable_rank");
    ck_assert(m && tensor(&f, m, "layers.0.weight")->parts[0] == 2);
    ck_assert(tensor(&f, m, "layers.1.weight")->parts[0] == 5);
    ck_assert(m->missing == 2 && m->scale.least == 2 && m->scale.most == 5);
    ps_measured_note(m, f.graph, &note);
    ck_assert_str_eq(ps_buf_cstr(&note), "stable rank: measured by job 7; of 2 of 4 tensors it has "
                                         "nothing: layers.0.bias, layers.1.bias");
    ps_measured_free(&m);
    m = ps_measured_of(f.graph, &files, "norm"); /* one is none */
    ck_assert(m && m->missing == 3);
    ps_measured_free(&m);
    m = ps_measured_of(f.graph, &files, NULL);
    ck_assert(m && !strcmp(m->quantity.name, "loss_change") && m->scale.least == -1);
    const ps_measured_tensor *t = tensor(&f, m, "layers.0.weight");
    ck_assert(t->n == 4 && t->parts[1] == -1 && t->parts[3] == 0.25 && !t->down);
    char *text = drawn(&f, m);
    ck_assert_ptr_nonnull(strstr(text, "what it adds to the loss: -1 to 0.5 in 4 parts"));
    ck_assert_ptr_nonnull(strstr(text, "fill=\"#1f5a96\"")); /* the least there is */
    ck_assert_ptr_nonnull(strstr(text, "measured by job 7"));
    free(text);
    ps_measured_free(&m);
    ck_assert_ptr_null(ps_measured_of(f.graph, &files, "alpha"));
    ck_assert_ptr_null(ps_measured_of(f.graph, &files, "error"));
    ps_buf_free(&note);
    teardown(&f);
}
END_TEST

START_TEST(a_head_is_a_part_of_the_projection_behind_it)
{
    fixture f;
    setup(&f, SAMPLE_GPT2, GPT2_MANIFEST);
    ps_measured *m =
        ps_measured_of(f.graph, &(ps_measured_files){.explanation = &f.view}, "ablation");
    ck_assert_ptr_nonnull(m);
    const ps_measured_tensor *t = tensor(&f, m, "h.1.attn.c_proj.weight");
    ck_assert(t->n == 2 && t->parts[0] == 4 && t->parts[1] == 6 && t->down);
    ps_measured_tensor mean;
    for (size_t i = 0; i < f.fold->n_nodes; i++) {
        ps_measured_node(m, f.fold, i, &mean);
        if (mean.n)
            break;
    }
    ck_assert(mean.n == 2 && mean.parts[0] == 3 && mean.parts[1] == 4.5); /* of both blocks */
    ps_measured_free(&m);
    teardown(&f);
}
END_TEST

START_TEST(column_blocks_are_parts_of_their_matrix)
{
    fixture f;
    setup(&f, SAMPLE_MLP, MLP_MANIFEST);
    const ps_measured_files files = {.explanation = &f.view};
    ps_measured *m = ps_measured_of(f.graph, &files, "blocks");
    const ps_measured_tensor *t = m ? tensor(&f, m, "layers.0.weight") : NULL;
    ck_assert(t && t->n == 3 && t->parts[0] == 2 && t->parts[1] == 2 && t->parts[2] == -3);
    ck_assert(!t->down && m->missing == 3 && m->scale.least == -3 && m->scale.most == 3);
    ps_measured_free(&m);
    m = ps_measured_of(f.graph, &files, "shapley");
    t = m ? tensor(&f, m, "layers.1.weight") : NULL;
    ck_assert(t && t->n == 2 && t->parts[0] == 1.5 && t->parts[1] == -1 && m->missing == 3);
    ps_measured_free(&m);
    teardown(&f);
}
END_TEST

START_TEST(halves_and_heads_are_shown_by_the_projection_behind_them)
{
    fixture f;
    setup(&f, SAMPLE_GPT2, GPT2_MANIFEST);
    ps_measured *m =
        ps_measured_of(f.graph, &(ps_measured_files){.explanation = &f.view}, "shapley");
    ck_assert_ptr_nonnull(m);
    const ps_measured_tensor *t = tensor(&f, m, "h.0.attn.c_proj.weight");
    ck_assert(t->n == 1 && t->parts[0] == 1.5);
    t = tensor(&f, m, "h.0.mlp.c_proj.weight");
    ck_assert(t->n == 1 && t->parts[0] == -1);
    t = tensor(&f, m, "h.1.attn.c_proj.weight");
    ck_assert(t->n == 2 && t->parts[1] == 1.5 && t->parts[0] == -1 && t->down);
    ck_assert_uint_eq(m->missing, m->n - 3);
    ps_measured_free(&m);
    teardown(&f);
}
END_TEST

START_TEST(trainings_and_compressions_have_measured_too)
{
    static char weight[] = "layers.0.weight", bias[] = "layers.0.bias";
    double first[] = {-1, -2, 0.5}, second[] = {-1, 1, 0.25};
    ps_loss_unit units[] = {{.tensor = weight, .column_end = 6},
                            {.tensor = weight, .column_begin = 6, .column_end = 12},
                            {.tensor = bias, .column_end = 8}};
    ps_loss_segment segments[] = {{.parts = first}, {.parts = second}};
    const ps_loss_file losses = {
        .units = units, .n_units = 3, .segments = segments, .n_segments = 2};
    fixture f;
    setup(&f, SAMPLE_MLP, MLP_MANIFEST);
    ps_measured *m =
        ps_measured_of(f.graph, &(ps_measured_files){.losses = &losses}, "loss_change");
    const ps_measured_tensor *t = m ? tensor(&f, m, weight) : NULL;
    ck_assert(t && t->n == 2 && t->parts[0] == -2 && t->parts[1] == -1);
    ck_assert(tensor(&f, m, bias)->parts[0] == 0.75);
    ps_measured_free(&m);
    static const char report[] =
        "{\"total\":{},\"tensors\":[{\"name\":\"layers.1.weight\",\"solved\":{\"method\":\"x\","
        "\"error\":0.125,\"deep\":[{}]}},{\"name\":\"layers.0.bias\"},{\"name\":7}]}";
    m = ps_measured_of(f.graph, &(ps_measured_files){.compression = ps_slice_str(report)}, "error");
    ck_assert(m && tensor(&f, m, "layers.1.weight")->parts[0] == 0.125 && m->missing == 3);
    ps_measured_free(&m);
    ck_assert_ptr_null(
        ps_measured_of(f.graph, &(ps_measured_files){.compression = ps_slice_str("[{]")}, NULL));
    teardown(&f);
}
END_TEST

static const ps_check_case cases[] = {
    {&statistics_are_of_tensors_and_a_loss_of_their_parts},
    {&a_head_is_a_part_of_the_projection_behind_it},
    {&column_blocks_are_parts_of_their_matrix},
    {&halves_and_heads_are_shown_by_the_projection_behind_them},
    {&trainings_and_compressions_have_measured_too},
    {0},
};

int main(void)
{
    return ps_check_main("client/report/measured", cases);
}
