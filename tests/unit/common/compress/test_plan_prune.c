/* plan: what becomes of shapes when units are removed, which tensors share them, what is summed for
 * the repair and in what turn, and what is refused. Figures are worked out by hand. */
#include "tests/unit/common/compress/plan_rig.h"

#include "common/compress/store_plan.h"

static void is_shape(const rig *r, const char *name, uint64_t rows, uint64_t columns)
{
    const ps_plan_tensor *t = tensor(r, name);
    ck_assert_msg(
        t->stored.shape[0] == rows && (t->stored.n_dims < 2 || t->stored.shape[1] == columns),
        "%s: %lu, %lu", name, (unsigned long)t->stored.shape[0], (unsigned long)t->stored.shape[1]);
}

START_TEST(an_ffn_gets_narrower_everywhere)
{
    rig r;
    ck_ok(plan(&r, GPT, "prune: {what: ffn, ratio: 0.25}\n"));
    const ps_plan *p = r.plan;
    ck_assert_int_eq(p->model->intermediate_size, 384);
    ck_assert_ptr_nonnull(strstr(p->config, "intermediate_size: 384"));
    ck_assert_uint_eq(p->n_units, 4);
    is_shape(&r, "h.3.mlp.c_fc.weight", 128, 384); /* [in, out] */
    is_shape(&r, "h.3.mlp.c_fc.bias", 384, 0);
    is_shape(&r, "h.3.mlp.c_proj.weight", 384, 128);
    is_shape(&r, "h.3.mlp.c_proj.bias", 128, 0);
    is_shape(&r, "h.3.attn.c_attn.weight", 128, 384);
    ck_assert_str_eq(tensor(&r, "h.3.mlp.c_proj.weight")->why, "384 of 512 inputs");
    ck_assert_str_eq(tensor(&r, "h.3.mlp.c_fc.bias")->why, "384 of 512 outputs");
    ck_assert(!ps_plan_solves(tensor(&r, "h.3.attn.c_attn.weight")));
    ck_assert(!ps_plan_solves(tensor(&r, "h.3.mlp.c_proj.bias")));
    ck_assert_uint_eq(p->parent_data - p->data, 4 * 4 * 128 * (128 + 128 + 1));
    /* what is summed is of the parent's units; all of a layer is solved when it is there */
    ck_assert_uint_eq(p->n_inputs, 4);
    ck_assert_uint_eq(p->inputs[3].columns, 512);
    ck_assert_uint_eq(p->inputs[3].numbers, 512 * 513 / 2);
    ck_assert_uint_eq(p->n_windows, 4);
    ck_assert_uint_eq(ps_plan_turn(p, tensor(&r, "h.3.mlp.c_fc.weight")), 4);
    ck_assert_uint_eq(ps_plan_turn(p, tensor(&r, "h.3.mlp.c_fc.bias")), 4);
    ck_assert_uint_eq(ps_plan_turn(p, tensor(&r, "h.3.mlp.c_proj.weight")), 4);
    rig_free(&r);
}
END_TEST

START_TEST(without_a_repair_nothing_is_calibrated)
{
    rig r;
    ck_ok(plan(&r, SMOL, "prune: {what: ffn, ratio: 0.5, repair: none}\n"));
    ck_assert_int_eq(r.plan->model->intermediate_size, 768);
    is_shape(&r, "model.layers.29.mlp.gate_proj.weight", 768, 576);
    is_shape(&r, "model.layers.29.mlp.up_proj.weight", 768, 576);
    is_shape(&r, "model.layers.29.mlp.down_proj.weight", 576, 768);
    ck_assert_uint_eq(r.plan->n_inputs, 0);
    rig_free(&r);
    ck_ok(plan(&r, SMOL, "prune: {what: ffn, ratio: 0.5, by: activation, repair: none}\n"));
    ck_assert_uint_eq(r.plan->n_inputs, 30);
    ck_assert_uint_eq(r.plan->inputs[7].numbers, 1536); /* squares alone */
    rig_free(&r);
}
END_TEST

