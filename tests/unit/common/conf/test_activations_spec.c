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

static const ps_check_case cases[] = {
    {&activations_are_of_a_stored_model},
    {0},
};

int main(void)
{
    return ps_check_main("common/conf/activations_spec", cases);
}
