/* logit_lens: against PyTorch's logits of each layer in float64, whatever is made of them being
 * worked out again here. */
#include "tests/unit/worker/explain/language_net.h"

#include "tests/lib/check_main.h"

static char logit_lens[] = "logit_lens";

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

static const ps_check_case cases[] = {
    {.test = &each_layers_answer_is_pytorchs_and_the_last_is_the_models, .repeat = 2},
    {.test = &of_a_small_vocabulary_all_tokens_are_the_likeliest},
    {0},
};

int main(void)
{
    return ps_check_main("explain/inside", cases);
}