START_TEST(forms_are_chosen_for_what_is_left)
{
    rig r;
    static const char both[] = "prune: {what: ffn, ratio: 0.2}\n"
                               "quantise: {scheme: int4, method: gptq}\n";
    ck_ok(plan(&r, GPT, both));
    /* 410 of 512 would stay; a group of 128 is more than goes, 32 are not */
    ck_assert_int_eq(r.plan->model->intermediate_size, 416);
    has(&r, "h.0.mlp.c_proj.weight", "int4/32",
        "416 of 512 inputs; rows of 416 are not whole groups of 128");
    has(&r, "h.0.mlp.c_fc.weight", "int4/128", "416 of 512 outputs");
    has(&r, "h.0.mlp.c_fc.bias", "float32", "416 of 512 outputs; bias");
    rig_free(&r);
    ck_ok(plan(&r, GPT, "prune: {what: ffn, ratio: 0.3}\nquantise: {scheme: int4}\n"));
    ck_assert_int_eq(r.plan->model->intermediate_size, 384); /* a multiple of 128 */
    has(&r, "h.0.mlp.c_proj.weight", "int4/128", "384 of 512 inputs");
    rig_free(&r);
}
END_TEST

/* Both of its sides: units of one hidden layer, and of the one before. */
START_TEST(hidden_layers_of_an_mlp_each_lose_their_share)
{
    rig r;
    ck_ok(plan(&r, "{architecture: mlp, layers: [16, 48, 40, 4]}",
               "prune: {what: rows, ratio: 0.5}\n"));
    const ps_plan *p = r.plan;
    ck_assert_int_eq(p->model->layers[0], 16);
    ck_assert_int_eq(p->model->layers[1], 24); /* of 6 at most an eighth, a power of two */
    ck_assert_int_eq(p->model->layers[2], 20);
    ck_assert_int_eq(p->model->layers[3], 4);
    is_shape(&r, "layers.0.weight", 24, 16);
    is_shape(&r, "layers.1.weight", 20, 24);
    is_shape(&r, "layers.1.bias", 20, 0);
    is_shape(&r, "layers.2.weight", 4, 20);
    ck_assert_str_eq(tensor(&r, "layers.1.weight")->why, "20 of 40 outputs, 24 of 48 inputs");
    ck_assert(!ps_plan_solves(tensor(&r, "layers.2.bias")));
    ck_assert_uint_eq(p->n_inputs, 2); /* of layers 1 and 2 */
    ck_assert_uint_eq(p->n_windows, 1);
    ck_assert_uint_eq(ps_plan_turn(p, tensor(&r, "layers.0.weight")), 1);
    rig_free(&r);
}
END_TEST

START_TEST(what_shares_units_is_summed_together_or_not_at_all)
{
    rig r;
    static const char gptq[] = "prune: {what: ffn, ratio: 0.25}\n"
                               "calibrate: {held_out: 0}\nquantise: {scheme: int4, method: gptq}\n";
    uint64_t layer = 12 * (3 * 8256 + 131328); /* bytes of all inputs of one */
    ck_ok(plan_within(&r, GPT, gptq, layer));
    ck_assert_uint_eq(r.plan->n_windows, 4);
    rig_free(&r);
    ck_assert_int_eq(plan_within(&r, GPT, gptq, layer - 1), PS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "sums over the inputs of 4 products from "
                                                     "h.0.attn.c_attn.weight on take 1 MiB"));
    rig_free(&r);
}
END_TEST

