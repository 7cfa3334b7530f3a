/* mlp: linear layers with an activation between each two. How many there are the section says, so
 * its parameters are no table: worker/models/mlp.c has them. */
#include "common/arch/arch.h"

static const ps_arch_key keys[] = {
    {"layers"},     {"activation"}, {"loss"},          {"classes"},
    {"input_mean"}, {"input_std"},  {"input_missing"}, {NULL},
};

const ps_arch ps_arch_mlp = {.name = "mlp", .family = PS_ARCH_LAYERS, .keys = keys};
