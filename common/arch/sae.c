/* sae: a sparse autoencoder: inputs, latents of which few are active, and the inputs again. Its
 * four parameters are no table: worker/models/sae.c has them. */
#include "common/arch/arch.h"

static const ps_arch_key keys[] = {
    {"layers", PS_ARCH_OPTIONAL}, {"top_k"}, {"l1"}, {"input_mean"}, {"input_std"}, {NULL},
};

const ps_arch ps_arch_sae = {.name = "sae", .family = PS_ARCH_CODER, .keys = keys};