/* 9 heads of queries look at 3 of keys and values, each of 64 numbers: 2 of 3 groups stay. */
START_TEST(heads_go_in_whole_groups)
{
    rig r;
    ck_ok(plan(&r, SMOL, "prune: {what: heads, ratio: 0.34}\n"));
    const ps_plan *p = r.plan;
    ck_assert_int_eq(p->model->num_heads, 6);
    ck_assert_int_eq(p->model->num_kv_heads, 2);
    ck_assert_int_eq(p->model->head_dim, 64);
    ck_assert_int_eq(p->model->hidden_size, 576);
    ck_assert_ptr_nonnull(strstr(p->config, "num_heads: 6, num_kv_heads: 2, head_dim: 64, "));
    ck_assert_uint_eq(p->n_units, 30);
    is_shape(&r, "model.layers.7.self_attn.q_proj.weight", 384, 576);
    is_shape(&r, "model.layers.7.self_attn.k_proj.weight", 128, 576);
    is_shape(&r, "model.layers.7.self_attn.v_proj.weight", 128, 576);
    is_shape(&r, "model.layers.7.self_attn.o_proj.weight", 576, 384);
    is_shape(&r, "model.layers.7.mlp.down_proj.weight", 576, 1536);
    ck_assert_str_eq(tensor(&r, "model.layers.7.self_attn.q_proj.weight")->why,
                     "384 of 576 outputs");
    ck_assert_str_eq(tensor(&r, "model.layers.7.self_attn.o_proj.weight")->why,
                     "384 of 576 inputs");
    ck_assert_uint_eq(p->n_inputs, 30); /* of output projections, whole */
    ck_assert_uint_eq(p->inputs[7].numbers, 576 * 577 / 2);
    ck_assert_uint_eq(ps_plan_turn(p, tensor(&r, "model.layers.7.self_attn.k_proj.weight")), 8);
    rig_free(&r);
    ck_ok(plan(&r, GPT, "prune: {what: heads, ratio: 0.5}\nquantise: {scheme: int4}\n"));
    ck_assert_int_eq(r.plan->model->num_heads, 2);
    ck_assert_int_eq(r.plan->model->head_dim, 32);
    is_shape(&r, "h.0.attn.c_attn.weight", 128, 192); /* [in, out] */
    is_shape(&r, "h.0.attn.c_attn.bias", 192, 0);
    is_shape(&r, "h.0.attn.c_proj.weight", 64, 128);
    is_shape(&r, "h.0.attn.c_proj.bias", 128, 0);
    const ps_plan_tensor *t = tensor(&r, "h.0.attn.c_attn.weight");
    ck_assert_str_eq(t->why, "192 of 384 outputs");
    ck_assert_uint_eq(t->n_members, 3); /* queries, keys, values */
    ck_assert_uint_eq(t->members[2].begin, 256);
    ck_assert_uint_eq(t->members[2].span, 32);
    rig_free(&r);
    ck_ok(plan(&r, QWEN, "prune: {what: heads, ratio: 0.5, repair: none}\n"));
    is_shape(&r, "model.layers.0.self_attn.q_proj.bias", 24, 0);
    is_shape(&r, "model.layers.0.self_attn.v_proj.bias", 12, 0);
    ck_assert_uint_eq(r.plan->n_inputs, 0);
    rig_free(&r);
}
END_TEST

/* The new model's tensors are those of the first layers by name; what is in them is another's. */
START_TEST(layers_go_whole_and_the_others_move_up)
{
    rig r;
    ck_ok(plan(&r, GPT, "prune: {what: layers, ratio: 0.25}\nquantise: {scheme: q8_0}\n"));
    const ps_plan *p = r.plan;
    ck_assert_int_eq(p->model->num_layers, 3);
    ck_assert_uint_eq(p->n_tensors, r.parent.n - 12);
    ck_assert_uint_eq(p->parent_parameters - p->parameters, 128 * (3 + 1 + 8) * 128 + 13 * 128);
    has(&r, "h.2.mlp.c_fc.weight", "q8_0", "of a layer that stays");
    ck_assert(tensor(&r, "h.0.ln_1.bias")->moves && ps_plan_solves(tensor(&r, "h.0.ln_1.bias")));
    ck_assert(!tensor(&r, "wte.weight")->moves && !tensor(&r, "ln_f.bias")->moves);
    ck_assert_uint_eq(p->n_inputs, 1); /* what each of the four does */
    ck_assert(p->inputs[0].influence);
    ck_assert_uint_eq(p->inputs[0].numbers, 4);
    ck_assert_uint_eq(p->inputs[0].layer, 3);
    ck_assert_uint_eq(ps_plan_turn(p, tensor(&r, "h.0.ln_1.bias")), 1);
    ck_assert_uint_eq(ps_plan_turn(p, tensor(&r, "wte.weight")), 0);
    rig_free(&r);
}
END_TEST

