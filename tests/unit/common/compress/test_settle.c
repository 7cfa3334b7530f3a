/* settle: what a target comes to, worked out by hand; choices that keep within it, beside all that
 * there are; who is tied to whom; and choices of somebody else. */
#include "tests/unit/common/compress/plan_rig.h"

#include "common/base/rng.h"
#include "common/compress/store_plan.h"

#include <math.h>

#define FORMS "scheme: [int2, int3, int4, int8], group: 32"
#define MLP5  "{architecture: mlp, layers: [64, 96, 64, 32, 64, 10]}"

/* As tensors are: a loss that falls fourfold with each bit, more or less. */
static double **draw(const ps_plan *plan, uint64_t seed)
{
    ps_rng rng;
    double **out = ps_alloc_array(plan->n_tensors + 1, sizeof *out);
    ps_rng_seed(&rng, seed);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        double scale = 1 + 20 * ps_rng_uniform(&rng);
        if (t->n_choices)
            out[i] = ps_alloc_array(t->n_choices, sizeof **out);
        for (size_t k = 0; k < t->n_choices; k++)
            out[i][k] = scale * pow(0.25, t->choices[k].row->bits) * (1 + ps_rng_uniform(&rng));
    }
    return out;
}

static void free_losses(const ps_plan *plan, double **losses)
{
    for (size_t i = 0; i < plan->n_tensors; i++)
        free(losses[i]);
    ps_free(&losses);
}

static const double *const *as_const(double **losses)
{
    return (const double *const *)losses;
}

static double sum(const ps_plan *plan, double **losses, const uint32_t *chosen)
{
    double all = 0;
    for (size_t i = 0; i < plan->n_tensors; i++)
        if (losses[i])
            all += losses[i][chosen[i]];
    return all;
}

START_TEST(bits_and_bytes_are_those_of_what_is_chosen_for)
{
    rig r;
    ck_ok(plan(&r, MLP5, "quantise: {" FORMS ", target: {bits: 3.5}}\n"));
    uint64_t numbers = 64 * 96 + 96 * 64 + 64 * 32 + 32 * 64 + 64 * 10;
    uint64_t biases = 4 * (96 + 64 + 32 + 64 + 10);
    ck_assert(r.plan->target.asked && !r.plan->target.by_loss);
    ck_assert_uint_eq(r.plan->target.bytes, biases + numbers * 7 / 16);
    ck_assert_uint_eq(r.plan->target.least, biases + numbers / 32 * 10);
    ck_assert_uint_eq(r.plan->data,
                      biases + numbers / 32 * 34); /* the largest, until it is known */
    ck_assert_uint_eq(ps_plan_words(tensor(&r, "layers.0.weight")), 64 * 96 / 32 * 34 / 4);
    ck_assert_uint_eq(r.plan->n_windows, 0);
    rig_free(&r);
}
END_TEST

START_TEST(a_choice_keeps_within_the_target_and_near_it)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        rig r;
        ck_ok(plan(&r, MLP5, "quantise: {" FORMS ", target: {bits: 4.2}}\n"));
        uint64_t words = ps_plan_words(tensor(&r, "layers.1.weight"));
        double **losses = draw(r.plan, seed);
        uint32_t chosen[10], best[10] = {0};
        ck_ok(ps_plan_allocate(r.plan, as_const(losses), 0, chosen));
        /* every one of the 4^5 choices */
        double least = INFINITY;
        for (uint32_t all = 0; all < 1024; all++) {
            uint64_t bytes = 0;
            for (uint32_t i = 0; i < 10; i++) {
                const ps_plan_tensor *t = &r.plan->tensors[i];
                best[i] = i % 2 ? 0 : all >> i & 3;
                bytes += t->n_choices ? ps_model_form_rows(&t->stored) *
                                            ps_form_row_bytes(t->choices[best[i]],
                                                              ps_model_form_columns(&t->stored))
                                      : t->bytes;
            }
            if (bytes <= r.plan->target.bytes)
                least = fmin(least, sum(r.plan, losses, best));
        }
        ck_assert_double_le(sum(r.plan, losses, chosen), 1.2 * least);
        ck_ok(ps_plan_settle(r.plan, chosen, 10));
        ck_assert_uint_le(r.plan->data, r.plan->target.bytes);
        ck_assert_uint_eq(r.plan->chosen[2], chosen[2]);
        ck_assert(
            ps_form_same(r.plan->tensors[2].stored.form, r.plan->tensors[2].choices[chosen[2]]));
        ck_assert_uint_eq(ps_plan_words(tensor(&r, "layers.1.weight")), words); /* its room stays */
        free_losses(r.plan, losses);
        rig_free(&r);
    }
}
END_TEST

