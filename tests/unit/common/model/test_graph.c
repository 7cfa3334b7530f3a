/* graph: what is drawn of a model is what it computes: every tensor once, sums that can be written
 * down by hand, column blocks that cover each matrix; and a list that is not the configuration's is
 * refused with the tensor's name. */
#include "common/model/graph.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/graph_sample.h"

#include <string.h>

static ps_graph *made(const char *config, const char *(*form_of)(const char *), ps_graph_cuts cuts)
{
    ps_graph *g = NULL;
    ck_ok(sample_graph(config, form_of, cuts, NULL, &g));
    return g;
}

static const ps_graph_node *node_of(const ps_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!strcmp(g->nodes[i].name, name))
            return &g->nodes[i];
    ck_abort_msg("no node %s", name);
    return NULL;
}

static const ps_graph_tensor *tensor_of(const ps_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_tensors; i++)
        if (!strcmp(g->tensors[i].name, name))
            return &g->tensors[i];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

/* The nodes, a word each; of blocks the first alone. */
static void passes(const ps_graph *g, const char *words)
{
    ps_buf out = PS_BUF_EMPTY;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ps_graph_group *group = &g->groups[g->nodes[i].group];
        if (group->block == PS_GRAPH_NONE || !group->block)
            ps_buf_printf(&out, "%s%s", out.len ? " " : "", g->nodes[i].name);
    }
    ck_assert_str_eq(ps_buf_cstr(&out), words);
    ps_buf_free(&out);
}

START_TEST(nodes_stand_in_the_order_of_the_pass)
{
    ps_graph *g = made(SAMPLE_GPT2, NULL, (ps_graph_cuts){.column_blocks = 1});
    passes(g,
           "tokens wte wpe positions ln_1 c_attn attention c_proj residual ln_2 c_fc gelu c_proj "
           "residual ln_f head logits");
    ck_assert_uint_eq(g->n_blocks, 2);
    ck_assert_uint_eq(g->block_nodes, 10);
    ck_assert_uint_eq(g->nodes[g->block_first].op, PS_GRAPH_NORM);
    ck_assert_str_eq(g->nodes[g->block_first + g->block_nodes].name, "ln_1");
    ps_graph_free(&g);
    g = made(SAMPLE_LLAMA, NULL, (ps_graph_cuts){.column_blocks = 1});
    passes(g, "tokens embed_tokens input_layernorm q_proj k_proj v_proj attention o_proj residual "
              "post_attention_layernorm gate_proj up_proj silu(gate) × up down_proj residual norm "
              "lm_head logits");
    ck_assert_str_eq(node_of(g, "attention")->about, "4 heads of 8, 2 of keys, rotary");
    const ps_graph_node *q = node_of(g, "q_proj");
    ck_assert(q[1].rank == q->rank && q[2].rank == q->rank && q[3].rank == q->rank + 1);
    ps_graph_free(&g);
    g = made(SAMPLE_MLP, NULL, (ps_graph_cuts){.column_blocks = 1});
    passes(g, "inputs layers.0 relu layers.1 logits");
    ps_graph_free(&g);
}
END_TEST

static const uint64_t cnn_shapes[][4] = {{6, 3, 5, 5}, {6}, {6}, {6}, {2, 24}, {2}};
static const char *const cnn_names[] = {"convolutions.0.weight", "convolutions.0.bias",
                                        "norms.0.weight",        "norms.0.bias",
                                        "layers.0.weight",       "layers.0.bias"};

