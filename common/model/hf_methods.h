/* hf_methods: words that quant_method has in folders of the world, and which psd does not read:
 * each is refused by what it is. Constant; any thread. Private to hf_quantization.c. */
#ifndef PS_MODEL_HF_METHODS_H
#define PS_MODEL_HF_METHODS_H

#include "common/base/status.h"

/* word: of the file, hostile; allowed: what is read. Always PS_INVALID_ARGUMENT, in one line. */
PS_MUST_CHECK ps_status ps_hf_methods_refuse(const char *word, const char *allowed);

#endif