/* One set of channels in all that reads the residual stream or writes to it. */
START_TEST(the_width_goes_everywhere_at_once)
{
    rig r;
    ck_ok(plan(&r, SMOL, "prune: {what: hidden, ratio: 0.25}\n"));
    const ps_plan *p = r.plan;
    ck_assert_int_eq(p->model->hidden_size, 448); /* 432 and more, whole 32 */
    ck_assert_int_eq(p->model->head_dim, 64);
    ck_assert_int_eq(p->model->num_heads, 9);
    ck_assert_uint_eq(p->n_units, 1);
    is_shape(&r, "model.embed_tokens.weight", 49152, 448);
    is_shape(&r, "model.layers.7.self_attn.q_proj.weight", 576, 448);
    is_shape(&r, "model.layers.7.self_attn.k_proj.weight", 192, 448);
    is_shape(&r, "model.layers.7.self_attn.o_proj.weight", 448, 576);
    is_shape(&r, "model.layers.7.mlp.down_proj.weight", 448, 1536);
    is_shape(&r, "model.norm.weight", 448, 0);
    ck_assert_uint_eq(p->n_inputs, 61); /* two a block, and the head's: of a tied one the squares */
    ck_assert_uint_eq(p->inputs[60].numbers, 576);
    ck_assert_uint_eq(p->inputs[59].numbers, 576 * 577 / 2);
    ck_assert_uint_eq(p->n_windows, 1);
    ck_assert_uint_eq(tensor(&r, "model.norm.weight")->feeds, 60);
    ck_assert_uint_eq(tensor(&r, "model.layers.7.post_attention_layernorm.weight")->feeds, 15);
    ck_assert_uint_eq(ps_plan_turn(p, tensor(&r, "model.norm.weight")), 1);
    rig_free(&r);
    ck_ok(plan(&r, GPT, "prune: {what: hidden, ratio: 0.5, repair: none}\n"));
    is_shape(&r, "h.0.attn.c_attn.weight", 64, 384);
    is_shape(&r, "h.0.attn.c_proj.weight", 128, 64);
    is_shape(&r, "h.0.attn.c_proj.bias", 64, 0);
    is_shape(&r, "h.0.mlp.c_fc.bias", 512, 0);
    is_shape(&r, "wpe.weight", 128, 64);
    ck_assert_uint_eq(r.plan->n_inputs, 0);
    rig_free(&r);
}
END_TEST

#define GEMMA                                                                       \
    "{architecture: gemma2, vocab_size: 300, context_length: 64, hidden_size: 48, " \
    "num_layers: 2, num_heads: 4, num_kv_heads: 2, intermediate_size: 96, "         \
    "sliding_window: 8, full_attention_every: 2}"

