/* settle: what a target comes to, worked out by hand; choices that keep within it, beside all that
 * there are; who is tied to whom; and choices of somebody else. zeros: how many of each tensor go
 * when the least of all do. */
#include "tests/unit/common/compress/plan_rig.h"

#include "common/base/rng.h"
#include "common/compress/store_plan.h"

#include <math.h>
#include <stdlib.h>

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

/* Saliencies that are drawn about another size in each tensor. */
static double **draw_counts(const ps_plan *plan, double *all)
{
    ps_rng rng;
    double **out = ps_alloc_array(plan->n_tensors + 1, sizeof *out);
    ps_rng_seed(&rng, 5);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        uint64_t n =
            plan->tensors[i].n_measures ? ps_model_form_numbers(&plan->tensors[i].from) : 0;
        out[i] = n ? ps_alloc_array(PS_PLAN_BINS, sizeof **out) : NULL;
        for (uint64_t k = 0; k < n; k++) {
            double w = ps_rng_normal(&rng) * (1 + (double)i);
            out[i][ps_plan_bin_of((float)(w * w))]++;
        }
        *all += (double)n;
    }
    return out;
}

START_TEST(the_least_of_all_tensors_become_zeros)
{
    rig r;
    double all = 0;
    uint32_t chosen[10], sum = 0;
    ck_ok(
        plan(&r, MLP5,
             "prune: {what: unstructured, ratio: 0.3, by: moments, over: model, repair: none}\n"));
    ck_assert(r.plan->measures && !r.plan->target.asked);
    ck_assert_uint_eq(tensor(&r, "layers.1.weight")->n_measures, PS_PLAN_BINS);
    ck_assert_uint_eq(tensor(&r, "layers.1.bias")->n_measures, 0);
    double **counts = draw_counts(r.plan, &all);
    ck_ok(ps_plan_allocate(r.plan, as_const(counts), 0, chosen));
    /* of each all bins up to one that is the same for all, and of that one a like share */
    double share = -1;
    size_t border = 0;
    for (double below = 0; below <= 0.3 * all; border++)
        for (size_t i = 0; i < 10; i += 2)
            below += counts[i][border];
    border--;
    for (size_t i = 0; i < 10; i++) {
        sum += chosen[i];
        if (i % 2) {
            ck_assert_uint_eq(chosen[i], 0);
            continue;
        }
        double below = 0, in = counts[i][border];
        for (size_t b = 0; b < border; b++)
            below += counts[i][b];
        double of = ((double)chosen[i] - below) / in;
        share = share < 0 ? of : share;
        ck_assert_double_eq_tol(of, share, 2 / in);
        ck_assert(of >= 0 && of <= 1);
    }
    ck_assert_uint_eq(sum, (uint32_t)rint(0.3 * all));
    ck_assert_uint_gt(chosen[0] * 640, 2 * chosen[8] * 6144); /* sizes are 64·96 and 64·10 */
    ck_ok(ps_plan_settle(r.plan, chosen, 10));
    ck_assert_uint_eq(tensor(&r, "layers.0.weight")->n_zeros, chosen[0]);
    counts[4][7]++;
    ck_assert_int_eq(ps_plan_allocate(r.plan, as_const(counts), 0, chosen), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "tensor layers.2.weight: what was counted is not its numbers");
    free_losses(r.plan, counts);
    rig_free(&r);
    const char *own = "prune: {what: unstructured, ratio: 0.25, over: tensor, repair: none}\n";
    ck_ok(plan(&r, MLP5, own));
    ck_assert(!r.plan->measures);
    ck_assert_uint_eq(tensor(&r, "layers.0.weight")->n_zeros, 64 * 96 / 4);
    rig_free(&r);
}
END_TEST

