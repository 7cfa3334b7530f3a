/* cnn: convolutions of images, and linear layers behind them. How many there are the section says,
 * so its parameters are no table: worker/models has them. */
#include "common/arch/arch.h"

static const ps_arch_key keys[] = {
    {"image"},      {"convolutions"}, {"layers"},        {"activation"},   {"loss"},    {"classes"},
    {"input_mean"}, {"input_std"},    {"input_missing"}, {"norm_epsilon"}, {"dropout"}, {NULL},
};

const ps_arch ps_arch_cnn = {.name = "cnn", .family = PS_ARCH_IMAGES, .keys = keys};
