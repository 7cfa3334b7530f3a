/* lora: which products a word means, and what the adapters of one are called. */
#include "common/arch/lora.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <string.h>

static const ps_arch_sizes sizes = {.vocab_size = 9,
                                    .context_length = 8,
                                    .hidden_size = 8,
                                    .num_layers = 12,
                                    .num_heads = 4,
                                    .num_kv_heads = 2,
                                    .head_dim = 2,
                                    .intermediate_size = 24,
                                    .tie_embeddings = false};

/* The first that the word means, "" where none is, and how many there are. */
static size_t meant(const char *arch, const char *word, char first[PS_LM_NAME])
{
    ps_lm_tensor *tensors = NULL;
    size_t n = 0, count = 0;
    ps_arch_layout(ps_arch_find(arch), &sizes, &tensors, &n);
    first[0] = '\0';
    for (size_t i = 0; i < n; i++)
        if (ps_lora_means(&tensors[i], word) && !count++)
            memcpy(first, tensors[i].name, PS_LM_NAME);
    ps_free(&tensors);
    return count;
}

START_TEST(words_mean_products)
{
    static const struct {
        const char *arch, *word, *first;
        size_t count;
    } rows[] = {
        {"gpt2", "q", "h.0.attn.c_attn.weight", 12},
        {"gpt2", "k", "h.0.attn.c_attn.weight", 12},
        {"gpt2", "o", "h.0.attn.c_proj.weight", 12},
        {"gpt2", "down", "h.0.mlp.c_proj.weight", 12},
        {"gpt2", "gate", "", 0},
        {"gpt2", "c_proj", "h.0.attn.c_proj.weight", 24},
        {"gpt2", "mlp.c_proj", "h.0.mlp.c_proj.weight", 12},
        {"gpt2", "proj", "", 0}, /* not behind a dot */
        {"gpt2", "all-linear", "h.0.attn.c_attn.weight", 48},
        {"gpt2", "ln_1", "", 0},
        {"gpt2", "wte", "", 0},
        {"llama", "v", "model.layers.0.self_attn.v_proj.weight", 12},
        {"llama", "lm_head", "", 0},
        {"llama", "*", "model.layers.0.self_attn.q_proj.weight", 84},
        {"llama", "*.1*.self_attn.?_proj", "", 0}, /* no other sign stands for anything */
        {"llama", "model.layers.1*.v_proj", "model.layers.1.self_attn.v_proj.weight", 3},
        {"llama", "*mlp*", "model.layers.0.mlp.gate_proj.weight", 36},
        {"llama", "*mlp*x", "", 0},
        {"llama", "model.layers.7.mlp.up_proj", "model.layers.7.mlp.up_proj.weight", 1},
        {"llama", "model.layers.7.mlp.up_proj.weight", "", 0},
        {"qwen2", "q_proj", "model.layers.0.self_attn.q_proj.weight", 12},
        {"llama", "", "", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char first[PS_LM_NAME];
        ck_assert_msg(meant(rows[i].arch, rows[i].word, first) == rows[i].count, "%s: %s",
                      rows[i].arch, rows[i].word);
        ck_assert_str_eq(first, rows[i].first);
    }
}
END_TEST

/* Stars that each could stand for much take no time. */
START_TEST(a_pattern_of_many_stars_ends)
{
    char word[PS_LORA_TARGET_MAX + 1], first[PS_LM_NAME];
    for (size_t i = 0; i < PS_LORA_TARGET_MAX; i++)
        word[i] = i % 2 ? '_' : '*';
    word[PS_LORA_TARGET_MAX - 1] = 'x';
    word[PS_LORA_TARGET_MAX] = '\0';
    ck_assert_uint_eq(meant("llama", word, first), 0);
}
END_TEST

START_TEST(names_and_shapes_are_pefts)
{
    char name[PS_LM_NAME];
    ck_assert(ps_lora_name("h.3.attn.c_attn.weight", PS_LORA_A, name));
    ck_assert_str_eq(name, "h.3.attn.c_attn.lora_A.weight");
    ck_assert(ps_lora_name("h.3.attn.c_attn.weight", PS_LORA_B, name));
    ck_assert_str_eq(name, "h.3.attn.c_attn.lora_B.weight");
    char longest[] = "a234567890123456789012345678901234567890123456789.weight";
    ck_assert(ps_lora_name(longest, PS_LORA_A, name));
    ck_assert(!ps_lora_name("a2345678901234567890123456789012345678901234567890.weight", PS_LORA_A,
                            name));
    ps_lm_tensor turned = {.shape = {3, 5}, .change = PS_LM_TRANSPOSE}, plain = {.shape = {3, 5}};
    ck_assert_uint_eq(ps_lora_inputs(&turned), 3);
    ck_assert_uint_eq(ps_lora_outputs(&turned), 5);
    ck_assert_uint_eq(ps_lora_inputs(&plain), 5);
    ck_assert_uint_eq(ps_lora_outputs(&plain), 3);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &words_mean_products},
    {.test = &a_pattern_of_many_stars_ends},
    {.test = &names_and_shapes_are_pefts},
    {0},
};

int main(void)
{
    return ps_check_main("arch/lora", tests);
}
