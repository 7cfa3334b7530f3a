/* memory: rows that a method makes by itself are counted as well as those of the job. */
#include "common/explain/memory.h"

#include "tests/lib/check_main.h"

static char gpt2[] = "gpt2", head_scores[] = "head_scores", logit_lens[] = "logit_lens";

START_TEST(the_longest_row_is_counted_whoever_makes_it)
{
    ps_spec_explain_method heads = {.method = head_scores, .length = 48},
                           lens = {.method = logit_lens};
    int64_t tokens[3] = {1, 2, 3};
    ps_spec_explain_prompt prompt = {.tokens = tokens, .n_tokens = 3};
    ps_spec_explain explain = {
        .batch = 2, .prompts = &prompt, .n_prompts = 1, .inside = &lens, .n_inside = 1};
    ps_job_spec spec = {.explain = &explain};
    ps_spec_model model = {.architecture = gpt2,
                           .vocab_size = 9,
                           .context_length = 64,
                           .hidden_size = 8,
                           .num_layers = 2,
                           .num_heads = 2,
                           .num_kv_heads = 2,
                           .head_dim = 4,
                           .intermediate_size = 32};
    uint64_t prompts = ps_explain_activations(&spec, &model);
    explain.inside = &heads;
    ck_assert_uint_gt(prompts, 0);
    ck_assert_uint_eq(ps_explain_activations(&spec, &model), prompts / 3 * 48);
    model.context_length = 24; /* it is cut to what the model takes */
    ck_assert_uint_eq(ps_explain_activations(&spec, &model), prompts / 3 * 24);
}
END_TEST

/* [batch + 2 · layers, heads, length, length] where the weights of attention are patched. */
START_TEST(patterns_are_counted_where_they_are_exchanged)
{
    static char name[] = "patching", z[] = "z", pattern[] = "pattern";
    char *points[] = {z, pattern};
    int64_t tokens[5] = {1, 2, 3, 4, 5};
    ps_spec_explain_method patching = {.method = name,
                                       .patch = {.clean = tokens,
                                                 .n_clean = 5,
                                                 .corrupt = tokens,
                                                 .n_corrupt = 5,
                                                 .points = points,
                                                 .n_points = 1}};
    ps_spec_explain explain = {.batch = 2, .inside = &patching, .n_inside = 1};
    ps_job_spec spec = {.explain = &explain};
    ps_spec_model model = {.architecture = gpt2,
                           .context_length = 64,
                           .hidden_size = 8,
                           .num_layers = 3,
                           .num_heads = 4,
                           .num_kv_heads = 4,
                           .head_dim = 2,
                           .intermediate_size = 32};
    uint64_t without = ps_explain_activations(&spec, &model);
    patching.patch.n_points = 2;
    ck_assert_uint_eq(ps_explain_activations(&spec, &model) - without, (2 + 2 * 3) * 4 * 5 * 5 * 4);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_longest_row_is_counted_whoever_makes_it},
    {&patterns_are_counted_where_they_are_exchanged},
    {0},
};

int main(void)
{
    return ps_check_main("explain/memory", cases);
}
