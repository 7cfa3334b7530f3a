/* fold: what makes which input in models of each architecture, and what is in the way. */
#include "common/compress/store_plan.h"
#include "tests/unit/common/compress/plan_rig.h"

static void folds(const rig *r, const char *name, const char *product, uint64_t from)
{
    const ps_plan_tensor *t = tensor(r, name);
    ck_assert_msg(t->solves, "%s", name);
    ck_assert_msg(t->folds == tensor(r, product)->input, "%s", name);
    ck_assert_uint_eq(t->folds_from, from);
    ck_assert(r->plan->inputs[t->folds].factors);
    ck_assert_uint_eq(ps_plan_turn(r->plan, t), ps_plan_turn(r->plan, tensor(r, product)));
}

START_TEST(what_makes_an_input_folds_its_factors)
{
    static const char why[] = "divided by the factors of what follows";
    rig r;
    ck_ok(plan(&r, GPT, "quantise: {scheme: int4, method: awq}\n"));
    folds(&r, "h.1.ln_1.weight", "h.1.attn.c_attn.weight", 0);
    folds(&r, "h.1.ln_1.bias", "h.1.attn.c_attn.weight", 0);
    folds(&r, "h.1.attn.c_attn.weight", "h.1.attn.c_proj.weight", 256);
    folds(&r, "h.1.attn.c_attn.bias", "h.1.attn.c_proj.weight", 256);
    folds(&r, "h.1.ln_2.bias", "h.1.mlp.c_fc.weight", 0);
    has(&r, "h.1.attn.c_attn.weight", "int4/128", why);
    has(&r, "h.1.mlp.c_proj.weight", "int4/128", "no factors for its input: GELU makes it");
    has(&r, "h.1.mlp.c_fc.bias", "float32", "bias");
    ck_assert(!tensor(&r, "h.1.mlp.c_fc.bias")->solves && !tensor(&r, "ln_f.weight")->solves);
    ck_assert_uint_eq(r.plan->n_windows, 4);
    rig_free(&r);
    ck_ok(plan(&r, QWEN, "quantise: {scheme: int8, method: smooth}\n"));
    folds(&r, "model.layers.0.self_attn.v_proj.weight", "model.layers.0.self_attn.o_proj.weight",
          0);
    folds(&r, "model.layers.0.self_attn.v_proj.bias", "model.layers.0.self_attn.o_proj.weight", 0);
    folds(&r, "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight", 0);
    has(&r, "model.layers.0.self_attn.v_proj.bias", "float32",
        "bias; divided by the factors of what follows");
    const ps_plan_input *o =
        &r.plan->inputs[tensor(&r, "model.layers.0.self_attn.o_proj.weight")->input];
    ck_assert(o->span == 12 && o->repeat == 2);
    ck_assert(!tensor(&r, "model.layers.0.self_attn.q_proj.bias")->solves);
    rig_free(&r);
}
END_TEST

/* All that an input goes into has its factors, or none has. */
START_TEST(factors_that_cannot_be_folded_are_none)
{
    rig r;
    ck_ok(plan(&r, SMOL,
               "quantise: {scheme: int8, method: awq, keep: [\"*.1.*.q_proj\", "
               "\"*.2.input_layernorm\", \"*.3.*.v_proj\"]}\n"));
    has(&r, "model.layers.1.self_attn.k_proj.weight", "int8/row",
        "no factors for its input: not all that it goes into has them");
    has(&r, "model.layers.1.input_layernorm.weight", "float32", "norm");
    has(&r, "model.layers.2.self_attn.q_proj.weight", "int8/row",
        "no factors for its input: what makes it is kept");
    has(&r, "model.layers.3.self_attn.o_proj.weight", "int8/row",
        "no factors for its input: what makes it is kept");
    has(&r, "model.layers.4.self_attn.o_proj.weight", "int8/row", "");
    rig_free(&r);
    ck_ok(plan(&r, MLP, "quantise: {scheme: int8, method: awq}\n"));
    has(&r, "layers.0.weight", "int8/row",
        "no factors for its input: it is the data; divided by the factors of what follows");
    folds(&r, "layers.0.bias", "layers.1.weight", 0);
    rig_free(&r);
    ck_ok(plan(&r, MLP, "quantise: {scheme: int8, method: awq, group: matrix}\n"));
    has(&r, "layers.1.weight", "int8/row", "no factors for its input: what makes it has one scale");
    rig_free(&r);
    ck_ok(plan(&r, "{architecture: mlp, layers: [8, 8, 8], activation: tanh}",
               "quantise: {scheme: int8, method: awq}\n"));
    has(&r, "layers.1.weight", "int8/row", "no factors for its input: tanh makes it");
    rig_free(&r);
}
END_TEST

/* What is folded together is summed together, or not folded. */
START_TEST(windows_do_not_part_what_is_folded)
{
    static const struct {
        uint64_t bytes;
        size_t windows;
    } rows[] = {
        /* of each of 4 layers 3 inputs of 8256 sums and one of 131328; of 12 bytes */
        {12 * 4 * (3 * 8256 + 131328), 1},
        {12 * (3 * 8256 + 131328), 4},
        {12 * 131328, 8},
    };
    rig r;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_ok(plan_within(&r, GPT,
                          "quantise: {scheme: int4, method: awq}\n"
                          "calibrate: {sequential: false, held_out: 0}\n",
                          rows[i].bytes));
        ck_assert_uint_eq(r.plan->n_windows, rows[i].windows);
        for (size_t t = 0; t < r.plan->n_tensors; t++) {
            const ps_plan_tensor *one = &r.plan->tensors[t];
            if (one->input != PS_PLAN_NO_INPUT && one->folds != PS_PLAN_NO_INPUT)
                ck_assert_uint_eq(ps_plan_window_of(r.plan, one->input),
                                  ps_plan_window_of(r.plan, one->folds));
        }
        rig_free(&r);
    }
    /* 1176 sums, 12 bytes each, of three inputs of a layer, 4656 of the fourth */
    ck_ok(plan_within(&r, QWEN,
                      "quantise: {scheme: int8, method: awq}\n"
                      "calibrate: {sequential: false, held_out: 0}\n",
                      12 * 4656));
    has(&r, "model.layers.1.mlp.down_proj.weight", "int8/row",
        "no factors for its input: psd has no room for sums of both");
    has(&r, "model.layers.1.mlp.up_proj.weight", "int8/row", "");
    folds(&r, "model.layers.1.self_attn.v_proj.weight", "model.layers.1.self_attn.o_proj.weight",
          0);
    rig_free(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_makes_an_input_folds_its_factors},
    {&factors_that_cannot_be_folded_are_none},
    {&windows_do_not_part_what_is_folded},
    {0},
};

int main(void)
{
    return ps_check_main("compress/fold", cases);
}
