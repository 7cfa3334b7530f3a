/* graph_view: the tree along the pass in a terminal, DOT that no name can break out of, and JSON
 * with every block; folded to any depth nothing is lost. */
#include "client/report/graph_view.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/graph_sample.h"

#include <math.h>
#include <string.h>

static ps_graph *made(const char *config, unsigned column_blocks)
{
    ps_graph *g = NULL;
    ck_ok(sample_graph(config, NULL, (ps_graph_cuts){.column_blocks = column_blocks}, NULL, &g));
    return g;
}

START_TEST(a_tree_along_the_pass)
{
    ps_graph *g = made(SAMPLE_GPT2, 2);
    ps_fold *f = ps_fold_of(g, PS_FOLD_OPS);
    ps_buf out = PS_BUF_EMPTY;
    ps_graph_text(&out, &(ps_style){0}, "tiny", f, ps_quantity_find("flops"));
    static const char tree[] =
        "tiny, gpt2, 1.1k parameters, 4.6 kB, 32 bits each, 2.49 kFLOP a token\n"
        "\n"
        "PASS                     SHAPE  FORM     BYTES      FLOP  FLOPS IN ALL  \n"
        "* tokens                                                                \n"
        "* wte                     11x6  float32  264 B                          2 of 11x3, "
        "outputs\n"
        "* wpe                      8x6  float32  192 B                          2 of 8x3, "
        "outputs\n"
        "* positions                                       6 FLOP                \n"
        "|-. block x2: attention                                                 \n"
        "| | ln_1                     6  float32   48 B    6 FLOP                LayerNorm\n"
        "| | c_attn                6x18  float32  504 B  234 FLOP  #########     2 of 6x9, "
        "outputs\n"
        "| | attention                                   208 FLOP  ########      2 heads of 3\n"
        "| | c_proj                 6x6  float32  168 B   78 FLOP  ###           2 of 6x3, "
        "outputs\n"
        "+-' residual                                      6 FLOP                \n"
        "|-. mlp                                                                 \n"
        "| | ln_2                     6  float32   48 B    6 FLOP                LayerNorm\n"
        "| | c_fc                  6x24  float32  672 B  312 FLOP  ############  2 of 6x12, "
        "outputs\n"
        "| | gelu                                         24 FLOP                \n"
        "| | c_proj                24x6  float32  600 B  294 FLOP  ###########   2 of 24x3, "
        "outputs\n"
        "+-' residual                                      6 FLOP                \n"
        "* ln_f                       6  float32   48 B    6 FLOP                LayerNorm\n"
        "* head                    11x6                  132 FLOP  ##            the embedding, "
        "transposed\n"
        "* logits                                                                \n";
    ck_assert_msg(!strcmp(ps_buf_cstr(&out), tree),
                  "another tree; is it as it should be?"); /* too long for ck_assert_str_eq */
    ps_buf_free(&out);
    ps_fold_free(&f);
    ps_graph_free(&g);
}
END_TEST

START_TEST(folded_to_any_depth_nothing_is_lost)
{
    static const char *const configs[] = {SAMPLE_GPT2, SAMPLE_LLAMA, SAMPLE_MLP};
    ps_graph *g = made(configs[_i % 3], 1);
    ps_fold *f = ps_fold_of(g, (ps_fold_depth)(_i / 3 + 1));
    ps_fold_sum all = {0};
    for (size_t i = 0; i < f->n_nodes; i++) {
        const ps_fold_node *node = &f->nodes[i];
        all.bytes += node->all.bytes;
        all.numbers += node->all.numbers;
        all.flops += node->all.flops;
        ck_assert_uint_eq(node->all.bytes, node->one.bytes * node->times);
        ck_assert(node->rank < f->ranks);
    }
    ck_assert_uint_eq(all.bytes, g->bytes);
    ck_assert_uint_eq(all.numbers, g->numbers);
    ck_assert_double_eq(all.flops, g->flops);
    uint32_t reached = 1; /* each but the first has one before it */
    for (size_t i = 0; i < f->n_edges; i++) {
        ck_assert_uint_lt(f->edges[i].from, f->edges[i].to);
        reached += f->edges[i].to == reached;
    }
    ck_assert_uint_le(reached, f->n_nodes);
    ps_fold_free(&f);
    ps_graph_free(&g);
}
END_TEST

