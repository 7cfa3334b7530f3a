/* tuned_lens: of each block of a language model a translator of its residual stream. Its parameters
 * are no table: worker/models/tuned_lens.c has them. */
#include "common/arch/arch.h"

static const ps_arch_key keys[] = {
    {"hidden_size", PS_ARCH_NEEDED},
    {"num_layers", PS_ARCH_NEEDED},
    {"base"},
    {"base_sha256"},
    {NULL},
};

const ps_arch ps_arch_tuned_lens = {.name = "tuned_lens", .family = PS_ARCH_LENS, .keys = keys};
