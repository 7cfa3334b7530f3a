/* logit_lens, direct_logits, attention: against what PyTorch in float64 finds inside the same
 * models (tests/golden/explain/make_inside.py). */
#include "tests/unit/worker/explain/language_net.h"

#include "tests/lib/check_main.h"

static char logit_lens[] = "logit_lens", direct_logits[] = "direct_logits",
            attention[] = "attention";

enum { LENS = LN_LAYERS + 1, TOP = 3 };

static void probabilities(const float *z, double *p)
{
    double sum = 0;
    for (int i = 0; i < LN_VOCABULARY; i++)
        sum += exp((double)z[i]);
    for (int i = 0; i < LN_VOCABULARY; i++)
        p[i] = exp((double)z[i]) / sum;
}

/* How many are before: a token's place. */
static int place(const double *p, int token)
{
    int before = 0;
    for (int i = 0; i < LN_VOCABULARY; i++)
        before += p[i] > p[token];
    return before;
}

static void check_answer(const ps_explain_part *part, size_t at, const float *z, const float *last)
{
    size_t all = (size_t)LN_ROWS * LENS;
    double p[LN_VOCABULARY], q[LN_VOCABULARY], entropy = 0, divergence = 0;
    const float *top = ln_array(part, "top", all * TOP) + at * TOP;
    probabilities(z, p);
    probabilities(last, q);
    for (int i = 0; i < LN_VOCABULARY; i++) {
        entropy -= p[i] * log(p[i]);
        divergence += q[i] * log(q[i] / p[i]);
    }
    ck_assert_double_eq((double)ln_array(part, "rank", all)[at], place(p, LN_TARGET) + 1);
    ck_assert_double_eq_tol((double)ln_array(part, "log_probability", all)[at], log(p[LN_TARGET]),
                            1e-5);
    ck_assert_double_eq_tol((double)ln_array(part, "entropy", all)[at], entropy, 1e-5);
    ck_assert_double_eq_tol((double)ln_array(part, "divergence", all)[at], divergence, 1e-5);
    for (int k = 0; k < TOP; k++) {
        ck_assert_int_eq(place(p, (int)top[k]), k);
        ck_assert_double_eq_tol(
            (double)ln_array(part, "top_log_probability", all * TOP)[at * TOP + (size_t)k],
            log(p[(int)top[k]]), 1e-5);
    }
}

