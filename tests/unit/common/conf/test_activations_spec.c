/* activations_spec: whose activations a job's data are, and what an autoencoder of them may be. */
#include "tests/unit/common/conf/job_rig.h"

#include <stdio.h>

START_TEST(activations_are_of_a_stored_model)
{
#define CODER                                                                                  \
    "kind: train\nname: x\nmodel: {architecture: sae, layers: [4, 9, 4], %s}\n"                \
    "data: {format: %s, %s train: {features: /x}}\ntrain: {epochs: 1, optimizer: {name: sgd, " \
    "learning_rate: 1}}\n"
    static const struct {
        const char *model, *format, *of, *message;
    } cases[] = {
        {"l1: 1", "activations", "", "job.yaml:4: data.activations: missing; say whose"},
        {"l1: 1", "idx", "activations: {model: m, format: idx},",
         "job.yaml:4: data.activations: only for format activations, not idx"},
        {"l1: 1", "activations", "activations: {model: M, format: idx},",
         "job.yaml:4: data.activations.model: 'M' is not a name"},
        {"l1: 1", "activations", "activations: {model: m, format: tokens},",
         "job.yaml:4: data.train.features: not for format tokens"},
        {"l1: 1", "activations", "activations: {model: m, format: activations},",
         "job.yaml:4: data.activations.format: 'activations' is not known"},
        {"l1: 0", "idx", "", "job.yaml:3: model.top_k: one of top_k"},
        {"top_k: 10", "idx", "", "job.yaml:3: model.top_k: 10 is more than there are latents, 9"},
        {"l1: 1", "idx", "normalise: {scale: 2},",
         "job.yaml:4: data.normalise: architecture sae takes mean and deviation"},
        {"l1: 1, loss: squared_error", "idx", "",
         "job.yaml:3: model.loss: not for architecture sae"},
    };
    char text[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(text, sizeof text, CODER, cases[i].model, cases[i].format, cases[i].of);
        refuses(text, cases[i].message);
    }
#undef CODER
}
END_TEST

START_TEST(a_lens_has_the_sizes_of_its_base_and_nothing_else)
{
#define LENS                                                                             \
    "kind: train\nname: x\nmodel: {architecture: tuned_lens, %s}\n"                      \
    "data: {format: %s, %s train: {%s: /x}}\ntrain: {epochs: 1, optimizer: {name: sgd, " \
    "learning_rate: 1}}\n"
    static const char of[] = "activations: {model: m, format: tokens},";
    static const struct {
        const char *model, *format, *of, *files, *message;
    } cases[] = {
        {"hidden_size: 8", "activations", of, "tokens",
         "job.yaml:3: model.num_layers: missing; architecture tuned_lens needs it"},
        {"hidden_size: 8, num_layers: 2, vocab_size: 9", "activations", of, "tokens",
         "job.yaml:3: model.vocab_size: not for architecture tuned_lens"},
        {"hidden_size: 8, num_layers: 2, base_sha256: 12ab", "activations", of, "tokens",
         "job.yaml:3: model.base_sha256: 64 hexadecimal digits"},
        {"hidden_size: 8, num_layers: 2, base: M", "activations", of, "tokens",
         "job.yaml:3: model.base: 'M' is no model's name"},
        {"hidden_size: 8, num_layers: 2", "idx", "", "features",
         "job.yaml:4: data.format: 'idx' is not what architecture tuned_lens reads"},
        {"hidden_size: 8, num_layers: 2", "idx", "normalise: {from: data},", "features",
         "job.yaml:4: data.format: 'idx' is not what architecture tuned_lens reads"},
    };
    char text[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(text, sizeof text, LENS, cases[i].model, cases[i].format, cases[i].of,
                       cases[i].files);
        refuses(text, cases[i].message);
    }
#undef LENS
}
END_TEST

static const ps_check_case cases[] = {
    {&a_lens_has_the_sizes_of_its_base_and_nothing_else},
    {&activations_are_of_a_stored_model},
    {0},
};

int main(void)
{
    return ps_check_main("common/conf/activations_spec", cases);
}