START_TEST(a_target_loss_is_met_with_few_bytes)
{
    rig r;
    ck_ok(plan(&r, MLP5, "quantise: {" FORMS ", target: {loss: +2%}}\nsaliency: moments\n"));
    ck_assert(r.plan->target.by_loss && r.plan->target.share);
    ck_assert_double_eq(r.plan->target.loss, 0.02);
    double **losses = draw(r.plan, 3);
    uint32_t chosen[10];
    ck_ok(ps_plan_allocate(r.plan, as_const(losses), 10, chosen));
    ck_assert_double_le(sum(r.plan, losses, chosen), 0.02 * 10);
    ck_assert_int_eq(ps_plan_allocate(r.plan, as_const(losses), 1e-9, chosen), PS_INVALID_ARGUMENT);
    ck_assert_msg(!strncmp(ps_error_message(), "compress.quantise.target.loss: ", 31), "%s",
                  ps_error_message());
    ck_ok(ps_plan_allocate(r.plan, as_const(losses), 10, chosen));
    uint64_t most = r.plan->data;
    ck_ok(ps_plan_settle(r.plan, chosen, 10));
    ck_assert_uint_lt(r.plan->data, most);
    free_losses(r.plan, losses);
    rig_free(&r);
}
END_TEST

START_TEST(what_loaders_fuse_has_one_form)
{
    rig r;
    ck_ok(plan(&r, QWEN, "quantise: {" FORMS ", target: {bits: 4}}\n"));
    double **losses = draw(r.plan, 5);
    uint32_t *chosen = ps_alloc_array(r.plan->n_tensors, sizeof *chosen);
    ck_ok(ps_plan_allocate(r.plan, as_const(losses), 0, chosen));
    ck_ok(ps_plan_settle(r.plan, chosen, r.plan->n_tensors));
    static const char *const tied[][2] = {{"self_attn.q_proj", "self_attn.k_proj"},
                                          {"self_attn.k_proj", "self_attn.v_proj"},
                                          {"mlp.gate_proj", "mlp.up_proj"}};
    for (size_t layer = 0; layer < 2; layer++)
        for (size_t i = 0; i < 3; i++) {
            char a[64], b[64];
            (void)snprintf(a, sizeof a, "model.layers.%zu.%s.weight", layer, tied[i][0]);
            (void)snprintf(b, sizeof b, "model.layers.%zu.%s.weight", layer, tied[i][1]);
            ck_assert(ps_form_same(tensor(&r, a)->stored.form, tensor(&r, b)->stored.form));
            ck_assert_uint_eq(tensor(&r, a)->tie, tensor(&r, b)->tie);
        }
    ck_assert(tensor(&r, "model.layers.0.self_attn.o_proj.weight")->tie !=
              tensor(&r, "model.layers.0.self_attn.q_proj.weight")->tie);
    ps_free(&chosen);
    free_losses(r.plan, losses);
    rig_free(&r);
}
END_TEST

START_TEST(what_an_error_costs_is_seen_in_the_inputs)
{
    rig r;
    ck_ok(plan(&r, MLP5, "quantise: {" FORMS ", target: {bits: 4}}\nsaliency: activations\n"));
    ck_assert_uint_eq(r.plan->n_inputs, 5);
    ck_assert_uint_eq(r.plan->inputs[0].numbers, 64); /* squares: the method needs nothing */
    ck_assert_uint_eq(ps_plan_epochs(r.plan), 2 * r.plan->n_windows);
    rig_free(&r);
    ck_ok(plan(&r, MLP5, "quantise: {" FORMS ", method: gptq, target: {bits: 4}}\n"));
    ck_assert_uint_eq(r.plan->inputs[0].numbers, 64 * 65 / 2);
    rig_free(&r);
    ck_ok(plan(&r, MLP5, "quantise: {scheme: int4, method: gptq}\n"));
    ck_assert_uint_eq(ps_plan_epochs(r.plan), r.plan->n_windows);
    rig_free(&r);
}
END_TEST

START_TEST(what_cannot_be_had_is_refused)
{
    refuses(MLP5, "quantise: {" FORMS ", target: {bits: 2}}\n", PS_INVALID_ARGUMENT,
            "compress.quantise.target: these forms make at least 6384 bytes, 2.5 bits a number, "
            "and the target is 5320, 2 bits");
    rig r;
    ck_ok(plan(&r, MLP5, "quantise: {" FORMS ", target: {bits: 9}}\n"));
    ck_assert_msg(!strncmp(ps_buf_cstr(&r.plan->warnings), "the target is more than ", 24), "%s",
                  ps_buf_cstr(&r.plan->warnings));
    const uint32_t far[10] = {4}, few[2] = {0};
    ck_assert_int_eq(ps_plan_settle(r.plan, far, 10), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_plan_settle(r.plan, few, 2), PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(r.plan->chosen);
    rig_free(&r);
}
END_TEST

static const ps_check_case tests[] = {
    {&bits_and_bytes_are_those_of_what_is_chosen_for},
    {&a_choice_keeps_within_the_target_and_near_it},
    {&a_target_loss_is_met_with_few_bytes},
    {&what_loaders_fuse_has_one_form},
    {&what_an_error_costs_is_seen_in_the_inputs},
    {&what_cannot_be_had_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("compress/settle", tests);
}