/* 5 × 5 of 3 channels on 6 × 6 pixels, of which 2 × 2 are left to a layer of 2. */
START_TEST(a_network_for_images_is_drawn_with_its_sizes)
{
    static const char yaml[] = "{architecture: cnn, image: [3, 6, 6], convolutions: [{channels: 6, "
                               "kernel: 5, pool: average, pool_size: 3}], layers: [2]}";
    ps_spec_model *m = NULL;
    ps_graph *g = NULL;
    ps_graph_given given[6];
    for (size_t i = 0; i < 6; i++)
        given[i] = (ps_graph_given){cnn_names[i], cnn_shapes[i],
                                    i == 0   ? 4
                                    : i == 4 ? 2
                                             : 1,
                                    "float32"};
    ck_ok(ps_spec_model_parse(ps_slice_str(yaml), "m", &m));
    ck_ok(ps_graph_create(m, given, 6, (ps_graph_cuts){.column_blocks = 2}, &g));
    passes(g, "inputs convolutions.0 norms.0 relu mean layers.0 logits");
    ck_assert_str_eq(node_of(g, "convolutions.0")->about, "6 channels of 6x6");
    ck_assert_str_eq(node_of(g, "mean")->about, "6 channels of 2x2");
    ck_assert_double_eq(node_of(g, "convolutions.0")->flops, 216.0 * (2 * 75 + 1));
    const ps_graph_tensor *t = tensor_of(g, "convolutions.0.weight");
    ck_assert(t->rows == 90 && t->columns == 5 && t->numbers == 450 && t->bytes == 1800);
    ck_assert_uint_eq(g->numbers, 450 + 18 + 48 + 2);
    ps_graph_free(&g);
    given[0].n_dims = 3;
    ck_assert_int_eq(ps_graph_create(m, given, 6, (ps_graph_cuts){.column_blocks = 1}, &g),
                     PS_CORRUPT);
    ps_spec_model_free(&m);
}
END_TEST

START_TEST(every_tensor_is_there_once_and_sums_are_those_of_the_list)
{
    ps_graph *g = made(SAMPLE_GPT2, NULL, (ps_graph_cuts){.column_blocks = 1});
    /* 11·6 + 8·6, two blocks of 2·12 + 6·18 + 18 + 36 + 6 + 6·24 + 24 + 24·6 + 6, and 12 */
    ck_assert_uint_eq(g->numbers, 114 + 2 * 510 + 12);
    ck_assert_uint_eq(g->bytes, 4 * g->numbers);
    uint64_t seen = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        seen += g->nodes[i].n;
    ck_assert_uint_eq(seen, g->n_tensors);
    ck_assert_uint_eq(g->n_tensors, 2 + 2 * 12 + 2);
    /* products: 2·(6·18 + 36 + 2·144) + biases 54 a block, the head's 2·66; attention of 8 tokens
     * 8·(4·6 + 2); norms, sums and GELU 4·6 + 24; positions and the last norm 6 each */
    double block = 2 * (108 + 36 + 288) + 54 + 8 * 26 + 4 * 6 + 24;
    ck_assert_double_eq(g->flops, 2 * block + 132 + 12);
    ck_assert_uint_eq(node_of(g, "head")->shared, 0);
    ps_graph_free(&g);
    g = made(SAMPLE_MLP, NULL, (ps_graph_cuts){.column_blocks = 1});
    ck_assert_double_eq(g->flops, 2 * (96 + 24) + 11 + 8);
    ps_graph_free(&g);
}
END_TEST

START_TEST(the_residual_stream_goes_past_what_is_added_to_it)
{
    ps_graph *g = made(SAMPLE_LLAMA, NULL, (ps_graph_cuts){.column_blocks = 1});
    size_t skips = 0;
    uint32_t from = 1; /* the embedding */
    for (size_t i = 0; i < g->n_edges; i++) {
        if (!g->edges[i].skip)
            continue;
        skips++;
        ck_assert_uint_eq(g->edges[i].from, from);
        from = g->edges[i].to;
        ck_assert_uint_eq(g->nodes[from].op, PS_GRAPH_ADD);
    }
    ck_assert_uint_eq(skips, 2 * 3);
    ps_graph_free(&g);
}
END_TEST

START_TEST(column_blocks_cover_a_matrix_and_say_what_they_are_slices_of)
{
    ps_graph *g = made(SAMPLE_GPT2, NULL, (ps_graph_cuts){.column_blocks = 4});
    const ps_graph_tensor *t = tensor_of(g, "h.1.attn.c_attn.weight"); /* [in 6, out 18] */
    ck_assert_uint_eq(t->rows, 6);
    ck_assert_uint_eq(t->columns, 18);
    ck_assert_uint_eq(t->column_blocks, 4);
    const uint64_t cuts[] = {0, 4, 9, 13, 18};
    for (uint32_t i = 0; i <= 4; i++)
        ck_assert_uint_eq(ps_graph_cut(t, i), cuts[i]);
    ck_assert_int_eq(t->slice, PS_GRAPH_SLICE_OUTPUTS);
    ck_assert_int_eq(tensor_of(g, "wte.weight")->slice, PS_GRAPH_SLICE_OUTPUTS);
    ps_graph_free(&g);
    /* trained in a form, it lay as [out 18, in 6] */
    g = made(SAMPLE_GPT2, NULL, (ps_graph_cuts){.column_blocks = 8, .turned = true});
    t = tensor_of(g, "h.1.attn.c_attn.weight");
    ck_assert_uint_eq(t->rows, 18);
    ck_assert_uint_eq(t->columns, 6);
    ck_assert_uint_eq(t->column_blocks, 6);
    ck_assert_int_eq(t->slice, PS_GRAPH_SLICE_INPUTS);
    ps_graph_free(&g);
    g = made(SAMPLE_LLAMA, NULL, (ps_graph_cuts){.column_blocks = 3});
    t = tensor_of(g, "model.layers.2.mlp.down_proj.weight");
    ck_assert_uint_eq(t->columns, 64);
    ck_assert_int_eq(t->slice, PS_GRAPH_SLICE_INPUTS);
    ps_graph_free(&g);
}
END_TEST