START_TEST(each_layers_answer_is_pytorchs_and_the_last_is_the_models)
{
    language_net n;
    ps_explain_part part;
    ln_open(&n, _i);
    ln_run(&n, &(ps_spec_explain_method){.method = logit_lens, .top = TOP}, &part);
    const float *z = golden_get(&n.golden, "", "lens");
    for (size_t at = 0; at < (size_t)LN_ROWS * LENS; at++)
        check_answer(&part, at, z + at * LN_VOCABULARY,
                     z + (at / LENS * LENS + LN_LAYERS) * LN_VOCABULARY);
    for (size_t row = 0; row < LN_ROWS; row++) {
        ck_assert_double_lt((double)ln_array(&part, "residual", LN_ROWS)[row], 1e-5);
        ck_assert(ln_array(&part, "divergence", (size_t)LN_ROWS * LENS)[row * LENS] > 1e-3f);
    }
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

START_TEST(of_a_small_vocabulary_all_tokens_are_the_likeliest)
{
    language_net n;
    ps_explain_part part;
    ln_open(&n, 0);
    ln_run(&n, &(ps_spec_explain_method){.method = logit_lens, .top = 100}, &part);
    const float *top =
        ln_array(&part, "top", (size_t)LN_ROWS * LENS * LN_VOCABULARY); /* each once */
    bool seen[LN_VOCABULARY] = {false};
    for (int i = 0; i < LN_VOCABULARY; i++)
        seen[(int)top[i]] = true;
    for (int i = 0; i < LN_VOCABULARY; i++)
        ck_assert(seen[i]);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* ---- direct_logits ---- */

enum { BY_LAYER = LN_ROWS * LN_LAYERS, BY_HEAD = BY_LAYER * LN_HEADS };

START_TEST(parts_are_worth_what_pytorch_says_and_add_up_to_the_logit)
{
    language_net n;
    ps_explain_part part;
    ln_open(&n, _i);
    ln_run(&n, &(ps_spec_explain_method){.method = direct_logits}, &part);
    ln_compare(&n, &part, "embed", "direct/embed", LN_ROWS, 2e-6);
    ln_compare(&n, &part, "heads", "direct/heads", BY_HEAD, 2e-6);
    ln_compare(&n, &part, "mlp", "direct/mlp", BY_LAYER, 2e-6);
    if (_i == 0) {
        ln_compare(&n, &part, "pos_embed", "direct/pos_embed", LN_ROWS, 2e-6);
        ln_compare(&n, &part, "attention_bias", "direct/attention_bias", BY_LAYER, 2e-6);
        ln_compare(&n, &part, "norm_bias", "direct/norm_bias", LN_ROWS, 2e-6);
    }
    ck_assert((ps_explain_get(&part, "norm_bias") != NULL) == (_i == 0));
    for (size_t row = 0; row < LN_ROWS; row++)
        ck_assert_double_lt((double)ln_array(&part, "residual", LN_ROWS)[row], 1e-6);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* Of a difference of two logits the parts are the differences. */
START_TEST(parts_of_a_difference_are_differences_of_parts)
{
    language_net n;
    ps_explain_part both, part[2];
    const int64_t tokens[2] = {LN_TARGET, 3};
    ln_open(&n, _i);
    ps_explain_goal goals[LN_ROWS];
    n.batch.items.goals = goals;
    for (int k = 0; k < 3; k++) {
        for (int row = 0; row < LN_ROWS; row++)
            goals[row] = (ps_explain_goal){.score = PS_EXPLAIN_LOGIT,
                                           .target = tokens[k % 2],
                                           .other = k == 2 ? tokens[1] : -1};
        ln_run(&n, &(ps_spec_explain_method){.method = direct_logits}, k == 2 ? &both : &part[k]);
    }
    for (size_t i = 0; i < BY_HEAD; i++)
        ck_assert_double_eq_tol((double)ln_array(&both, "heads", BY_HEAD)[i],
                                (double)ln_array(&part[0], "heads", BY_HEAD)[i] -
                                    (double)ln_array(&part[1], "heads", BY_HEAD)[i],
                                2e-6);
    ps_explain_part_free(&both);
    ps_explain_part_free(&part[0]);
    ps_explain_part_free(&part[1]);
    ln_close(&n);
}
END_TEST

/* ---- attention ---- */

enum { SQUARE = LN_LENGTH * LN_LENGTH };

/* Entropy, distance and the first token's share of a head, of golden weights. */
static void summarise(const float *p, double *out)
{
    for (int q = 0; q < LN_LENGTH; q++)
        for (int k = 0; k <= q; k++) {
            double weight = (double)p[q * LN_LENGTH + k];
            out[0] -= weight * log(weight) / LN_LENGTH;
            out[1] += weight * (q - k) / LN_LENGTH;
            out[2] += q && !k ? weight / (LN_LENGTH - 1) : 0;
        }
}

START_TEST(weights_and_rollout_are_pytorchs)
{
    language_net n;
    ps_explain_part part;
    static const char *const names[] = {"entropy", "distance", "first"};
    ln_open(&n, _i);
    ln_run(&n, &(ps_spec_explain_method){.method = attention, .patterns = true}, &part);
    ln_compare(&n, &part, "patterns", "attention", (size_t)BY_HEAD * SQUARE, 2e-6);
    ln_compare(&n, &part, "values", "rollout", (size_t)LN_ROWS * LN_LENGTH, 2e-6);
    const float *golden = golden_get(&n.golden, "", "attention");
    for (size_t head = 0; head < BY_HEAD; head++) {
        double want[3] = {0};
        summarise(golden + head * SQUARE, want);
        for (int k = 0; k < 3; k++)
            ck_assert_double_eq_tol((double)ln_array(&part, names[k], BY_HEAD)[head], want[k],
                                    1e-5);
    }
    for (size_t row = 0; row < LN_ROWS; row++) {
        const float *values = ln_array(&part, "values", (size_t)LN_ROWS * LN_LENGTH);
        double sum = 0;
        for (size_t k = 0; k < LN_LENGTH; k++)
            sum += (double)values[row * LN_LENGTH + k];
        ck_assert_double_eq_tol(sum, 1, 1e-5);
        ck_assert_double_lt((double)ln_array(&part, "residual", LN_ROWS)[row], 1e-5);
    }
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

START_TEST(without_patterns_all_else_is_the_same)
{
    language_net n;
    ps_explain_part with, without;
    ln_open(&n, 0);
    ln_run(&n, &(ps_spec_explain_method){.method = attention, .patterns = true}, &with);
    ln_run(&n, &(ps_spec_explain_method){.method = attention}, &without);
    ck_assert_ptr_null(ps_explain_get(&without, "patterns"));
    ck_assert_mem_eq(ln_array(&with, "entropy", BY_HEAD), ln_array(&without, "entropy", BY_HEAD),
                     BY_HEAD * sizeof(float));
    ck_assert_mem_eq(ln_array(&with, "values", (size_t)LN_ROWS * LN_LENGTH),
                     ln_array(&without, "values", (size_t)LN_ROWS * LN_LENGTH),
                     (size_t)LN_ROWS * LN_LENGTH * sizeof(float));
    ps_explain_part_free(&with);
    ps_explain_part_free(&without);
    ln_close(&n);
}
END_TEST

/* ---- slices ---- */

enum { QUANTITIES = 5, LENGTHS = 18 };

/* Sums over slices: rows, right ones, losses. */
static void add_slices(const ps_explain_part *part, const char *name, size_t n, double *sums)
{
    const float *table = ln_array(part, name, n * QUANTITIES);
    memset(sums, 0, 3 * sizeof *sums);
    for (size_t i = 0; i < n; i++) {
        const float *s = table + i * QUANTITIES;
        ck_assert(isnan(s[1]) == (s[0] == 0) && isnan(s[3]) == (s[0] < 2));
        for (int k = 0; k < 3 && s[0] > 0; k++)
            sums[k] += (double)s[0] * (k ? (double)s[k] : 1);
    }
}

/* Transformers' loss is the mean over all tokens, and its logits say which are right. */
START_TEST(slices_of_tokens_add_up_to_all_tokens)
{
    static char slices[] = "slices";
    language_net n;
    ps_explain_part part;
    double sums[3];
    int32_t labels[LN_ROWS];
    ln_open(&n, _i);
    const int32_t *all = golden_get(&n.parameters, "", "labels");
    const float *logits = golden_get(&n.parameters, "", "logits");
    double right[2] = {0, 0}, loss = 0; /* of all; of the last of each row */
    for (size_t i = 0; i < (size_t)LN_ROWS * LN_LENGTH; i++) {
        const float *z = logits + i * LN_VOCABULARY;
        bool is = ps_explain_largest(z, LN_VOCABULARY) == all[i];
        bool is_last = i % LN_LENGTH == LN_LENGTH - 1;
        right[0] += is;
        right[1] += is && is_last;
        labels[i / LN_LENGTH] = all[i];
        loss += is_last ? ps_explain_log_sum(z, LN_VOCABULARY) - (double)z[all[i]] : 0;
    }
    n.batch.items.labels = labels;
    ln_run(&n, &(ps_spec_explain_method){.method = slices}, &part);
    add_slices(&part, "by_length", LENGTHS, sums);
    ck_assert_double_eq(sums[0], LN_ROWS * LN_LENGTH);
    ck_assert_double_eq_tol(sums[1], right[0], 1e-5);
    ck_assert_double_eq_tol(sums[2] / sums[0],
                            (double)((const float *)golden_get(&n.parameters, "", "losses"))[0],
                            1e-5);
    const float *table = ln_array(&part, "by_length", (size_t)LENGTHS * QUANTITIES);
    static const float counts[] = {1, 1, 2, 4, 4, 0};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        ck_assert(table[i * QUANTITIES] == LN_ROWS * counts[i]);
    add_slices(&part, "by_label", LN_VOCABULARY, sums);
    for (int twice = 0; twice < 2; twice++) {
        ck_assert_double_eq(sums[0], LN_ROWS);
        ck_assert_double_eq_tol(sums[1], right[1], 1e-5);
        ck_assert_double_eq_tol(sums[2], loss, 1e-4);
        add_slices(&part, "by_confidence", 10, sums);
    }
    ck_assert_ptr_null(ps_explain_get(&part, "by_place")); /* there is no file */
    ck_assert_uint_eq(part.n, 3);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &slices_of_tokens_add_up_to_all_tokens, .repeat = 2},
    {.test = &each_layers_answer_is_pytorchs_and_the_last_is_the_models, .repeat = 2},
    {.test = &of_a_small_vocabulary_all_tokens_are_the_likeliest},
    {.test = &parts_are_worth_what_pytorch_says_and_add_up_to_the_logit, .repeat = 2},
    {.test = &parts_of_a_difference_are_differences_of_parts, .repeat = 2},
    {.test = &weights_and_rollout_are_pytorchs, .repeat = 2},
    {.test = &without_patterns_all_else_is_the_same},
    {0},
};

int main(void)
{
    return ps_check_main("explain/inside", cases);
}
