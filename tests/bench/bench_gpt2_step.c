/* bench_gpt2_step: one training step of GPT-2 124M (forward, loss, backward, AdamW) on the CPU, 4
 * rows of 64 tokens, beside the processor's limit taken in the same run (step.h).
 *
 *     bench_gpt2_step [--json] [--threads N] [--type bf16]
 *
 * The floating-point operations are 6 a parameter and token, those of the products with weights:
 * the token table counts once (as the head), the positions not at all, and attention is left out.
 */
#include "common/base/rng.h"
#include "tests/bench/step.h"

enum {
    ROWS = 4,
    LENGTH = 64,
    TOKENS = ROWS * LENGTH,
    VOCABULARY = 50257,
    WIDTH = 768,
    LAYERS = 12
};

int main(int argc, char **argv)
{
    int32_t tokens[TOKENS], labels[TOKENS];
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = (int32_t)ps_rng_below(&rng, VOCABULARY);
        labels[i] = (int32_t)ps_rng_below(&rng, VOCABULARY);
    }
    const double weights = 12.0 * WIDTH * WIDTH * LAYERS + (double)VOCABULARY * WIDTH;
    ps_bench_step bench = {
        .name = "gpt2_step",
        .title = "GPT-2 124M, 4 x 64 tokens, forward, backward and AdamW, float32",
        .config = {.architecture = "gpt2",
                   .language = {.vocab_size = VOCABULARY,
                                .context_length = 1024,
                                .hidden_size = WIDTH,
                                .num_layers = LAYERS,
                                .num_heads = 12,
                                .num_kv_heads = 12,
                                .intermediate_size = 4 * WIDTH,
                                .norm_epsilon = 1e-5,
                                .tie_embeddings = true}},
        .options = {.max_batch = ROWS, .max_length = LENGTH},
        .batch =
            {.rows = ROWS, .tokens = tokens, .length = LENGTH, .labels = labels, .train = true},
        .flops = 6.0 * weights * TOKENS,
        .weight = 0.02,
        .adamw = true,
        .rounds = 5,
    };
    return ps_bench_step_main(&bench, argc, argv);
}
