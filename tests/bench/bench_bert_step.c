/* bench_bert_step: one training step of a bert of MiniLM's size that tells two classes apart
 * (forward, loss, backward, AdamW) on the CPU, 32 texts of 64 tokens, beside the processor's limit
 * taken in the same run (step.h). tests/bench/texts runs it beside torch.
 *
 *     bench_bert_step [--json] [--threads N] [--type bf16] [--mixed]
 *
 * --mixed: the texts have 2 to 64 tokens, as many of each length. The floating-point operations are
 * 6 a parameter of the blocks and token; attention is left out.
 */
#include "common/base/rng.h"
#include "tests/bench/step.h"

#include <string.h>

enum { ROWS = 32, LENGTH = 64, VOCABULARY = 30522, WIDTH = 384, LAYERS = 6 };

int main(int argc, char **argv)
{
    static int32_t tokens[ROWS * LENGTH], labels[ROWS];
    bool mixed = false;
    for (int i = 1; i < argc; i++)
        mixed |= strcmp(argv[i], "--mixed") == 0;
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    int there = 0;
    for (int row = 0; row < ROWS; row++) {
        int length = mixed ? 2 + row * (LENGTH - 2) / (ROWS - 1) : LENGTH;
        there += length;
        labels[row] = row % 2;
        for (int i = 0; i < LENGTH; i++)
            tokens[row * LENGTH + i] = i < length ? (int32_t)ps_rng_below(&rng, VOCABULARY) : -1;
    }
    ps_bench_step bench = {
        .name = mixed ? "bert_step_mixed" : "bert_step",
        .title = "a bert of MiniLM's size, 32 texts of 64 tokens, forward, backward and AdamW, "
                 "float32",
        .config = {.architecture = "bert",
                   .language = {.vocab_size = VOCABULARY,
                                .context_length = 512,
                                .hidden_size = WIDTH,
                                .num_layers = LAYERS,
                                .num_heads = 12,
                                .num_kv_heads = 12,
                                .intermediate_size = 4 * WIDTH,
                                .norm_epsilon = 1e-12,
                                .dropout = 0.1,
                                .choices = {.type_vocab_size = 2,
                                            .num_classes = 2,
                                            .pooler = true,
                                            .attention_dropout = -1,
                                            .embedding_dropout = -1,
                                            .classifier_dropout = -1}}},
        .options = {.max_batch = ROWS, .max_length = LENGTH},
        .batch =
            {.rows = ROWS, .tokens = tokens, .length = LENGTH, .labels = labels, .train = true},
        .flops = 6.0 * 12.0 * WIDTH * WIDTH * LAYERS * there,
        .weight = 0.02,
        .adamw = true,
        .rounds = 8,
    };
    return ps_bench_step_main(&bench, argc, argv);
}