static const char *some_forms(const char *name)
{
    return strstr(name, "up_proj") ? "q4_0" : strstr(name, "q_proj") ? "factors/4" : NULL;
}

START_TEST(forms_say_bytes_and_what_a_product_takes)
{
    ps_graph *g = made(SAMPLE_LLAMA, some_forms, (ps_graph_cuts){.column_blocks = 1});
    /* q4_0: 18 bytes for 32 numbers */
    ck_assert_uint_eq(tensor_of(g, "model.layers.0.mlp.up_proj.weight")->bytes, 64 * 18);
    ck_assert_double_eq(node_of(g, "up_proj")->flops, 2 * 64 * 32);
    /* two of rank 4 */
    ck_assert_uint_eq(tensor_of(g, "model.layers.0.self_attn.q_proj.weight")->bytes, 4 * 64 * 4);
    ck_assert_double_eq(node_of(g, "q_proj")->flops, 2 * 4 * 64);
    ps_graph_free(&g);
}
END_TEST

static void lose_one(sample_list *list)
{
    list->given[2] = list->given[--list->n];
}
static void misname_one(sample_list *list)
{
    list->given[list->n] = list->given[0];
    list->given[list->n++].name = "h.7.attn.rotor.weight";
}
static void turn_one(sample_list *list)
{
    uint64_t *shape = list->shapes[0], first = shape[0];
    shape[0] = shape[1];
    shape[1] = first;
}
static void flatten_one(sample_list *list)
{
    list->given[0].n_dims = 1;
}
static void form_one(sample_list *list)
{
    list->given[0].form = "q9_z";
}
static void misfit_one(sample_list *list)
{
    list->given[0].form = "q4_0";
}
static void form_a_vector(sample_list *list)
{
    list->given[2].form = "int8/row";
}
static void empty(sample_list *list)
{
    list->n = 0;
}

START_TEST(a_list_that_is_not_the_configurations_is_refused)
{
    static const struct {
        void (*change)(sample_list *);
        const char *said;
    } cases[] = {
        {lose_one, "tensor h.0.ln_1.weight: the configuration needs it, and it is not there"},
        {misname_one, "tensor h.7.attn.rotor.weight: architecture gpt2 has none of that name"},
        {turn_one, "tensor wte.weight: not of the shape that the configuration says"},
        {flatten_one, "tensor wte.weight: not of the shape that the configuration says"},
        {form_one, "tensor wte.weight: psctl does not know the form 'q9_z'"},
        {misfit_one, "tensor wte.weight: its shape does not fit the form q4_0"},
        {form_a_vector, "tensor h.0.ln_1.weight: its shape does not fit the form int8/row"},
        {empty, "tensor wte.weight: the configuration needs it, and it is not there"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_graph *g = NULL;
        ck_assert_int_eq(sample_graph(SAMPLE_GPT2, NULL, (ps_graph_cuts){.column_blocks = 1},
                                      cases[i].change, &g),
                         PS_CORRUPT);
        ck_assert_str_eq(ps_error_message(), cases[i].said);
        ck_assert_ptr_null(g);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&nodes_stand_in_the_order_of_the_pass},
    {&a_network_for_images_is_drawn_with_its_sizes},
    {&every_tensor_is_there_once_and_sums_are_those_of_the_list},
    {&the_residual_stream_goes_past_what_is_added_to_it},
    {&column_blocks_cover_a_matrix_and_say_what_they_are_slices_of},
    {&forms_say_bytes_and_what_a_product_takes},
    {&a_list_that_is_not_the_configurations_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("common/model/graph", tests);
}