START_TEST(what_cannot_be_removed_is_refused)
{
    refuses(GPT, "prune: {what: layers, ratio: 0.2}\n", PS_INVALID_ARGUMENT,
            "compress.prune.ratio: 0.2 of 4 layers is not one of them");
    refuses(SMOL, "prune: {what: heads, ratio: 0.3}\n", PS_INVALID_ARGUMENT,
            "compress.prune.ratio: 0.3 of 3 groups of heads is not one of them");
    refuses(SMOL, "prune: {what: heads, ratio: 0.9999999}\n", PS_INVALID_ARGUMENT,
            "compress.prune.ratio: 1 of 3 groups of heads leaves none");
    refuses(MLP, "prune: {what: heads, ratio: 0.5}\n", PS_INVALID_ARGUMENT,
            "compress.prune.what: model big, mlp, has no heads; allowed: rows");
    refuses(
        GPT, "prune: {what: rows, ratio: 0.25}\n", PS_INVALID_ARGUMENT,
        "compress.prune.what: model big, gpt2, has no rows; allowed: ffn, heads, layers, hidden");
    refuses(GEMMA, "prune: {what: layers, ratio: 0.5}\n", PS_INVALID_ARGUMENT,
            "compress.prune.what: layers of model big, gemma2: some see a window and others do "
            "not, and those that move up would see what they did not learn to");
    refuses(GEMMA, "prune: {what: hidden, ratio: 0.25}\n", PS_INVALID_ARGUMENT,
            "compress.prune.what: hidden of model big, gemma2: its embedding is times the root of "
            "hidden_size, so that all that is left would change");
    refuses(MLP, "prune: {what: ffn, ratio: 0.25}\n", PS_INVALID_ARGUMENT,
            "compress.prune.what: model big, mlp, has no ffn; allowed: rows");
    refuses("{architecture: mlp, layers: [784, 10]}", "prune: {what: rows, ratio: 0.25}\n",
            PS_INVALID_ARGUMENT,
            "compress.prune.what: model big has no hidden layer to take rows from");
    refuses(GPT, "prune: {what: ffn, ratio: 0.001}\n", PS_INVALID_ARGUMENT,
            "compress.prune.ratio: 0.001 of 512 FFN units is not one of them");
    refuses("{architecture: mlp, layers: [784, 1, 10]}", "prune: {what: rows, ratio: 0.99}\n",
            PS_INVALID_ARGUMENT, "compress.prune.ratio: 0.99 of 1 units is not one of them");
}
END_TEST

START_TEST(zeros_change_no_shape_and_say_that_they_save_nothing)
{
    rig r;
    ck_ok(plan(&r, GPT, "prune: {what: 2of4, ratio: 0.5}\n"));
    ck_assert_ptr_null(r.plan->model);
    ck_assert_uint_eq(r.plan->data, r.plan->parent_data);
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&r.plan->warnings), "neither smaller nor faster"));
    ck_assert(tensor(&r, "h.1.attn.c_attn.weight")->zeros);
    ck_assert_str_eq(tensor(&r, "h.1.attn.c_attn.weight")->why, "0.5 of each row become 0");
    ck_assert(!tensor(&r, "wte.weight")->zeros && !tensor(&r, "h.1.ln_1.weight")->solves);
    ck_assert_uint_eq(r.plan->n_inputs, 16);
    rig_free(&r);
    ck_ok(plan(&r, "{architecture: mlp, layers: [6, 4, 2]}",
               "prune: {what: 2of4, ratio: 0.5, by: activation, repair: none}\n"));
    ck_assert_str_eq(tensor(&r, "layers.0.weight")->why, "rows of 6 are not whole fours");
    ck_assert(!tensor(&r, "layers.0.weight")->solves && tensor(&r, "layers.1.weight")->solves);
    ck_assert_uint_eq(r.plan->inputs[0].numbers, 4);
    rig_free(&r);
}
END_TEST

static const ps_check_case tests[] = {
    {&an_ffn_gets_narrower_everywhere},
    {&without_a_repair_nothing_is_calibrated},
    {&forms_are_chosen_for_what_is_left},
    {&hidden_layers_of_an_mlp_each_lose_their_share},
    {&what_shares_units_is_summed_together_or_not_at_all},
    {&heads_go_in_whole_groups},
    {&layers_go_whole_and_the_others_move_up},
    {&the_width_goes_everywhere_at_once},
    {&what_cannot_be_removed_is_refused},
    {&zeros_change_no_shape_and_say_that_they_save_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("compress/plan_prune", tests);
}