/* Rows of the small GPT's FFN: [512, 128] of rank 64 are 640 · 64 numbers. */
START_TEST(what_is_of_a_low_rank_is_two_matrices_or_one)
{
    rig r;
    ck_ok(plan(&r, GPT, "lowrank: {rank: 0.5, what: ffn}\n"));
    const ps_plan_tensor *t = tensor(&r, "h.1.mlp.c_fc.weight");
    ck_assert(t->rank == 64 && t->stored.form.rank == 64 && t->stored.transposed && t->solves);
    ck_assert_uint_eq(t->bytes, 640 * 64 * 4);
    ck_assert_uint_eq(ps_plan_words(t), 640 * 64);
    ck_assert_str_eq(t->why, "rank 64 of 128, two matrices");
    ck_assert_int_eq(t->needs, PS_METHOD_HESSIAN);
    ck_assert_uint_eq(r.plan->parent_data - r.plan->data, 8 * (512 * 128 - 640 * 64) * 4);
    ck_assert(!tensor(&r, "h.1.attn.c_attn.weight")->solves && !tensor(&r, "wte.weight")->solves);
    ck_assert_uint_eq(r.plan->n_inputs, 8);
    rig_free(&r);
    ck_ok(plan(&r, GPT, "lowrank: {rank: 100, merged: true}\nquantise: {scheme: int4}\n"));
    t = tensor(&r, "h.1.attn.c_attn.weight");
    ck_assert(t->rank == 100 && !t->stored.form.rank && !strcmp(t->method->name, "round"));
    has(&r, "h.1.attn.c_attn.weight", "int4/128", "rank 100 of 128");
    ck_assert_uint_eq(tensor(&r, "wte.weight")->rank, 0);
    rig_free(&r);
    ck_ok(plan(&r, GPT, "lowrank: {rank: 0.7, whiten: false}\n")); /* 90 · 256 > 128 · 128 */
    has(&r, "h.0.attn.c_proj.weight", "float32", "of rank 90 it would be no smaller");
    ck_assert_uint_eq(r.plan->n_inputs, 0);
    rig_free(&r);
    refuses(GPT, "lowrank: {rank: 128}\n", PS_INVALID_ARGUMENT,
            "compress.lowrank.rank: by 128 no matrix of the model becomes smaller");
}
END_TEST

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ps_model_form *)a)->name, ((const ps_model_form *)b)->name);
}

/* In files by the names k_proj comes before q_proj, and is no larger than the rank. */
START_TEST(an_input_is_summed_for_the_tensor_that_needs_most)
{
    rig r;
    ck_ok(plan(&r, SMOL,
               "quantise: {scheme: q4_0, method: search}\nlowrank: {rank: 192, merged: true}\n"));
    ps_plan_free(&r.plan);
    qsort(r.tensors, r.parent.n, sizeof *r.tensors, by_name);
    ck_ok(ps_plan_new(&r.spec, &r.parent, 0, &r.plan));
    const ps_plan_tensor *k = tensor(&r, "model.layers.3.self_attn.k_proj.weight");
    ck_assert_uint_eq(k->rank, 0);
    ck_assert_uint_eq(tensor(&r, "model.layers.3.self_attn.q_proj.weight")->rank, 192);
    ck_assert(!r.plan->inputs[k->input].squares);
    ck_assert_uint_eq(r.plan->inputs[k->input].numbers, 576 * 577 / 2);
    rig_free(&r);
}
END_TEST

/* A triangle of one column is one number, too. */
START_TEST(one_column_is_no_square_by_itself)
{
    rig r;
    ck_ok(plan(&r, "{architecture: mlp, layers: [1, 64, 10]}",
               "prune: {what: unstructured, ratio: 0.5}\n"));
    ck_assert_uint_eq(r.plan->inputs[0].columns, 1);
    ck_assert_uint_eq(r.plan->inputs[0].numbers, 1);
    ck_assert(!r.plan->inputs[0].squares);
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
    {&the_least_of_all_tensors_become_zeros},
    {&what_is_of_a_low_rank_is_two_matrices_or_one},
    {&an_input_is_summed_for_the_tensor_that_needs_most},
    {&one_column_is_no_square_by_itself},
    {0},
};

int main(void)
{
    return ps_check_main("compress/settle", tests);
}