START_TEST(depth_says_how_much_is_drawn)
{
    ps_graph *g = made(SAMPLE_LLAMA, 1);
    static const size_t nodes[] = {6, 7, 18, 18 + 2 * 13};
    for (int depth = 1; depth <= 4; depth++) {
        ps_fold *f = ps_fold_of(g, (ps_fold_depth)depth);
        ck_assert_uint_eq(f->n_nodes, nodes[depth - 1]);
        ps_fold_free(&f);
    }
    ps_fold *f = ps_fold_of(g, PS_FOLD_BLOCKS);
    ck_assert_str_eq(f->nodes[2].name, "block");
    ck_assert_uint_eq(f->nodes[2].times, 3);
    ck_assert_uint_eq(f->n_edges, 5); /* a chain */
    ps_fold_free(&f);
    ps_graph_free(&g);
}
END_TEST

START_TEST(a_name_stays_a_name_in_dot)
{
    ps_graph *g = made(SAMPLE_MLP, 4);
    ps_fold *f = ps_fold_of(g, PS_FOLD_OPS);
    ps_buf out = PS_BUF_EMPTY;
    ps_graph_dot(&out, "a\"];b\\\n\"", f, ps_quantities[0]);
    const char *text = ps_buf_cstr(&out);
    ck_assert_ptr_nonnull(strstr(text, "digraph \"a\\\"];b\\\\?\\\"\" {\n"));
    ck_assert_ptr_nonnull(strstr(text, "n1 [label=\"layers.0\\n8×12 · float32 · 416 B\\n200 FLOP\\n"
                                       "4 of 8×3, inputs\", fillcolor=\"#fee838\", "
                                       "fontcolor=\"#000000\"];"));
    ck_assert_ptr_nonnull(strstr(text, "n0 -> n1;\n"));
    ps_buf_free(&out);
    ps_fold_free(&f);
    ps_graph_free(&g);
}
END_TEST

START_TEST(json_has_every_block)
{
    ps_graph *g = made(SAMPLE_LLAMA, 2);
    ps_buf out = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&out);
    ps_graph_json(&w, "x\"y", g);
    ps_json_reader r;
    ps_json_reader_init(&r, ps_buf_slice(&out));
    ck_ok(ps_json_skip(&r));
    ps_json_token end;
    ck_ok(ps_json_expect(&r, PS_JSON_END, &end));
    ps_json_reader_free(&r);
    const char *text = ps_buf_cstr(&out);
    ck_assert_ptr_nonnull(strstr(text, "\"model\":\"x\\\"y\""));
    ck_assert_ptr_nonnull(strstr(text,
                                 "{\"name\":\"model.layers.2.mlp.down_proj.weight\",\"shape\":[32,"
                                 "64],\"form\":\"float32\",\"bytes\":8192,\"slices\":\"inputs\","
                                 "\"column_blocks\":[[0,32],[32,64]]}"));
    ps_buf_free(&out);
    ps_graph_free(&g);
}
END_TEST

START_TEST(a_scale_goes_from_the_least_to_the_most)
{
    ps_graph *g = made(SAMPLE_LLAMA, 1);
    ps_fold *f = ps_fold_of(g, PS_FOLD_OPS);
    for (size_t i = 0; ps_quantities[i]; i++) {
        ps_scale scale = ps_scale_of(ps_quantities[i], f);
        ck_assert(scale.any && isnan(ps_scale_place(&scale, NAN)));
        if (scale.most > scale.least) {
            ck_assert_double_eq(ps_scale_place(&scale, scale.least), 0);
            ck_assert_double_eq(ps_scale_place(&scale, scale.most), 1);
        }
    }
    ps_scale bits = ps_scale_of(ps_quantity_find("bits"), f); /* all alike */
    ck_assert_double_eq(ps_scale_place(&bits, 32), 0.5);
    ck_assert_str_eq(ps_flops_text(999499).text, "999 kFLOP");
    ck_assert_str_eq(ps_flops_text(999501).text, "1.00 MFLOP");
    ck_assert_str_eq(ps_flops_text(0).text, "");
    ps_fold_free(&f);
    ps_graph_free(&g);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_tree_along_the_pass},
    {&folded_to_any_depth_nothing_is_lost, .repeat = 12},
    {&depth_says_how_much_is_drawn},
    {&a_name_stays_a_name_in_dot},
    {&json_has_every_block},
    {&a_scale_goes_from_the_least_to_the_most},
    {0},
};

int main(void)
{
    return ps_check_main("client/report/graph_view", tests);
}
